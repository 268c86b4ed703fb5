"""Who reads a turn, in a task of its own: it is cancelled, or leaves, as an application's does; nobody interrupts."""

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

TOLD = {"cancel": "the application's task was cancelled", "leave": "its reader left"}
"""How such a turn ends, by what was done: the client does not say so, for nobody listens."""


class Reader:
    """Reads one turn."""

    def __init__(self) -> None:
        self.ended = ""
        """What it was ended by."""
        self._times = 0
        self._scope = anyio.CancelScope()
        self._own = 0
        """The id of its task."""
        self._task: asyncio.Task[object] | None = None
        self._tasks: TaskGroup | None = None
        self._over = False

    async def run(self, read: Callable[[], Awaitable[None]]) -> None:
        """Until the turn is read, or the reader is ended."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._read, read)

    async def _read(self, read: Callable[[], Awaitable[None]]) -> None:
        self._task, self._own = _current(), anyio.get_current_task().id
        try:
            if self.ended == "leave" or (self.ended and self._task is None):
                self._scope.cancel()
            elif self.ended:
                self._end()
            with self._scope:
                await read()
        except anyio.get_cancelled_exc_class():
            if self.ended != "cancel":
                raise
            while self._task is not None and self._task.uncancel() > 0:
                pass
        finally:
            self._over = True

    def end(self, how: str, times: int) -> None:
        """Cancel it, so often, or have it leave."""
        self.ended, self._times = how, times
        if self._tasks is not None:
            self._end()

    def _end(self) -> None:
        assert self._tasks is not None
        if self.ended == "leave" and self._own == anyio.get_current_task().id:
            return  # it is between two events, and asks for no more
        if self.ended == "leave" or self._task is None:
            self._scope.cancel()
            return
        self._task.cancel()
        self._tasks.start_soon(self._again)

    async def _again(self) -> None:
        """While it cleans up after the one before."""
        for _ in range(self._times - 1):
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            if not self._over and self._task is not None:
                self._task.cancel()


def _current() -> "asyncio.Task[object] | None":
    """The task, where the event loop is asyncio's: it is cancelled once, as an application's is; trio's is cancelled
    until it is over."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
