"""Temporary folders; those of a run that was killed are swept up by the next one."""

import atexit
import contextlib
import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

_PREFIX = "convtest-"
_LOCK, _INSIDE = "in-use", "f"
_YOUNG = 60.0
"""Seconds after which a folder's maker has locked it for sure."""


@contextlib.contextmanager
def temporary(what: str = "") -> Iterator[Path]:
    """A folder that is gone afterwards; after a kill, with the next run that makes one. `what` stands in its name."""
    sweep_once()
    home = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{what}{'-' if what else ''}"))
    lock = FileLock(home / _LOCK)
    try:
        with lock:
            inside = home / _INSIDE
            inside.mkdir()
            yield inside
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def room() -> Iterator[Path]:
    """As `temporary`, for those that need many: all of a process stand in one folder, which is locked once. Who writes
    to it makes it."""
    folder = _home(os.getpid()) / str(next(_NUMBERS))
    try:
        yield folder
    finally:
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)


_NUMBERS = itertools.count(1)
_HOMES: dict[int, contextlib.ExitStack] = {}


@cache
def _home(process: int) -> Path:
    """Gone when the process ends; a child that was forked has its own."""
    kept = _HOMES[process] = contextlib.ExitStack()
    return kept.enter_context(temporary("items"))


@atexit.register
def close_rooms() -> None:
    """Remove the folder of this process's rooms; nothing is left to be done at its end."""
    if (kept := _HOMES.pop(os.getpid(), None)) is not None:
        kept.close()
        _home.cache_clear()


@cache
def sweep_once() -> None:
    """Once for each process that makes any."""
    sweep(Path(tempfile.gettempdir()))


def sweep(folder: Path) -> None:
    """Remove the temporary folders in it whose makers are gone. Which process made them says nothing: in another
    container it may go by the same number. Its lock ends with it."""
    for home in folder.glob(f"{_PREFIX}*/"):
        lock = home / _LOCK
        with contextlib.suppress(OSError, Timeout):
            if not lock.is_file() or time.time() - lock.stat().st_mtime < _YOUNG:
                continue
            with FileLock(lock, timeout=0):
                shutil.rmtree(home, ignore_errors=True)
