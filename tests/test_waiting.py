"""A client that sleeps by itself is judged by the time that it really waited, wherever it sleeps."""

import time
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import anyio
import pytest

from convtest.events import Event, TextDelta, TurnEnd
from convtest.play.mode import Mode
from tests.playing import Stage, checks_of, finding_of

WAIT = 0.5
"""Seconds."""
ASKED = """
scenario: an honest retry
steps:
  - user: What is 1 + 1?
    fault: {status: 429, retry_after: 500ms}
    expect:
      contains: "2"
      retries: {count: 1, after: 500ms}
      conduct: {retry_after: obeyed, surfaced: complete}
"""


class Package:
    """The anthropic package as it is: it sleeps in the event loop before another try."""

    session_id = "s"

    def __init__(self, opening: Any) -> None:
        self._opening = opening
        self._text = ""

    async def connect(self) -> None:
        self._model = anthropic.AsyncAnthropic(base_url=self._opening.base_url, api_key=self._opening.api_key)

    async def disconnect(self) -> None:
        await self._model.close()

    async def query(self, text: str) -> None:
        self._text = text

    async def interrupt(self) -> None: ...

    async def ask(self) -> str:
        answer = await self._model.messages.create(
            model="claude-haiku-4-5", max_tokens=9, messages=[{"role": "user", "content": self._text}]
        )
        return "".join(block.text for block in answer.content if block.type == "text")

    async def receive_response(self) -> AsyncIterator[Event]:
        yield TextDelta(text=await self.ask())
        yield TurnEnd()


class Hasty(Package):
    """Asks again at once, whatever it is told."""

    async def ask(self) -> str:
        for _ in range(3):
            try:
                return await super().ask()
            except anthropic.RateLimitError:
                continue
        raise AssertionError

    async def connect(self) -> None:
        await super().connect()
        self._model = self._model.with_options(max_retries=0)


class Blocks(Hasty):
    """Sleeps in the event loop's own thread."""

    async def ask(self) -> str:
        try:
            return await Package.ask(self)
        except anthropic.RateLimitError:
            time.sleep(WAIT)  # noqa: ASYNC251  that is what it is about
        return await Package.ask(self)


class InAThread(Hasty):
    """Sleeps in a worker thread."""

    async def ask(self) -> str:
        try:
            return await Package.ask(self)
        except anthropic.RateLimitError:
            await anyio.to_thread.run_sync(time.sleep, WAIT)
        return await Package.ask(self)


def target(client: type) -> str:
    return f"tests.test_waiting:{client.__name__}"


@pytest.mark.parametrize("client", [Package, Blocks, InAThread])
def test_a_client_that_waits_by_itself_has_waited(stage: Stage, client: type) -> None:
    recorded = stage.play(ASKED, target(client), Mode(record="all"))
    replayed = stage.play(ASKED, target(client))

    for outcome in (recorded, replayed):
        assert checks_of(outcome) == []
        assert (outcome.transcript.turns()[0].total_ms or 0) >= WAIT * 900


def test_on_trio_too(stage: Stage) -> None:
    outcome = stage.play(ASKED, target(InAThread), Mode(backend="trio"))

    assert checks_of(outcome) == []


def test_one_that_does_not_wait_has_not(stage: Stage) -> None:
    outcome = stage.play(ASKED, target(Hasty))

    assert {check for check, _ in checks_of(outcome)} == {"retries", "conduct"}
    assert finding_of(outcome, "conduct").seen == "retry_after: ignored"


def test_what_nobody_waits_for_takes_no_time_of_the_item(stage: Stage) -> None:
    """Our own work is none of it: the times of a recording are the same on every machine."""
    text = "scenario: quick\nsteps: [{user: What is 1 + 1?}, {user: Tell me a story., simulate: {words: 60}}]"

    first, again = stage.play(text), stage.play(text)

    times = [[turn.total_ms for turn in outcome.transcript.turns()] for outcome in (first, again)]
    assert times[0] == times[1]
