"""How a request differs from a recorded one: which setting, which message, which words."""

import difflib
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from convtest.textmatch import apart, cut
from convtest.wire.canonical import Canonical, message_texts

_MOST_LINES = 12
_CONTEXT_WORDS = 6


def difference(recorded: Canonical, sent: Canonical) -> list[str]:
    """One line or two for each difference, recorded first; empty if there is none."""
    lines = list(_differences(recorded, sent))
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"… and {len(lines) - _MOST_LINES} lines more"]
    return lines


def against_nearest(nearest: Canonical | None, missed: Canonical) -> list[str]:
    """Why a request missed: how it differs from the recorded one that comes nearest."""
    if nearest is None:
        return ["nothing is recorded of this session"]
    lines = difference(nearest, missed) or ["nothing differs: it was played already"]
    return ["against the nearest recorded request of this session:", *(f"  {line}" for line in lines)]


def _differences(recorded: Canonical, sent: Canonical) -> Iterator[str]:
    if (recorded.method, recorded.url) != (sent.method, sent.url):
        yield f"address: recorded {recorded.method} {recorded.url}"
        yield f"         sent     {sent.method} {sent.url}"
    before, after = recorded.settings(), sent.settings()
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            old, new = in_short(before.get(key), after.get(key))
            yield f"{key}: recorded {old}"
            yield f"{' ' * len(key)}  sent     {new}"
    yield from _messages(recorded.messages, sent.messages)
    for one, other in zip(recorded.ids, sent.ids, strict=True) if recorded.key == sent.key else ():
        if one != other and not one.is_any:
            yield f"an id is another one: recorded {one.token}"
            yield f"                      sent     {other.token}"


def _messages(recorded: list[dict[str, Any]], sent: list[dict[str, Any]]) -> Iterator[str]:
    matcher = difflib.SequenceMatcher(
        None, [_encoded(m) for m in recorded], [_encoded(m) for m in sent], autojunk=False
    )
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind == "equal":
            continue
        paired = min(i2 - i1, j2 - j1)
        for offset in range(paired):
            yield from _changed(j1 + offset + 1, recorded[i1 + offset], sent[j1 + offset])
        for index in range(i1 + paired, i2):
            yield f"- message {index + 1} is not sent: {_said(recorded[index])}"
        for index in range(j1 + paired, j2):
            yield f"+ message {index + 1} is new: {_said(sent[index])}"


def _changed(number: int, recorded: dict[str, Any], sent: dict[str, Any]) -> Iterator[str]:
    if recorded.get("role") != sent.get("role"):
        yield f"- message {number} was {_said(recorded)}"
        yield f"+ message {number} is {_said(sent)}"
        return
    yield f"message {number} ({sent.get('role')}) differs:"
    before, after = " ".join(message_texts(recorded)), " ".join(message_texts(sent))
    if before == after:
        old, new = in_short(recorded.get("content"), sent.get("content"))
        yield f"    - {old}"
        yield f"    + {new}"
        return
    yield from _words(before, after)


def _words(before: str, after: str) -> Iterator[str]:
    old, new = re.findall(r"\S+", before), re.findall(r"\S+", after)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for group in matcher.get_grouped_opcodes(_CONTEXT_WORDS):
        yield "    - " + " ".join(_marked(kind, old[i1:i2]) for kind, i1, i2, _, _ in group)
        yield "    + " + " ".join(_marked(kind, new[j1:j2]) for kind, _, _, j1, j2 in group)


def _marked(kind: str, words: list[str]) -> str:
    text = " ".join(words)
    return text if kind == "equal" else f"[{text}]"


def _said(message: dict[str, Any]) -> str:
    return f"{message.get('role')}: {_short(' '.join(message_texts(message)))}"


def in_short(recorded: Any, sent: Any) -> tuple[str, str]:
    """Both in short; where their beginnings are the same, around the first difference."""
    old, new = _short(recorded), _short(sent)
    return apart(_text(recorded), _text(sent)) if old == new else (old, new)


def _short(value: Any) -> str:
    return cut(_text(value), 158)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "nothing" if value is None else _encoded(value)


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
