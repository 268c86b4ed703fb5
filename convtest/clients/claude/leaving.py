"""A turn that nobody reads to its end: the CLI is told to stop, and what it still says of that turn is taken off."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

_GOODBYE = 5.0
"""Seconds."""


class Leaving:
    """The turns that were left, and the task that tells the CLI so: whoever leaves may be cancelled while it does."""

    def __init__(self) -> None:
        self._telling: asyncio.Task[None] | None = None
        self._left = 0

    def leave(self, tell: Callable[[], Awaitable[Any]]) -> None:
        """Nobody reads on; `tell` asks the CLI to stop."""
        self._left += 1
        self._telling = asyncio.create_task(self._tell(tell), name="convtest-claude-leaving")

    async def _tell(self, tell: Callable[[], Awaitable[Any]]) -> None:
        with suppress(Exception):
            await tell()

    async def told(self) -> None:
        """Before a goodbye: wait until the CLI was told, for a while."""
        if self._telling is not None:
            await asyncio.wait([self._telling], timeout=_GOODBYE)
            self._telling.cancel()

    async def taken_off(self, next_message: Callable[[], Awaitable[Any]], is_last: Callable[[Any], bool]) -> None:
        """Wait until the CLI has said all of the turns that were left."""
        if self._telling is not None:
            await self._telling
            self._telling = None
        while self._left:
            if is_last(await next_message()):
                self._left -= 1
