"""Bodies of requests that go on from one another: what one shares with those before is read once, and kept once."""

from typing import Any

import msgspec

from convtest.structs import Struct, field
from convtest.wire.messages import History, going_on
from convtest.wire.unread import decoded

_SMALL = 4_096
"""Bytes; less than that costs less to read and to keep than to compare."""
_KEEPS = 16
_CONVERSATIONS = 4
"""In one lane: main and side requests take turns."""
_LIMIT = 16_000_000
"""Bytes of all bodies whose messages are known."""


class _Split(msgspec.Struct):
    messages: msgspec.Raw


class _Read(Struct, frozen=True):
    """A body that was read: `head` ends behind its last message, `start` is where the list of them begins."""

    head: bytes
    rest: bytes
    start: int
    value: dict[str, Any]

    def is_of(self, body: bytes) -> bool:
        return len(body) == len(self.head) + len(self.rest) and body.startswith(self.head) and body.endswith(self.rest)

    def begins(self, body: bytes) -> bool:
        """Whether this one's messages are the first ones of a body, and more follow."""
        return body[len(self.head) : len(self.head) + 1] == b"," and body.startswith(self.head)


_READ: list[_Read] = []
"""Those that were read last."""


def decoded_request(body: bytes) -> Any:
    """As `decoded`; messages that another body began with are the same objects, which nobody changes. Raises
    ValueError."""
    if len(body) < _SMALL:
        return decoded(body)
    read = next((one for one in _READ if one.is_of(body)), None)
    if read is None:
        longest = sorted(_READ, key=lambda one: -len(one.head))
        known = next((one for one in longest if one.begins(body)), None)
        read = (_extended(known, body) if known is not None else None) or _read(body)
        if read is None:
            return decoded(body)
    _note(read)
    return read.value


def _note(read: _Read) -> None:
    kept = [one for one in _READ if one is not read][-_KEEPS + 1 :]
    while kept and sum(len(one.head) for one in kept) + len(read.head) > _LIMIT:
        del kept[0]
    _READ[:] = [*kept, read]


def _extended(known: _Read, body: bytes) -> _Read | None:
    """What a body holds beside the known messages is read as a body of its own; None where that cannot be told."""
    new = body[: known.start] + b"[" + body[len(known.head) + 1 :]
    end = _end(new, known.start)
    if end is None:
        return None
    read = decoded(new)
    at = len(body) - (len(new) - end)
    messages = going_on(known.value["messages"], *read["messages"])
    return _Read(body[:at], body[at:], known.start, {**read, "messages": messages})


def _read(body: bytes) -> _Read | None:
    """None for a body with no list of messages, or where several could be it."""
    try:
        start = body.find(bytes(msgspec.json.decode(body, type=_Split).messages))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    end = _end(body, start)
    if end is None:
        return None
    value = decoded(body)
    return _Read(body[:end], body[end:], start, {**value, "messages": History(value["messages"])})


def _end(body: bytes, start: int) -> int | None:
    """Where the last message ends, in a body whose list of messages begins there."""
    try:
        raw = bytes(msgspec.json.decode(body, type=_Split).messages)
        without = body[:start] + b"null" + body[start + len(raw) :]
        found = body.startswith(raw, start) and bytes(msgspec.json.decode(without, type=_Split).messages) == b"null"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    held = raw[:-1].rstrip()
    return start + len(held) if found and raw[:1] == b"[" and held != b"[" else None


class _Grown(Struct):
    """What the bodies of one conversation have begun with, and the last of them."""

    last: "Body"
    shared: bytearray = field(default_factory=bytearray)


class Body:
    """A request's body as it is kept: whole, or as what it shares with the one after it and what it does not."""

    __slots__ = ("_parts",)

    def __init__(self, body: bytes) -> None:
        self._parts = (bytearray(), 0, body)

    def whole(self) -> bytes:
        shared, length, rest = self._parts
        return bytes(shared[:length]) + rest if length else rest

    def shares(self, length: int, shared: bytearray) -> None:
        """`length` bytes of `shared` are what this begins with."""
        self._parts = (shared, length, self.whole()[length:])


class Bodies:
    """Keeps bodies by their lanes: of two that begin alike the beginning is kept once, however many there are."""

    def __init__(self) -> None:
        self._grown: dict[str | None, list[_Grown]] = {}

    def keep(self, lane: str | None, body: bytes) -> Body:
        kept, grown = Body(body), self._grown.get(lane, [])
        if len(body) < _SMALL:
            return kept
        for one in reversed(grown):
            last = one.last.whole()
            alike = _alike(last, body)
            if alike >= max(_SMALL, len(one.shared), len(last) // 2):
                one.shared += last[len(one.shared) : alike]
                one.last.shares(alike, one.shared)
                one.last = kept
                return kept
        self._grown[lane] = [*grown[-_CONVERSATIONS + 1 :], _Grown(kept)]
        return kept


def _alike(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low
