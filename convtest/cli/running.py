"""pytest in a child process, its progress shown: how every command plays scenarios."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

NOTHING_COLLECTED = 5
"""pytest's exit code of that meaning."""
Fact = dict[str, Any]
"""What is told of one item: `item`, `what` (started, finished), `outcome`, `seconds` and more."""


@dataclass(frozen=True, slots=True)
class Ran:
    """pytest's exit code, and all that it printed."""

    code: int
    output: str


def run_pytest(arguments: Sequence[str], finished: Callable[[Fact], str | None]) -> Ran:
    """Run it to its end; `finished` hears of each item and says which line to show, if any."""
    with tempfile.TemporaryDirectory(prefix="convtest-run-") as folder:
        progress, output = Path(folder) / "progress.jsonl", Path(folder) / "output.txt"
        progress.touch()
        run = [sys.executable, "-m", "pytest", "-q", "--no-header", f"--convtest-progress={progress}", *arguments]
        with output.open("w", encoding="utf-8") as sink:
            child = subprocess.Popen(run, stdout=sink, stderr=subprocess.STDOUT)
            try:
                _follow(child, progress, finished)
            finally:
                if child.poll() is None:
                    child.terminate()
                    child.wait()
        return Ran(child.returncode, output.read_text(encoding="utf-8"))


def _follow(child: "subprocess.Popen[bytes]", progress: Path, finished: Callable[[Fact], str | None]) -> None:
    """Show each item as it finishes; on a terminal also the one in progress."""
    console = Console(highlight=False)
    with (
        Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as bar,
        progress.open(encoding="utf-8") as lines,
    ):
        task = bar.add_task("collecting")
        for fact in _facts(child, lines):
            if fact["what"] == "started":
                bar.update(task, description=fact["item"])
                continue
            line = finished(fact)
            if line is not None:
                bar.console.print(line, markup=False, soft_wrap=True)


def _facts(child: "subprocess.Popen[bytes]", lines: IO[str]) -> Iterator[Fact]:
    """Progress as the child writes it, to its end."""
    rest = ""
    while True:
        ended = child.poll() is not None
        rest += lines.read()
        *whole, rest = rest.split("\n")
        yield from (json.loads(line) for line in whole)
        if ended:
            return
        time.sleep(0.05)
