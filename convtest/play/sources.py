"""Sources with their clocks: who answers, how fast and within which limit; for scenarios and for ordinary tests."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from convtest.cassettes.player import Beyond, Player
from convtest.clock import Clock, RealClock, UnpacedClock, VirtualClock
from convtest.play.mode import Mode
from convtest.structs import Struct
from convtest.wire.faults import Faulty
from convtest.wire.interaction import Chunk, Interaction
from convtest.wire.pacing import Paced
from convtest.wire.spending import Spending
from convtest.wire.tap import Answer, OpenTurn, Source, Via

Counting = Spending | Paced


class Answering(Struct, frozen=True, kw_only=True):
    """The source of one item, its clock, and what counts what is asked where there is a limit."""

    source: Source
    clock: Clock
    counting: "Sequence[Counting]" = ()

    @property
    def player(self) -> Player | None:
        source = self.source.player if isinstance(self.source, _Point) else self.source
        return source if isinstance(source, Player) else None

    def settle(self) -> None:
        """Count the last answer: nothing more will be asked."""
        for one in self.counting:
            one.settle()


def source_of(
    mode: Mode,
    upstream: Source,
    recorded: Sequence[Interaction],
    *,
    replays: bool,
    simulated: bool,
    command: str,
    elsewhere: bool = False,
) -> Answering:
    """`replays`: nothing goes beyond what is recorded. Time is virtual unless somebody wants to see it pass, or what
    is asked is real (not `simulated`), or the clients wait in processes of their own (`elsewhere`)."""
    paced: Clock = RealClock(mode.speed) if mode.speed else _idle_clock(elsewhere)
    if replays:
        return Answering(source=Player(recorded, command=command), clock=paced)
    counting: list[Counting] = [upstream] if isinstance(upstream, Paced) else []
    if mode.purse is not None:
        upstream = spending = Spending(upstream, mode.purse)
        counting.append(spending)
    clock = paced if simulated else RealClock()
    if recorded:
        player = Player(recorded, command=command, beyond=Beyond(source=upstream, pace=paced))
        return Answering(source=player, clock=clock, counting=counting)
    return Answering(source=upstream, clock=clock, counting=counting)


def _idle_clock(elsewhere: bool) -> Clock:
    return UnpacedClock() if elsewhere else VirtualClock()


def at_a_point(
    recorded: Sequence[Interaction],
    beyond: Source,
    *,
    turn: int,
    command: str,
    chunks_of: Callable[[Interaction], Sequence[Chunk]],
    elsewhere: bool,
) -> Answering:
    """The base's recording up to the point in the swept turn; what is asked after it, `beyond` answers."""

    def leaves(now: OpenTurn | None) -> bool:
        return not recorded or now is None or now.number > turn or now.disturbed() or bool(now.met)

    until = [one for one in recorded if one.turn is None or one.turn <= turn]
    onward = Beyond(source=beyond, leaves=leaves)
    player = Player(until, command=command, beyond=onward, again=True, chunks_of=chunks_of)
    return Answering(source=_Point(player, turn if recorded else 0), clock=_idle_clock(elsewhere))


class _Point:
    """Breaks answers from the swept turn on; before it a recording holds what its faults made of them."""

    def __init__(self, player: Player, turn: int) -> None:
        self.player = player
        self._faulty = Faulty(player)
        self._turn = turn

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        broken = turn is not None and turn.number >= self._turn
        return await (self._faulty if broken else self.player).answer(interaction, turn, via)


def as_recorded(interactions: Iterable[Interaction]) -> list[Interaction]:
    """What is to be written: whatever was replayed on the way keeps the times of its recording. What our own limit kept
    from being sent was never asked."""
    found = [one for one in interactions if one.trouble is None]
    return [one if one.recorded is None or one.ended is None else _as_it_was(one, one.recorded) for one in found]


def _as_it_was(played: Interaction, recorded: Interaction) -> Interaction:
    return replace(played, first_byte=recorded.first_byte, chunks=recorded.chunks)


def is_unchanged(interactions: Sequence[Interaction], recorded: Sequence[Interaction]) -> bool:
    """All of it was replayed, and all that there was: writing it again would change nothing."""
    return len(interactions) == len(recorded) and all(one.recorded is not None for one in interactions)
