"""What a client really waits for counts on the item's clock: an SDK sleeps before another try wherever it likes."""

import selectors
import sys
import threading
import time
from typing import Any

from convtest.clock import Clock, VirtualClock

LEAST = 0.05
"""Seconds; a shorter wait is the machine's own."""
LEAST_BLOCKED = 0.25
"""Seconds that a callback spends asleep before it counts: on a busy machine any of them may be late."""


class Waits:
    """An event loop runs callbacks, then looks for events: while it looks it waits for timers, sockets and threads."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._thread = threading.get_ident()
        self._looked = 0.0
        self._busy = time.thread_time()
        self._left = time.perf_counter()
        clock.passing = self._asleep

    def begins(self) -> None:
        """Callbacks have run; a look for events begins."""
        asleep = self._asleep()
        self._looked = self._left = time.perf_counter()
        self._busy = time.thread_time()
        self._clock.advance(asleep)

    def ends(self, timeout: float | None) -> None:
        """It is over, `timeout` seconds (None: as long as it takes) at the most after it began."""
        self._left, self._busy = time.perf_counter(), time.thread_time()
        waited = self._left - self._looked
        if timeout is not None:
            # What is more than the loop asked for, a busy machine has added.
            waited = min(waited, max(0.0, timeout))
        if waited > LEAST:
            self._clock.advance(waited * 1000)

    def _asleep(self) -> float:
        """Milliseconds that the callback in progress has spent asleep; none of it is work."""
        if threading.get_ident() != self._thread:
            return 0.0  # a worker thread asks: what it sleeps, the event loop waits for
        asleep = time.perf_counter() - self._left - (time.thread_time() - self._busy)
        return asleep * 1000 if asleep > LEAST_BLOCKED else 0.0


class _Selector(selectors.DefaultSelector):
    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self._waits = waits

    def select(self, timeout: float | None = None) -> Any:
        self._waits.begins()
        found = super().select(timeout)
        self._waits.ends(timeout)
        return found


class _Instrument:
    """trio's: https://trio.readthedocs.io/en/stable/reference-lowlevel.html#instrument-api."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def before_run(self) -> None:
        self._waits = Waits(self._clock)

    def before_io_wait(self, timeout: float) -> None:
        self._waits.begins()

    def after_io_wait(self, timeout: float) -> None:
        self._waits.ends(timeout)


def backend_options(backend: str, clock: Clock) -> dict[str, Any]:
    """For `anyio.run`: an event loop whose waits count on this clock, where time is virtual."""
    if not isinstance(clock, VirtualClock):
        return {}
    if backend == "trio":
        return {"instruments": [_Instrument(clock)]}
    if sys.platform == "win32":
        return {}  # its own loop starts processes, a selector's does not: there such waits are not counted
    import asyncio

    # Made where it runs: in the item's own thread.
    return {"loop_factory": lambda: asyncio.SelectorEventLoop(_Selector(Waits(clock)))}
