"""One item from its scenario to its outcome: arranged, played in a watched thread, judged, and its recording kept."""

import contextvars
import dataclasses
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import anyio

from convtest.cassettes.difference import difference
from convtest.cassettes.player import Player
from convtest.checks.adoption import is_blind
from convtest.checks.judge import judge
from convtest.checks.result import Verdict
from convtest.clients.port import Factory, Made
from convtest.clients.store import forget
from convtest.clock import Clock, left_out
from convtest.config import Config
from convtest.errors import ConvtestError, RecordedElsewhere, ScenarioChanged, unwrapped
from convtest.gateway.door import Door
from convtest.limits import within
from convtest.play.answering import Arrangement, arranged, names_of
from convtest.play.apps import Applications
from convtest.play.children import end_leftovers
from convtest.play.loops import WORKERS, Job, says_another_loop
from convtest.play.mode import Mode
from convtest.play.network import although_asked, blocked
from convtest.play.openings import OPENINGS, Openings
from convtest.play.placeholders import without_secrets
from convtest.play.prepare import Prepared, client_names, prepare
from convtest.play.runner import Runner
from convtest.play.unseen import has_to_be_captured, has_to_be_seen
from convtest.play.waiting import trio_options
from convtest.results.making import about_of, result_of
from convtest.results.model import Result
from convtest.scenario.digest import digest
from convtest.scenario.model import Scenario
from convtest.structs import Struct, replace
from convtest.transcript import SourceName, Transcript
from convtest.wire import lanes

_GRACE = 5.0
"""Seconds that a step may overstay its own time limit before the watchdog gives the item up."""


class Played(Struct, frozen=True, kw_only=True):
    """What became of one item."""

    transcript: Transcript
    verdict: Verdict
    written: Path | None = None
    """The cassette, or what was recorded for review beside it."""
    aside: str = ""
    """Where turns of an earlier recording stand now that broke off, as it is shown."""
    result: Callable[..., Result]
    """All of it as plain data, without secrets; made when it is asked for: (the item's id, another verdict on it)."""


Around = Callable[[Factory], Factory]


class Ready:
    """One item whose clients and cassette have been found: what a face says of it, and its play."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared

    @property
    def node(self) -> str:
        """The item's id for pytest and for convtest record."""
        return self._prepared.node

    @property
    def source(self) -> SourceName:
        return self._prepared.source

    @property
    def record_command(self) -> str:
        """What records it anew."""
        return self._prepared.record_command

    def play(self, folder: Path, around: Around | None = None, openings: Openings = OPENINGS) -> Played:
        """As `perform`; `around` is laid around what opens each client's sessions."""
        prepared = self._prepared
        if around is not None:
            opened = _around(prepared.make, around)
            prepared = replace(prepared, make=cache(opened))
        return perform(prepared, folder, openings)


def _around(make: Callable[[str], Made], around: Around) -> Callable[[str], Made]:
    def made(name: str) -> Made:
        one = make(name)
        return dataclasses.replace(one, factory=around(one.factory))

    return made


def ready(
    config: Config, scenario: Scenario, mode: Mode, door: Door | None = None, apps: Applications | None = None
) -> Ready:
    """Find the item's clients and cassette. Raises ConvtestError where they are not as they must be, and where an
    application under test does not run."""
    made = prepare(config, scenario, mode, door)
    if apps:
        apps.begin(made.node)
        made = replace(made, apps=apps)
    return Ready(made)


def perform(prepared: Prepared, folder: Path, openings: Openings = OPENINGS) -> Played:
    """Play the item in `folder`, judge it and keep what was recorded. Raises ConvtestError for a wrong set-up.

    `openings` is what is known of how clients begin, and learns of this one.
    """
    token = prepared.door.token or f"convtest-{secrets.token_hex(16)}"
    door = replace(prepared.door, token=token)
    prepared = replace(prepared, door=door, scrubber=prepared.scrubber.within(folder, token))
    with _writing(prepared) if prepared.source == "recorded" else nullcontext():
        arrangement = arranged(prepared, folder)
        try:
            return _perform(prepared, arrangement, openings)
        except ConvtestError as error:
            names = names_of(prepared, arrangement.player, arrangement.surroundings.tap.interactions)
            error.args = tuple(names.part(arg) if isinstance(arg, str) else arg for arg in error.args)
            if (aside := _aside(arrangement)) and error.args:
                error.args = (f"{error.args[0]}\n    turns of an earlier recording are kept aside: {aside}",)
            raise
        finally:
            forget(arrangement.surroundings.store)


def _aside(arrangement: Arrangement) -> str:
    return arrangement.keeping.partial.aside if arrangement.keeping is not None else ""


@contextmanager
def _writing(prepared: Prepared) -> Iterator[None]:
    """Nobody else writes its cassette, and nobody has since it was read. Raises CassetteError."""
    with prepared.cassette.only_writer():
        if prepared.seen and prepared.cassette.state() != prepared.seen:
            raise RecordedElsewhere(cassette=prepared.cassette.shown, over=True)
        yield


