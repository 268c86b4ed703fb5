"""One item from its scenario to its outcome: chooses the source, plays, judges, and keeps what was recorded."""

import contextvars
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import anyio

from convtest.cassettes import store
from convtest.cassettes.difference import difference
from convtest.cassettes.player import Player
from convtest.checks.judge import judge
from convtest.checks.result import Verdict
from convtest.clients.prices import usd
from convtest.clients.registry import SIMULATOR
from convtest.clock import Clock, RealClock, VirtualClock
from convtest.errors import ClientError, ScenarioChanged
from convtest.network import blocked
from convtest.prepare import Prepared
from convtest.runner import Runner
from convtest.scenario.digest import digest
from convtest.simulator.source import Simulator, scripts_of, slots_of
from convtest.transcript import Transcript
from convtest.wire import lanes
from convtest.wire.faults import Faulty
from convtest.wire.interaction import Interaction
from convtest.wire.spending import Spending
from convtest.wire.tap import Answer, OpenTurn, Source, Tap, Upstream, Via

_GRACE = 5.0
"""Seconds that a step may overstay its own time limit before the watchdog gives the item up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    transcript: Transcript
    verdict: Verdict
    written: Path | None = None
    """The cassette, or what was recorded for review beside it."""


def perform(prepared: Prepared, folder: Path) -> Outcome:
    """Play the item in `folder`, judge it and keep what was recorded. Raises ConvtestError for a wrong set-up."""
    if prepared.source != "recorded":
        return _perform(prepared, folder)
    with store.only_writer(prepared.cassette, shown=prepared.config.shown(prepared.cassette)):
        return _perform(prepared, folder)


def _perform(prepared: Prepared, folder: Path) -> Outcome:
    offline = prepared.source in {"replayed", "simulated"} or prepared.simulated
    source, clock, spending = _answering(prepared)
    tap = Tap(source, clock, prepared.scrubber, prepared.config.volatile)
    runner = Runner(
        prepared.scenario,
        make=prepared.make,
        tap=tap,
        folder=folder,
        source=prepared.source,
        after_turn=lambda transcript: _keep_turn(prepared, transcript),
    )
    with lanes.active(tap), blocked(prepared.node, prepared.config.allow_hosts, offline) as attempts:
        try:
            transcript = _watched(runner, prepared.mode.backend)
        finally:
            if spending is not None:
                spending.settle()
    if attempts:
        raise attempts[0]
    _after_play(prepared, transcript, source)
    if transcript.trouble is not None:
        raise transcript.trouble
    verdict = judge(transcript)
    return Outcome(transcript=transcript, verdict=verdict, written=_keep(prepared, transcript, verdict))


def _keep_turn(prepared: Prepared, transcript: Transcript) -> None:
    """A turn is over: from here on it is not lost, whatever becomes of this process."""
    if prepared.source == "recorded" and transcript.interactions:
        transcript.interactions[0].digest = digest(prepared.scenario)
        store.save_partial(prepared.cassette, transcript.interactions, prepared.scrubber)


def _answering(prepared: Prepared) -> tuple[Source, Clock, Spending | None]:
    """Who answers, and the clock it goes by: virtual unless somebody wants to see time pass or it really does."""
    speed = prepared.mode.speed
    paced: Clock = RealClock(speed) if speed else VirtualClock()
    if prepared.source == "replayed":
        return Player(prepared.recorded, command=prepared.record_command), paced, None
    clock = paced if prepared.simulated else RealClock()
    upstream: Source = Faulty(_Upstreams(prepared))
    spending: Spending | None = None
    if prepared.mode.purse is not None:
        upstream = spending = Spending(upstream, prepared.mode.purse, usd, prepared.config.prices)
    if prepared.recorded:
        return Player(prepared.recorded, command=prepared.record_command, beyond=upstream, pace=paced), clock, spending
    return upstream, clock, spending


class _Upstreams:
    """The real upstream or the simulator, as the client of each lane has it."""

    def __init__(self, prepared: Prepared) -> None:
        self._simulator = Simulator(slots_of(prepared.scenario), scripts_of(prepared.scenario))
        self._upstream = Upstream()
        self._prepared = prepared

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        spec = self._prepared.scenario.sessions.get(interaction.lane or "")
        made = self._prepared.make(spec.client if spec else self._prepared.scenario.client)
        simulated = made.upstream == SIMULATOR and self._simulator.knows(interaction.request.url)
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
        raise _unwrapped(outcome.error)
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


def _unwrapped(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _after_play(prepared: Prepared, transcript: Transcript, source: Source) -> None:
    """What the player knows of the play: leftovers, and what a missed request comes nearest to."""
    if not isinstance(source, Player):
        return
    if prepared.source == "replayed":
        left = source.unplayed()
        transcript.unplayed = left if len(left) > prepared.scenario.unplayed else []
    missed = transcript.missed()
    if missed is None:
        return
    transcript.nearest, transcript.elsewhere = source.nearest(missed), source.elsewhere(missed)
    recorded = prepared.recorded[0].digest if prepared.recorded else ""
    if recorded and recorded != digest(prepared.scenario):
        lines = difference(transcript.nearest.canonical, missed.canonical) if transcript.nearest else []
        detail = "\n".join(f"    {line}" for line in lines)
        shown = prepared.config.shown(prepared.cassette)
        transcript.trouble = ScenarioChanged(cassette=shown, detail=detail, command=prepared.record_command)


def _keep(prepared: Prepared, transcript: Transcript, verdict: Verdict) -> Path | None:
    """Passed: the cassette. Failed: the cassette if there was none, else `.new` beside it. Broken off: nothing."""
    if prepared.source != "recorded" or transcript.not_run or any(r.hung or r.crash for r in transcript.records):
        return None
    if not transcript.interactions and any(turn.text for turn in transcript.turns()):
        raise ClientError(
            "nothing was recorded: the client answered and sent nothing through its transport",
            client=prepared.scenario.client,
            help="send its requests through opening.transport",
        )
    if not any(200 <= one.status < 300 for one in transcript.interactions):
        return None
    unchanged = len(transcript.interactions) == len(prepared.recorded) and all(
        one.recorded is not None for one in transcript.interactions
    )
    if prepared.recorded and unchanged and not prepared.mode.resume:
        store.partial_of(prepared.cassette).unlink(missing_ok=True)
        return None
    there = prepared.cassette.is_file()
    path = prepared.cassette if verdict.passed or not there else prepared.cassette.with_suffix(".yaml.new")
    for one in transcript.interactions:
        _as_recorded(one)
    transcript.interactions[0].digest = digest(prepared.scenario)
    store.save(path, transcript.interactions, prepared.scrubber)
    store.partial_of(prepared.cassette).unlink(missing_ok=True)
    return path


def _as_recorded(one: Interaction) -> None:
    """What was replayed on the way keeps the times of its recording."""
    if one.recorded is not None:
        one.first_byte, one.chunks = one.recorded.first_byte, one.recorded.chunks
