"""One item from its scenario to its outcome: chooses the source, plays, judges, and keeps what was recorded."""

import contextvars
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from convtest.cassettes import store
from convtest.cassettes.difference import difference
from convtest.cassettes.player import Player
from convtest.checks.judge import judge
from convtest.checks.result import Verdict
from convtest.clients.registry import SIMULATOR
from convtest.errors import ClientError, ConfigError, NetworkBlocked, ScenarioChanged, unwrapped
from convtest.gateway.application import Gateway, Outlet, public_url
from convtest.play.answering import Answering, answering, as_recorded, at_a_point, is_unchanged
from convtest.play.children import end_leftovers, environment
from convtest.play.network import blocked
from convtest.play.placeholders import with_placeholders
from convtest.play.prepare import Prepared, key_names
from convtest.play.runner import Runner
from convtest.play.sessions import Clients
from convtest.play.sweeping import in_pieces
from convtest.scenario.digest import digest
from convtest.simulator.source import Simulator, prompts_of, scripts_of, slots_of
from convtest.transcript import Transcript
from convtest.wire import lanes
from convtest.wire.faults import Faulty
from convtest.wire.interaction import Interaction
from convtest.wire.tap import Answer, OpenTurn, Source, Tap, Upstream, Via

_GRACE = 5.0
"""Seconds that a step may overstay its own time limit before the watchdog gives the item up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    transcript: Transcript
    verdict: Verdict
    written: Path | None = None
    """The cassette, or what was recorded for review beside it."""


def perform(prepared: Prepared, folder: Path) -> Played:
    """Play the item in `folder`, judge it and keep what was recorded. Raises ConvtestError for a wrong set-up."""
    token = prepared.token or f"convtest-{secrets.token_hex(16)}"
    prepared = replace(prepared, token=token, scrubber=prepared.scrubber.within(folder, token))
    if prepared.source != "recorded":
        return _perform(prepared, folder)
    with store.only_writer(prepared.cassette, shown=prepared.config.shown(prepared.cassette)):
        return _perform(prepared, folder)


def _perform(prepared: Prepared, folder: Path) -> Played:
    offline = prepared.source in {"replayed", "simulated", "swept"} or prepared.simulated
    clients: Clients = {}
    answers = _answering(prepared, clients)
    tap = Tap(answers.source, answers.clock, prepared.scrubber, prepared.config.volatile)
    attempts: list[NetworkBlocked] = []
    gateway = _gateway(prepared, clients, tap, attempts) if prepared.needs_gateway else None
    runner = Runner(
        prepared.scenario,
        make=prepared.make,
        tap=tap,
        folder=folder,
        source=prepared.source,
        after_turn=lambda transcript: _keep_turn(prepared, transcript),
        clients=clients,
        gateway=gateway,
        environment=_environment(prepared, gateway, folder, offline),
    )
    with lanes.active(tap), blocked(prepared.node, prepared.config.allow_hosts, offline, attempts):
        try:
            transcript = _watched(runner, prepared.mode.backend)
        finally:
            answers.settle()
            left = end_leftovers(gateway.token) if gateway is not None else []
    transcript.leftovers += left
    if attempts:
        raise attempts[0]
    _after_play(prepared, transcript, answers.player)
    if transcript.trouble is not None:
        raise transcript.trouble
    verdict = judge(with_placeholders(transcript, prepared.scrubber.text))
    return Played(transcript=transcript, verdict=verdict, written=_keep(prepared, transcript, verdict))


def _gateway(prepared: Prepared, clients: Clients, tap: Tap, attempts: list[NetworkBlocked]) -> Gateway:
    """The gateway of an item with clients elsewhere. What they try to reach through it as a proxy is an attempt."""
    if prepared.mode.backend != "asyncio":
        raise ConfigError("the gateway runs on asyncio", where="--convtest-backend", help="leave the option out")

    def outlet(lane: str | None, path: str) -> Outlet:
        made = prepared.made_of(lane, clients)
        if made.upstream == SIMULATOR:
            return Outlet(base_url=public_url(path))
        key = os.environ.get(made.api_key_env, "")
        return Outlet(base_url=made.upstream, api_key=key, pass_through=prepared.source in {"live", "recorded"})

    return Gateway(
        tap,
        outlet,
        item=prepared.scenario.name,
        listening=prepared.listening(),
        token=prepared.token,
        knows=lambda session: session in clients,
        refused=lambda host: attempts.append(NetworkBlocked(host=host, item=prepared.node)),
    )


def _environment(
    prepared: Prepared, gateway: Gateway | None, folder: Path, offline: bool
) -> Callable[[str, Mapping[str, str]], Mapping[str, str]]:
    def made(session: str, own: Mapping[str, str]) -> Mapping[str, str]:
        assert gateway is not None
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


def _keep_turn(prepared: Prepared, transcript: Transcript) -> None:
    """A turn is over: from here on it is not lost, whatever becomes of this process."""
    if prepared.source == "recorded" and transcript.interactions:
        transcript.interactions[0].digest = digest(prepared.scenario)
        store.save_partial(prepared.cassette, as_recorded(transcript.interactions), prepared.scrubber)


def _answering(prepared: Prepared, clients: Clients) -> Answering:
    point = prepared.scenario.point
    if point is not None:
        return at_a_point(
            prepared.recorded,
            _Upstreams(prepared, clients),
            turn=point.turn,
            command=prepared.record_command,
            chunks_of=in_pieces(prepared.scenario, prepared.recorded, exact=prepared.needs_gateway),
            elsewhere=prepared.needs_gateway,
        )
    return answering(
        prepared.mode,
        Faulty(_Upstreams(prepared, clients)),
        prepared.recorded,
        replays=prepared.source == "replayed",
        simulated=prepared.simulated,
        command=prepared.record_command,
        prices=prepared.config.prices,
        elsewhere=prepared.needs_gateway,
    )


class _Upstreams:
    """The real upstream or the simulator, as the client of each lane has it."""

    def __init__(self, prepared: Prepared, clients: Clients) -> None:
        self._clients = clients
        self._simulator = Simulator(
            slots_of(prepared.scenario), scripts_of(prepared.scenario), prompts_of(prepared.scenario)
        )
        self._upstream = Upstream()
        self._prepared = prepared

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        made = self._prepared.made_of(interaction.lane, self._clients)
        if made.upstream == SIMULATOR and made.gateway and not self._simulator.knows(interaction.request.url):
            return self._simulator.unknown(interaction, via)
        stands_in = made.upstream == SIMULATOR or self._prepared.source == "swept"
        simulated = stands_in and self._simulator.knows(interaction.request.url)
        # What the simulator does not speak is sent on for real, where the network block meets it.
        chosen: Source = self._simulator if simulated else self._upstream
        return await chosen.answer(interaction, turn, via)


def _watched(runner: Runner, backend: str) -> Transcript:
    """Play in a thread of its own: a client may swallow a cancellation, or block, and must not take pytest with it."""
    done, outcome = threading.Event(), _Box()
    context = contextvars.copy_context()

    def body() -> None:
        try:
            outcome.value = anyio.run(runner.play, backend=backend)
        except BaseException as error:
            outcome.error = error
        finally:
            done.set()

    threading.Thread(target=context.run, args=(body,), name="convtest-item", daemon=True).start()
    while not done.wait(0.5):
        if time.monotonic() > runner.watch.deadline + _GRACE:
            return _given_up(runner)
    if outcome.error is not None:
        raise unwrapped(outcome.error)
    assert outcome.value is not None
    return outcome.value


@dataclass(slots=True)
class _Box:
    value: Transcript | None = None
    error: BaseException | None = None


def _given_up(runner: Runner) -> Transcript:
    transcript = runner.transcript
    transcript.records[-1].hung = f"{runner.watch.last_seen()}; the client does not let itself be cancelled"
    played = len(transcript.records)
    transcript.not_run = transcript.scenario.steps[played:]
    return transcript


def _after_play(prepared: Prepared, transcript: Transcript, player: Player | None) -> None:
    """What the player knows of the play: leftovers, and what a missed request comes nearest to."""
    if player is None:
        return
    if prepared.source == "replayed":
        left = player.unplayed()
        transcript.unplayed = left if len(left) > prepared.scenario.unplayed else []
    missed = transcript.missed()
    if missed is None:
        return
    transcript.nearest, transcript.elsewhere = player.nearest(missed), player.elsewhere(missed)
    recorded = prepared.recorded[0].digest if prepared.recorded else ""
    if recorded and prepared.scenario.point is None and recorded != digest(prepared.scenario):
        lines = difference(transcript.nearest.canonical, missed.canonical) if transcript.nearest else []
        detail = "\n".join(f"    {line}" for line in lines)
        shown = prepared.config.shown(prepared.cassette)
        transcript.trouble = ScenarioChanged(cassette=shown, detail=detail, command=prepared.record_command)


def _keep(prepared: Prepared, transcript: Transcript, verdict: Verdict) -> Path | None:
    """Passed: the cassette. Failed: the cassette if there was none, else `.new` beside it. Broken off: nothing."""
    if prepared.source != "recorded" or transcript.not_run or any(r.hung or r.crash for r in transcript.records):
        return None
    if not transcript.interactions and any(turn.text and turn.wire == "history" for turn in transcript.turns()):
        raise ClientError(
            "nothing was recorded: the client answered and sent nothing through its transport",
            client=prepared.scenario.client,
            help="send its requests through opening.transport",
        )
    if is_unchanged(transcript.interactions, prepared.recorded) and prepared.recorded and not prepared.mode.resume:
        store.partial_of(prepared.cassette).unlink(missing_ok=True)
        return None
    if not verdict.passed and not any(200 <= one.status < 300 for one in transcript.interactions):
        # Nobody answered and nobody expected that: a recording of it would only fail the same way for ever.
        store.partial_of(prepared.cassette).unlink(missing_ok=True)
        return None
    there = prepared.cassette.is_file()
    path = prepared.cassette if verdict.passed or not there else prepared.cassette.with_suffix(".yaml.new")
    interactions = as_recorded(transcript.interactions)
    if interactions:
        interactions[0].digest = digest(prepared.scenario)
    store.save(path, interactions, prepared.scrubber)
    store.partial_of(prepared.cassette).unlink(missing_ok=True)
    return path
