"""Answers as the world has them: streams without a type, several choices, parts, limits; and nonsense."""

import json
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtest.cassettes.comparison import compare
from convtest.cassettes.format import from_plain, to_text
from convtest.cassettes.player import Player
from convtest.cassettes.reading import read
from convtest.checks.conduct import is_broken
from convtest.clock import VirtualClock
from convtest.events import TextDelta, Thinking, ToolUse
from convtest.reporting.cassette import cassette_lines
from convtest.wire.chat_stream import ChatStream
from convtest.wire.counting import is_spoilt, served
from convtest.wire.interaction import Chunk, Interaction, Request
from convtest.wire.messages_api import MessageStream, usage_of
from convtest.wire.replies import reply_of
from convtest.wire.sse import parse
from convtest.wire.tap import Answer, Via

MESSAGES = "https://api.anthropic.com/v1/messages"
CHAT = "https://api.openai.com/v1/chat/completions"
RESPONSES = "https://api.openai.com/v1/responses"
STREAM = (("content-type", "text/event-stream"),)


def sse(*events: Any) -> bytes:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()


def answered(
    url: str, body: bytes, headers: tuple[tuple[str, str], ...] = STREAM, sent: bytes = b"{}", status: int = 200
) -> Interaction:
    return Interaction(
        number=1,
        lane=None,
        turn=1,
        request=Request(method="POST", url=url, headers=(), body=sent),
        status=status,
        headers=headers,
        chunks=[Chunk(0.0, body)],
        ended="complete",
    )


def texts(reply: dict[str, Any]) -> list[str]:
    return [block["text"] for block in reply["content"] if block["type"] == "text"]


HI = sse(
    {"type": "message_start", "message": {"role": "assistant", "content": []}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    {"type": "message_stop"},
)


@pytest.mark.parametrize("headers", [(), (("content-type", "application/json"),), (("content-type", "text/plain"),)])
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b": OPENROUTER PROCESSING\n\n", b"\r\n", b"retry: 3\n"])
def test_a_stream_is_known_by_its_shape(headers: tuple[tuple[str, str], ...], before: bytes) -> None:
    one = answered(MESSAGES, before + HI, headers)

    assert one.is_stream
    assert texts(one.reply()) == ["Hi"]
    assert not is_broken(one)
    assert [event.type for event in served(one) if event.yields] == ["content_block_delta"]


@pytest.mark.parametrize("body", [b'{"data": 1}', b"", b"database", b" data: x", b"<p>event:</p>", b"id"])
def test_what_is_no_stream_is_not_taken_for_one(body: bytes) -> None:
    assert not answered(MESSAGES, body, ()).is_stream


def test_the_shape_of_a_stream_is_seen_whatever_its_first_chunk() -> None:
    for size in (1, 2, 5, 400):
        one = answered(MESSAGES, b"", ())
        one.chunks = [Chunk(0.0, HI[at : at + size]) for at in range(0, len(HI), size)]
        assert one.is_stream


@pytest.mark.parametrize(
    ("body", "given", "type_"),
    [
        (HI, (), "text/event-stream"),
        (b'{"content": []}', (), "application/json"),
        (b"[]", (), "application/json"),
        (b"not found", (), None),
        (b"{}", (("content-type", "text/plain"),), "text/plain"),
    ],
)
def test_an_answer_recorded_without_its_type_is_played_with_the_one_its_shape_tells(
    body: bytes, given: tuple[tuple[str, str], ...], type_: str | None
) -> None:
    recorded = answered(MESSAGES, body, given)
    asked = answered(MESSAGES, b"", ())
    clock = VirtualClock()

    async def forward(request: Request) -> Answer:
        raise AssertionError

    played = anyio.run(Player([recorded], command="").answer, asked, None, Via(clock=clock, forward=forward))

    assert dict(played.headers).get("content-type") == type_


