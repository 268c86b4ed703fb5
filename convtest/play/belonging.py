"""Which requests belong to which turn."""

from collections.abc import Sequence

from convtest.transcript import TurnRecord, ends_in
from convtest.wire.interaction import Interaction


def sent_in(interactions: Sequence[Interaction], record: TurnRecord, first: int) -> None:
    """Put down what was sent since request `first` and belongs to this turn."""
    record.span = first, len(interactions)
    during = interactions[first:]
    mine = {record.step.index, None}
    record.interactions = [one for one in during if one.lane == record.session and one.turn in mine]
    if not record.interactions:
        record.borrowed = [one for one in during if one.turn is None and one.lane is not None]


def hand_over(outer: TurnRecord, second: TurnRecord) -> None:
    """A process asks for its second prompt as soon as it has answered the first, before we know that it has."""
    asked = [one for one in outer.interactions if ends_in(one.canonical, second)]
    if second.interactions or not asked or ends_in(asked[0].canonical, outer):
        return
    outer.interactions = [one for one in outer.interactions if one not in asked]
    second.interactions, second.borrowed = asked, []
    for one in asked:
        one.turn = second.step.index