def _perform(prepared: Prepared, arrangement: Arrangement, openings: Openings) -> Played:
    transcript = _played(prepared, arrangement)
    with in_time(prepared.scenario, "judging"):
        _after_play(prepared, transcript, arrangement.player)
    if transcript.trouble is not None:
        raise transcript.trouble
    asked = {urlsplit(one.request.url).hostname or "" for one in transcript.interactions}
    attempts = [although_asked(one, prepared.node, asked) for one in arrangement.traffic.attempts]
    transcript.blocked = list(dict.fromkeys((one.host, one.advice) for one in attempts))
    project = f"{prepared.config.root} {prepared.config.clients}"
    profiles = prepared.config.clients
    declared = {name: one.opening for name, one in profiles.items() if one.opening is not None}
    openings.tell(transcript, project, declared)
    with in_time(prepared.scenario, "judging"):
        verdict = judge(transcript)
    if attempts and verdict.passed:
        raise attempts[0]
    has_to_be_captured(transcript, arrangement.traffic)
    openings.learn(transcript, project, prepared.node)
    if verdict.passed and is_blind(transcript):
        has_to_be_seen(prepared.config, transcript)
    written = arrangement.keeping.item(transcript, verdict) if arrangement.keeping is not None else None

    def result(item: str = prepared.node, judged: Verdict = verdict) -> Result:
        about = about_of(prepared.scenario, item=item, record_command=prepared.record_command)
        shown = prepared.config.shown(written) if written is not None else None
        with in_time(prepared.scenario, "reporting"):
            names = names_of(prepared, arrangement.player, transcript.interactions)
            return without_secrets(result_of(about, transcript, judged, shown), names)

    aside = _aside(arrangement)
    return Played(transcript=transcript, verdict=verdict, written=written, aside=aside, result=cache(result))


def in_time(scenario: Scenario, what: str) -> AbstractContextManager[None]:
    """Judging and reporting take as long as a step may. Raises OutOfTime."""
    where = f"{scenario.place.line_only}: {scenario.title}: {what}"
    return within(scenario.timeout, where, "make it quicker, or raise timeout: in the scenario")


def _played(prepared: Prepared, arrangement: Arrangement) -> Transcript:
    surroundings, keeping = arrangement.surroundings, arrangement.keeping
    after_turn = keeping.turn if keeping is not None else lambda transcript: None
    runner = Runner(prepared.scenario, surroundings, source=prepared.source, after_turn=after_turn)
    item, hosts = prepared.node, prepared.config.allow_hosts
    left: list[str] = []
    with lanes.active(surroundings.tap), blocked(item, hosts, arrangement.offline, arrangement.traffic):
        try:
            transcript = _watched(runner, prepared, surroundings.tap.clock)
        finally:
            surroundings.tap.shut()
            arrangement.settle()
            if surroundings.gateway is not None:
                left = end_leftovers(surroundings.gateway.token)
    transcript.leftovers += left
    return transcript


def _watched(runner: Runner, prepared: Prepared, clock: Clock) -> Transcript:
    """Play in a thread of its own: a client may swallow a cancellation, or block, and must not take pytest with it."""
    if prepared.mode.backend == "trio":
        return _in_trio(runner, clock)
    worker, job = WORKERS.take(), Job(runner.play, clock, _is_shared(prepared))
    worker.take(job)
    if not _ended(job.done, runner, clock):
        WORKERS.give_up(prepared.node)
        return _given_up(runner)
    WORKERS.give_back(worker)
    if job.error is not None:
        raise unwrapped(job.error)
    transcript: Transcript = job.value
    transcript.leftovers += job.left
    for record in transcript.records:
        if worker.after and says_another_loop(record.crash):
            record.crash += f"; the event loop is a new one since {worker.after} hung in the old one"
    return transcript


def _is_shared(prepared: Prepared) -> bool:
    profiles = prepared.config.clients
    return any(profiles[name].shared for name in client_names(prepared.scenario) if name in profiles)


def _in_trio(runner: Runner, clock: Clock) -> Transcript:
    """trio ends with each item: what it runs has no life of its own."""
    done, outcome, context = threading.Event(), _Box(), contextvars.copy_context()

    def body() -> None:
        try:
            outcome.value = anyio.run(runner.play, backend="trio", backend_options=trio_options(clock))
        except BaseException as error:
            outcome.error = error
        finally:
            done.set()

    threading.Thread(target=context.run, args=(body,), name="convtest-item", daemon=True).start()
    if not _ended(done, runner, clock):
        return _given_up(runner)
    if outcome.error is not None:
        raise unwrapped(outcome.error)
    assert outcome.value is not None
    return outcome.value


def _ended(done: threading.Event, runner: Runner, clock: Clock) -> bool:
    """Whether the play came to its end; false once a step has overstayed its time limit for good."""
    before = left_out(clock)
    while not done.wait(0.5):
        runner.watch.deadline += left_out(clock) - before
        before = left_out(clock)
        if time.monotonic() > runner.watch.deadline + _GRACE:
            return False
    return True


class _Box(Struct):
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
        shown, command = prepared.cassette.shown, prepared.record_command
        transcript.trouble = ScenarioChanged(cassette=shown, detail=detail, command=command)
