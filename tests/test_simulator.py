"""The simulator knows what stands in the request, and refuses what the real API refuses."""

from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtest.clock import VirtualClock
from convtest.scenario.grammar import SimulateShape
from convtest.simulator.conversation import conversation_of
from convtest.simulator.oracle import UNKNOWN, Slot, answer
from convtest.simulator.rendering import Reply, chunks, pieces
from convtest.simulator.source import Simulator
from convtest.simulator.validation import problem_of
from convtest.wire.interaction import Interaction, Request
from convtest.wire.replies import reply_of
from convtest.wire.tap import Answer, OpenTurn, Via

CITY = Slot("Which city do I live in?", (("I live in Ghent.", "Ghent"), ("I moved to Oslo.", "Oslo")))


def said(*texts: str, slots: tuple[Slot, ...] = ()) -> str:
    messages = [{"role": "assistant" if i % 2 else "user", "content": text} for i, text in enumerate(texts)]
    return answer(conversation_of({"messages": messages}), slots)


@pytest.mark.parametrize(
    ("texts", "reply"),
    [
        (["My name is Ada.", "Hi.", "What is my name?"], "Your name is Ada."),
        (["What is my name?"], UNKNOWN),
        (["I like tea.", "ok", "I also like chess.", "ok", "What do I like?"], "You like tea and chess."),
        (["My favourite colour is teal.", "ok", "What is my favourite colour?"], "Your favourite colour is teal."),
        (["The code is 4711.", "ok", "What was the code?"], "The code is 4711."),
        (["I have 3 apples.", "ok", "I buy 2 more.", "ok", "How many apples do I have?"], "You have 5 apples."),
        (["I have 5 apples.", "ok", "I give half away.", "ok", "How many apples do I have?"], "You have 2.5 apples."),
        (["I have 5 apples.", "ok", "I eat 1.", "ok", "How many apples do I have?"], "You have 4 apples."),
        (["What is 15 * 7?"], "The result is 105."),
        (["What is the difference between 3 and 10?"], "The difference is 7."),
        (["x", "The difference is 7.", "Add 3 to the difference you just found."], "That makes 10."),
        (["x", "The result is 7.", "Double the result."], "That makes 14."),
        (["I like tea.", "ok", "What did I just say?"], "You said: I like tea."),
        (["Remember: buy milk"], "I will remember: buy milk"),
        (["Count to ten."], "1 2 3 4 5 6 7 8 9 10"),
        (["I live in Ghent.", "ok", "Where do I live?"], "You live in Ghent."),
        (["How are the tides?"], UNKNOWN),
        (["Good morning to you."], "Noted: Good morning to you."),
    ],
)
def test_everyday_talk(texts: list[str], reply: str) -> None:
    assert said(*texts) == reply


def test_a_fact_is_answered_with_the_value_told_last_in_the_request() -> None:
    ask = CITY.ask

    assert said("I live in Ghent.", "ok", ask, slots=(CITY,)) == "You told me: Ghent."
    assert said("I live in Ghent.", "ok", "I moved to Oslo.", "ok", ask, slots=(CITY,)) == "You told me: Oslo."
    assert said("I moved to Oslo.", "ok", "I live in Ghent.", "ok", ask, slots=(CITY,)) == "You told me: Ghent."
    assert said("We met in Oslo once.", "ok", ask, slots=(CITY,)) == "You told me: Oslo."
    assert said(ask, slots=(CITY,)) == UNKNOWN


def block(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, **more}


def body(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 100, "messages": list(messages), **more}


USER = {"role": "user", "content": "hello"}
USE = {"role": "assistant", "content": [block("tool_use", id="t1", name="f", input={})]}
RESULT = {"role": "user", "content": [block("tool_result", tool_use_id="t1", content="x")]}


@pytest.mark.parametrize(
    ("request_body", "problem"),
    [
        (body(USER), None),
        (body(USER, USE, RESULT), None),
        (body(USER, USER), None),
        ({"max_tokens": 1, "messages": [USER]}, "model: Field required"),
        ({"model": "m", "messages": [USER]}, "max_tokens: Field required"),
        (body(), "at least one message is required"),
        (body({"role": "assistant", "content": "hi"}), 'first message must use the "user" role'),
        (body({"role": "system", "content": "hi"}), "messages.0.role"),
        (body({"role": "user", "content": "  "}), "non-whitespace text"),
        (body({"role": "user", "content": []}), "non-empty content"),
        (body(USER, USE), "without `tool_result` blocks immediately after: t1"),
        (body(USER, USE, USER), "without `tool_result` blocks immediately after: t1"),
        (body(USER, RESULT), "unexpected `tool_use_id`"),
        (body({"role": "user", "content": [block("tool_use", id="t", name="f", input={})]}), "only be in `assistant`"),
        ([], "not a JSON object"),
    ],
)
def test_it_validates_as_the_real_api_does(request_body: Any, problem: str | None) -> None:
    found = problem_of(request_body)

    assert (found is None) == (problem is None)
    assert problem is None or problem in str(found)


PER_TURN = {"role": "system", "content": [], "output_config": {"effort": "medium"}}
WORDS = {"role": "system", "content": "Be brief.", "clear_at": "next_user_message"}
BOTH = "mid-conversation-system-2026-04-07, per-turn-control-2026-07-01"


