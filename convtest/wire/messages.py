"""Messages of canonical requests: one object for one message, however many requests send it again.

A conversation sends what was said again and again. What follows from a message alone is found once and stays with it.
"""

import hashlib
from collections.abc import Callable, Hashable, Iterable
from operator import is_
from typing import Any, TypeVar
from weakref import ReferenceType, WeakValueDictionary, ref

import msgspec

from convtest.structs import Struct

_T = TypeVar("_T")


class Message(dict[str, Any]):
    """A canonical message: equal ones are the same object. Nobody changes it."""

    __slots__ = ("__weakref__", "clean_for", "derived")

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.derived: dict[str, Any] = {}
        self.clean_for: ReferenceType[object] | None = None


class History(list[Any]):
    """Messages, or what was said in them, which nobody changes: `shared` of them are the first ones of another list."""

    __slots__ = ("__weakref__", "_before", "clean_for", "derived", "shared")

    def __init__(self, messages: Iterable[Any], before: "History | None" = None) -> None:
        super().__init__(messages)
        self.shared = len(before) if before is not None else 0
        self._before = ref(before) if before is not None else None
        self.derived: dict[Any, Any] = {}
        self.clean_for: ReferenceType[object] | None = None

    def goes_on_from_clean(self, finds: object) -> bool:
        """Whether in the list that it goes on from nothing was found."""
        before = self._before() if self._before is not None else None
        return before is not None and is_clean(before, finds)

    def found(self, what: Hashable, find: Callable[["History"], _T]) -> _T:
        """`find(messages)`, found once."""
        if what not in self.derived:
            self.derived[what] = find(self)
        found: _T = self.derived[what]
        return found

    def so_far(self, what: Hashable, begin: _T, add: Callable[[_T, list[Any]], _T]) -> _T:
        """`add(begin, messages)`: found once, and for a list that goes on from this one found from there with its new
        messages alone. `add` makes a new value and leaves the old one as it is."""
        waiting: list[History] = []
        one: History | None = self
        while one is not None and what not in one.derived:
            waiting.append(one)
            one = one._before() if one._before is not None else None
        found: _T = begin if one is None else one.derived[what]
        whole = one is None
        for later in reversed(waiting):
            found = later.derived[what] = add(found, later if whole else later[later.shared :])
            whole = False
        return found


def is_clean(value: Message | History, finds: object) -> bool:
    """Whether this looked for secrets and placeholders in it and found none."""
    return value.clean_for is not None and value.clean_for is ref(finds)


def found_clean(value: Message | History, finds: object) -> None:
    value.clean_for = ref(finds)


_KNOWN: "WeakValueDictionary[bytes, Message]" = WeakValueDictionary()


def the_same(fields: dict[str, Any]) -> Message:
    """The one object for a message of these fields."""
    if isinstance(fields, Message):
        return fields
    key = msgspec.json.encode(fields, order="deterministic")
    found = _KNOWN.get(key)
    if found is None:
        found = _KNOWN[key] = Message(fields)
    return found


def once(message: Any, what: str, find: Callable[[Any], _T]) -> _T:
    """`find(message)`, found once for a message that is the same object in all requests."""
    if not isinstance(message, Message):
        return find(message)
    if what not in message.derived:
        message.derived[what] = find(message)
    found: _T = message.derived[what]
    return found


def digest_of(messages: Iterable[Any]) -> bytes:
    """Equal for equal messages alone."""
    return bytes(history_of(messages).so_far("digest", hashlib.sha256(), _digested).digest())


def _digested(before: Any, messages: list[Any]) -> Any:
    made = before.copy()
    for message in messages:
        made.update(msgspec.json.encode(message, order="deterministic") + b"\n")
    return made


def size_of(messages: Iterable[Any]) -> int:
    """Bytes of the messages as a list of JSON."""
    history = history_of(messages)
    return history.so_far("size", 1, _size) + (not history)


def _size(before: int, messages: list[Any]) -> int:
    return before + sum(len(msgspec.json.encode(message)) + 1 for message in messages)


def going_on(messages: list[Any], *more: Any) -> History:
    """The messages with more behind them."""
    return History([*messages, *more], messages if isinstance(messages, History) else None)


def history_of(messages: Iterable[Any]) -> History:
    """The messages as such a list."""
    return messages if isinstance(messages, History) else History(messages)


class Look(Struct, frozen=True):
    """At a list of messages: it goes on from one of `count` messages of which `made` was noted."""

    count: int
    made: Any
    note: Callable[[Any], None]
    """Says what was made of all of them."""


class _Noted(Struct):
    messages: tuple[Any, ...]
    made: Any
    size: int
    """Bytes of their JSON, without its last bracket."""
    raw: bytes
    """That JSON; nothing where they are the objects of a list that was known before, and more."""

    def is_same(self, messages: list[Any]) -> bool:
        """Whether a list begins with the very same objects."""
        count = len(self.messages)
        return count <= len(messages) and all(map(is_, self.messages, messages))

    def begins(self, raw: bytes) -> bool:
        """Whether the JSON of a list, without its last bracket, begins with these."""
        if self.size > len(raw) or raw[self.size : self.size + 1] not in b",":
            return False
        return raw.startswith(self.raw or msgspec.json.encode(self.messages)[:-1])


class Histories:
    """The lists of messages that were seen last: of one that goes on from such a list only what is new needs a look.

    Compared by their objects first; else by their JSON, in which 1, 1.0 and true differ. Of each kind, and of kinds,
    the last `keeps` are kept; all is forgotten where it has grown to `limit` bytes.
    """

    def __init__(self, keeps: int = 16, limit: int = 8_000_000) -> None:
        self._keeps = keeps
        self._limit = limit
        self._size = 0
        self._known: dict[Hashable, list[_Noted]] = {}

    def look(self, kind: Hashable, messages: list[Any]) -> Look:
        """The longest known list of this kind that these messages begin with."""
        known = sorted(self._known.get(kind, ()), key=lambda one: -len(one.messages))
        best = next((one for one in known if one.is_same(messages)), None)
        raw = b""
        if best is None:
            raw = msgspec.json.encode(messages)[:-1]
            best = next((one for one in known if one.begins(raw)), None)

        def note(made: Any) -> None:
            if not messages or (best is not None and len(best.messages) == len(messages)):
                return
            if raw or best is None:
                self._note(kind, _Noted(tuple(messages), made, len(raw), raw), len(raw))
                return
            added = len(msgspec.json.encode(messages[len(best.messages) :])) - 1
            self._note(kind, _Noted(tuple(messages), made, best.size + added, b""), added)

        return Look(0, None, note) if best is None else Look(len(best.messages), best.made, note)

    def _note(self, kind: Hashable, noted: _Noted, added: int) -> None:
        if noted.size > self._limit:
            return
        self._size += added
        if self._size > self._limit:
            self._known.clear()
            self._size = added
        self._known[kind] = [*self._known.pop(kind, ())[-self._keeps + 1 :], noted]
        if len(self._known) > self._keeps:
            del self._known[next(iter(self._known))]  # that which was noted longest ago
