"""What a retention matrix costs: one of a thousand cells, and trunks of more and more turns.

    .venv/bin/python benchmarks/retention.py [turns…]

Prints the CPU and wall seconds of 1,000 cells over trunks of 50 turns, as pytest plays them in one process and in two
(pytest-xdist), then for each length of a trunk the CPU milliseconds a turn, and by how much that grew since the row
before.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TURNS = (125, 250, 500, 1000, 2000)
TOLD = 19
"""Turns in which all families together are told."""
PROJECT = """\
[tool.convtest]
client = "assistant"
[tool.convtest.clients.assistant]
kind = "messages"
model = "claude-haiku-4-5"
upstream = "simulator"
"""
CELLS = """\
scenario: memory
retention:
  ask_after: [1, 2, 4, 8, 12, 16, 24, 30]
  disturb: [none, interrupt, kill, resume, fork, clear, restore, 529, kill@1]
"""
LONG = """\
scenario: memory
timeout: 3600
retention:
  ask_after: [1, {}]
  disturb: kill
"""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def played(matrix: str, *options: str) -> tuple[str, float, float]:
    """pytest's last line, and what it took: CPU seconds of all its processes, wall seconds."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "pyproject.toml").write_text(PROJECT)
        (root / "memory.yaml").write_text(matrix)
        run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "memory.yaml"]
        before, begun = _cpu(), time.perf_counter()
        told = subprocess.run(run, cwd=root, capture_output=True, text=True, env={**os.environ})
        spent, wall = _cpu() - before, time.perf_counter() - begun
    assert told.returncode == 0, told.stdout
    return told.stdout.splitlines()[-1], spent, wall


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    for options in ((), ("-n", "2", "--dist", "loadgroup")):
        last, spent, wall = played(CELLS, *options)
        say(f"{last}: {spent:.1f} s of CPU, {wall:.1f} s in all, {'two processes' if options else 'one process'}")
    start = played(LONG.format(2))[1]
    say(f"\n{'turns':>6} {'ms a turn':>10} {'grew':>6}")
    before = None
    for turns in [int(one) for one in sys.argv[1:]] or list(TURNS):
        each = (played(LONG.format(turns - TOLD))[1] - start) / turns * 1000
        say(f"{turns:>6} {each:>10.1f} {f'{each / before:.2f}' if before else '':>6}")
        before = each


if __name__ == "__main__":
    main()
