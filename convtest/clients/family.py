"""Processes that were started for one item, however far down: found by a variable that each inherits, or by the
POSIX session of the program that started them, where they emptied their environment."""

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

MARK = "CONVTEST_RUN"
SESSION = "CONVTEST_SESSION"
_LINE = 120
"""Characters of a command line that are shown."""


_STARTED: dict[str, dict[int, str]] = {}
"""By token: the POSIX session of each program that we started, with the name of the session that it plays."""


def note(environment: Mapping[str, str], pid: int) -> None:
    """A program was started with this environment, in a POSIX session of its own."""
    if MARK in environment:
        _STARTED.setdefault(environment[MARK], {})[pid] = environment.get(SESSION, "")


def family(token: str, session: str | None = None, *, mark: str = MARK) -> "list[psutil.Process]":
    """What runs with this token in its environment, of one session or of all; zombies apart."""
    import psutil

    return [process for process in psutil.process_iter() if _belongs(process, token, session, mark)]


def _belongs(process: "psutil.Process", token: str, session: str | None, mark: str) -> bool:
    import psutil

    try:
        found = process.environ()
        named = found.get(SESSION, "") if found.get(mark) == token else _of_session(process.pid, token)
        mine = process.pid != os.getpid() and named is not None
        return mine and process.status() != psutil.STATUS_ZOMBIE and session in (None, named)
    except (psutil.Error, OSError):
        return False


def _of_session(pid: int, token: str) -> str | None:
    started = _STARTED.get(token)
    return started.get(os.getsid(pid)) if started and hasattr(os, "getsid") else None


def kill(processes: "list[psutil.Process]") -> None:
    """SIGKILL, and wait until they are dead; whoever started them still has to take their exit codes."""
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    deadline = time.monotonic() + 3
    while any(_lives(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.005)


def tell(token: str, session: str, number: int) -> None:
    """A signal to all of a session's processes."""
    import psutil

    for process in family(token, session):
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def end(token: str, session: str) -> None:
    """SIGKILL to all of a session's processes, and to what they start while they are being ended."""
    for _ in range(5):
        found = family(token, session)
        if not found:
            return
        kill(found)


def forget(token: str) -> None:
    """The item is over: numbers of its processes may be given to others."""
    _STARTED.pop(token, None)


def _lives(process: "psutil.Process") -> bool:
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def named(process: "psutil.Process") -> str:
    """`pid 12: node agent.js`; empty for one that is gone."""
    import psutil

    try:
        return f"pid {process.pid}: {_in_short(process.cmdline())}" if process.is_running() else ""
    except psutil.Error:
        return ""


def _in_short(line: list[str]) -> str:
    """The program without its folder, and of a long line both ends: what tells processes apart may stand at its end."""
    text = " ".join([PurePath(line[0]).name, *line[1:]]) if line else ""
    half = _LINE // 2
    return text if len(text) <= _LINE else f"{text[:half]}…{text[-half:]}"
