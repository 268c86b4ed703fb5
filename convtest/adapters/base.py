"""What every adapter repeats: open, resume and fork by id, one turn at a time, the interrupt, how a turn ended."""

import asyncio
import inspect
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Any

from convtest.adapters.endings import ended_by
from convtest.clients.port import Opening, SessionError
from convtest.errors import ClientError
from convtest.events import Event, TurnEnd, Usage

Make = Callable[[Opening], Any]
"""Returns the application's agent, or an awaitable or async context manager of it."""
_KNOWN = "adapter-sessions"


class Adapter:
    """A session client for an application that runs on asyncio. A subclass says

    - `async open(id)`: from now on the conversation of this id is spoken, a new one or one that was opened before;
    - `say(text)`: an async generator of one turn's events, without its end; it counts tokens into `usage`;
    - `async stop()`, where the application has a way of its own to end a turn: without it the task that waits for the
      model is cancelled, as a server does whose reader left;
    - `async copy(old, new)`, where sessions can be forked; `async close()`, where something has to be closed;
    - `ended(error)`, where exceptions of its own end a turn: the base knows those of anthropic, openai, httpx, httpx2
      and the frameworks.

    Options of the profile stand in `opening.options`.
    """

    def __init__(self, opening: Opening, make: Make | None = None) -> None:
        self.opening = opening
        self.usage = Usage()
        """Tokens of the turn."""
        self._make = make
        self._stack = AsyncExitStack()
        self._id: str | None = None
        self._text = ""
        self._connected = self._interrupted = False
        self._waiting: asyncio.Task[Any] | None = None
        self._speaking: Any = None

    async def open(self, id: str) -> None:
        raise NotImplementedError

    def say(self, text: str) -> AsyncIterator[Event]:
        raise NotImplementedError

    async def stop(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()

    async def copy(self, old: str, new: str) -> None:
        """Make a session of the id `new` that begins as the one of the id `old`."""
        raise SessionError("bad_request", f"{type(self).__name__} has no copy(old, new): its sessions cannot be forked")

    async def close(self) -> None:
        """Close what `open` opened."""

    def ended(self, error: Exception) -> TurnEnd | None:
        """How a turn ended in which this was raised; None for what is a bug of the application."""
        return ended_by(error)

    async def agent(self, *having: str) -> Any:
        """What the profile's target returns for this opening; it has these attributes. Raises ClientError."""
        assert self._make is not None
        made = self._make(self.opening)
        if isinstance(made, Awaitable):
            made = await made
        if not _has(made, having) and hasattr(made, "__aenter__"):
            made = await self._stack.enter_async_context(made)
        if _has(made, having):
            return made
        where = f"{getattr(self._make, '__module__', '')}:{getattr(self._make, '__name__', self._make)}"
        what = f"{where} returned {type(made).__name__!r}, which has no {' and no '.join(having)}"
        raise ClientError(what, client=self.opening.client, help="target is the function that returns the agent")

    @property
    def session_id(self) -> str | None:
        return self._id

    async def connect(self) -> None:
        """Open the session as the opening says."""
        if self._connected:
            return
        opening, known = self.opening, self.opening.store / _KNOWN
        known.mkdir(parents=True, exist_ok=True)
        id = opening.resume or self._latest() or str(uuid.uuid4())
        if opening.resume is not None and not (known / id).is_file():
            raise SessionError("session_not_found", f"no session with the id {id}")
        if opening.fork:
            old, id = id, str(uuid.uuid4())
            if opening.fork_at is not None:
                raise SessionError("bad_request", "a session is forked at its end, not at an earlier turn")
            await self.copy(old, id)
        await self.open(id)
        (known / id).touch()
        self._id, self._connected = id, True

    def _latest(self) -> str | None:
        known = self.opening.store / _KNOWN
        found = sorted(known.iterdir(), key=lambda one: one.stat().st_mtime_ns) if self.opening.continue_ else []
        return found[-1].name if found else None

    async def disconnect(self) -> None:
        if self._connected:
            self._connected = False
            if self._speaking is not None and self._waiting is None:
                # In mid-turn: what the application does in its turn ends before what it does that with.
                await self._speaking.aclose()
            try:
                await self.close()
            finally:
                await self._stack.aclose()

    async def query(self, text: str) -> None:
        if not self._connected:
            raise SessionError("not_connected", "connect first")
        self._text, self._interrupted, self.usage = text, False, Usage()

    async def interrupt(self) -> None:
        self._interrupted = True
        await self.stop()

    async def receive_response(self) -> AsyncIterator[Event]:
        end = TurnEnd()
        try:
            async with aclosing(_closable(self.say(self._text))) as events:
                self._speaking = events
                while (event := await self._next(events)) is not None:
                    yield event
        except Exception as error:
            found = TurnEnd(ended="interrupted") if self._interrupted else self.ended(error)
            if found is None:
                _explain(error)
                raise
            end = found
        finally:
            self._speaking = None
        if self._interrupted:
            end = TurnEnd(ended="interrupted")
        elif not self._connected:
            end = TurnEnd(ended="connection_lost", message="disconnected in mid-turn")
        yield replace(end, usage=self.usage)

    async def _next(self, events: Any) -> Event | None:
        """The turn's next event; None at its end, or once it is interrupted."""
        if self._interrupted or not self._connected:
            return None
        self._waiting = asyncio.current_task()
        try:
            event: Event | None = await anext(events, None)
        except asyncio.CancelledError:
            if not self._interrupted or self._waiting is None:
                raise
            self._waiting.uncancel()
            return None
        finally:
            self._waiting = None
        return None if self._interrupted else event


def _has(made: Any, having: tuple[str, ...]) -> bool:
    return all(hasattr(made, one) for one in having)


def _closable(events: AsyncIterator[Event]) -> Any:
    if not inspect.isasyncgen(events):
        raise TypeError(f"say() is an async generator of events, and not {type(events).__name__}")
    return events


def _explain(error: Exception) -> None:
    """What to do, where the report shows it: beside the exception's own words."""
    words = str(error.args[0]) if error.args else ""
    hint = "is it how a turn ends? then map it in ended(error) of the adapter"
    if error.args and isinstance(error.args[0], str):
        error.args = (f"{words} ({hint})", *error.args[1:])
