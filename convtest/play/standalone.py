"""A gateway without a scenario: for programs that are started by hand, recorded once and replayed from then on."""

import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anyio

from convtest.cassettes.naming import Names
from convtest.cassettes.player import Beyond, Player
from convtest.cassettes.scrubbing import Scrubber
from convtest.cassettes.store import Cassette
from convtest.clock import RealClock
from convtest.errors import UnwritableCassette
from convtest.gateway.addresses import Outlet, public_url
from convtest.gateway.application import Gateway
from convtest.gateway.door import Door, listening_socket
from convtest.limits import DEFAULTS, Limits
from convtest.play.partial import Partial
from convtest.play.sources import as_recorded
from convtest.simulator.source import Simulator
from convtest.structs import Struct
from convtest.wire.interaction import Interaction
from convtest.wire.tap import Answer, OpenTurn, Source, Tap, Via
from convtest.wire.upstream import Upstream

SIMULATOR = "simulator"
ITEM = "serve"
_LOOK = 0.5
"""Seconds between two looks at whether something has ended that is not on disk yet."""


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be served; `upstream` is a base URL or `simulator`."""

    upstream: str = SIMULATOR
    api_key: str = ""
    record: Cassette | None = None
    resume: bool = False
    """Go on with what broke off while it was recorded."""
    replay: Path | None = None
    port: int = 0
    token: str = ""
    speed: float = 1.0
    volatile: frozenset[str] = frozenset()
    limits: Limits = DEFAULTS


class Served(Struct, frozen=True, kw_only=True):
    """What came of it."""

    interactions: list[Interaction]
    unplayed: list[Interaction]
    asked: int
    kept: int
    """How many have been recorded; no file is written for none."""
    explained: Mapping[int, list[str]]
    """How what missed differs from what is recorded, by the request's number."""
    aside: str
    """Where answers stand now that an earlier run recorded and did not finish."""

    @property
    def missed(self) -> list[Interaction]:
        return [one for one in self.interactions if one.missed]


class _Simulated:
    """The simulator, which says itself what it does not speak."""

    def __init__(self) -> None:
        self._simulator = Simulator()

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        if self._simulator.knows(interaction.request.url):
            return await self._simulator.answer(interaction, turn, via)
        return self._simulator.unknown(interaction, via)


def serve(plan: Plan, scrubber: Scrubber, recorded: list[Interaction], ready: Callable[[Gateway], None]) -> Served:
    """Answer until SIGINT or SIGTERM. `ready` is told the gateway once it listens; what is recorded is on disk before
    an answer's end is passed on. Raises OSError for a port in use, CassetteError where nothing can be recorded."""
    if plan.record is None:
        return _serve(plan, scrubber, recorded, None, ready)
    with plan.record.only_writer():
        keeper = _Keeper(plan.record, scrubber, goes_on=plan.resume, volatile=plan.volatile)
        return _serve(plan, scrubber, keeper.before, keeper, ready)


def _serve(
    plan: Plan,
    scrubber: Scrubber,
    recorded: list[Interaction],
    keeper: "_Keeper | None",
    ready: Callable[[Gateway], None],
) -> Served:
    source: Source = _Simulated() if plan.upstream == SIMULATOR else Upstream()
    player = None
    if plan.replay is not None:
        source = player = Player(recorded, command="convtest serve --record", explains=True)
    elif recorded:
        source = player = Player(recorded, command="convtest serve --record", beyond=Beyond(source=source))
    keeps = keeper is not None or player is not None
    tap = Tap(source, RealClock(plan.speed), scrubber, plan.volatile, keeps=keeps, limits=plan.limits)
    listening = listening_socket(plan.port)
    door = Door(token=plan.token, listening=lambda: listening)
    gateway = Gateway(tap, _outlet(plan, recorded), item=ITEM, door=door)
    if keeper is not None:
        keeper.watch(tap, player)
    anyio.run(_run, tap, gateway, keeper, ready)
    replays = player is not None and plan.replay is not None
    return Served(
        interactions=tap.interactions,
        asked=tap.asked,
        unplayed=player.unplayed() if player is not None and replays else [],
        kept=keeper.finish() if keeper is not None else 0,
        explained=player.explained if player else {},
        aside=keeper.aside if keeper is not None else "",
    )


def _outlet(plan: Plan, recorded: list[Interaction]) -> Callable[[str | None, str], Outlet]:
    """The upstream that was named; else the one that was recorded; else the public API of the path."""
    urls = {one.request.url.partition("?")[0] for one in recorded}

    def outlet(lane: str | None, path: str) -> Outlet:
        there = next((url for url in urls if url.endswith(path)), None)
        if plan.upstream == SIMULATOR and there is not None:
            return Outlet(base_url=there.removesuffix(path))
        if plan.upstream != SIMULATOR:
            return Outlet(base_url=plan.upstream, api_key=plan.api_key, pass_through=plan.replay is None)
        return Outlet(base_url=public_url(path))

    return outlet


async def _run(tap: Tap, gateway: Gateway, keeper: "_Keeper | None", ready: Callable[[Gateway], None]) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with gateway.serving(), anyio.create_task_group() as tasks:
            if keeper is not None:
                tasks.start_soon(keeper.look, tasks.cancel_scope)
            ready(gateway)
            async for _ in signals:
                break
            tap.shut()
            if keeper is not None:
                keeper.over = True
            tasks.cancel_scope.cancel()


class _Keeper:
    """Puts each answer on disk before its end is passed on: whoever has read all of it may rely on that."""

    def __init__(self, cassette: Cassette, scrubber: Scrubber, *, goes_on: bool, volatile: frozenset[str]) -> None:
        resumes = goes_on and cassette.partial.is_there
        self.before = cassette.partial.load(volatile) if resumes else []
        self._cassette = cassette
        self._partial = Partial(cassette, self.before if resumes else None)
        self._scrubber = scrubber
        self._interactions: list[Interaction] = []
        self._player: Player | None = None
        self._kept = 0
        self.over = False
        """Nothing more is served: all of it is about to become a cassette."""
        self._writing = anyio.Lock()
        self._failure: UnwritableCassette | None = None

    @property
    def aside(self) -> str:
        return self._partial.aside

    def watch(self, tap: Tap, player: Player | None) -> None:
        tap.after_answer = self.keep
        self._interactions, self._player = tap.interactions, player

    async def keep(self) -> None:
        """An answer is over. One at a time: whoever waits here may find that all is written."""
        async with self._writing:
            whole = [one for one in self._interactions if one.ended is not None]
            if len(whole) == self._kept or self._failure is not None or self.over:
                return
            try:
                await anyio.to_thread.run_sync(self._partial.save, whole, self._names)
            except UnwritableCassette as error:
                self._failure = error
            self._kept = len(whole)

    async def look(self, scope: anyio.CancelScope) -> None:
        """Answers that were not read to their end are kept too; once nothing can be kept, nothing is asked for."""
        while self._failure is None:
            await anyio.sleep(_LOOK)
            await self.keep()
        scope.cancel()

    def finish(self) -> int:
        """Make a cassette of it; how many interactions it holds. Where nothing was asked nothing is touched."""
        if self._failure is not None:
            raise self._failure
        whole = [one for one in as_recorded(self._interactions) if one.ended is not None]
        if not whole:
            return 0
        everything = [*whole, *self._partial.unplayed(whole)]
        self._cassette.save(everything, self._names(everything))
        self._partial.remove()
        return len(everything)

    def _names(self, interactions: Sequence[Interaction]) -> Names:
        taken = self._player.bindings.taken if self._player is not None else {}
        return Names(self._scrubber, taken).learn(interactions)
