"""`[tool.convtest.limits]`, and how long a piece of work may take: nothing that an item does goes on without bound."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convtest.errors import ConfigError, OutOfTime, TooLarge, did_you_mean, raised_at
from convtest.structs import Struct

SECTION = "[tool.convtest.limits]"
_AGAIN = 1.0
"""Seconds after which it is said again to work that has caught the first word."""


class Limits(Struct, frozen=True, kw_only=True):
    """What may be configured; the limits of the language itself stand in `scenario`."""

    body: int = 64 * 1024 * 1024
    """Bytes of one request's or answer's body, decoded."""
    cassette: int = 512 * 1024 * 1024
    """Bytes of one cassette's file."""
    line: int = 64 * 1024 * 1024
    """Bytes of one line that a program writes on stdout."""
    stderr: int = 16 * 1024 * 1024
    """Bytes of a program's stderr that are kept; what comes after them is read and dropped, its last words apart."""
    collecting: float = 60.0
    """Seconds for reading one file of scenarios."""

    def check(self, key: str, size: int, what: str) -> None:
        """Raises TooLarge for `what` where it has more bytes than `key` allows."""
        most = getattr(self, key)
        if size > most:
            raise TooLarge(f"{what} has more than {most:,} bytes", limit=f"{key}, {SECTION}")


DEFAULTS = Limits()


def limits_of(value: Any) -> Limits:
    """The table as it stands in pyproject.toml. Raises ConfigError."""
    known = Limits.__annotations__
    if not isinstance(value, dict):
        raise ConfigError("limits is a table", where="[tool.convtest]", help=f"with {', '.join(known)}")
    for name, limit in value.items():
        if name not in known:
            raise ConfigError(f"unknown limit {name!r}", where=SECTION, help=did_you_mean(name, known))
        wanted: Any = int if known[name] is int else int | float
        if isinstance(limit, bool) or not isinstance(limit, wanted) or limit <= 0:
            unit = "a whole number of bytes" if known[name] is int else "a number of seconds"
            raise ConfigError(f"{name} is {unit}, more than 0, and not {limit!r}", where=SECTION)
    return Limits(**value)


class _Alarm(BaseException):
    """Not an Exception: what is asked to stop must not take it for an error of its own."""


@contextlib.contextmanager
def within(seconds: float, what: str, help: str) -> Iterator[None]:
    """Raises OutOfTime where the block takes more real seconds, with the place at which it then was.

    In the main thread of POSIX systems the block is interrupted, in the middle of a regular expression too. Elsewhere
    nothing can be interrupted, and the time is looked at when the block ends.
    """
    started = time.monotonic()
    try:
        with _alarm(seconds) if _can_interrupt() else contextlib.nullcontext():
            yield
    except _Alarm as alarm:
        at = raised_at(alarm)
        raise OutOfTime(what, seconds, "" if at.startswith(f"{Path(__file__).name}:") else at, help) from None
    if time.monotonic() - started > seconds:
        raise OutOfTime(what, seconds, "", help)


def _can_interrupt() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """An alarm that was set before, as by pytest-timeout, comes when it would have come."""
    began, over, theirs = time.monotonic(), False, False
    left, again = signal.getitimer(signal.ITIMER_REAL)
    handler: Any = signal.getsignal(signal.SIGALRM)

    def rings(number: int, frame: Any) -> None:
        nonlocal theirs
        if left and not theirs and left <= min(time.monotonic() - began, seconds) and callable(handler):
            theirs = True
            signal.setitimer(signal.ITIMER_REAL, max(began + seconds - time.monotonic(), 0.001), _AGAIN)
            handler(number, frame)
        elif not over:
            raise _Alarm

    signal.signal(signal.SIGALRM, rings)
    signal.setitimer(signal.ITIMER_REAL, min(seconds, left or seconds), _AGAIN)
    try:
        try:
            yield
        finally:
            over = True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, handler)
        if left and not theirs:
            signal.setitimer(signal.ITIMER_REAL, max(began + left - time.monotonic(), 0.001), again)
