"""The Responses API of the simulator streams, keeps and refuses as the real one does; by the openai package."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import yaml

from convtest import Event, Opening, SessionError, TextDelta, Thinking, ToolResult, ToolUse, TurnEnd
from convtest.clock import VirtualClock
from convtest.config import Config, Profile
from convtest.play.mode import Mode
from convtest.scenario.grammar import SimulateShape
from convtest.simulator.rendering import Reply
from convtest.simulator.responses_rendering import chunks
from convtest.simulator.source import Simulator
from convtest.structs import replace
from convtest.wire import lanes
from convtest.wire.sse import parse
from convtest.wire.tap import OpenTurn, Tap
from tests.gateways import TOKEN, serving
from tests.playing import Stage, checks_of

STREAMS = Path(__file__).parent.parent.parent / "shared" / "streams"
TOOL: Any = {"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {"what": {}}}}


@contextmanager
def account(*rounds: SimulateShape) -> Iterator[openai.OpenAI]:
    """A client in process; `rounds`: what is simulated in the turn that is going on."""
    tap = Tap(Simulator((), {0: list(rounds)}, {0: ""}), VirtualClock())
    tap.begin_turn("main", OpenTurn(number=0))
    with (
        lanes.active(tap),
        lanes.routed(tap, "main"),
        openai.OpenAI(base_url="https://api.openai.com/v1", api_key="k", max_retries=0) as client,
    ):
        yield client


def refused(error: Any) -> tuple[int, Any, Any]:
    return error.value.status_code, error.value.param, error.value.code


def test_the_openai_package_reads_an_answer_whole_and_streamed() -> None:
    with account() as client:
        whole = client.responses.create(model="m", input="What is 15 * 7?")
        with client.responses.stream(model="m", input="What is 15 * 7?") as stream:
            events = list(stream)
            final = stream.get_final_response()

    assert whole.output_text == final.output_text == "The result is 105."
    assert "".join(one.delta for one in events if one.type == "response.output_text.delta") == "The result is 105."
    assert (whole.status, whole.error, whole.incomplete_details) == ("completed", None, None)
    assert whole.usage is not None
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens > 20
    assert [one.sequence_number for one in events if hasattr(one, "sequence_number")] == list(range(len(events)))


def types(data: bytes) -> list[str]:
    """The events' types, deltas of one kind once."""
    found: list[str] = []
    for event in parse([data]):
        if not (found and found[-1] == event.event and event.event.endswith(".delta")):
            found.append(event.event)
    return found


def keys(data: bytes) -> dict[str, set[str]]:
    """What each type of event holds, by its type and that of its item."""
    found: dict[str, set[str]] = {}
    for event in parse([data]):
        one = json.loads(event.data)
        inner = one.get("item") or one.get("part") or one.get("response") or {}
        kind = f"{event.event} {inner.get('type', '')}"
        found[kind] = found.get(kind, set()) | {*one, *(f".{key}" for key in inner)}
    return found


@pytest.mark.skipif(not STREAMS.is_dir(), reason="the folder of recorded streams (shared/streams) is not here")
@pytest.mark.parametrize("calls", [(), (("call_1", "get_date", {}),)], ids=["text", "a tool"])
def test_a_stream_has_the_events_of_a_recorded_one_in_their_order(calls: Any) -> None:
    name = (
        "chatlas__test_chat_dangling_tools__TestDanglingToolRequests.test_can_resume_chat_after_dangling_tool_requests"
    )
    recorded = yaml.safe_load((STREAMS / f"{name}.yaml").read_text())["interactions"][0 if calls else 1]
    real = recorded["response"]["body"]["string"]
    ours = b"".join(chunks(Reply(id="msg_1", model="m", text="" if calls else "It is 2001.", calls=calls), {}))
    real = real if isinstance(real, bytes) else real.encode()

    assert types(ours) == types(real)
    known = {"obfuscation", ".frequency_penalty", ".presence_penalty", ".prompt_cache_retention", ".phase"}
    for kind, held in keys(real).items():
        assert held - keys(ours)[kind] <= known, kind


