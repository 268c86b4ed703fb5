"""Recordings of real models, made by plain vcrpy, played by scenarios; and caught when the client drops the history."""

import csv
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx
import msgspec
import pytest
import yaml

from convtest.cassettes import store
from convtest.clients.messages.client import MessagesClient
from convtest.clients.messages.sending import body_of
from convtest.clients.port import Opening
from convtest.config import Config, Profile
from convtest.events import Event, TextDelta, TurnEnd
from convtest.play.mode import Mode
from convtest.play.perform import Played, perform
from convtest.play.prepare import prepare
from convtest.scenario.loader import load
from convtest.wire.chat_stream import chat_stream
from convtest.wire.sse import parse
from tests.broken_clients import EditedTransport
from tests.playing import GOOD, checks_of

STREAMS = Path(__file__).parent.parent.parent / "shared" / "streams"
needs_streams = pytest.mark.skipif(
    not STREAMS.is_dir(), reason="the folder of recorded streams (shared/streams) is not here"
)
STEVE = "chatlas__test_provider_anthropic__test_anthropic_respects_turns_interface.yaml"
NO_OBJECT = "its one message is no object: no client could send it"
BLANK = "its client put blank text back into the history"
BETA = "the beta address"
EMPTY = "its client sends an empty assistant message"
WHY_NOT = {
    "dd-trace-py__cassettes__anthropic_completion_error.yaml": NO_OBJECT,
    "llm-anthropic__test_anthropic__test_tools.yaml": BLANK,
    "pydantic-ai__test_anthropic__test_anthropic_compaction_round_trip.yaml": BETA,
    "pydantic-ai__test_anthropic__test_anthropic_model_thinking_part_redacted_stream.yaml": BETA,
    "pydantic-ai__test_anthropic__test_anthropic_mcp_servers_stream.yaml": BETA,
    "mirascope__test_structured_output_resume_stream__strict__anthropic_claude_sonnet_4_5.yaml": BETA,
    "llm__test_tools_streaming__test_tools_streaming_variant_b.yaml": EMPTY,
}

TURNS_INTERFACE = """
    scenario: the turns interface is respected
    cassette: {cassette}
    unplayed: {{allow: 1, because: the first question was recorded twice}}
    facts:
      who: {{tell: My name is Steve, ask: What is my name?, answer: Steve}}
    sessions:
      pooh: {{options: {{system: "Return very minimal output, AND ONLY USE UPPERCASE."}}}}
      steve:
        options: {{system: "[empty string]"}}
        history:
          - user: My name is Steve
          - assistant: Hello Steve, how can I help you today?
    steps:
      - session: pooh
        user: What is the name of Winnie the Pooh's human friend?
        expect: {{contains: CHRISTOPHER ROBIN}}
      - session: steve
        ask: who
    """


def played(folder: Path, text: str, target: str, options: Mapping[str, Any], upstream: str = "simulator") -> Played:
    profile = Profile(name="assistant", kind="python", target=target, upstream=upstream, options=options)
    config = Config(
        root=folder,
        scenarios=(folder,),
        cassettes=folder / "cassettes",
        client="assistant",
        clients={"assistant": profile},
    )
    path = folder / "real.yaml"
    path.write_text(text)
    (scenario,) = load(path, shown="real.yaml", default_client="assistant", clients=("assistant",))
    return perform(prepare(config, scenario, Mode()), folder / f"run-{target.rpartition(':')[2]}")


@needs_streams
def test_a_session_with_a_preset_history_plays_a_real_recording(tmp_path: Path) -> None:
    text = dedent(TURNS_INTERFACE.format(cassette=STREAMS / STEVE))
    options = {"model": "claude-haiku-4-5-20251001", "max_tokens": 4096}

    good = played(tmp_path, text, GOOD, options)
    bad = played(tmp_path, text, "tests.broken_clients:forgetful", options)

    assert good.verdict.passed, good.verdict
    assert good.transcript.source == "replayed"
    assert ("knows", "wire") in checks_of(bad)
    assert ("history", "wire") in checks_of(bad)


