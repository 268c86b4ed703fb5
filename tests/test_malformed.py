"""Requests that no API takes: refused in the API's words, kept, compared and shown like any other."""

import json
from collections.abc import Callable
from itertools import combinations
from typing import Any

import anyio
import msgspec
import pytest

from convtest.cassettes.scrubbing import Scrubber
from convtest.checks.habits import is_kept
from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from convtest.clock import VirtualClock
from convtest.reporting.failure import failure_text
from convtest.reporting.snapshot import snapshot_text
from convtest.simulator.source import Simulator
from convtest.wire.blocks import Block
from convtest.wire.canonical import Canonical, canonical
from convtest.wire.interaction import Interaction, Request
from convtest.wire.tap import Answer, Via
from tests.broken_clients import edited
from tests.gateways import TOKEN, Serving, request, serving
from tests.playing import Stage
from tests.project import Project

ANTHROPIC = "https://api.anthropic.com/v1/messages"
CHAT = "https://api.openai.com/v1/chat/completions"
RESPONSES = "https://api.openai.com/v1/responses"
USER = {"role": "user", "content": "a"}

OF_CHAT: list[tuple[dict[str, Any], str]] = [
    ({"messages": [None]}, "messages.0: Input should be a valid dictionary"),
    ({"messages": [5]}, "messages.0: Input should be a valid dictionary"),
    ({"messages": [[USER]]}, "messages.0: Input should be a valid dictionary"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content: Input should be a valid string or list"),
    ({"messages": [{"role": "user", "content": [5]}]}, "messages.0.content.0: Input should be a valid dictionary"),
    ({"messages": [{"content": "a"}]}, "messages.0.role: Input should be 'system'"),
    (
        {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": 5}]},
        "messages.1.tool_calls: Input should be a valid list",
    ),
    (
        {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [5]}]},
        "messages.1.tool_calls.0: Input should be a valid dictionary",
    ),
    (
        {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "function": 5}]}]},
        "messages.1.tool_calls.0.function: Input should be a valid dictionary",
    ),
    ({"messages": [USER, {"role": "tool", "content": "x"}]}, "messages.1.tool_call_id: Input should be a valid string"),
    ({"messages": {"role": "user"}}, "messages: Input should be a valid list"),
    ({}, "messages: Field required"),
    ({"messages": [USER], "stream": True, "stream_options": 5}, "stream_options: Input should be a valid dictionary"),
    ({"messages": [USER], "tools": [5]}, "tools.0: Input should be a valid dictionary"),
    ({"messages": [USER], "max_completion_tokens": "x"}, "max_completion_tokens: Input should be a valid integer"),
]
OF_MESSAGES: list[tuple[dict[str, Any], str]] = [
    ({"messages": [{"role": "user", "content": [5]}]}, "messages.0.content.0: Input should be a valid dictionary"),
    ({"messages": [{"role": "user", "content": ["hi"]}]}, "messages.0.content.0: Input should be a valid dictionary"),
    ({"messages": [{"role": "user", "content": [{"type": []}]}]}, "messages.0.content.0.type: Input should be a"),
    ({"messages": [{"role": [], "content": "a"}]}, "messages.0.role: Input should be 'user' or 'assistant'"),
    ({"messages": [5]}, "messages.0: Input should be a valid dictionary"),
    ({"messages": {"role": "user"}}, "messages: Input should be a valid list"),
    ({"messages": [USER], "system": 5}, "system: Input should be a valid string or list"),
    ({"messages": [USER], "tools": 5}, "tools: Input should be a valid list"),
    ({"messages": [USER], "tools": [5]}, "tools.0: Input should be a valid dictionary"),
    ({"messages": [USER], "stream": "yes"}, "stream: Input should be a valid boolean"),
]
OF_RESPONSES: list[dict[str, Any]] = [
    {"input": 5},
    {"input": [5]},
    {"input": ["5"]},
    {"input": [[USER]]},
    {"input": [{"content": "a"}]},
    {"input": [{"role": 5, "content": "a"}]},
    {"input": [{"role": "user", "content": 5}]},
    {"input": [{"role": "user", "content": "5"}]},
    {"input": USER},
    {"input": "a", "instructions": 5},
    {"input": "a", "messages": [USER]},
    {"input": "a", "system": "b"},
    {"input": "a"},
]
ALL = [
    *((CHAT, {"model": "m", **body}) for body, _ in OF_CHAT),
    *((ANTHROPIC, {"model": "m", "max_tokens": 9, **body}) for body, _ in OF_MESSAGES),
    *((RESPONSES, {"model": "m", **body}) for body in OF_RESPONSES),
]


def form(url: str, body: Any) -> Canonical:
    return canonical("POST", url, msgspec.json.encode(body))


async def _nowhere(request: Request) -> Answer:
    raise AssertionError("nothing is sent on")


async def _answer(url: str, data: bytes) -> tuple[int, Any]:
    asked = Interaction(number=1, lane="main", turn=1, request=Request(method="POST", url=url, headers=(), body=data))
    answer = await Simulator().answer(asked, None, Via(clock=VirtualClock(), forward=_nowhere))
    return answer.status, msgspec.json.decode(b"".join([chunk async for chunk in answer.chunks]))


