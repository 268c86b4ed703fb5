"""The event loop of this process's items: one after another is played in it, so that what an application shares between
its users (an HTTP client, a queue, a task of its own) meets one event loop and not many."""

import asyncio
import atexit
import contextvars
import os
import queue
import re
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from convtest.clock import Clock
from convtest.play.waiting import Selecting, loop_of
from convtest.structs import Struct, field

_GRACE = 0.25
"""Seconds that tasks have to end by themselves once all sessions are closed."""
_OF_ANOTHER_LOOP = re.compile(
    r"[Ee]vent loop is closed|different (event )?loop|attached to a different|bound to a different"
)


class Job(Struct):
    """One item's play: `done` is set at its end, also where it raised."""

    play: Callable[[], Coroutine[Any, Any, Any]]
    clock: Clock
    shared: bool
    """Tasks that are left belong to the process, not to the item: its clients share them."""
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    done: threading.Event = field(default_factory=threading.Event)
    value: Any = None
    error: BaseException | None = None
    left: list[str] = field(default_factory=list)
    """Tasks that the item's clients left running."""


class Worker:
    """A thread with an event loop that lives as long as the process, unless an item hangs in it."""

    def __init__(self, after: str = "") -> None:
        self.after = after
        """The item that hung in the loop before this one."""
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="convtest-items", daemon=True)
        self._thread.start()

    def take(self, job: Job) -> None:
        self._jobs.put(job)

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join(2)

    def _work(self) -> None:
        selecting = Selecting()
        runner = asyncio.Runner(loop_factory=lambda: loop_of(selecting))
        while (job := self._jobs.get()) is not None:
            selecting.counts_on(job.clock)
            try:
                job.value = runner.run(job.play(), context=job.context)
            except BaseException as error:
                job.error = error
            try:
                job.left = runner.run(_tidied(job.shared))
            finally:
                selecting.counts_on(None)
                job.done.set()
            del job
        with suppress(RuntimeError):  # an interpreter that ends starts no thread, not even to wait for others
            runner.close()


async def _tidied(shared: bool) -> list[str]:
    """What the item left in the loop: tasks are named and ended, generators closed; nothing of it where clients share
    them with the next item."""
    if shared:
        return []
    mine = asyncio.current_task()
    left = {one for one in asyncio.all_tasks() if one is not mine}
    if left:
        _, left = await asyncio.wait(left, timeout=_GRACE)
    names = [name for one in left if (name := _name(one))]
    for one in left:
        one.cancel()
    if left:
        await asyncio.wait(left, timeout=_GRACE)
    for generator in list(getattr(asyncio.get_running_loop(), "_asyncgens", ())):
        with suppress(Exception):
            await asyncio.wait_for(generator.aclose(), _GRACE)
    return sorted(names)


_OURS = Path(__file__).parents[1]


def _name(task: "asyncio.Task[Any]") -> str:
    """Empty for a task of ours."""
    code = getattr(task.get_coro(), "cr_code", None)
    if code is None or Path(code.co_filename).is_relative_to(_OURS):
        return ""
    return f"the task {code.co_qualname}, {Path(code.co_filename).name}:{code.co_firstlineno}, still running"


def says_another_loop(crash: str) -> bool:
    """Whether an exception is that of something that was made in another event loop."""
    return _OF_ANOTHER_LOOP.search(crash) is not None


class Workers(Struct):
    """Those that wait for an item; one that hung is given up, and the next one knows of it."""

    _idle: list[Worker] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _hung: str = ""

    def take(self) -> Worker:
        with self._lock:
            return self._idle.pop() if self._idle else Worker(self._hung)

    def give_back(self, worker: Worker) -> None:
        with self._lock:
            self._idle.append(worker)

    def give_up(self, item: str) -> None:
        """The worker that played it is not given back."""
        self._hung = item

    def forget(self) -> None:
        """In a child that was forked: their threads have stayed behind."""
        self._idle, self._lock = [], threading.Lock()

    def close(self) -> None:
        """Close the loops of those that wait."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.close()


WORKERS = Workers()
atexit.register(WORKERS.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WORKERS.forget)
