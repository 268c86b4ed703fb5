"""Clients that break only where a turn is disturbed, each with one mistake: a sweep must find the event."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, ClassVar

import anyio
import httpx

from convtest.clients.messages.client import INTERRUPTED, MessagesClient
from convtest.clients.messages.turns import Round
from convtest.clients.port import Opening
from convtest.clients.store import SessionStore
from convtest.events import Event, ToolUse, TurnEnd, Usage


class DropsPrompt(MessagesClient):
    """An interrupt after four events takes the whole turn out of the history, its prompt too."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        count = 0
        async with aclosing(super().receive_response()) as events:
            async for event in events:
                if isinstance(event, TurnEnd) and event.ended == "interrupted" and count >= 4:
                    del self._messages[self._turns.pop() :]
                count += 1
                yield event


class LosesWhatWasNotSent(MessagesClient):
    """An interrupt that comes before the turn has asked anything takes the prompt back, with nobody told."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        early = self._interrupted
        async with aclosing(super().receive_response()) as events:
            async for event in events:
                if early:
                    del self._messages[self._turns.pop() :]
                yield event


class ReadsAhead(MessagesClient):
    """It reads one event ahead of what it yields, and keeps that one too when the answer is cut short."""

    async def _read(self, response: httpx.Response, current: Round) -> AsyncGenerator[Event, None]:
        ahead: Event | None = None
        async with aclosing(super()._read(response, current)) as events:
            async for event in events:
                if ahead is not None:
                    yield ahead
                ahead = event
        if ahead is not None and not self._interrupted:
            yield ahead


class LeavesToolOpen(MessagesClient):
    """A tool use stays without a result where the answer was cut short after it."""

    def _answer_open(self, calls: Sequence[ToolUse], why: str) -> None:
        if why != INTERRUPTED:
            super()._answer_open(calls, why)


class AnswersWithTheRest(MessagesClient):
    """An interrupt in mid-answer only stops what is shown: the rest comes as the answer to the next turn."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self._begun = self._stopped = False
        self._rest: list[Event] = []

    async def interrupt(self) -> None:
        if self._begun:
            self._stopped = True
        else:
            await super().interrupt()

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        self._begun, stale, self._rest = False, self._rest, []
        async with aclosing(super().receive_response()) as events:
            async for event in events:
                self._begun = True
                if self._stopped or stale:
                    self._rest.append(event)
                else:
                    yield event
        if self._stopped:
            self._stopped = False
            yield TurnEnd(ended="interrupted")
        for event in stale:
            yield event


class HangsOnSecondInterrupt(MessagesClient):
    """An interrupt takes what the next one waits for, and never gives it back."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self._stopping = anyio.Semaphore(1)

    async def interrupt(self) -> None:
        await self._stopping.acquire()
        await super().interrupt()


class LosesSessionOnResume(MessagesClient):
    """A session that was left amid its tools is taken for damaged and begun anew, under its own id."""

    def _restore(self) -> None:
        super()._restore()
        last = self._messages[-1]["content"] if self._opening.resume and self._messages else []
        if any(block["type"] == "tool_result" for block in last):
            self._messages, self._turns = [], []


class SharesHistoryWithFork(MessagesClient):
    """A fork goes on in the very list of the session that it was forked from."""

    _histories: ClassVar[dict[tuple[Path, str | None], list[dict[str, Any]]]] = {}

    def _restore(self) -> None:
        super()._restore()
        store = self._opening.store
        if self._opening.fork:
            self._messages = self._histories[store, self._opening.resume]
        self._histories[store, self._id] = self._messages


class RunsToolsAgain(MessagesClient):
    """When the request with the results is lost it goes back to the tools: they run again, and it asks again."""

    _calls: tuple[ToolUse, ...] = ()

    async def _round(self, current: Round) -> AsyncGenerator[Event, None]:
        calls, before = self._calls, len(self._messages)
        async with aclosing(super()._round(current)) as events:
            async for event in events:
                yield event
        self._calls = tuple(current.calls)
        lost = current.end is not None and current.end.ended == "connection_lost"
        # Without a transport it was disconnected: that it does not take for a lost request.
        if calls and lost and self._http is not None:
            del self._messages[before - 1 :]
            current.calls, current.end = list(calls), None


class SwallowsTruncation(MessagesClient):
    """A stream that is closed without its last event is a complete answer to it."""

    async def _read(self, response: httpx.Response, current: Round) -> AsyncGenerator[Event, None]:
        try:
            async with aclosing(super()._read(response, current)) as events:
                async for event in events:
                    yield event
        except httpx.RemoteProtocolError:
            current.end = TurnEnd()


class DoublesText(MessagesClient):
    """A lost answer is asked for again at once, and yielded from its start after what was yielded of the first."""

    async def _round(self, current: Round) -> AsyncGenerator[Event, None]:
        before = len(self._messages)
        async with aclosing(super()._round(current)) as events:
            async for event in events:
                yield event
        lost = current.end is not None and current.end.ended == "connection_lost"
        if not lost or self._http is None:
            return
        del self._messages[before:]
        current.stream, current.text, current.calls, current.end = self._new_stream(), "", [], None
        async with aclosing(super()._round(current)) as events:
            async for event in events:
                yield event


async def _left_open() -> None:
    """What is closed afterwards stays open."""


class LeaksConnection(MessagesClient):
    """An interrupted turn lets go of its response without closing it."""

    async def _read(self, response: httpx.Response, current: Round) -> AsyncGenerator[Event, None]:
        async with aclosing(super()._read(response, current)) as events:
            async for event in events:
                yield event
        if self._interrupted:
            response.stream.aclose = _left_open  # type: ignore[union-attr,method-assign]


class ChangesId(MessagesClient):
    """An interrupt while its tools run makes it a session under another id."""

    _amid_tools = False

    async def _run_tools(self, calls: Sequence[ToolUse]) -> AsyncGenerator[Event, None]:
        async with aclosing(super()._run_tools(calls)) as results:
            async for result in results:
                yield result
        self._amid_tools = self._interrupted

    def _finished(self, end: TurnEnd, usage: Usage) -> TurnEnd:
        if self._amid_tools:
            self._id, self._amid_tools = SessionStore.new_id(), False
        return super()._finished(end, usage)


class MissesWhatComesEarly(MessagesClient):
    """An interrupt that comes before the turn has asked anything stops nothing."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        self._interrupted = False
        async with aclosing(super().receive_response()) as events:
            async for event in events:
                yield event


class GoesOnAlone(MessagesClient):
    """One that is disconnected before it has asked asks all the same, and puts the answer down that nobody reads."""

    async def disconnect(self) -> None:
        if self._asked and self._http is not None:
            async with aclosing(super().receive_response()) as events:
                async for _ in events:
                    pass
            self._edit()
            self._save()
        await super().disconnect()

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        if self._http is None:
            yield TurnEnd(ended="connection_lost")
            return
        async with aclosing(super().receive_response()) as events:
            async for event in events:
                yield event

    def _edit(self) -> None:
        """What it puts down is what came."""


class MakesUpTheRest(GoesOnAlone):
    """And something that the model never said."""

    def _edit(self) -> None:
        self._messages[-1]["content"][0]["text"] += " And the hills are green."
