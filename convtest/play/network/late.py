"""Threads that outlive the item which began them: whoever of them reaches out later is named with it."""

import contextlib
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from convtest.play.network.sockets import patched
from convtest.structs import Struct


class Began(Struct, frozen=True):
    """Where a thread comes from: the item, and what it may reach."""

    item: str
    allow_hosts: tuple[str, ...]


_BEGAN: "weakref.WeakKeyDictionary[threading.Thread, Began]" = weakref.WeakKeyDictionary()
_POOLS = ("concurrent.futures", "anyio", "asyncio", "convtest")
"""Whose threads serve one item after another: what they do is the item's that plays."""


@contextlib.contextmanager
def noting(began: Began) -> Iterator[None]:
    """Threads that are started within it are the item's."""

    def wrap(real: Any) -> Any:
        def start(thread: threading.Thread) -> None:
            if not _serves_all(thread):
                _BEGAN[thread] = began
            real(thread)

        return start

    with patched(threading.Thread, "start", wrap):
        yield


def _serves_all(thread: threading.Thread) -> bool:
    target = getattr(thread, "_target", None)
    names = (type(thread).__module__, str(getattr(target, "__module__", "")))
    return any(name.split(".")[0] in _POOLS or name.startswith(_POOLS[0]) for name in names)


def began_by(thread: threading.Thread) -> Began | None:
    """What began it, if an offline item did."""
    return _BEGAN.get(thread)


def any_alive() -> bool:
    """Whether threads of offline items still run."""
    return any(thread.is_alive() for thread in list(_BEGAN))
