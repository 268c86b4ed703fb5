"""How items are to be played, and by which of the project's rules."""

from typing import Literal

from convtest.cassettes.scrubbing import NOTHING_KNOWN, Scrubber
from convtest.limits import DEFAULTS, Limits
from convtest.structs import Struct
from convtest.wire.pacing import Pace
from convtest.wire.spending import Purse

RecordMode = Literal["none", "once", "new_episodes", "all"]


class Mode(Struct, frozen=True, kw_only=True):
    """How items are to be played; `speed` 0 waits for nothing, 1 is the recorded pace."""

    record: RecordMode = "none"
    live: bool = False
    speed: float = 0.0
    resume: bool = False
    """Go on with a recording that broke off."""
    purse: Purse | None = None
    pace: Pace | None = None
    backend: str = "asyncio"


class Rules(Struct, frozen=True, kw_only=True):
    """What a project says of its recordings: who may be reached, what is no word of theirs, what changes by itself."""

    allow_hosts: tuple[str, ...] = ()
    scrubber: Scrubber = NOTHING_KNOWN
    volatile: frozenset[str] = frozenset()
    limits: Limits = DEFAULTS
