"""A mutator: one named edit of a client, the bug that it stands for, and the moments at which it edits."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from convtest.clients.port import Opening
from convtest.events import Event

Body = dict[str, Any]
"""A request's body in the shape of the Messages API, whatever API it is for (`shapes`)."""

Class = Literal["history", "prompt", "settings", "tools", "sessions", "interrupts", "yielded", "ends", "conduct"]


@dataclass(slots=True)
class Known:
    """What a mutant knows of one session at the moment of an edit. Bodies are those that an honest client sends."""

    session: str
    others: Mapping[str, "Known"] = field(default_factory=dict, repr=False)
    """All sessions of the item by name, this one too."""
    turn: int = -1
    """The session's turns are counted from 0, over all its openings."""
    request: int = -1
    """The turn's requests are counted from 0."""
    opened: int = 0
    """How often it was opened."""
    way: str = "fresh"
    """How it was opened last: fresh, resumed, forked, continued."""
    since_opened: int = 0
    """Turns since then, the one in progress too."""
    first_id: str | None = None
    """The first id that it had."""
    origin: str = ""
    """What it was forked from."""
    interrupting: bool = False
    cut: bool = False
    """The turn before this one was interrupted."""
    failed: bool = False
    """The turn before this one ended otherwise than complete and interrupted."""
    cleared: int = -1
    """The number of turns that it had when it was cleared; -1 where it never was."""
    loaded: bool = False
    """It was given its history."""
    again: bool = False
    """The last try of this very request failed."""
    sent: list[Body] = field(default_factory=list)
    said: list[Event] = field(default_factory=list)
    """All that it yielded in earlier turns."""
    kept: bytes | None = None
    rest: list[Event] = field(default_factory=list)
    """What edits keep from turn to turn; their own business."""
    applied: int = 0
    """How often something was done otherwise than an honest client would."""

    def body(self) -> Body:
        """What it sent last; empty where it sent nothing."""
        return self.sent[-1] if self.sent else {}

    def stranger(self) -> "Known | None":
        """Another session that has sent something and is not related by a fork."""
        related = {self.session, self.origin}
        for one in self.others.values():
            if one.session not in related and one.origin != self.session and one.sent:
                return one
        return None


@dataclass(slots=True)
class Reading:
    """One turn as it is read: what an honest client yields, and what was yielded in its place."""

    known: Known
    honest: list[Event] = field(default_factory=list)
    yielded: list[Event] = field(default_factory=list)
    held: list[Event] = field(default_factory=list)
    """What an edit keeps for later; an edit's own business."""
    over: bool = False
    """Nothing more is read."""


When = Callable[[Known], bool]
Sends = Callable[[Body, Known], Body]
"""May change the body it is given, which is a copy."""
Yields = Callable[[Event, Reading], Iterable[Event]]
"""What is yielded for an event."""
Opens = Callable[[Opening, Known], Opening]
Send = Callable[[Body | None], Awaitable[Any]]
"""Sends the request, with another body where one is given; returns httpx's response."""
Tries = Callable[[Send, Body, Known], Awaitable[Any]]
Does = Callable[..., Awaitable[Any]]
"""In place of a method of the client: is given the method, what is known, and the method's arguments."""


def always(known: Known) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutator:
    """Only the surfaces that are named differ from an honest client's."""

    name: str
    kind: Class
    bug: str
    """The bug of real clients that it stands for."""
    when: When = always
    sends: Sends | None = None
    yields: Yields | None = None
    opens: Opens | None = None
    tries: Tries | None = None
    does: Mapping[str, Does] = field(default_factory=dict)
    id: Callable[[str | None, Known], str | None] | None = None
    """What it says its session's id is."""
    honest: bool = False
    """It changes what a client may change: whoever goes red under it is wrong."""


def sending(kind: Class, *rows: tuple[str, str, When, Sends]) -> tuple[Mutator, ...]:
    """Mutators of requests, one for each (name, bug, when, edit)."""
    return tuple(Mutator(name=name, kind=kind, bug=bug, when=when, sends=sends) for name, bug, when, sends in rows)


def yielding(kind: Class, *rows: tuple[str, str, When, Yields]) -> tuple[Mutator, ...]:
    """Mutators of what is yielded, one for each (name, bug, when, edit)."""
    return tuple(Mutator(name=name, kind=kind, bug=bug, when=when, yields=yields) for name, bug, when, yields in rows)
