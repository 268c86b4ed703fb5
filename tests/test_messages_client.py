"""The `messages` client: conformance on both event loops, sessions that outlive the process, limits, tools, cost."""

import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening, SessionClient, SessionError, lacks
from convtest.clients.prices import PRICES, usd
from convtest.clients.store import SessionStore, forget
from convtest.clients.tools import import_target, python_tool
from convtest.clock import VirtualClock
from convtest.errors import ClientError, NetworkBlocked
from convtest.events import Event, ToolResult, TurnEnd, Usage, text_of
from convtest.probe.conformance import assert_conforms, cases, check_client
from convtest.simulator.rendering import Reply, chunks
from convtest.simulator.source import Simulator
from convtest.wire.interaction import Interaction
from convtest.wire.messages_api import PUBLIC_URL
from convtest.wire.tap import Answer, OpenTurn, Source, Tap, Via, WireFailure
from convtest.wire.transports import binding
from tests import broken_clients
from tests.playing import Stage, checks_of

BACKENDS = ["asyncio", "trio"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_conforms(tmp_path: Path, backend: str) -> None:
    async def results() -> Any:
        return await check_client(MessagesClient, folder=tmp_path)

    found = anyio.run(results, backend=backend)

    assert_conforms(found)
    assert {result.status for result in found} == {"passed"}
    assert len(found) == len(cases())


def test_conformance_names_what_a_client_lacks_and_what_it_does_wrong(tmp_path: Path) -> None:
    async def results(factory: Any) -> Any:
        return {result.case: result for result in await check_client(factory, folder=tmp_path / factory.__name__)}

    lacking = anyio.run(results, broken_clients.OpensATaskGroup)
    wrong = anyio.run(results, broken_clients.forgetful)

    assert lacking["clear"].status == lacking["restore"].status == "lacks"
    assert "clear_history()" in lacking["clear"].detail
    if tuple(map(int, version("anyio").split(".")[:2])) > (
        4,
        9,
    ):  # the lowest takes scopes closed out of order
        assert lacking["unknown-id"].status == "failed"
        assert "left a task group or cancel scope open" in lacking["unknown-id"].detail
    assert wrong["turn"].status == "passed"
    assert wrong["memory"].status == "failed"
    with pytest.raises(AssertionError, match="case memory:"):
        assert_conforms(wrong.values())


class OnThePackage(MessagesClient):
    """It sends what it sends without the transport that it is given, as the anthropic package does."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(replace(opening, transport=None))


class OnASocket(MessagesClient):
    """What it sends cannot be seen, and would leave this machine."""

    async def query(self, text: str) -> None:
        await anyio.connect_tcp("api.anthropic.com", 443)


def test_conformance_holds_for_clients_that_use_no_transport_of_ours(tmp_path: Path) -> None:
    async def results() -> Any:
        return await check_client(OnThePackage, folder=tmp_path)

    assert_conforms(anyio.run(results))


def test_conformance_leaves_this_machine_for_nothing(tmp_path: Path) -> None:
    async def results() -> Any:
        return await check_client(OnASocket, folder=tmp_path, only=["turn"])

    with pytest.raises(NetworkBlocked, match=r"api\.anthropic\.com"):
        anyio.run(results)


def test_it_is_a_session_client_and_condenses_nothing(tmp_path: Path) -> None:
    client = MessagesClient(opening(tmp_path, Simulator()))

    assert isinstance(client, SessionClient)
    assert lacks(client) == ["compact_history"]


def opening(folder: Path, source: Source, **more: Any) -> Opening:
    tap = Tap(source, VirtualClock())
    fields = {
        "session": "main",
        "options": {"model": "claude-haiku-4-5"},
        "base_url": PUBLIC_URL,
        "api_key": "x",
        "transport": binding("httpx").async_transport(tap, "main"),
        "workspace": folder,
        "store": folder / "store",
    }
    return Opening(**{**fields, **more})


async def turn(client: MessagesClient, prompt: str) -> list[Event]:
    await client.query(prompt)
    return [event async for event in client.receive_response()]


def talk(client: MessagesClient, *prompts: str) -> list[list[Event]]:
    async def run() -> list[list[Event]]:
        await client.connect()
        turns = [await turn(client, prompt) for prompt in prompts]
        await client.disconnect()
        return turns

    return anyio.run(run)


def end_of(events: list[Event]) -> TurnEnd:
    assert isinstance(events[-1], TurnEnd)
    return events[-1]


CHILD = """
import anyio, sys
from pathlib import Path
from tests.test_messages_client import opening, talk, text_of
from convtest.clients.messages.client import MessagesClient
from convtest.simulator.source import Simulator
client = MessagesClient(opening(Path(sys.argv[1]), Simulator(), resume=sys.argv[2]))
print(text_of(talk(client, "What is my name?")[0]))
"""


def test_where_the_folder_is_there_a_session_is_resumed_in_another_process(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    client = MessagesClient(opening(tmp_path, Simulator()))
    talk(client, "My name is Ada.")

    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), str(client.session_id)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "Your name is Ada."


@pytest.mark.parametrize("there", [True, False])
def test_a_session_that_was_saved_outlives_its_client(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "store").mkdir()
    client = MessagesClient(opening(tmp_path, Simulator()))
    talk(client, "My name is Ada.")

    resumed = MessagesClient(opening(tmp_path, Simulator(), resume=client.session_id))
    latest = MessagesClient(opening(tmp_path, Simulator(), continue_=True))

    assert text_of(talk(resumed, "What is my name?")[0]) == "Your name is Ada."
    assert text_of(talk(latest, "What is my name?")[0]) == "Your name is Ada."
    assert (tmp_path / "store").exists() is there


def test_a_folder_that_is_gone_has_no_sessions(tmp_path: Path) -> None:
    client = MessagesClient(opening(tmp_path, Simulator()))
    talk(client, "My name is Ada.")

    forget(tmp_path / "store")

    with pytest.raises(SessionError, match="no session with the id"):
        SessionStore(tmp_path / "store").load(str(client.session_id))


@pytest.mark.parametrize("id", ["", "..", "../../etc/passwd", "a/b", ".hidden", "nobody"])
def test_an_id_that_is_none_is_refused_by_name(tmp_path: Path, id: str) -> None:
    with pytest.raises(SessionError) as caught:
        SessionStore(tmp_path).load(id)

    assert caught.value.code == "session_not_found"


def test_continue_without_a_session_is_a_fresh_one(tmp_path: Path) -> None:
    client = MessagesClient(opening(tmp_path, Simulator(), continue_=True))

    assert "do not know" in text_of(talk(client, "What is my name?")[0])


class Scripted:
    """A source that answers with what it is given, one answer a request."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, data = answer
        return Answer(status=status, reason="", headers=(("content-type", "x"),), chunks=self._chunks(data))

    async def _chunks(self, data: list[Any]) -> AsyncIterator[bytes]:
        for one in data:
            await anyio.lowlevel.checkpoint()
            if isinstance(one, Exception):
                raise one
            yield one

    async def aclose(self) -> None:
        return None


def stream(**more: Any) -> list[bytes]:
    return chunks(Reply(id="m", model="x", **{"text": "one two three", "usage": {"output_tokens": 3}, **more}))


@pytest.mark.parametrize(
    ("answer", "ended", "error"),
    [
        ((200, stream()), "complete", None),
        ((200, stream(stop_reason="max_tokens")), "max_tokens", None),
        ((200, stream(stop_reason="refusal")), "refusal", None),
        ((200, stream()[:-1]), "connection_lost", None),
        ((200, [*stream()[:2], WireFailure("reset", "reset")]), "connection_lost", None),
        ((200, [*stream()[:2], WireFailure("timeout", "slow")]), "timeout", None),
        ((200, [*stream()[:2], b"event: x\ndata: {not json\n\n"]), "error", None),
        (
            (200, [b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n']),
            "overloaded",
            None,
        ),
        (WireFailure("refused", "no"), "refused", None),
        (WireFailure("no_response", "gone"), "connection_lost", None),
        ((400, [b'{"error":{"type":"invalid_request_error","message":"x"}}']), "error", "bad_request"),
        ((400, [b'{"error":{"message":"prompt is too long: 9 tokens"}}']), "error", "context_overflow"),
        ((401, [b"{}"]), "error", "not_authenticated"),
        ((404, [b"nothing here"]), "error", "model_not_found"),
        ((429, [b"{}"]), "rate_limited", None),
        ((529, [b"{}"]), "overloaded", None),
        ((500, [b"<html>"]), "error", None),
    ],
)
def test_every_way_to_end_has_its_name_and_the_next_turn_works(
    tmp_path: Path, answer: Any, ended: str, error: str | None
) -> None:
    client = MessagesClient(opening(tmp_path, Scripted(answer, (200, stream(text="fine")))))

    first, second = talk(client, "a", "b")

    assert (end_of(first).ended, end_of(first).error) == (ended, error)
    assert text_of(second) == "fine"


def test_tool_arguments_cut_off_by_max_tokens_do_not_break_the_history(tmp_path: Path) -> None:
    cut = stream(calls=(("t1", "f", {"a": "long text"}),), stop_reason="max_tokens")
    cut = [data for data in cut if b'long text\\"}' not in data and b"ng text" not in data]
    client = MessagesClient(opening(tmp_path, Scripted((200, cut), (200, stream()))))

    first, _ = talk(client, "a", "b")

    assert end_of(first).ended == "max_tokens"
    assert [block["type"] for message in client._messages for block in message["content"]].count("tool_use") == 0


def double(number: int) -> int:
    """Twice the number."""
    return number * 2


async def fails(number: int) -> int:
    raise ValueError("no numbers today")


def test_python_functions_are_tools() -> None:
    tool = python_tool("tests.test_messages_client:double", client="x")
    failing = python_tool("tests.test_messages_client:fails", client="x")

    assert (tool.name, tool.description) == ("double", "Twice the number.")
    assert tool.input_schema["properties"] == {"number": {"type": "integer"}}
    assert anyio.run(tool.call, {"number": 4}) == ("8", False)
    assert anyio.run(failing.call, {"number": 4}) == ("ValueError: no numbers today", True)


def test_python_tools_run_in_a_turn(tmp_path: Path) -> None:
    options = {"model": "m", "python_tools": ["tests.test_messages_client:double"]}
    source = Scripted(
        (200, stream(calls=(("t1", "double", {"number": 21}), ("t2", "nowhere", {})), stop_reason="tool_use")),
        (200, stream()),
    )

    (events,) = talk(MessagesClient(opening(tmp_path, source, options=options)), "go")

    results = [(event.text, event.is_error) for event in events if isinstance(event, ToolResult)]
    assert results == [("42", False), ("there is no tool 'nowhere'", True)]


@pytest.mark.parametrize("target", ["nowhere:x", "tests.playing:nothing", "tests.playing", "tests.playing:GOOD"])
def test_a_target_that_cannot_be_used_is_an_error_that_names_the_client(target: str) -> None:
    with pytest.raises(ClientError, match="client 'mine'"):
        import_target(target, client="mine")


def test_cost_follows_the_dated_table_and_can_be_overridden() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=100_000, cache_read_tokens=1_000_000)

    assert usd("claude-haiku-4-5", usage) == pytest.approx(1.0 + 0.5 + 0.1)
    assert usd("claude-haiku-4-5-20251001", usage) == usd("claude-haiku-4-5", usage)
    assert usd("somebody-elses", usage) is None
    assert usd("somebody-elses", usage, {"somebody-elses": {"input": 2, "output": 10}}) == pytest.approx(3.2)
    assert usd("claude-haiku-4-5", usage, {"claude-haiku-4-5": {"input": 0, "output": 0}}) == 0
    short, long = Usage(input_tokens=100_000), Usage(input_tokens=60_000, cache_read_tokens=50_000)
    assert usd("claude-haiku-5-5", short) == pytest.approx(0.01)
    assert usd("claude-haiku-5-5", long) == pytest.approx((60_000 * 0.5 + 50_000 * 0.05) / 1e6)
    assert all(price.output >= price.input > price.cache_read for price in PRICES.values())


def test_usage_adds_up_over_the_rounds_of_a_turn(stage: Stage) -> None:
    outcome = stage.play(
        """
        scenario: rounds
        tools:
          look_up: {input: {what: string}, answers: [{return: found}]}
        steps:
          - user: Look it up.
            simulate:
              - {calls: [{look_up: {what: it}}], usage: {input_tokens: 100, output_tokens: 10}}
              - {text: Done., usage: {input_tokens: 150, output_tokens: 5, cache_read_input_tokens: 50}}
            expect:
              usage: {input_tokens: 250, output_tokens: 15, cache_read_tokens: 50}
        """
    )

    assert outcome.verdict.passed, outcome.verdict


def test_dropping_history_at_a_limit_is_declared_by_the_client(stage: Stage) -> None:
    text = """
        scenario: limit
        options: {max_messages: 4}
        steps:
          - user: My name is Ada.
          - user: I like tea and long walks.
          - user: What is 1 + 1?
            expect:
              sent: {lacks: Ada}
        """

    assert stage.play(text).verdict.passed
    assert ("history", "wire") in checks_of(stage.play(text, "tests.test_messages_client:DropsInSilence"))


class DropsInSilence(MessagesClient):
    """Drops history at its limit and does not say so."""

    async def receive_response(self) -> Any:
        self._dropped = False
        async for event in super().receive_response():
            yield event
