"""What a client asks its model beside the conversation, and by what that is told."""

from collections.abc import Iterable

from convtest.checks.signatures import telling_apart
from convtest.policy import Signature
from convtest.transcript import TurnRecord
from convtest.wire.canonical import Canonical


def beside(turns: Iterable[TurnRecord]) -> list[Canonical]:
    """The side requests of turns in which it can be told which they are."""
    return [one.canonical for turn in turns if not turn.unsure for one in turn.side() if one.canonical.messages]


def main_of(turns: Iterable[TurnRecord]) -> Signature | None:
    """What the requests of the conversation ask with, and those beside it do not; None where there are none, or where
    nothing tells."""
    known = [turn for turn in turns if not turn.unsure]
    return telling_apart([one.canonical for turn in known for one in turn.main()], beside(known))
