"""A client that leaves a cancellation behind, exits, or hangs in mid-stream: its failure, and how far it got."""

import asyncio
import sys
from collections.abc import AsyncGenerator

import anyio
import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.events import Event
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
    async def query(self, text: str) -> None:
        await anyio.sleep(0.1)
        await super().query(text)

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        me = asyncio.current_task()
        assert me is not None
        async for event in super().receive_response():
            yield event
        asyncio.get_running_loop().call_later(0.01, me.cancel)


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


def test_a_time_out_says_how_far_the_wire_got(stage: Stage) -> None:
    seen = finding_of(stage.play(TEXT % "200ms", f"{ME}:StopsReading"), "timeout").seen

    assert seen.startswith("the last thing seen: text ")
    assert "; 1 request sent, 0 answered, " in seen
    assert seen.endswith(" of the last answer came, 3 events yielded")
