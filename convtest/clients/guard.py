"""Outlives the command that plays items, to end what that started when it is killed: run as a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

MARK = "CONVTEST_COMMAND"
"""Stands in the environment of all that one command started; the value is the command's own."""
_ROUNDS = 20
_OVER = b"over\n"


@contextmanager
def guarded(value: str) -> Iterator["Guard"]:
    """While this lasts, what carries the mark with this value does not outlive the calling process."""
    code = "import sys; from convtest.clients.guard import watch; watch(sys.argv[1])"
    process = subprocess.Popen(
        [sys.executable, "-c", code, value],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # what ends the command's own group must not end it
        cwd="/",
    )
    guard = Guard(process)
    try:
        yield guard
    finally:
        guard.dismiss()


class Guard:
    """The other end of the pipe that tells the guarding process that its command is gone."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def knows(self, group: int) -> None:
        """A process group to be ended first, at once."""
        self._tell(b"%d\n" % group)

    def dismiss(self) -> None:
        """The command has come to its end, and nothing is to be ended for it."""
        self._tell(_OVER)
        with suppress(OSError):
            self._process.communicate(timeout=5)

    def _tell(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(line)
            self._process.stdin.flush()


def watch(value: str) -> None:
    """Wait until the command is over or gone; where it is gone, end all that it started."""
    groups: list[int] = []
    for line in sys.stdin.buffer:
        if line == _OVER:
            return
        groups.append(int(line))
    end(groups, value)


def end(groups: Sequence[int], value: str) -> None:
    """SIGKILL to the groups, then to all that carries the mark, until nothing does."""
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    # A command that comes to its end needs none of this.
    from convtest.clients.family import family, kill

    for _ in range(_ROUNDS):
        found = family(value, mark=MARK)
        if not found:
            return
        kill(found)