@pytest.mark.parametrize("stream", [False, True])
def test_calls_thinking_and_limits(stream: bool) -> None:
    def asked(client: openai.OpenAI, **more: Any) -> Any:
        given: dict[str, Any] = {"model": "m", "input": "Look it up.", "tools": [TOOL], **more}
        if not stream:
            return client.responses.create(**given)
        with client.responses.create(stream=True, **given) as found:
            return list(found)[-1].response

    looks = SimulateShape(thinking="Where is it?", text="I will look.", calls=[{"look_up": {"what": "it"}}])
    with account(looks) as client:
        reasoning, message, call = asked(client).output
    with account() as client:
        short = asked(client, input="Tell me a long story about a lamp.", max_output_tokens=16)

    assert (reasoning.type, reasoning.summary[0].text) == ("reasoning", "Where is it?")
    assert message.content[0].text == "I will look."
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "look_up", {"what": "it"})
    assert short.status == "incomplete"
    assert short.incomplete_details.reason == "max_output_tokens"


def test_an_answer_is_gone_on_from_by_its_id_unless_it_was_not_stored() -> None:
    with account() as client:
        first = client.responses.create(model="m", input="My name is Ada.", instructions="Be terse.")
        second = client.responses.create(model="m", input="What is my name?", previous_response_id=first.id)
        forked = client.responses.create(model="m", input="What is my name?", previous_response_id=first.id)
        given = [one.type for one in client.responses.input_items.list(second.id)]
        unstored = client.responses.create(model="m", input="My name is Bob.", store=False)
        with pytest.raises(openai.BadRequestError, match=f"'{unstored.id}' not found") as gone:
            client.responses.create(model="m", input="What is my name?", previous_response_id=unstored.id)
        fetched = client.responses.retrieve(first.id)
        client.responses.delete(first.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(first.id)

    assert "Ada" in second.output_text
    assert "Ada" in forked.output_text
    assert fetched.output_text == first.output_text
    assert given == ["message"] * 3
    assert refused(gone) == (400, "previous_response_id", "previous_response_not_found")


def test_a_conversation_holds_what_was_said_in_it_and_put_into_it() -> None:
    with account() as client:
        held = client.conversations.create(items=[{"type": "message", "role": "user", "content": "My name is Ada."}])
        other = client.conversations.create()
        asked = [
            client.responses.create(model="m", input="What is my name?", conversation=one)
            for one in (held.id, other.id)
        ]
        client.conversations.items.create(
            held.id, items=[{"type": "message", "role": "user", "content": "My name is Grace."}]
        )
        renamed = client.responses.create(model="m", input="What is my name?", conversation=held.id)
        items = client.conversations.items.list(held.id, order="asc").data
        client.conversations.delete(held.id)
        with pytest.raises(openai.NotFoundError, match="Conversation with id"):
            client.responses.create(model="m", input="And now?", conversation=held.id)

    assert ["Ada" in one.output_text for one in asked] == [True, False]
    assert "Grace" in renamed.output_text
    assert [getattr(one, "role", "") for one in items] == ["user", "user", "assistant", "user", "user", "assistant"]
    assert len({one.id for one in items}) == 6


CALL = {"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "in the attic"}
HELLO = {"role": "user", "content": "Hello."}
REFUSED: dict[str, tuple[dict[str, Any], str, Any, Any]] = {
    "no model": ({"model": None}, "Missing required parameter: 'model'", "model", "missing_required_parameter"),
    "nothing": ({"input": None}, 'One of "input"', "input", "missing_required_parameter"),
    "chat's messages": ({"messages": [HELLO]}, "Unknown parameter: 'messages'", "messages", "unknown_parameter"),
    "chat's roles": (
        {"input": [{"role": "tool", "content": "x"}]}, "Invalid value: 'tool'", "input[0].role", "invalid_value",
    ),
    "chat's parts": (
        {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "Supported values are: 'input_text'",
        "input[0].content[0].type", "invalid_value",
    ),
    "an answer as a question": (
        {"input": [HELLO, {"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
        "'output_text' and 'refusal'", "input[1].content[0].type", "invalid_value",
    ),
    "chat's tools": (
        {"tools": [{"type": "function", "function": {"name": "x"}}]}, "Missing required parameter: 'tools[0].name'",
        "tools[0].name", "missing_required_parameter",
    ),
    "a number": ({"input": 5}, "expected one of an array of objects or string, but got an integer", "input",
                 "invalid_type"),
    "another API's id": (
        {"input": [HELLO, {**CALL, "id": "toolu_1"}, RESULT]}, "begins with 'fc'", "input[1].id", "invalid_value",
    ),
    "a call without its result": ({"input": [HELLO, CALL]}, "No tool output found for function call c1", "input", None),
    "a result without its call": (
        {"input": [HELLO, RESULT]}, "No tool call found for function call output with call_id c1", "input", None,
    ),
    "few tokens": ({"max_output_tokens": 5}, ">= 16, but got 5", "max_output_tokens", "integer_below_min_value"),
    "an unknown answer": (
        {"previous_response_id": "resp_x"}, "Previous response with id 'resp_x' not found", "previous_response_id",
        "previous_response_not_found",
    ),
    "two histories": (
        {"previous_response_id": "resp_x", "conversation": "conv_x"}, "Mutually exclusive", None,
        "mutually_exclusive_parameters",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_api_refuses_is_refused_in_its_words(name: str) -> None:
    changed, words, param, code = REFUSED[name]
    body = {key: value for key, value in {"model": "m", "input": "Hi.", **changed}.items() if value is not None}
    with account() as client, pytest.raises(openai.BadRequestError) as error:
        client.post("/responses", body=body, cast_to=httpx2.Response)

    assert words in error.value.message
    assert refused(error) == (400, param, code)


def test_an_item_counts_once_and_is_there_when_it_is_named() -> None:
    looks = SimulateShape(calls=[{"look_up": {"what": "it"}}])
    with account(looks) as client:
        first = client.responses.create(model="m", input="Look it up.", tools=[TOOL])
        call: Any = first.output[0]
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "in the attic"}
        again: Any = [call.to_dict(), result]
        goes_on = {"model": "m", "previous_response_id": first.id, "tools": [TOOL]}
        with pytest.raises(openai.BadRequestError, match="Duplicate item found"):
            client.responses.create(input=again, **goes_on)  # type: ignore[call-overload]
        with pytest.raises(openai.BadRequestError, match="No tool output found"):
            client.responses.create(input="Never mind.", **goes_on)  # type: ignore[call-overload]
        answered = client.responses.create(input=[result], **goes_on)  # type: ignore[call-overload]
        lost: Any = [{"type": "item_reference", "id": "msg_none"}]
        with pytest.raises(openai.NotFoundError, match="Items are not persisted"):
            client.responses.create(model="m", input=lost)

    assert "attic" in answered.output_text


def test_the_gateway_serves_it(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--speed", "1000") as found,
        openai.OpenAI(base_url=f"{found.url}/s/serve/main/v1", api_key=TOKEN, max_retries=0) as client,
    ):
        held = client.conversations.create()
        told = client.responses.create(model="m", input="My name is Ada.", conversation=held.id)
        with client.responses.stream(model="m", input="What is my name?", conversation=held.id) as stream:
            text = stream.get_final_response().output_text
        chained = client.responses.create(model="m", input="What is my name?", previous_response_id=told.id)

    assert "Ada" in text
    assert "Ada" in chained.output_text


class App:
    """A chatbot that leaves its history to the server. `bug`: stale (chains to its first answer), none (to nothing)."""

    session_id = None

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._bug = opening.options.get("bug")
        self._previous: str | None = None
        self._next: Any = None
        self._stopped = False

    async def connect(self) -> None:
        if self._opening.resume:
            raise SessionError("session_not_found", "sessions are not kept")
        base, key = self._opening.base_url, self._opening.api_key
        self._model = openai.AsyncOpenAI(base_url=base, api_key=key, max_retries=0)

    async def disconnect(self) -> None:
        await self._model.close()

    async def query(self, text: str) -> None:
        self._next, self._stopped = text, False

    async def interrupt(self) -> None:
        self._stopped = True

    async def receive_response(self) -> AsyncIterator[Event]:
        tools: Any = [
            {"type": "function", "name": one.name, "parameters": dict(one.input_schema), "strict": False}
            for one in self._opening.tools
        ]
        calls: list[Any] = []
        while self._next is not None:
            more = {"previous_response_id": self._previous} if self._previous and self._bug != "none" else {}
            given = {"model": "gpt-own", "input": self._next, "tools": tools, **more}
            self._next = None
            try:
                async for event in self._answer(given, calls):
                    yield event
            except openai.APIStatusError as error:
                yield TurnEnd(ended="error", message=str(error))
                return
            except openai.APIError as error:
                yield TurnEnd(ended="connection_lost", message=str(error))
                return
            if self._stopped:
                yield TurnEnd(ended="interrupted")
                return
            if calls:
                self._next = []
            for call in calls:
                text, failed = await next(t for t in self._opening.tools if t.name == call.name).call(call.input)
                yield ToolResult(id=call.id, text=text, is_error=failed)
                self._next.append({"type": "function_call_output", "call_id": call.id, "output": text})
            calls = []
        yield TurnEnd()

    async def _answer(self, given: Any, calls: list[Any]) -> AsyncIterator[Event]:
        async with self._model.responses.stream(**given) as stream:
            async for event in stream:
                if self._stopped:
                    return
                if event.type == "response.output_text.delta":
                    yield TextDelta(text=event.delta)
                elif event.type == "response.reasoning_summary_text.delta":
                    yield Thinking(text=event.delta)
                elif event.type == "response.output_item.done" and event.item.type == "function_call":
                    item = event.item
                    calls.append(ToolUse(id=item.call_id, name=item.name, input=json.loads(item.arguments)))
                    yield calls[-1]
                elif event.type == "response.completed" and (self._bug != "stale" or self._previous is None):
                    self._previous = event.response.id


TALK = """
    scenario: talk
    facts: {who: {tell: My name is Ada., ask: What is my name?, answer: Ada}}
    tools: {look_up: {input: {what: string}, answers: [{return: in the attic}]}}
    steps:
      - tell: who
      - user: Look it up.
        simulate:
          - {thinking: Where?, text: "I will look. ", calls: [{look_up: {what: it}}]}
          - {text: It is in the attic.}
        expect: {calls: [{look_up: {what: it}}], contains: attic, usage: {output_tokens: {min: 2}}}
      - ask: who
    """


def configured(stage: Stage, **profile: Any) -> Config:
    options = {"bug": profile.pop("bug")} if "bug" in profile else {}
    given: dict[str, Any] = {"upstream": "simulator", "api_key_env": "OPENAI_API_KEY", "options": options, **profile}
    target = "tests.test_responses_on_the_simulator:App"
    one = Profile(name="assistant", kind="python", target=target, **given)
    return replace(stage.config(), clients={"assistant": one})


@pytest.mark.parametrize("gateway", [False, True], ids=["in process", "at the gateway"])
def test_a_history_on_the_server_is_recorded_replayed_and_taken_further(stage: Stage, gateway: bool) -> None:
    config = configured(stage, gateway=gateway)
    recorded = stage.play_with(config, TALK, Mode(record="all"))
    replayed = stage.play_with(replace(config, clients={"assistant": replace(config.clients["assistant"],
        upstream="https://api.openai.com/v1")}), TALK)  # fmt: skip
    # The recording knows nothing of the new turn: what it answered is on the simulator's server all the same.
    longer = stage.play_with(config, f"{TALK.rstrip()}\n      - ask: who\n", Mode(record="new_episodes"))

    assert checks_of(recorded) == checks_of(replayed) == checks_of(longer) == []
    assert [one.origin for one in longer.transcript.interactions] == ["replayed"] * 4 + ["simulated"]


@pytest.mark.parametrize(("bug", "check"), [("none", "history"), ("stale", "ended")])
def test_a_chain_that_is_broken_is_red_offline(stage: Stage, bug: str, check: str) -> None:
    played = stage.play_with(configured(stage, bug=bug), TALK)

    assert check in [one for one, _ in checks_of(played)], checks_of(played)


def test_points_at_a_tool_are_those_of_its_stream(stage: Stage) -> None:
    cut = "        interrupt: {at: tool_use}\n        expect: {ended: interrupted}\n      # {calls"
    text = TALK.replace("        expect: {calls", cut)
    played = stage.play_with(configured(stage), text)

    turn = played.transcript.turns()[1]
    assert [type(one).__name__ for one in turn.events][-2:] == ["ToolUse", "TurnEnd"]
    assert not turn.unreached
