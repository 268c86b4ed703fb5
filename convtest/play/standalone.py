"""A gateway without a scenario: for programs that are started by hand, recorded once and replayed from then on."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio

from convtest.cassettes import store
from convtest.cassettes.naming import Names
from convtest.cassettes.player import Player
from convtest.cassettes.scrubbing import Scrubber
from convtest.clock import RealClock
from convtest.gateway.application import Gateway, Outlet, public_url
from convtest.gateway.server import Door, listening_socket
from convtest.limits import DEFAULTS, Limits
from convtest.play.sources import as_recorded
from convtest.simulator.source import Simulator
from convtest.wire.interaction import Interaction
from convtest.wire.tap import Answer, OpenTurn, Source, Tap, Upstream, Via

SIMULATOR = "simulator"
ITEM = "serve"
_LOOK = 0.5
"""Seconds between two looks at whether something has been answered that is not on disk yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be served; `upstream` is a base URL or `simulator`."""

    upstream: str = SIMULATOR
    api_key: str = ""
    record: Path | None = None
    replay: Path | None = None
    port: int = 0
    token: str = ""
    speed: float = 1.0
    volatile: frozenset[str] = frozenset()
    limits: Limits = DEFAULTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What came of it."""

    interactions: list[Interaction]
    unplayed: list[Interaction]
    asked: int
    kept: int
    """How many have been recorded; no file is written for none."""
    explained: Mapping[int, list[str]]
    """How what missed differs from what is recorded, by the request's number."""

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
    """Answer until SIGINT or SIGTERM. `ready` is told the gateway once it listens; what is recorded is on disk after
    every answer. Raises OSError for a port in use."""
    player = Player(recorded, command="convtest serve --record", explains=True) if plan.replay is not None else None
    source: Source = player or (_Simulated() if plan.upstream == SIMULATOR else Upstream())
    keeps = plan.record is not None or player is not None
    tap = Tap(source, RealClock(plan.speed), scrubber, plan.volatile, keeps=keeps, limits=plan.limits)
    listening = listening_socket(plan.port)
    door = Door(token=plan.token, listening=lambda: listening)
    gateway = Gateway(tap, _outlet(plan, recorded), item=ITEM, door=door)
    kept = anyio.run(_run, plan, tap, gateway, scrubber, ready)
    return Served(
        interactions=tap.interactions,
        asked=tap.asked,
        unplayed=player.unplayed() if player else [],
        kept=kept,
        explained=player.explained if player else {},
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


async def _run(plan: Plan, tap: Tap, gateway: Gateway, scrubber: Scrubber, ready: Callable[[Gateway], None]) -> int:
    """How many interactions have been recorded."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with gateway.serving(), anyio.create_task_group() as tasks:
            if plan.record is not None:
                tasks.start_soon(_keep, plan.record, tap, scrubber)
            ready(gateway)
            async for _ in signals:
                break
            tasks.cancel_scope.cancel()
    whole = [one for one in as_recorded(tap.interactions) if one.ended is not None]
    if plan.record is None:
        return 0
    if whole:
        store.save(plan.record, whole, Names(scrubber).learn(whole))
    store.partial_of(plan.record).unlink(missing_ok=True)
    return len(whole)


async def _keep(path: Path, tap: Tap, scrubber: Scrubber) -> None:
    kept = 0
    while True:
        await anyio.sleep(_LOOK)
        whole = sum(one.ended is not None for one in tap.interactions)
        if whole != kept:
            kept = whole
            store.save_partial(path, tap.interactions, Names(scrubber).learn(tap.interactions))