@pytest.mark.parametrize(("body", "problem"), OF_CHAT)
def test_chat_completions_refuses_what_is_malformed(body: dict[str, Any], problem: str) -> None:
    status, data = anyio.run(_answer, CHAT, msgspec.json.encode({"model": "m", **body}))

    assert status == 400
    assert data["error"]["message"].startswith(problem)
    assert data["error"] | {"message": ""} == {
        "message": "", "type": "invalid_request_error", "param": problem.partition(":")[0], "code": None,
    }  # fmt: skip


@pytest.mark.parametrize(("body", "problem"), OF_MESSAGES)
def test_the_messages_api_refuses_what_is_malformed(body: dict[str, Any], problem: str) -> None:
    status, data = anyio.run(_answer, ANTHROPIC, msgspec.json.encode({"model": "m", "max_tokens": 9, **body}))

    assert (status, data["type"], data["error"]["type"]) == (400, "error", "invalid_request_error")
    assert data["error"]["message"].startswith(problem)


@pytest.mark.parametrize("url", [CHAT, ANTHROPIC, RESPONSES])
@pytest.mark.parametrize("key", ["messages", "tools", "system", "input"])
@pytest.mark.parametrize("depth", [300, 800, 5000])
def test_what_is_nested_too_deep_is_read_and_refused(url: str, key: str, depth: int) -> None:
    data = b'{"model": "m", "max_tokens": 9, "%s": ' % key.encode() + b"[" * depth + b'"x"' + b"]" * depth + b"}"

    for scrubber in (None, Scrubber()):
        found = canonical("POST", url, data, scrubber)
        assert found.key == canonical("POST", url, data, scrubber).key
        assert found.texts() is not None
        assert found.settings() is not None
    assert anyio.run(_answer, url, data)[0] in {400, 404}


@pytest.mark.parametrize("url", [CHAT, ANTHROPIC, RESPONSES])
def test_malformed_requests_that_differ_are_unequal(url: str) -> None:
    bodies = [body for where, body in ALL if where == url]
    bodies += [{"messages": one, "input": one} for one in (5, "5", [5], ["5"], [[5]], [{"role": "", "content": "5"}])]

    for one, other in combinations(bodies, 2):
        assert form(url, one).key != form(url, other).key, (one, other)


def test_what_cannot_be_read_is_kept_as_text() -> None:
    (message,) = form(CHAT, {"messages": [[USER]]}).messages

    assert message["role"] == ""
    assert json.loads(message["content"][0]["text"]) == [USER]


def test_a_tool_whose_name_has_a_space_is_compared_as_text() -> None:
    one, other = Block("assistant", "tool_use", 'a b {"x": 1}'), Block("assistant", "tool_use", "a b {}")

    assert is_kept(one, one)
    assert not is_kept(one, other)


TALK = """
    scenario: a talk
    snapshot: true
    facts:
      who:
        tell: My name is Ada.
        ask: What is my name?
        answer: Ada
    steps:
      - tell: who
      - ask: who
        expect:
          sent: {roles: [user, assistant, user], contains: Ada}
    """
EDITS: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
    lambda body: {**body, "messages": [None, *body["messages"]]},
    lambda body: {**body, "messages": [*body["messages"], 5]},
    lambda body: {**body, "messages": {"all": body["messages"]}},
    lambda body: {**body, "messages": [*body["messages"], {"role": ["user"], "content": 5}]},
    lambda body: {**body, "messages": [*body["messages"], {"role": "user", "content": [5, {"type": {}}]}]},
    lambda body: {**body, "messages": [*body["messages"], {"role": "assistant", "content": [{"type": "tool_use"}]}]},
    lambda body: {**body, "system": 5, "tools": [5]},
    lambda body: {**body, "tools": {"a": 5}},
]
_EDIT: list[Callable[[dict[str, Any]], dict[str, Any]]] = [lambda body: body]


def malformed(opening: Opening) -> MessagesClient:
    return edited(opening, _EDIT[0])


@pytest.mark.parametrize("edit", EDITS)
def test_every_check_copes(stage: Stage, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    _EDIT[0] = edit

    simulated = stage.play(TALK, f"{__name__}:malformed")
    stage.record(TALK)
    replayed = stage.play(TALK, f"{__name__}:malformed")

    for one in (simulated, replayed):
        assert not one.verdict.passed
        assert snapshot_text(one.result())
        assert failure_text(one.result())
    assert "miss" in {finding.check for finding in replayed.verdict.findings}


def _sent(found: Serving, url: str, body: Any) -> bytes:
    path = "/s/serve/main/v1/" + url.partition("/v1/")[2]
    return found.raw(request(msgspec.json.encode(body), host=f"127.0.0.1:{found.port}", path=path))


def test_the_gateway_refuses_records_and_replays_them(project: Project) -> None:
    with serving(project.root, "--record", "c.yaml", "--speed", "1000") as found:
        statuses = {_sent(found, *one).split(b" ")[1] for one in ALL}
        assert found.stop()[0] == 0
    with serving(project.root, "--replay", "c.yaml", "--speed", "1000") as found:
        again = {_sent(found, *one).split(b" ")[1] for one in ALL}
        code, _, err = found.stop()

    assert statuses == again == {b"200", b"400"}
    assert (code, err) == (0, "")
    assert TOKEN not in (project.root / "c.yaml").read_text()
    assert "messages.0: Input should be" in project.convtest("show", "c.yaml").out
    same = project.convtest("diff", "c.yaml", "c.yaml")
    assert (same.code, same.out.strip()) == (0, "the same conversation")