@pytest.mark.parametrize(
    ("betas", "message", "problem"),
    [
        ("claude-code-20250219,per-turn-control-2026-07-01", PER_TURN, None),
        (BOTH, PER_TURN, None),
        (BOTH, WORDS, None),
        ("mid-conversation-system-2026-04-07", WORDS, None),
        ("claude-code-20250219", PER_TURN, "messages.1.role: Input should be 'user' or 'assistant'"),
        ("", WORDS, "messages.1.role"),
        (BOTH, {"role": "system", "content": []}, "messages.1: all messages must have non-empty content"),
        ("mid-conversation-system-2026-04-07", PER_TURN, "non-empty content"),
        ("mid-conversation-system-2026-04-07", {**WORDS, "output_config": {}}, "output_config: Extra inputs"),
    ],
)
def test_system_messages_are_taken_as_the_betas_say(betas: str, message: dict[str, Any], problem: str | None) -> None:
    status, data = asked(Simulator(), body({"role": "user", "content": "My name is Ada."}, message), betas=betas)

    assert status == (200 if problem is None else 400)
    told = msgspec.json.decode(data)
    assert "Nice to meet you, Ada." in told["content"][0]["text"] if problem is None else problem in str(told)


async def nowhere(request: Request) -> Answer:
    raise AssertionError("nothing is sent on")


async def _asked(simulator: Simulator, data: bytes, turn: OpenTurn | None = None, betas: str = "") -> tuple[int, bytes]:
    headers = (("Anthropic-Beta", betas),) if betas else ()
    request = Request(method="POST", url="https://api.anthropic.com/v1/messages", headers=headers, body=data)
    via = Via(clock=VirtualClock(), forward=nowhere)
    answered = await simulator.answer(Interaction(number=1, lane="main", turn=1, request=request), turn, via)
    return answered.status, b"".join([chunk async for chunk in answered.chunks])


def asked(simulator: Simulator, request_body: Any, turn: OpenTurn | None = None, betas: str = "") -> tuple[int, bytes]:
    return anyio.run(_asked, simulator, msgspec.json.encode(request_body), turn, betas)


def test_a_refused_request_is_answered_in_the_apis_error_shape() -> None:
    status, data = asked(Simulator(), body())

    assert status == 400
    assert msgspec.json.decode(data)["error"]["type"] == "invalid_request_error"


def test_streamed_and_whole_answers_are_the_same_message() -> None:
    status, streamed = asked(Simulator(), body(USER, stream=True))
    _, whole = asked(Simulator(), body(USER))

    assert status == 200
    assert reply_of(streamed, is_stream=True) == reply_of(whole, is_stream=False)


def test_it_is_deterministic() -> None:
    assert asked(Simulator(), body(USER, stream=True)) == asked(Simulator(), body(USER, stream=True))


def test_scripts_say_what_is_said_round_by_round() -> None:
    script = (
        SimulateShape(thinking="Hm.", calls=[{"f": {"a": 1}}]),
        SimulateShape(text="Done.", stop_reason="refusal"),
    )
    simulator = Simulator(scripts={3: script})

    first = reply_of(asked(simulator, body(USER, stream=True), OpenTurn(number=3))[1], is_stream=True)
    again = reply_of(asked(simulator, body(USER, stream=True), OpenTurn(number=3))[1], is_stream=True)
    more = [USER, {"role": "assistant", "content": "Hm."}, USER]
    second = reply_of(asked(simulator, body(*more, stream=True), OpenTurn(number=3))[1], is_stream=True)

    assert [one["type"] for one in again["content"]] == ["thinking", "tool_use"]  # asked again, the same round

    assert [one["type"] for one in first["content"]] == ["thinking", "tool_use"]
    assert first["stop_reason"] == "tool_use"
    assert first["content"][1]["input"] == {"a": 1}
    assert (second["content"][0]["text"], second["stop_reason"]) == ("Done.", "refusal")


def test_max_tokens_cuts_the_answer() -> None:
    request_body = body({"role": "user", "content": "Count to twenty."}, stream=True) | {"max_tokens": 5}

    message = reply_of(asked(Simulator(), request_body)[1], is_stream=True)

    assert (message["content"][0]["text"], message["stop_reason"]) == ("1 2 3 4 5", "max_tokens")


@given(st.text())
def test_law_pieces_lose_nothing(text: str) -> None:
    assert "".join(pieces(text)) == text


@given(st.text(min_size=1), st.text(), st.booleans())
def test_law_a_streamed_reply_is_the_reply(text: str, thinking: str, call: bool) -> None:
    calls = (("t1", "f", {"text": text}),) if call else ()
    reply = Reply(id="m", model="x", text=text, thinking=thinking, calls=calls, usage={"output_tokens": 4})

    message = reply_of(b"".join(chunks(reply)), is_stream=True)

    said_blocks = {one["type"]: one for one in message["content"]}
    assert said_blocks["text"]["text"] == text
    assert said_blocks.get("thinking", {}).get("thinking", "") == thinking
    assert not call or said_blocks["tool_use"]["input"] == {"text": text}
    assert message["usage"]["output_tokens"] == 4
