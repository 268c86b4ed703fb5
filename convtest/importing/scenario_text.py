"""A scenario's data as YAML that a person would have written: plain words where they may be, blocks for long texts."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from convtest.cassettes.yaml_text import dump, quoted
from convtest.importing.conversation import shown

_PLAIN = re.compile(r"[^\W\d_](?:[\w .,;!?'’()/+=%&$€°…—–-]|:(?=[^\s,\]}]))*")
_MEANS = frozenset({"yes", "no", "on", "off", "true", "false", "null", "y", "n", "nan", "inf"})
_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ALWAYS_BLOCK = frozenset(
    {"expect", "facts", "steps", "sessions", "history", "options", "tools", "answers", "simulate"}
)
_FLOW = 90
"""Letters that a list or a mapping may take on one line."""
_PAIRS = 2
"""Keys of a mapping on one line."""


def document(data: Mapping[str, Any], notes: Sequence[str] = ()) -> str:
    """One scenario, with what a reader of it should know above."""
    return "".join([*(f"# {shown(note, 160)}\n" for note in notes), *_mapping(data, 0)])


def _mapping(value: Mapping[str, Any], indent: int) -> Iterator[str]:
    for key, child in value.items():
        yield " " * indent + word(str(key)) + ":"
        yield from _child(child, indent, flows=key not in _ALWAYS_BLOCK)


def _child(value: Any, indent: int, *, flows: bool = True) -> Iterator[str]:
    line = _flow(value) if isinstance(value, Mapping | list) and (flows or not value) else None
    if line is not None and len(line) <= _FLOW:
        yield f" {line}\n"
    elif isinstance(value, Mapping):
        yield "\n"
        yield from _mapping(value, indent + 2)
    elif isinstance(value, list):
        yield "\n"
        for one in value:
            yield from _item(one, indent + 2)
    else:
        yield f" {_scalar(value, indent)}\n"


def _item(value: Any, indent: int) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        text = "".join(_mapping(value, indent + 2))
        yield " " * indent + "- " + text[indent + 2 :]
    else:
        yield " " * indent + "-"
        yield from _child(value, indent)


def _quoted(text: str) -> str:
    """On one line; what turns the direction of writing is seen, and not obeyed."""
    return _TURNS.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted(text))


def _scalar(value: Any, indent: int) -> str:
    """On one line, or as a block."""
    if not isinstance(value, str) or "\n" not in value:
        return word(value)
    if value.endswith("\n\n") or _TURNS.search(value):
        return _quoted(value)
    first, *rest = dump({"x": value})[2:].rstrip("\n").split("\n")
    return "\n".join([first.strip(), *(" " * indent + line if line else "" for line in rest)])


def word(value: Any) -> str:
    """A scalar on one line."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value[-1] != " " and value.lower() not in _MEANS:
        return value
    if isinstance(value, str) and ("\n" in value or _TURNS.search(value)):
        return _quoted(value)
    return dump({"x": value})[2:].strip()


def _flow(value: Any) -> str | None:
    """On one line, if it is short words alone; None for all others."""
    match value:
        case Mapping() if len(value) > _PAIRS:
            return None
        case Mapping():
            made = [(_short(str(key)), _short(one)) for key, one in value.items()]
            return None if any(None in pair for pair in made) else f"{{{', '.join(f'{k}: {v}' for k, v in made)}}}"
        case list():
            listed = [_short(one) for one in value]
            return None if any(one is None for one in listed) else f"[{', '.join(map(str, listed))}]"
        case _:
            return _short(value)


def _short(value: Any) -> str | None:
    if isinstance(value, Mapping | list):
        return "{}" if value == {} else "[]" if value == [] else _flow(value) if isinstance(value, Mapping) else None
    if isinstance(value, str) and (len(value) > 40 or "\n" in value):
        return None
    made = word(value)
    return _quoted(value) if isinstance(value, str) and made == value and re.search(r"[,:]", value) else made
