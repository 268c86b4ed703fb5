"""Time as something that is handed in, so that no test has to wait for it."""

import time
from typing import Protocol

import anyio
import anyio.lowlevel


class Clock(Protocol):
    """Milliseconds since an arbitrary start, and a way to let them pass."""

    def now(self) -> float:
        """Milliseconds."""
        ...

    async def sleep(self, ms: float) -> None:
        """Let `ms` milliseconds pass; always a checkpoint, even for 0."""
        ...


class RealClock:
    """Wall time, played `speed` times as fast as recorded (1 is the recorded pace)."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._start = time.perf_counter()

    def now(self) -> float:
        return (time.perf_counter() - self._start) * 1000 * self._speed

    async def sleep(self, ms: float) -> None:
        await anyio.sleep(max(0.0, ms) / 1000 / self._speed)


class VirtualClock:
    """Time that passes only when somebody sleeps: each sleep is one checkpoint and no waiting."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        return self._now

    async def sleep(self, ms: float) -> None:
        self._now += max(0.0, ms)
        await anyio.lowlevel.checkpoint()
