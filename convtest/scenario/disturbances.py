"""What can be done to a turn: the words of `disturb`, where each is met with, and how a sweep goes on after it.

A new disturbance is a word and a row here, and what it does: in `play/disturbing` (to the client) or in `wire/faults`
(on the wire).
"""

from collections.abc import Mapping
from typing import Literal

from convtest.events import Ended
from convtest.structs import Struct

Doing = Literal[
    "interrupt", "kill", "disconnect", "reset", "close", "eof", "stall", "malformed", "error_event", "status", "resume",
    "fork", "terminate", "stop", "cancel", "leave", "slow",
]  # fmt: skip
FaultDoing = Literal["reset", "close", "eof", "stall", "malformed", "error_event"]

LOST: tuple[Ended, ...] = ("connection_lost", "interrupted", "no_response", "error")
FAILED: tuple[Ended, ...] = (
    "complete", "connection_lost", "refused", "timeout", "no_response", "overloaded", "rate_limited", "error",
)  # fmt: skip


class Kind(Struct, frozen=True, kw_only=True):
    """One disturbance."""

    on_the_wire: bool = False
    """The wire meets with it; the others are done to the client."""
    ends: tuple[Ended, ...] = FAILED
    """How a turn that is swept by it may end; whether anything was lost or made up is for the invariants."""
    complete_at_last: bool = True
    """Where only the turn's end is left, that may come first."""
    swept: bool = True
    """A sweep tries it at each event: that the client yields or, on the wire, that the server sends."""
    between: bool = False
    """A sweep tries it once more after the turn."""
    afterwards: tuple[str, ...] = ()
    """The acts on the session that follow it in a sweep where it came in mid-turn."""
    between_acts: tuple[str, ...] = ()
    """The acts that are it after a turn."""


KINDS: Mapping[str, Kind] = {
    "interrupt": Kind(ends=("interrupted",)),
    "kill": Kind(ends=LOST, afterwards=("resume",)),
    "disconnect": Kind(ends=LOST, afterwards=("resume",), between=True, between_acts=("disconnect", "resume")),
    "resume": Kind(ends=LOST, between=True, between_acts=("resume",)),
    "terminate": Kind(ends=LOST, swept=False),
    "stop": Kind(ends=LOST, swept=False),
    "cancel": Kind(ends=("interrupted",)),
    "leave": Kind(ends=("interrupted",)),
    "slow": Kind(ends=("complete",), swept=False),
    "fork": Kind(ends=("complete",), complete_at_last=False, between=True, between_acts=("fork",)),
    "reset": Kind(on_the_wire=True),
    "close": Kind(on_the_wire=True),
    "eof": Kind(on_the_wire=True),
    "stall": Kind(on_the_wire=True),
    "malformed": Kind(on_the_wire=True),
    "error_event": Kind(on_the_wire=True),
    "status": Kind(on_the_wire=True, swept=False),
    "restart": Kind(swept=False, between=True, between_acts=("kill", "resume")),
}
"""By word. `status` is swept by its number; `restart` is no word of `disturb`: a kill and a resume, after a turn."""

ON_CLIENT = tuple(name for name, kind in KINDS.items() if kind.swept and not kind.on_the_wire)
"""At every event that the client yields."""
ON_WIRE = tuple(name for name, kind in KINDS.items() if kind.swept and kind.on_the_wire)
"""At every event that the server sends."""
BETWEEN = tuple(name for name, kind in KINDS.items() if kind.between)
"""Once more after the turn."""
SWEEPABLE = tuple(dict.fromkeys((*ON_CLIENT, *BETWEEN, *ON_WIRE)))


def is_status(word: str) -> bool:
    """A status of a failure, such as 529."""
    return word.isdigit() and 400 <= int(word) <= 599


def kind_of_disturbance(word: str) -> Kind:
    """Its row; a number is a status."""
    return KINDS["status" if word.isdigit() else word]
