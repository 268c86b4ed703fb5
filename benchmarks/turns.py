"""What a turn of a long conversation costs: simulated ones of more and more turns, each in a process of its own.

    .venv/bin/python benchmarks/turns.py [turns…]

Prints CPU milliseconds a turn, peak memory over that of one turn, and by how much the time a turn grew since the row
before it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from convtest.config import load_config
from convtest.play.mode import Mode
from convtest.play.perform import perform
from convtest.play.prepare import prepare
from convtest.scenario.loader import load

TURNS = (1, 100, 200, 400, 800)
PROJECT = """\
[tool.convtest]
scenarios = ["scenarios"]
client = "assistant"
[tool.convtest.clients.assistant]
kind = "messages"
model = "claude-haiku-4-5"
upstream = "simulator"
"""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def scenario(turns: int) -> str:
    steps = [{"tell": "who"}, *({"user": f"Tell me about thing {n}."} for n in range(turns - 2)), {"ask": "who"}]
    facts = {"who": {"tell": "My name is Ada.", "ask": "What is my name?", "answer": "Ada"}}
    return json.dumps({"scenario": "long", "timeout": 3600, "facts": facts, "steps": steps if turns > 1 else steps[:1]})


def one(turns: int) -> None:
    """Plays it and prints [CPU seconds, peak KiB]."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "pyproject.toml").write_text(PROJECT)
        (root / "scenarios").mkdir()
        file = root / "scenarios" / "long.yaml"
        file.write_text(scenario(turns))
        (read,) = load(file, shown="long.yaml", default_client="assistant", clients=("assistant",))
        prepared = prepare(load_config(root), read, Mode())
        (items := root / "item").mkdir()
        begun = time.process_time()
        played = perform(prepared, items)
        spent = time.process_time() - begun
    assert played.verdict.passed, played.verdict
    # Not ru_maxrss: that one remembers the parent's size from before the exec.
    peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    say(json.dumps([spent, int(peak)]))


@dataclass(frozen=True)
class Row:
    """What turns took: CPU milliseconds each, MiB at the peak over those of the first row."""

    turns: int
    each: float
    peak: float


def curve(counts: Sequence[int]) -> Iterator[Row]:
    first: int | None = None
    for turns in counts:
        run = [sys.executable, __file__, "--one", str(turns)]
        told = subprocess.run(run, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "."})
        spent, peak = json.loads(told.stdout)
        first = peak if first is None else first
        yield Row(turns, spent / turns * 1000, (peak - first) / 1024)


def main() -> None:
    counts = [int(one) for one in sys.argv[1:]] or list(TURNS)
    say(f"{'turns':>6} {'ms a turn':>10} {'MB over the first':>18} {'grew':>6}")
    before: float | None = None
    for row in curve(counts):
        grew = f"{row.each / before:.2f}" if before else ""
        say(f"{row.turns:>6} {row.each:>10.1f} {row.peak:>18.0f} {grew:>6}")
        before = row.each if row.turns > 1 else None


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(int(sys.argv[2]))
    else:
        main()
