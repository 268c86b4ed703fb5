"""Runs of a process, and what they took.

The process is started by a small one: `ru_maxrss` of a child begins with its parent's size before the exec, and a
benchmark that has imported much is larger than a short run of pytest ever gets.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_STARTS = """
import json, os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=sys.stderr.fileno())
_, status, used = os.wait4(child.pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


@dataclass(frozen=True)
class Used:
    """Seconds of CPU with its children's, MiB at its peak, and seconds by the clock."""

    cpu: float
    peak: float
    wall: float


def ran(command: Sequence[str], place: Path, environment: Mapping[str, str]) -> Used:
    """Raises SystemExit where the run fails, with what it said last."""
    started = time.perf_counter()
    starter = [sys.executable, "-S", "-E", "-c", _STARTS, *command]
    done = subprocess.run(starter, cwd=place, env=environment, capture_output=True, text=True, check=True)
    wall = time.perf_counter() - started
    code, cpu, peak = json.loads(done.stdout)
    if code != 0:
        raise SystemExit(f"{place}: {done.stderr[-2000:]}")
    return Used(cpu, peak, wall)