def chunk(index: int, **delta: Any) -> dict[str, Any]:
    finish = delta.pop("finish", None)
    return {"id": "c", "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def test_several_choices_of_a_stream_stand_apart() -> None:
    call = {"index": 0, "id": "call_1", "function": {"name": "look", "arguments": "{}"}}
    body = sse(
        chunk(1, content="Good"),
        chunk(0, content="Hello"),
        chunk(1, content=" day"),
        chunk(0, content=" Ada"),
        chunk(1, tool_calls=[call], finish="tool_calls"),
        chunk(0, finish="stop"),
    )
    reply, stream = reply_of(body, is_stream=True, url=CHAT), ChatStream()
    events = [event for one in parse([body]) for event in stream.feed(one)]

    assert texts(reply) == ["Hello Ada"]
    assert reply["stop_reason"] == "end_turn"
    (other,) = reply["other_choices"]
    assert texts(other) == ["Good day"]
    assert (other["content"][1]["name"], other["stop_reason"]) == ("look", "tool_use")
    assert events == [TextDelta(text="Hello"), TextDelta(text=" Ada")]
    assert stream.complete


def test_several_choices_of_a_whole_answer_stand_apart_by_their_numbers() -> None:
    choices = [
        {"index": 1, "message": {"content": "Good day"}, "finish_reason": "length"},
        {"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"},
    ]
    reply = reply_of(json.dumps({"choices": choices}).encode(), is_stream=False, url=CHAT)

    assert (texts(reply), reply["stop_reason"]) == (["Hello"], "end_turn")
    assert [(texts(one), one["stop_reason"]) for one in reply["other_choices"]] == [(["Good day"], "max_tokens")]


def test_content_that_comes_as_parts_is_text_and_thinking() -> None:
    def thought(words: str) -> list[dict[str, Any]]:
        return [{"type": "thinking", "thinking": [{"type": "text", "text": words}]}]

    body = sse(
        chunk(0, content=thought("Hm")),
        chunk(0, content=thought(", so")),
        chunk(0, content=[{"type": "text", "text": "4"}]),
        chunk(0, content="2", finish="stop"),
    )
    stream = ChatStream()
    events = [event for one in parse([body]) for event in stream.feed(one)]

    assert events == [Thinking(text="Hm"), Thinking(text=", so"), TextDelta(text="4"), TextDelta(text="2")]
    assert stream.message["content"] == [{"type": "thinking", "thinking": "Hm, so"}, {"type": "text", "text": "42"}]


def test_a_message_that_begins_with_its_content_has_it() -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "roll", "input": {"player": 2}}
    stream = MessageStream()
    events = [
        event
        for one in parse(
            [
                sse(
                    {"type": "message_start", "message": {"role": "assistant", "content": [use]}},
                    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
                    {"type": "content_block_stop", "index": 0},
                    {"type": "message_stop"},
                )
            ]
        )
        for event in stream.feed(one)
    ]

    assert events == [ToolUse(id="toolu_1", name="roll", input={"player": 2}), TextDelta(text="Hi")]
    assert stream.message["content"] == [use, {"type": "text", "text": "Hi"}]
    assert stream.complete


@pytest.mark.parametrize(
    ("details", "stop"),
    [({"reason": "max_output_tokens"}, "max_tokens"), ({"reason": "content_filter"}, "refusal"), (None, "max_tokens")],
)
def test_an_incomplete_response_is_whole_and_says_what_it_ran_into(details: Any, stop: str) -> None:
    output = [{"type": "message", "content": [{"type": "output_text", "text": "Once upon"}]}]
    response = {"status": "incomplete", "incomplete_details": details, "output": output}
    streamed = answered(RESPONSES, sse({"type": "response.incomplete", "response": response}))
    whole = answered(RESPONSES, json.dumps(response).encode(), (("content-type", "application/json"),))

    for one in (streamed, whole):
        assert (texts(one.reply()), one.reply()["stop_reason"]) == (["Once upon"], stop)
        assert not is_broken(one)


