"""Messages of canonical requests: one object for one message, however many requests send it again.

A conversation sends what was said again and again. What follows from a message alone is found once and stays with it.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import ReferenceType, WeakValueDictionary, ref

import msgspec

_T = TypeVar("_T")


class Message(dict[str, Any]):
    """A canonical message: equal ones are the same object. Nobody changes it."""

    __slots__ = ("__weakref__", "_clean", "derived")

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.derived: dict[str, Any] = {}
        self._clean: ReferenceType[object] | None = None

    def is_clean(self, finds: object) -> bool:
        """Whether this looked for secrets and placeholders in it and found none."""
        return self._clean is not None and self._clean is ref(finds)

    def found_clean(self, finds: object) -> None:
        self._clean = ref(finds)


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


@dataclass(frozen=True, slots=True)
class Look:
    """At a list of messages: it goes on from one of `count` messages of which `made` was noted."""

    count: int
    made: Any
    note: Callable[[Any], None]
    """Says what was made of all of them."""


class Histories:
    """The lists of messages that were seen last: of one that goes on from such a list only what is new needs a look.

    Compared by their JSON, in which 1, 1.0 and true differ. Of each kind, and of kinds, the last `keeps` are kept; all
    is forgotten where it has grown to `limit` bytes.
    """

    def __init__(self, keeps: int = 16, limit: int = 8_000_000) -> None:
        self._keeps = keeps
        self._limit = limit
        self._size = 0
        self._known: dict[Hashable, list[tuple[bytes, int, Any]]] = {}

    def look(self, kind: Hashable, messages: list[Any]) -> Look:
        """The longest known list of this kind that these messages begin with."""
        raw = msgspec.json.encode(messages)[:-1]

        def note(made: Any) -> None:
            if len(raw) <= self._limit and messages:
                self._size += len(raw)
                if self._size > self._limit:
                    self._known.clear()
                    self._size = len(raw)
                others = [one for one in self._known.pop(kind, ()) if one[0] != raw]
                self._known[kind] = [*others[-self._keeps + 1 :], (raw, len(messages), made)]
                if len(self._known) > self._keeps:
                    del self._known[next(iter(self._known))]  # that which was noted longest ago

        fits = (one for one in self._known.get(kind, ()) if raw.startswith(one[0]) and raw[len(one[0]) :][:1] in b",")
        best = max(fits, key=lambda one: one[1], default=None)
        return Look(best[1], best[2], note) if best is not None else Look(0, None, note)
