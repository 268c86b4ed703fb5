"""What an application shares between its users lives in one event loop, whatever the number of items."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import anthropic
import httpx
import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from convtest.clock import RealClock
from convtest.config import Config
from convtest.events import Event, TextDelta, TurnEnd
from convtest.play.loops import WORKERS, Job
from convtest.play.mode import Mode
from convtest.play.perform import Played, ready
from convtest.structs import replace
from tests.playing import Stage, checks_of, finding_of

ITEMS = """
scenario: one
timeout: 3s
steps: [{user: My name is Ada.}, {user: What is my name?}]
---
scenario: two
timeout: 3s
steps: [{user: My name is Bob.}, {user: What is my name?}]
"""
SHARED: dict[str, Any] = {}
GO = threading.Event()
# Nobody closes what such an application shares.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    SHARED.clear()
    yield
    worker = WORKERS.take()
    closing = {"http": "aclose", "client": "close"}
    for close in [getattr(SHARED[name], how) for name, how in closing.items() if name in SHARED]:
        job = Job(close, RealClock(1), shared=True)
        worker.take(job)
        job.done.wait(5)
    WORKERS.give_back(worker)
    SHARED.clear()
    WORKERS.close()


class Sdk:
    """One anthropic client for all users of the process, made at the first."""

    session_id: str | None = None

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.history: list[Any] = []

    async def connect(self) -> None:
        if "client" not in SHARED:
            SHARED["client"] = anthropic.AsyncAnthropic(api_key="x", max_retries=0)

    async def disconnect(self) -> None:
        pass

    async def query(self, text: str) -> None:
        self.history.append({"role": "user", "content": text})

    async def ask(self) -> str:
        opening = self.opening
        client = SHARED["client"].with_options(base_url=opening.base_url, api_key=opening.api_key)
        answer = await client.messages.create(model="claude-haiku-4-5", max_tokens=100, messages=self.history)
        return str(answer.content[0].text)

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        text = await self.ask()
        self.history.append({"role": "assistant", "content": text})
        yield TextDelta(text=text)
        yield TurnEnd()

    async def interrupt(self) -> None:
        pass


class Http(Sdk):
    """The same with a bare httpx client, which keeps its connections open."""

    async def connect(self) -> None:
        SHARED.setdefault("http", httpx.AsyncClient())

    async def ask(self) -> str:
        body = {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": self.history}
        headers = {"x-api-key": self.opening.api_key, "anthropic-version": "2023-06-01"}
        answer = await SHARED["http"].post(f"{self.opening.base_url}/v1/messages", json=body, headers=headers)
        return str(answer.json()["content"][0]["text"])


class Dispatcher(Sdk):
    """All requests are sent by one task of the process."""

    async def connect(self) -> None:
        await super().connect()
        if "queue" not in SHARED:
            SHARED["queue"] = asyncio.Queue()
            SHARED["task"] = asyncio.create_task(dispatch(SHARED["queue"]))

    async def ask(self) -> str:
        done = asyncio.get_running_loop().create_future()
        SHARED["queue"].put_nowait((super().ask, done))
        return str(await done)


async def dispatch(waiting: "asyncio.Queue[Any]") -> None:
    while True:
        ask, done = await waiting.get()
        try:
            done.set_result(await ask())
        except Exception as error:
            done.set_exception(error)


class HangsOnce(Http):
    """Keeps the event loop busy in its first turn of all, and never gives it back."""

    async def ask(self) -> str:
        lock = SHARED.setdefault("lock", asyncio.Lock())
        if "hung" not in SHARED:
            SHARED["hung"] = True
            await lock.acquire()
            SHARED["waiting"] = asyncio.create_task(lock.acquire())
            await asyncio.sleep(0)
            GO.wait()
        async with lock:
            return await super().ask()


class LeavesATask(MessagesClient):
    async def connect(self) -> None:
        await super().connect()
        self._idle = asyncio.create_task(asyncio.sleep(60))


class EndsItsTask(LeavesATask):
    """Honest: cancelled, and not waited for."""

    async def disconnect(self) -> None:
        self._idle.cancel()
        await super().disconnect()


def config(stage: Stage, client: type[Any], *, shared: bool = False, gateway: bool = False) -> Config:
    made = stage.config(f"tests.test_one_loop:{client.__name__}")
    profile = replace(made.profile("assistant"), shared=shared, gateway=gateway)
    return replace(made, clients={"assistant": profile})


def plays(stage: Stage, made: Config, text: str = ITEMS) -> Iterator[Played]:
    for scenario in stage.scenarios(text):
        stage.runs += 1
        folder = stage.root / f"run-{stage.runs}"
        folder.mkdir()
        yield ready(made, scenario, Mode()).play(folder)


@pytest.mark.parametrize("gateway", [False, True])
@pytest.mark.parametrize("client", [Sdk, Http])
def test_a_shared_client_is_as_good_in_the_second_item(stage: Stage, client: type[Any], gateway: bool) -> None:
    assert [checks_of(one) for one in plays(stage, config(stage, client, gateway=gateway))] == [[], []]


def test_a_shared_task_belongs_to_the_process_where_the_profile_says_so(stage: Stage) -> None:
    first, second = plays(stage, config(stage, Dispatcher, shared=True))

    assert (checks_of(first), checks_of(second)) == ([], [])
    # Its request goes to the turn in progress, though the task was made in another item.
    assert [len(one.interactions) for one in second.transcript.turns()] == [1, 1]


def test_else_it_is_left_over_and_named(stage: Stage) -> None:
    found = finding_of(next(plays(stage, config(stage, Dispatcher))), "no_leftovers")

    assert found.seen.startswith("the task dispatch, test_one_loop.py:")
    assert "shared = true" in found.advice


@pytest.mark.parametrize(("client", "fails"), [(LeavesATask, True), (EndsItsTask, False)])
def test_tasks_are_counted_at_the_items_end(stage: Stage, client: type[Any], fails: bool) -> None:
    for one in plays(stage, config(stage, client)):
        assert {check for check, _ in checks_of(one)} == ({"no_leftovers"} if fails else set())
        assert not fails or "the task sleep, tasks.py:" in finding_of(one, "no_leftovers").seen


def test_after_a_hang_what_fails_in_the_new_loop_names_the_item_that_hung(stage: Stage) -> None:
    first, second = plays(stage, config(stage, HangsOnce))
    GO.set()

    assert "the client does not let itself be cancelled" in finding_of(first, "timeout").seen
    crash = finding_of(second, "client").seen
    assert "bound to a different event loop" in crash
    assert "the event loop is a new one since scenarios/talk.yaml::one hung in the old one" in crash


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_child_that_was_forked_plays_in_a_thread_of_its_own(stage: Stage) -> None:
    text = ITEMS.partition("---")[0]
    assert stage.play(text).verdict.passed

    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            stage.runs = 100
            code = 0 if stage.play(text).verdict.passed else 2
        finally:
            os._exit(code)
    ended = 0
    for _ in range(600):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        time.sleep(0.05)
    else:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    assert ended, "it hung"
    assert os.waitstatus_to_exitcode(status) == 0
