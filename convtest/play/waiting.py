"""What a client really waits for counts on the item's clock: an SDK sleeps before another try wherever it likes."""

import asyncio
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


class Selecting:
    """The waits of an event loop that plays one item after another: each counts on the clock of its own."""

    def __init__(self) -> None:
        self.waits: Waits | None = None

    def counts_on(self, clock: Clock | None) -> None:
        """From now on; called in the loop's thread, between two items."""
        self.waits = Waits(clock) if isinstance(clock, VirtualClock) else None


class _Selector(selectors.DefaultSelector):
    def __init__(self, selecting: Selecting) -> None:
        super().__init__()
        self._selecting = selecting

    def select(self, timeout: float | None = None) -> Any:
        waits = self._selecting.waits
        if waits is None:
            return super().select(timeout)
        waits.begins()
        found = super().select(timeout)
        waits.ends(timeout)
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


def loop_of(selecting: Selecting) -> asyncio.AbstractEventLoop:
    """An event loop whose waits are told; made in the thread that it runs in."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()  # its own loop starts processes, a selector's does not: there no wait counts
    return asyncio.SelectorEventLoop(_Selector(selecting))


def trio_options(clock: Clock) -> dict[str, Any]:
    """For `anyio.run` on trio, where time is virtual."""
    return {"instruments": [_Instrument(clock)]} if isinstance(clock, VirtualClock) else {}
