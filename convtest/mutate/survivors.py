"""Mutators that nothing finds, each with its reason. What is written here and no longer true fails (`account`)."""

from convtest.mutate.playing import Source
from convtest.structs import Struct


class Survivor(Struct, frozen=True, kw_only=True):
    """`equivalent`: what it changes is no fault, or cannot be told from an honest client; it is left out of shares."""

    mutator: str
    sources: tuple[Source, ...]
    reason: str
    equivalent: bool = False


LEAST: dict[Source, float] = {"replayed": 1.0, "simulated": 0.97}
"""What share of the mutators has to be found."""

_WHERE_IT_BROKE = (
    "after a turn that did not end complete, history binds only what stood before its prompt: honest clients take "
    "refused and broken turns out"
)

SURVIVORS: tuple[Survivor, ...] = (
    Survivor(
        mutator="changes the input of tool uses",
        sources=("simulated",),
        reason="a client may fill in arguments that the model left out; what the model gave is all there",
    ),
    Survivor(
        mutator="loses the last exchange after a failed turn",
        sources=("simulated",),
        reason=_WHERE_IT_BROKE,
    ),
    Survivor(
        mutator="loses what a failed turn had said",
        sources=("simulated",),
        reason=_WHERE_IT_BROKE,
    ),
)
