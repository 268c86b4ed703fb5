"""What a sweep costs, against as many plain replays of its base in the same run; and its memory over 1,000 points.

    .venv/bin/python benchmarks/sweep.py

A turn of 60 events is interrupted before its request, as soon as that is out and after each event, with two turns to
follow; a replay plays the same turns and the same two, from the same cassette. Exits with 1 where a limit is exceeded.
"""

import gc
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from convtest.structs import replace

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from convtest.config import Config, Profile  # noqa: E402
from convtest.play.perform import perform  # noqa: E402
from convtest.play.prepare import Mode, prepare  # noqa: E402
from convtest.play.sweeping import points  # noqa: E402
from convtest.scenario.model import Scenario  # noqa: E402
from tests.playing import Stage  # noqa: E402

EVENTS = 60
SWEPT = EVENTS + 2
"""Points: before the request, when it is out, and after each event."""
SCENARIO = f"""
scenario: bench
facts:
  who: {{tell: My name is Ada., ask: What is my name?, answer: Ada}}
  where: {{tell: I live in Turku., ask: Where do I live?, answer: Turku}}
steps:
  - {{user: My name is Ada. I live in Turku.}}
  - user: Tell me a story.
    id: story
    simulate: {{text: "{" ".join(["word"] * EVENTS)}"}}
  - {{ask: who}}
  - {{ask: where}}
sweep: {{turn: story, disturb: interrupt, then: [{{ask: who}}, {{ask: where}}]}}
"""
ROUNDS = 7
TIMES = 0.5
POINTS, FIRST = 1000, 50
GROWTH_MB, GROWTH = 5.0, 0.05


def stage_in(root: Path) -> tuple[Config, Scenario]:
    """A project with the scenario and its recording."""
    stage = Stage(root)
    profile = Profile(name="assistant", kind="messages", upstream="simulator", options={"model": "claude-haiku-4-5"})
    config = replace(stage.config(), clients={"assistant": profile})
    (base,) = stage.scenarios(SCENARIO)
    play(config, [base], Mode(record="all"))
    assert len(points(config, base)) == SWEPT
    return config, base


def play(config: Config, scenarios: Iterable[Scenario], mode: Mode) -> None:
    for scenario in scenarios:
        with tempfile.TemporaryDirectory() as folder:
            outcome = perform(prepare(config, scenario, mode), Path(folder))
        assert outcome.verdict.passed, outcome.verdict


def timed(config: Config, scenarios: Iterable[Scenario]) -> float:
    started = time.perf_counter()
    play(config, scenarios, Mode())
    return time.perf_counter() - started


def times() -> tuple[float, float]:
    """Seconds of a sweep, its points being counted included, and of as many replays."""
    swept: list[float] = []
    replayed: list[float] = []
    with tempfile.TemporaryDirectory() as root:
        config, base = stage_in(Path(root))
        for _ in range(ROUNDS):
            replayed.append(timed(config, itertools.repeat(base, SWEPT)))
            started = time.perf_counter()
            made = points(config, base)
            swept.append(time.perf_counter() - started + timed(config, made))
    return statistics.median(swept[1:]), statistics.median(replayed[1:])


def endless(config: Config, base: Scenario) -> Iterator[Scenario]:
    """The points again and again, made anew each time: nothing kept for one serves the next."""
    while True:
        yield from points(config, base)


def memory() -> tuple[float, float]:
    """MB of this process after the first points and after the last."""
    with tempfile.TemporaryDirectory() as root:
        config, base = stage_in(Path(root))
        many = itertools.islice(endless(config, base), POINTS)
        play(config, itertools.islice(many, FIRST), Mode())
        first = resident()
        play(config, many, Mode())
        return first, resident()


def resident() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def main() -> int:
    swept, replayed = times()
    # In a process of its own: what the rounds before it left would hide what the first points need.
    run = subprocess.run([sys.executable, __file__, "--memory"], capture_output=True, text=True, check=True)
    first, last = map(float, run.stdout.split())
    growth, most = last - first, max(GROWTH_MB, first * GROWTH)
    print(f"{'':<38} {'measured':>10} {'limit':>10}")
    print(f"{f'{SWEPT} points swept':<38} {swept * 1000:>7.0f} ms")
    print(f"{f'{SWEPT} replays':<38} {replayed * 1000:>7.0f} ms")
    print(f"{'sweep / replays':<38} {swept / replayed:>10.2f} {TIMES:>10.2f}")
    print(f"{f'memory after {FIRST} points':<38} {first:>7.1f} MB")
    print(f"{f'memory after {POINTS} points':<38} {last:>7.1f} MB")
    print(f"{'growth':<38} {growth:>7.1f} MB {most:>7.1f} MB")
    return int(swept / replayed > TIMES or growth > most)


if __name__ == "__main__":
    os.environ.pop("ANTHROPIC_API_KEY", None)
    if sys.argv[1:] == ["--memory"]:
        print(*memory())
    else:
        sys.exit(main())
