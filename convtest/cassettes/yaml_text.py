"""Writes a cassette as YAML that people can review: literal blocks, real letters, one stable form.

PyYAML's emitters cannot: libyaml's escapes every text with a character beyond U+FFFF, and either one gives up
literal blocks where a line ends in a space. Any YAML loader reads the result.
"""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

_PLAIN = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]*(?:/[a-zA-Z0-9_-]+)*")
_WORDS_THAT_MEAN = {"yes", "no", "on", "off", "true", "false", "null", "y", "n"}
_UNPRINTABLE = "[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"


def dump(value: Mapping[str, Any]) -> str:
    """The document, ending in a newline."""
    return "".join(_mapping(value, 0))


def _mapping(value: Mapping[str, Any], indent: int) -> Iterator[str]:
    for key, child in value.items():
        yield " " * indent + _scalar(key) + ":"
        yield from _child(child, indent)


def _child(value: Any, indent: int) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield "\n"
        yield from _mapping(value, indent + 2)
    elif isinstance(value, list | tuple) and value:
        yield "\n"
        yield from _sequence(value, indent)
    elif isinstance(value, str) and _literal(value):
        yield from _block(value, indent + 2)
    else:
        yield f" {_scalar(value)}\n"


def _sequence(value: Sequence[Any], indent: int) -> Iterator[str]:
    for child in value:
        if isinstance(child, Mapping) and child:
            text = "".join(_mapping(child, indent + 2))
            yield " " * indent + "- " + text[indent + 2 :]
        else:
            yield " " * indent + "-"
            yield from _child(child, indent)


def _literal(text: str) -> bool:
    """Whether a literal block gives back just this text."""
    ends = text.endswith("\n") or text.rsplit("\n", 1)[-1].strip()
    return "\n" in text and bool(ends) and not re.search(_UNPRINTABLE, text)


def _block(text: str, indent: int) -> Iterator[str]:
    body = text.rstrip("\n")
    trailing = len(text) - len(body)
    if not body.strip() or body.rsplit("\n", 1)[-1].strip() == "":
        yield f" {quoted(text)}\n"
        return
    explicit = "2" if body[0] in " \n\t" or not body.split("\n", 1)[0].strip() else ""
    yield f" |{explicit}{'-' if trailing == 0 else '' if trailing == 1 else '+'}\n"
    margin = " " * indent
    # One string, not one for each line: every yield passes through all levels above.
    yield "".join([f"{margin}{line}\n" if line else "\n" for line in body.split("\n")])
    yield "\n" * max(0, trailing - 1)


def _scalar(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case bytes():
            return "!!binary " + quoted(base64.b64encode(value).decode())
        case str():
            return _word(value)
        case _:
            return "{}" if isinstance(value, Mapping) else "[]"


def _word(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_THAT_MEAN:
        return text
    if "\n" in text or "\t" in text or re.search(_UNPRINTABLE, text):
        return quoted(text)
    return "'" + text.replace("'", "''") + "'"


def quoted(text: str) -> str:
    """In double quotes, on one line: any text has this form."""
    encoded = msgspec.json.encode(text).decode()
    return re.sub(_UNPRINTABLE, lambda found: f"\\u{ord(found[0]):04x}", encoded)
