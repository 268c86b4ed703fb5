"""What a client really waits for counts on the item's clock: an SDK sleeps before another try wherever it likes."""

import asyncio
import selectors
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVarTuple

from convtest.clock import Clock, VirtualClock

LEAST = 0.05
"""Seconds; a shorter wait is the machine's own."""
LEAST_BLOCKED = 0.25
"""Seconds that a callback spends asleep before it counts: on a busy machine any of them may be late."""
SAMPLED = 0.005
"""Seconds for which a reading of the thread's own time holds: it is a call into the kernel, and callbacks are many."""

LINGERED = 0.25
"""Seconds, at most, for which a timer was set that is waited for once an item is over."""
_AFTERWARDS = 0.005
"""Seconds for what a timer wakes."""


class Waits:
    """An event loop runs callbacks, then looks for events: while it looks it waits for timers, sockets and threads."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._thread = threading.get_ident()
        self._looked = self._left = self._read = time.perf_counter()
        self._busy = time.thread_time()
        clock.passing = self._asleep

    def begins(self) -> None:
        """Callbacks have run; a look for events begins."""
        now = time.perf_counter()
        if now - self._left > LEAST_BLOCKED:
            self._clock.advance(self._asleep())
            self._read, self._busy = now, time.thread_time()
        self._looked = self._left = now

    def ends(self, timeout: float | None) -> None:
        """It is over, `timeout` seconds (None: as long as it takes) at the most after it began."""
        self._left = time.perf_counter()
        if self._left - self._read > SAMPLED:
            self._read, self._busy = self._left, time.thread_time()
        waited = self._left - self._looked
        if timeout is not None:
            # What is more than the loop asked for, a busy machine has added.
            waited = min(waited, max(0.0, timeout))
        if waited > LEAST:
            self._clock.advance(waited * 1000)

    def _asleep(self) -> float:
        """Milliseconds that the callback in progress has spent asleep; none of it is work."""
        passed = time.perf_counter() - self._left
        if passed <= LEAST_BLOCKED or threading.get_ident() != self._thread:
            return 0.0  # a worker thread asks: what it sleeps, the event loop waits for
        asleep = passed - (time.thread_time() - self._busy)
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


_Given = TypeVarTuple("_Given")


class _Loop(asyncio.SelectorEventLoop):
    """It knows the short timers that are still to come."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self.timers: weakref.WeakSet[asyncio.TimerHandle] = weakref.WeakSet()
        super().__init__(selector)

    def call_at(
        self, when: float, callback: Callable[[*_Given], object], *args: *_Given, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = super().call_at(when, callback, *args, context=context)
        if when - time.monotonic() <= LINGERED:  # nearly all others are limits that nobody reaches: they cost nothing
            self.timers.add(timer)
        return timer


def loop_of(selecting: Selecting) -> asyncio.AbstractEventLoop:
    """An event loop whose waits are told; made in the thread that it runs in."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()  # its own loop starts processes, a selector's does not: there no wait counts
    return _Loop(_Selector(selecting))


def timers_left() -> float:
    """Seconds until the last of the timers that were set for `LINGERED` seconds or less goes off; 0 where none is left.

    What is played takes next to no time: a timer that would go off in the middle of a real answer is still to come
    when the item is over.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return 0.0  # trio: nothing of it cancels a task from outside of its scopes
    if not isinstance(loop, _Loop) or not loop.timers:
        return 0.0
    now = loop.time()
    return max((one.when() - now for one in list(loop.timers) if not one.cancelled()), default=0.0)


async def outlive_timers() -> None:
    """Wait for `timers_left`. Raises what they do to the task that waits."""
    if (left := timers_left()) > 0:
        await asyncio.sleep(left + _AFTERWARDS)


def trio_options(clock: Clock) -> dict[str, Any]:
    """For `anyio.run` on trio, where time is virtual."""
    return {"instruments": [_Instrument(clock)]} if isinstance(clock, VirtualClock) else {}
