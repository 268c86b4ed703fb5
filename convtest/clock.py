"""Time as something that is handed in, so that no test has to wait for it; every suspension of ours goes through it."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import anyio
import anyio.lowlevel


class Clock(Protocol):
    """Milliseconds since an arbitrary start, and ways to let them pass."""

    def now(self) -> float:
        """Milliseconds."""
        ...

    async def sleep(self, ms: float) -> None:
        """Let `ms` milliseconds pass; always a checkpoint, even for 0."""
        ...

    async def checkpoint(self) -> None:
        """Let others run."""
        ...

    async def forever(self) -> None:
        """Wait to be cancelled. Raises CannotWait where nobody could."""
        ...


class CannotWait(Exception):
    """A synchronous caller was asked to wait for a cancellation."""


async def _checkpoint() -> None:
    """anyio's, but that asyncio is looked for first: where each event has one, looking for the backend counts."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        await anyio.lowlevel.checkpoint()
    else:
        await asyncio.sleep(0)


class _Async:
    async def checkpoint(self) -> None:
        await _checkpoint()

    async def forever(self) -> None:
        await anyio.sleep_forever()


class RealClock(_Async):
    """Wall time, played `speed` times as fast as recorded (1 is the recorded pace)."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._start = self._counted = time.perf_counter()
        self.left_out = 0.0
        """Seconds that counted for nobody."""
        self.leaving_out = 0
        """How many are just waiting so."""

    def leave_out(self, since: float) -> None:
        """What has passed since then, by time.perf_counter(), counts for nobody; once, however many waited."""
        now = time.perf_counter()
        passed = max(0.0, now - max(since, self._counted))
        self._counted = now
        self._start += passed
        self.left_out += passed

    def now(self) -> float:
        return (time.perf_counter() - self._start) * 1000 * self.speed

    async def sleep(self, ms: float) -> None:
        await anyio.sleep(max(0.0, ms) / 1000 / self.speed)


class VirtualClock(_Async):
    """Time that passes only when somebody sleeps: each sleep on it is one checkpoint and no waiting.

    What a client waits for by itself is added as it passes (`play/waiting`).
    """

    def __init__(self) -> None:
        self._now = 0.0
        self.passing: Callable[[], float] = lambda: 0.0
        """Milliseconds that are passing just now and will be added: while a callback sleeps."""

    def now(self) -> float:
        return self._now + self.passing()

    def advance(self, ms: float) -> None:
        if ms > 0:
            self._now += ms

    async def sleep(self, ms: float) -> None:
        if ms > 0:
            self._now += ms
        await _checkpoint()


class UnpacedClock(RealClock):
    """Wall time, but nothing of ours waits: for clients in other processes, whose own waits are to be seen."""

    def __init__(self) -> None:
        super().__init__()
        self._skipped = 0.0

    def now(self) -> float:
        return super().now() + self._skipped

    def skip(self, ms: float) -> None:
        """A client in this process waits as it would: that time passes, and nobody waits for it."""
        self._skipped += max(0.0, ms)

    async def sleep(self, ms: float) -> None:
        await _checkpoint()


class _Skips(_Async):
    """An unpaced clock as a client in this process has it: what it sleeps has passed."""

    def __init__(self, clock: UnpacedClock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now()

    async def sleep(self, ms: float) -> None:
        self._clock.skip(ms)
        await _checkpoint()


def for_clients(clock: Clock) -> Clock:
    """The item's clock as clients sleep on it."""
    return _Skips(clock) if isinstance(clock, UnpacedClock) else clock


class Blocking:
    """The same clock for a synchronous caller: nothing it awaits ever suspends, so `run_now` can drive it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = self.real = clock
        self._advance = clock.advance if isinstance(clock, VirtualClock) else None

    def now(self) -> float:
        return self._clock.now()

    async def sleep(self, ms: float) -> None:
        if self._advance is not None:
            self._advance(ms)
        elif isinstance(self._clock, RealClock):
            time.sleep(max(0.0, ms) / 1000 / self._clock.speed)  # noqa: ASYNC251  the caller blocks, that is the point

    async def checkpoint(self) -> None:
        return None

    async def forever(self) -> None:
        raise CannotWait


async def aside(clock: Clock, ms: float) -> None:
    """Wait for something of ours: on a clock of wall time it counts for nobody."""
    real = clock.real if isinstance(clock, Blocking) else clock
    if not isinstance(real, RealClock):
        await clock.sleep(ms)
        return
    begun = time.perf_counter()
    real.leaving_out += 1
    try:
        await clock.sleep(ms)
    finally:
        real.leaving_out -= 1
        real.leave_out(begun)


def left_out(clock: Clock) -> float:
    """Seconds that counted for nobody so far."""
    return clock.left_out if isinstance(clock, RealClock) else 0.0


def is_leaving_out(clock: Clock) -> bool:
    """Whether somebody waits so just now."""
    return isinstance(clock, RealClock) and clock.leaving_out > 0


def run_now(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that suspends nowhere. Raises RuntimeError if it does after all."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise RuntimeError("a synchronous request was made to wait for an event loop")
