"""pytest in a child process, its progress shown: how every command plays scenarios."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from convtest.cli.dying import dies_with
from convtest.clients.guard import MARK, end, guarded
from convtest.structs import Struct
from convtest.temporary import temporary
from convtest.textmatch import visible

NOTHING_COLLECTED = 5
"""pytest's exit code of that meaning."""
GRACE = 5.0
"""Seconds that pytest has to tear down its fixtures once the command was told to end."""
Fact = dict[str, Any]
"""What is told of one item: `item`, `what` (started, finished), `outcome`, `seconds` and more."""


class Ran(Struct, frozen=True):
    """pytest's exit code, and all that it printed."""

    code: int
    output: str


class Stopped(SystemExit):
    """A signal ended the command before pytest was done."""


def pace_options(concurrency: int | None, requests: int | None, tokens: int | None) -> list[str]:
    """For pytest: how fast real models may be asked."""
    named = {"concurrency": concurrency, "requests-per-minute": requests, "tokens-per-minute": tokens}
    return [f"--convtest-{name}={most}" for name, most in named.items() if most is not None]


def run_pytest(arguments: Sequence[str], finished: Callable[[Fact], str | None]) -> Ran:
    """Run it to its end; `finished` hears of each item and says which line to show, if any.

    It does not outlive this process, however that ends, nor does what it started. Raises Stopped.
    """
    mine = uuid.uuid4().hex
    with temporary("run") as folder, _signals_raise(), guarded(mine) as guard:
        progress, output = folder / "progress.jsonl", folder / "output.txt"
        progress.touch()
        run = [sys.executable, "-m", "pytest", "-q", "--no-header", f"--convtest-progress={progress}", *arguments]
        with output.open("w", encoding="utf-8") as sink:
            child = subprocess.Popen(
                run,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, MARK: mine},
                start_new_session=True,  # all of it is ended together
                preexec_fn=dies_with(os.getpid()),
            )
            guard.knows(child.pid)
            try:
                _follow(child, progress, finished)
            except KeyboardInterrupt:
                raise Stopped(128 + signal.SIGINT) from None
            finally:
                if child.poll() is None:
                    _end(child, mine)
        return Ran(child.returncode, output.read_text(encoding="utf-8"))


@contextmanager
def _signals_raise() -> Iterator[None]:
    """SIGTERM and a closed terminal end the command as Ctrl-C does: tidily. Under nohup the latter is ignored."""

    def stop(number: int, frame: object) -> None:
        raise Stopped(128 + number)

    there = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP
    before = {number: signal.signal(number, stop) for number in there if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(child: "subprocess.Popen[bytes]", mine: str) -> None:
    """As Ctrl-C would, so that fixtures are torn down; by force where that takes long, or is asked for again."""
    try:
        child.send_signal(signal.SIGINT)
        child.wait(GRACE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt, Stopped):
        pass
    finally:
        end([child.pid], mine)
        child.wait()


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
                bar.console.print(visible(line), markup=False, soft_wrap=True)


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
