"""Secrets in what is compared: each stands for its kind, and beside that for itself, one of its kind."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from convtest.structs import Struct
from convtest.wire.messages import History, Message, found_clean, is_clean

PLACEHOLDER = "SCRUBBED"
HOME = "/HOME"
ID = "id"
"""The kind of an id that a server or a client made up."""
ITEM = "/ITEM"
SESSION_FILE = "/ITEM/session.jsonl"
_NUMBER = r"(?:-(?:[1-9]|0[1-9]\d|00[1-9]\d{2}|000[1-9]\d{3}))?"
"""It tells its own length, so that digits may follow: -1 to -9, -010 to -099, -00100 and so on."""
_PLACEHOLDERS = re.compile(
    rf"{PLACEHOLDER}_[A-Za-z0-9_]+{_NUMBER}|{HOME}{_NUMBER}(?!\w)|/ITEM/session{_NUMBER}\.jsonl|{ITEM}(?!\w)"
)
_NUMBERED = re.compile(r"^([^.]*?)-\d+(\.\w+)?$")


class Mark(Struct, frozen=True):
    """One secret: its kind, which is its placeholder without a number, and what stands there: the value, or a
    placeholder of it."""

    kind: str
    token: str
    is_placeholder: bool = False

    @property
    def is_any(self) -> bool:
        """A placeholder without a number, as older recordings have it: any value of its kind."""
        return self.is_placeholder and self.token == self.kind


class Found(Struct, frozen=True):
    """Where a secret stands in a text."""

    start: int
    end: int
    mark: Mark


class Finds(Protocol):
    """Finds secrets and placeholders in a text, in their order; none overlaps another."""

    def found(self, text: str) -> Sequence[Found]: ...


def numbered(kind: str, number: int) -> str:
    """The placeholder of one value of a kind."""
    stem, dot, ending = kind.partition(".")
    return f"{stem}-{'0' * (len(str(number)) - 1)}{number}{dot}{ending}"


def may_hold_placeholders(text: str) -> bool:
    return PLACEHOLDER in text or HOME in text or ITEM in text


def placeholders_in(text: str) -> Sequence[Found]:
    """Those that stand there already."""
    if not may_hold_placeholders(text):
        return ()
    return [
        Found(*one.span(), Mark(_kind(one[0]), one[0], is_placeholder=True)) for one in _PLACEHOLDERS.finditer(text)
    ]


def _kind(token: str) -> str:
    found = _NUMBERED.fullmatch(token)
    return f"{found[1]}{found[2] or ''}" if found else token


class Placeholders:
    """Finds placeholders alone: all that a recording holds."""

    def found(self, text: str) -> Sequence[Found]:
        return placeholders_in(text)


def replaced(text: str, found: Sequence[Found], put: Callable[[Mark], str]) -> str:
    """The text with what was found in it replaced; the very same one where nothing was."""
    if not found:
        return text
    parts, at = [], 0
    for one in found:
        parts += [text[at : one.start], put(one.mark)]
        at = one.end
    return "".join([*parts, text[at:]])


def formed(value: Any, finds: Finds) -> Any:
    """JSON data with each secret as its kind, keys included; the very same object where there is none."""
    if isinstance(value, str):
        return replaced(value, finds.found(value), lambda mark: mark.kind)
    if isinstance(value, Message):
        return value if is_clean(value, finds) else _formed_message(value, finds)
    if isinstance(value, History):
        return _formed_history(value, finds)
    if isinstance(value, list):
        made = [formed(one, finds) for one in value]
        return value if all(a is b for a, b in zip(value, made, strict=True)) else made
    if isinstance(value, Mapping):
        pairs = [(formed(key, finds), formed(one, finds)) for key, one in value.items()]
        if all(a is b and c is d for (a, c), (b, d) in zip(value.items(), pairs, strict=True)):
            return value
        # Two keys of one kind do not become one key.
        fields = dict(pairs)
        return fields if len(fields) == len(pairs) else {f"{key} {n}": one for n, (key, one) in enumerate(pairs)}
    return value


def _formed_history(history: History, finds: Finds) -> Any:
    """Of one that goes on from another only what is new is looked at, where that one is clean."""
    new = history[history.shared :] if history.goes_on_from_clean(finds) else history
    made = [formed(one, finds) for one in new]
    if not all(a is b for a, b in zip(new, made, strict=True)):
        return [*history[: len(history) - len(new)], *made]
    found_clean(history, finds)
    return history


def _formed_message(message: Message, finds: Finds) -> Any:
    fields = dict(message)
    made = formed(fields, finds)
    if made is not fields:
        return made
    found_clean(message, finds)
    return message


def marks_of(value: Any, finds: Finds) -> Iterator[Mark]:
    """The secrets of JSON data, in an order that does not depend on that of its keys."""
    if isinstance(value, str):
        yield from (one.mark for one in finds.found(value))
    elif isinstance(value, Message | History) and is_clean(value, finds):
        return
    elif isinstance(value, list):
        for one in value:
            yield from marks_of(one, finds)
    elif isinstance(value, Mapping):
        for key in sorted(value, key=lambda key: str(formed(key, finds))):
            yield from marks_of(key, finds)
            yield from marks_of(value[key], finds)