def test_a_response_that_failed_is_spoilt_and_one_that_says_it_is_done_is_not() -> None:
    done = {"type": "response.completed", "response": {"output": []}}

    assert is_spoilt(answered(RESPONSES, sse({"type": "response.failed", "response": {}})))
    assert not is_spoilt(answered(RESPONSES, sse(done) + b"data: [DONE]\n\n"))


def test_a_block_whose_text_is_no_text_is_shown_as_it_is() -> None:
    content = [{"type": "text", "text": {"value": "hi", "annotations": []}}]
    body = json.dumps({"role": "user", "content": content}).encode()
    one = answered("https://api.openai.com/v1/threads/t/messages", body, (("content-type", "application/json"),))

    assert any('"value":"hi"' in line for line in cassette_lines("x", [one]))


KEYS = (
    "type message content text thinking delta index content_block id name input usage stop_reason choices role error "
    "tool_calls function arguments finish_reason response output item status incomplete_details reason call_id "
    "partial_json signature citation data input_tokens output_tokens prompt_tokens encrypted_content"
).split()
WORDS = (
    "text thinking tool_use tool_result message_start content_block_start content_block_delta content_block_stop "
    "message_delta message_stop error text_delta input_json_delta thinking_delta citations_delta signature_delta "
    "response.completed response.incomplete response.output_text.delta function_call function_call_output message "
    "output_text assistant feed json 0"
).split()
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.just(10**30), st.floats(0, 1), st.sampled_from(WORDS)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)),
    max_leaves=25,
)
STARTED = sse({"type": "message_start", "message": {"content": []}})


@settings(max_examples=600)
@given(st.sampled_from([MESSAGES, CHAT, RESPONSES, "https://x.example/y"]), st.lists(JSON, max_size=4), JSON)
def test_law_any_json_is_read_as_an_answer_without_a_traceback(url: str, given_: list[Any], sent: Any) -> None:
    streamed = [sse(*given_), STARTED + sse(*given_)]
    for body in [*streamed, *(json.dumps(one).encode() for one in given_)]:
        one = answered(url, body, STREAM if body in streamed else (), json.dumps(sent).encode())
        reply = one.reply()
        assert all(is_readable(block) for block in reply.get("content", []))
        usage_of(reply)
        served(one)
        is_spoilt(one)
        msgspec.json.encode(reply)
        assert list(cassette_lines("x", [one], timeline=True))
        list(compare([one], [answered(url, HI)]))


def is_readable(block: Any) -> bool:
    words = [block.get("type", "text"), block.get("text", "") if block.get("type") == "text" else ""]
    return isinstance(block, dict) and all(isinstance(word, str | None) for word in words)


@pytest.mark.parametrize("depth", [150, 199, 300, 600, 990, 5000, 100_000])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
def test_json_of_any_depth_is_kept_compared_and_shown(depth: int, opens: str, closes: str) -> None:
    deep = opens * depth + "1" + closes * depth
    sent = f'{{"messages": [{{"role": "user", "content": [{{"type": "tool_use", "id": "a", "input": {deep}}}]}}]}}'
    for url in (MESSAGES, CHAT, RESPONSES):
        use = f'{{"type": "tool_use", "id": "a", "name": "b", "input": {deep}}}'
        for body in (f'{{"content": [{use}]}}', f"data: {deep}\n\n"):
            one = answered(url, body.encode(), (), sent.encode())

            (again,) = from_plain(read(to_text([one]).encode()))

            assert (again.body, again.canonical) == (one.body, one.canonical)
            assert list(cassette_lines("x", [one]))
            assert not list(compare([one], [again]))


def test_json_reads_the_same_however_deep_the_caller_stands() -> None:
    deep = "[" * 300 + "]" * 300
    sent = f'{{"messages": [], "metadata": {deep}}}'.encode()

    def key(frames: int) -> str:
        return key(frames - 1) if frames else answered(MESSAGES, b"", (), sent).canonical.key

    assert key(0) == key(500)
