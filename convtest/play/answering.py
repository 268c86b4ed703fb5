"""The arrangement of one item: who answers, with which clock, gateway and environment, and where it is kept."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from convtest.cassettes.naming import Names
from convtest.cassettes.player import Player
from convtest.clients.registry import SIMULATOR, key_names
from convtest.errors import ConfigError
from convtest.play.cast import Cast
from convtest.play.children import environment
from convtest.play.keeping import Keeping
from convtest.play.network import Traffic, attempt
from convtest.play.partial import Partial
from convtest.play.prepare import Prepared
from convtest.play.sources import Answering, at_a_point, source_of
from convtest.play.surroundings import Environment, Surroundings
from convtest.play.sweeping import in_pieces
from convtest.structs import Struct, replace
from convtest.wire import lanes
from convtest.wire.faults import Faulty
from convtest.wire.interaction import Interaction
from convtest.wire.marks import ITEM
from convtest.wire.pacing import Paced
from convtest.wire.tap import Answer, OpenTurn, Source, Tap, Via
from convtest.wire.upstream import Upstream

if TYPE_CHECKING:
    from convtest.gateway.application import Gateway
    from convtest.simulator.source import Simulator


class Arrangement(Struct, frozen=True, kw_only=True):
    """What one item is played with."""

    surroundings: Surroundings
    player: Player | None
    settle: Callable[[], None]
    """To be called when nothing more will be asked."""
    offline: bool
    traffic: Traffic
    """What tried to leave this machine while nothing may, here and in other processes; what was connected to else."""
    keeping: Keeping | None
    """None where nothing is recorded."""


def arranged(prepared: Prepared, folder: Path) -> Arrangement:
    """Everything that playing the item in `folder` takes. Raises ConfigError where it cannot be had."""
    offline = prepared.source in {"replayed", "simulated", "swept"} or prepared.simulated
    cast = Cast(prepared.scenario, prepared.make)
    answers = _answering(prepared, cast)
    if answers.player is not None:
        answers.player.bindings.stands_for(ITEM, str(folder))
    config = prepared.config
    tap = Tap(answers.source, answers.clock, prepared.scrubber, config.volatile, limits=config.limits)
    traffic = Traffic(beside=lanes.is_apart)
    gateway = _gateway(prepared, cast, tap, traffic) if prepared.needs_gateway else None
    surroundings = Surroundings(cast=cast, tap=tap, folder=folder, apps=prepared.apps)
    if gateway is not None:
        made = _environment(prepared, gateway, folder, offline)
        surroundings = replace(surroundings, gateway=gateway, environment=made)
    return Arrangement(
        surroundings=surroundings,
        player=answers.player,
        settle=answers.settle,
        offline=offline,
        traffic=traffic,
        keeping=_keeping(prepared, answers.player) if prepared.source == "recorded" else None,
    )


def _keeping(prepared: Prepared, player: Player | None) -> Keeping:
    resumed = prepared.mode.resume and prepared.cassette.partial.is_there
    return Keeping(
        scenario=prepared.scenario,
        cassette=prepared.cassette,
        before=prepared.recorded,
        partial=Partial(prepared.cassette, prepared.recorded if resumed else None),
        resumed=resumed,
        names=lambda interactions: names_of(prepared, player, interactions),
    )


def names_of(prepared: Prepared, player: Player | None, interactions: Sequence[Interaction]) -> Names:
    """The placeholders of the item's secrets: those that they are bound to in its recording, else new ones."""
    taken = player.bindings.taken if player is not None else {}
    return Names(prepared.scrubber, taken).learn(interactions, list(prepared.scenario.sessions))


def _gateway(prepared: Prepared, cast: Cast, tap: Tap, traffic: Traffic) -> "Gateway":
    """The gateway of an item with clients elsewhere. What they try to reach through it as a proxy is an attempt."""
    from convtest.gateway.addresses import Outlet, public_url
    from convtest.gateway.application import Gateway  # takes a server, which few items need

    if prepared.mode.backend != "asyncio":
        raise ConfigError("the gateway runs on asyncio", where="--convtest-backend", help="leave the option out")

    def outlet(lane: str | None, path: str) -> Outlet:
        made = cast.made(lane)
        if made.upstream == SIMULATOR:
            return Outlet(base_url=public_url(path))
        key = os.environ.get(made.api_key_env, "")
        return Outlet(base_url=made.upstream, api_key=key, pass_through=prepared.source in {"live", "recorded"})

    return Gateway(
        tap,
        outlet,
        item=prepared.scenario.name,
        door=prepared.door,
        knows=lambda session: session in cast,
        refused=lambda host: traffic.attempts.append(attempt(host, prepared.node)),
    )


def _environment(prepared: Prepared, gateway: "Gateway", folder: Path, offline: bool) -> Environment:
    def made(session: str, own: Mapping[str, str]) -> Mapping[str, str]:
        return environment(
            gateway,
            session,
            home=folder / "home",
            offline=offline,
            allow_hosts=prepared.config.allow_hosts,
            own=own,
            keys=key_names(prepared.config),
        )

    return made


def _answering(prepared: Prepared, cast: Cast) -> Answering:
    point, upstreams = prepared.scenario.point, _Upstreams(prepared, cast)
    if point is not None:
        return at_a_point(
            prepared.recorded,
            upstreams,
            turn=point.turn,
            command=prepared.record_command,
            chunks_of=in_pieces(prepared.scenario, prepared.recorded, exact=prepared.needs_gateway),
            elsewhere=prepared.needs_gateway,
        )
    made = source_of(
        prepared.mode,
        Faulty(upstreams),
        prepared.recorded,
        replays=prepared.source == "replayed",
        simulated=prepared.simulated,
        command=prepared.record_command,
        elsewhere=prepared.needs_gateway,
    )
    return replace(made, counting=(*made.counting, *upstreams.counting))


class _Upstreams:
    """The real upstream or the simulator, as the client of each lane has it."""

    def __init__(self, prepared: Prepared, cast: Cast) -> None:
        scenario = prepared.scenario
        self._prepared, self._cast = prepared, cast
        pace = prepared.mode.pace
        self._upstream: Source = Paced(Upstream(), pace) if pace else Upstream()
        self.counting = [self._upstream] if isinstance(self._upstream, Paced) else []
        self._stands_in = prepared.source == "swept" or (scenario.trunk and prepared.source == "simulated")

    @cached_property
    def _simulator(self) -> "Simulator":
        """Where nothing is simulated it is not even imported."""
        from convtest.simulator.source import Simulator, prompts_of, scripts_of, slots_of

        scenario = self._prepared.scenario
        slots, scripts, prompts = slots_of(scenario), scripts_of(scenario), prompts_of(scenario)
        return Simulator(slots, scripts, prompts, alone=not self._prepared.recorded)

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        made = self._cast.made(interaction.lane)
        if made.upstream == SIMULATOR and made.gateway and not self._simulator.knows(interaction.request.url):
            return self._simulator.unknown(interaction, via)
        stands_in = made.upstream == SIMULATOR or self._stands_in
        simulated = stands_in and self._simulator.knows(interaction.request.url)
        # What the simulator does not speak is sent on for real, where the network block meets it.
        chosen: Source = self._simulator if simulated else self._upstream
        return await chosen.answer(interaction, turn, via)
