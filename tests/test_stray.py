"""A client that leaves a cancellation behind, exits, or hangs in mid-stream: its failure, and how far it got."""

import asyncio
import sys
from collections.abc import AsyncGenerator

import anyio
import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.events import Event
from convtest.play import sessions, waiting
from convtest.structs import replace
from tests.playing import Stage, checks_of, finding_of

ME = "tests.test_stray"
TEXT = """
scenario: two turns
timeout: %s
steps:
  - user: Tell me a story about a lighthouse.
  - user: Tell me a story about a ship.
"""


class LeavesAScope(MessagesClient):
    """As query() of SDK 0.1.50 does after a break."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async for event in super().receive_response():
            yield event
        scope = anyio.CancelScope()
        scope.__enter__()
        scope.cancel()


class CancelsItsTaskLater(MessagesClient):
    """In the next turn, where an answer takes its time; here it is over by then."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        me = asyncio.current_task()
        assert me is not None
        async for event in super().receive_response():
            yield event
        asyncio.get_running_loop().call_later(0.01, me.cancel)


class CancelsFromATaskLater(MessagesClient):
    async def receive_response(self) -> AsyncGenerator[Event, None]:
        me = asyncio.current_task()
        assert me is not None

        async def cancel() -> None:
            await asyncio.sleep(0.1)
            me.cancel()

        async for event in super().receive_response():
            yield event
        self._task = asyncio.create_task(cancel())


class FlushesLater(MessagesClient):
    """Timers that nobody is cancelled by: one that goes off, one of a limit that was kept, one that is far away."""

    flushed = 0

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(0.2):
            async for event in super().receive_response():
                yield event
        loop.call_later(0.02, self._flush)
        loop.call_later(60, self._flush)

    def _flush(self) -> None:
        type(self).flushed += 1


class Polls(MessagesClient):
    """An honest poller in the background, as of a metrics exporter; it ends with its client."""

    async def connect(self) -> None:
        await super().connect()
        self._poller = asyncio.create_task(self._poll())

    async def _poll(self) -> None:
        while True:  # noqa: ASYNC110  as they are written
            await asyncio.sleep(0.1)

    async def disconnect(self) -> None:
        self._poller.cancel()
        await super().disconnect()


class PollsInTheLoop(Polls):
    """Its poller is shared by all of a process's clients, and ends with none of them."""

    async def disconnect(self) -> None:
        await MessagesClient.disconnect(self)


class CancelsItsTaskNow(MessagesClient):
    async def receive_response(self) -> AsyncGenerator[Event, None]:
        me = asyncio.current_task()
        assert me is not None
        async for event in super().receive_response():
            yield event
            me.cancel()


class RaisesCancelled(MessagesClient):
    async def query(self, text: str) -> None:
        raise asyncio.CancelledError


class RaisesAGroup(MessagesClient):
    async def query(self, text: str) -> None:
        raise BaseExceptionGroup("two", [ValueError("a"), asyncio.CancelledError()])


class Exits(MessagesClient):
    async def query(self, text: str) -> None:
        sys.exit(3)


class StopsReading(MessagesClient):
    """It reads three events, and waits for something else."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        count = 0
        async for event in super().receive_response():
            yield event
            if (count := count + 1) == 3:
                await anyio.sleep_forever()


CANCELLED = "its task was cancelled, and not by convtest"
SAYS = {
    "LeavesAScope": (1, "the client left a task group or cancel scope open"),
    "CancelsItsTaskLater": (2, CANCELLED),
    "CancelsFromATaskLater": (2, CANCELLED),
    "CancelsItsTaskNow": (1, CANCELLED),
    "RaisesCancelled": (1, CANCELLED),
    "RaisesAGroup": (1, "BaseExceptionGroup: two (2 sub-exceptions)"),
    "Exits": (1, "SystemExit: 3"),
}


@pytest.mark.parametrize(("client", "step", "says"), [(name, *row) for name, row in SAYS.items()], ids=list(SAYS))
def test_what_a_client_cancels_is_its_failure_and_nobody_elses(stage: Stage, client: str, step: int, says: str) -> None:
    outcome = stage.play(TEXT % "5s", f"{ME}:{client}")

    found = finding_of(outcome, "client")
    assert says in found.seen
    assert found.step in {step, 2}
    assert checks_of(stage.play(TEXT % "5s")) == [], "the next item is unharmed"


@pytest.mark.parametrize("client", ["CancelsItsTaskLater", "CancelsFromATaskLater"])
def test_a_cancellation_that_comes_after_the_last_turn_is_waited_for(stage: Stage, client: str) -> None:
    one = "\n".join(TEXT.splitlines()[:-1])

    assert CANCELLED in finding_of(stage.play(one % "5s", f"{ME}:{client}"), "client").seen


def test_timers_that_cancel_nobody_are_no_failure(stage: Stage) -> None:
    FlushesLater.flushed = 0

    assert checks_of(stage.play(TEXT % "5s", f"{ME}:FlushesLater")) == []
    assert FlushesLater.flushed == 2, "each went off while the session's task was there"


def test_a_poller_is_waited_for_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not until it stops: what is waited for is one of its rounds."""
    waited: list[float] = []
    real = waiting.outlive_timers

    async def noted() -> None:
        waited.append(waiting.timers_left())
        await real()

    monkeypatch.setattr(sessions, "outlive_timers", noted)

    assert checks_of(stage.play(TEXT % "5s", f"{ME}:Polls")) == []
    assert waited == [], "its poller ended with it"
    made = stage.config(f"{ME}:PollsInTheLoop")
    shared = replace(made, clients={"assistant": replace(made.profile("assistant"), shared=True)})
    assert checks_of(stage.play_with(shared, TEXT % "5s")) == []
    assert len(waited) == 1
    assert 0 < waited[0] <= waiting.LINGERED


def test_a_time_out_says_how_far_the_wire_got(stage: Stage) -> None:
    seen = finding_of(stage.play(TEXT % "200ms", f"{ME}:StopsReading"), "timeout").seen

    assert seen.startswith("the last thing seen: text ")
    assert "; 1 request sent, 0 answered, " in seen
    assert seen.endswith(" of the last answer came, 3 events yielded")
