"""How the cost of an item grows, drawn: docs/drawn/performance.svg.

    .venv/bin/pip install matplotlib
    .venv/bin/python benchmarks/curves.py [FILE]

CPU of this process: turns and sessions simulated, events and sizes replayed, items in runs of pytest; medians of three.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import matplotlib as mpl

from convtest.structs import replace

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import runs, turns  # noqa: E402
from benchmarks.rows import say  # noqa: E402
from convtest.config import Profile  # noqa: E402
from convtest.play.mode import Mode  # noqa: E402
from convtest.play.perform import perform  # noqa: E402
from convtest.play.prepare import prepare  # noqa: E402
from tests.playing import Stage  # noqa: E402

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "convtest"  # the same numbers make the same file

from matplotlib import pyplot as plt  # noqa: E402

TIMES = 3
Points = list[tuple[float, float]]


def main() -> None:
    file = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs" / "drawn" / "performance.svg"
    panels: list[tuple[str, str, Callable[[], Iterator[tuple[float, float]]]]] = [
        ("turns of a conversation, simulated", "ms a turn", long_ones),
        ("events of a turn, replayed", "µs an event", events),
        ("KB of a cassette, replayed", "ms an item", sizes),
        ("sessions of an item, simulated", "ms a session", sessions),
        ("items of a run, replayed", "ms an item", items),
    ]
    figure, axes = plt.subplots(2, 3, figsize=(9, 5), layout="constrained")
    axes.flat[-1].set_axis_off()
    for one, (across, up, measured) in zip(axes.flat, panels, strict=False):
        points = list(measured())
        say(f"{across}: " + ", ".join(f"{x:g}: {y:.2f} {up}" for x, y in points))
        one.plot(*zip(*points, strict=True), marker="o", color="#3b6fb6")
        most = max(y for _, y in points)
        one.set(xlabel=across, ylabel=up, xlim=(0, None), ylim=(0, most * 1.15))
        one.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None, "Creator": None})


def long_ones() -> Iterator[tuple[float, float]]:
    for row in turns.curve((1, 125, 250, 500, 1000, 2000)):
        if row.turns > 1:
            yield row.turns, row.each


def events() -> Iterator[tuple[float, float]]:
    for count in (100, 500, 1000, 2000, 4000):
        words = " ".join(["word"] * count)
        spent, _ = played([{"user": "Tell me a story.", "simulate": {"text": words}}], recorded=True)
        yield count, spent / count * 1e6


def sizes() -> Iterator[tuple[float, float]]:
    for words in (10, 200, 400, 800, 1600):
        steps = [{"user": f"Part {number}: " + "something " * words} for number in range(10)]
        spent, size = played(steps, recorded=True)
        yield size / 1024, spent * 1000


def sessions() -> Iterator[tuple[float, float]]:
    for count in (1, 10, 25, 50, 100):
        spent, _ = played([{"user": "Hello.", "session": f"s{number}"} for number in range(count)], recorded=False)
        yield count, spent / count * 1000


def items() -> Iterator[tuple[float, float]]:
    with tempfile.TemporaryDirectory() as folder:
        alone = runs.ran(runs.made(runs.replayed, Path(folder) / "1", 1), *runs.WITH).cpu
        for count in (100, 250, 500, 1000):
            place = runs.made(runs.replayed, Path(folder) / str(count), count)
            yield count, (runs.ran(place, *runs.WITH).cpu - alone) / (count - 1) * 1000


def played(steps: Sequence[dict[str, object]], *, recorded: bool) -> tuple[float, float]:
    """(CPU seconds of an item, bytes of its cassette)."""
    names = list(dict.fromkeys(str(step["session"]) for step in steps if "session" in step))
    told = {"scenario": "curve", "steps": list(steps)} | ({"sessions": {name: {} for name in names}} if names else {})
    with tempfile.TemporaryDirectory() as root:
        stage = Stage(Path(root))
        profile = Profile(
            name="assistant",
            kind="messages",
            upstream="simulator",
            options={"model": "claude-haiku-4-5", "max_tokens": 20_000},
        )
        config = replace(stage.config(), clients={"assistant": profile})
        (scenario,) = stage.scenarios(json.dumps(told))

        def play(number: int, mode: Mode) -> float:
            begun = time.process_time()
            outcome = perform(prepare(config, scenario, mode), Path(root) / f"item{number}")
            assert outcome.verdict.passed, outcome.verdict
            return time.process_time() - begun

        if recorded:
            play(0, Mode(record="all"))
        spent = statistics.median(play(number, Mode()) for number in range(1, TIMES + 2))
        written = next(Path(root).rglob("curve.yaml"), None) if recorded else None
        return spent, written.stat().st_size if written is not None else 0


if __name__ == "__main__":
    main()