def candidates(provider: str) -> list[str]:
    if not STREAMS.is_dir():
        return []
    with (STREAMS / "INDEX.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [row["file"] for row in rows if row["provider"] == provider and row["format"] == "vcrpy"]


def bodies(name: str) -> list[tuple[str, dict[str, Any]]]:
    found = yaml.safe_load((STREAMS / name).read_text())["interactions"]
    asked = [one["request"] for one in found]
    return [(one["uri"], one["parsed_body"] if "parsed_body" in one else json.loads(one["body"])) for one in asked]


def is_answer_to_tools(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    return message.get("role") == "tool" or any(block.get("type") == "tool_result" for block in blocks)


def text_of(message: Mapping[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)


def scenario_of(name: str, requests: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A scenario that sends what was recorded: one session for each prompt, with what came before as its history."""
    turns = [body for body in requests if not is_answer_to_tools(body["messages"][-1])]
    distinct = list({json.dumps(body["messages"], sort_keys=True): body for body in turns}.values())
    sessions: dict[str, Any] = {}
    steps = []
    for number, body in enumerate(distinct):
        system = body.get("system")
        options = {k: v for k, v in body.items() if k not in {"messages", "system", "tools", "stream"}}
        if system:
            options["system"] = system if isinstance(system, str) else "".join(block["text"] for block in system)
        before = [{message["role"]: text_of(message)} for message in body["messages"][:-1]]
        sessions[f"s{number}"] = {"options": options, **({"history": before} if before else {})}
        if body.get("tools") and not any(is_answer_to_tools(one["messages"][-1]) for one in requests):
            options["max_turns"] = 1  # where tools were asked for, nobody recorded what came of it
        ended = {"one_of": ["complete", "max_tokens", "max_turns"]}
        session = f"s{number}"
        if number and thought(body["messages"][:-1]) and body["messages"][:-2] == distinct[number - 1]["messages"]:
            # A history with thinking cannot be preset: it is what the session itself heard.
            del sessions[session]
            session = f"s{number - 1}"
            steps.append({"set": session, "options": options})
        steps.append({"session": session, "user": text_of(body["messages"][-1]), "expect": {"ended": ended}})
    scenario = {
        "scenario": name,
        "cassette": str(STREAMS / name),
        "unplayed": {"allow": len(turns) - len(distinct), "because": "asked twice"},
        "sessions": sessions,
        "tools": tools_of(requests),
        "steps": steps,
    }
    return scenario, sessions


def thought(messages: Sequence[dict[str, Any]]) -> bool:
    return any(block["type"] != "text" for m in messages if isinstance(m["content"], list) for block in m["content"])


def tools_of(requests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The offered tools as stand-ins, answering in the order in which the recording did."""
    results = [
        (use["name"], use["input"], result["content"])
        for body in requests
        for message, following in zip(body["messages"], body["messages"][1:], strict=False)
        if is_answer_to_tools(following) and isinstance(message["content"], list)
        for use in message["content"]
        if use.get("type") == "tool_use"
        for result in following["content"]
        if result.get("tool_use_id") == use["id"]
    ]
    return {
        tool["name"]: {
            "description": tool.get("description", ""),
            "input": {"x-schema": tool},
            "answers": [{"when": given, "return": text} for name, given, text in results if name == tool["name"]],
        }
        for body in requests[:1]
        for tool in body.get("tools") or []
        if "name" in tool
    }


def raw_requests(name: str) -> list[dict[str, Any]]:
    return [one["request"] for one in yaml.safe_load((STREAMS / name).read_text())["interactions"]]


def messages_of(name: str) -> list[Any]:
    return [message for _, body in bodies(name) for message in body["messages"]]


def blank_blocks(name: str) -> list[Any]:
    blocks = [block for message in messages_of(name) for block in message["content"] if isinstance(block, dict)]
    return [block for block in blocks if block.get("type") == "text" and not block["text"].strip()]


REASONS: dict[str, Callable[[str], Any]] = {
    NO_OBJECT: lambda name: not any(isinstance(message, dict) for message in messages_of(name)),
    BLANK: blank_blocks,
    BETA: lambda name: all("beta=true" in request["uri"] for request in raw_requests(name)),
    EMPTY: lambda name: [m for m in messages_of(name) if m["role"] == "assistant" and not m.get("content")],
}
"""What makes each reason true of a file."""


@needs_streams
@pytest.mark.parametrize("name", list(WHY_NOT))
def test_what_is_not_played_is_as_its_reason_says(name: str) -> None:
    assert REASONS[WHY_NOT[name]](name)


@needs_streams
def test_no_recording_is_left_out_unseen() -> None:
    anthropic, openai = candidates("anthropic"), candidates("openai")
    chat = [name for name in openai if all(uri.endswith("/chat/completions") for uri, _ in bodies(name))]

    assert (len(anthropic), len(openai), len(chat)) == (17, 4, 2)
    assert set(WHY_NOT) <= {*anthropic, *openai}


def drops_history(requests: Sequence[dict[str, Any]]) -> bool:
    return any(len(body["messages"]) > 1 for body in requests)


@needs_streams
@pytest.mark.parametrize("name", candidates("anthropic"))
def test_every_messages_recording_is_played_by_a_scenario(tmp_path: Path, name: str) -> None:
    if name in WHY_NOT:
        pytest.skip(WHY_NOT[name])
    requests = [body for _, body in bodies(name)]
    scenario, _ = scenario_of(name, requests)
    schemas = {tool["name"]: tool for body in requests for tool in body.get("tools") or []}
    RealTools.tools = list(schemas.values())

    good = played(tmp_path, dump(scenario), "tests.test_real_recordings:RealTools", {})

    assert good.verdict.passed, good.verdict
    if drops_history(requests):
        bad = played(tmp_path, dump(scenario), "tests.test_real_recordings:forgetful", {})
        assert not bad.verdict.passed
        assert "wire" in [layer for _, layer in checks_of(bad)]


def dump(scenario: Mapping[str, Any]) -> str:
    tools = {
        name: {**tool, "input": {}, "description": tool["description"]} for name, tool in scenario["tools"].items()
    }
    return json.dumps({**scenario, "tools": tools} if tools else {k: v for k, v in scenario.items() if k != "tools"})


class RealTools(MessagesClient):
    """Offers the recorded tools word for word."""

    tools: list[dict[str, Any]] = []  # noqa: RUF012  set by each test before it plays

    def _body(self) -> bytes:
        body = msgspec.json.decode(super()._body())
        body["tools"] = self.tools
        return msgspec.json.encode(body)


def forgetful(opening: Opening) -> MessagesClient:
    last = EditedTransport(opening.transport, lambda body: {**body, "messages": body["messages"][-1:]})
    return RealTools(replace(opening, transport=last))


class Chat:
    """A small client of Chat Completions: streamed text, history in its hand."""

    session_id = "chat"

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._messages: list[dict[str, Any]] = []

    async def connect(self) -> None:
        return None

    async def disconnect(self) -> None:
        return None

    async def interrupt(self) -> None:
        return None

    async def load_history(self, messages: Sequence[Mapping[str, Any]]) -> None:
        self._messages = [dict(message) for message in messages]

    async def query(self, text: str) -> None:
        self._messages.append({"role": "user", "content": text})

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        options = dict(self._opening.options)
        system = options.pop("system", None)
        messages = [{"role": "system", "content": system}] if system else []
        body = {**options, "stream": True, "messages": [*messages, *self._messages]}
        request = httpx.Request("POST", "https://api.openai.com/v1/chat/completions", json=body)
        response = await self._opening.transport.handle_async_request(request)
        data = b"".join([chunk async for chunk in body_of(response)])
        await body_of(response).aclose()
        for block in chat_stream(parse([data])).get("content") or []:
            yield TextDelta(text=block["text"])
        self._messages.append({"role": "assistant", "content": "kept"})
        yield TurnEnd(ended="complete" if response.status_code == 200 else "error")


def forgetful_chat(opening: Opening) -> Chat:
    last = EditedTransport(opening.transport, lambda body: {**body, "messages": body["messages"][-1:]})
    return Chat(replace(opening, transport=last))


@needs_streams
@pytest.mark.parametrize("name", candidates("openai"))
def test_every_chat_completions_recording_is_played_by_a_scenario(tmp_path: Path, name: str) -> None:
    if name in WHY_NOT:
        pytest.skip(WHY_NOT[name])
    if not all(uri.endswith("/chat/completions") for uri, _ in bodies(name)):
        pytest.skip("a recording of the Responses API")
    requests = [split_system(body) for _, body in bodies(name)]
    scenario, _ = scenario_of(name, requests)

    good = played(tmp_path, dump(scenario), "tests.test_real_recordings:Chat", {})
    bad = played(tmp_path, dump(scenario), "tests.test_real_recordings:forgetful_chat", {})

    assert good.verdict.passed, good.verdict
    assert "wire" in [layer for _, layer in checks_of(bad)]


def split_system(body: dict[str, Any]) -> dict[str, Any]:
    systems = [text_of(message) for message in body["messages"] if message["role"] == "system"]
    rest = [message for message in body["messages"] if message["role"] != "system"]
    return {**body, "messages": rest, **({"system": systems[0]} if systems else {})}


@needs_streams
@pytest.mark.parametrize("name", [*candidates("anthropic"), *candidates("openai")])
def test_every_recording_loads_and_its_answers_are_read(name: str) -> None:
    for one in store.load(STREAMS / name, shown=name):
        assert one.body
        assert one.lane is None
        assert one.status != 200 or one.reply().get("content")
