"""Nothing of a secret is left in what is written, however a stream cuts it and wherever it breaks off."""

import json
from itertools import pairwise
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from convtest.cassettes.bodies import texts_of
from convtest.cassettes.format import from_plain, to_text
from convtest.play.mode import Mode
from convtest.wire.interaction import Chunk, Interaction, Request
from tests.models import Behaviour, model
from tests.planted import Planted, planted
from tests.playing import Stage, checks_of
from tests.test_secrets import token

PLANTED = planted()
MESSAGES = "https://api.anthropic.com/v1/messages"
CHAT = "https://api.openai.com/v1/chat/completions"
GOOD = "convtest.clients.messages.client:MessagesClient"


def streamed(texts: list[str], *, tool: bool = False, ended: Any = "complete", stop: str = "end_turn") -> Interaction:
    """An answer of the Messages API whose deltas spell one text, or the input of a tool."""
    begun = {"type": "tool_use", "id": "t", "name": "save", "input": {}} if tool else {"type": "text", "text": ""}
    kind, key = ("input_json_delta", "partial_json") if tool else ("text_delta", "text")
    lines: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"role": "assistant", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": begun},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": kind, key: text}} for text in texts),
    ]
    if ended == "complete":
        lines += [{"type": "message_delta", "delta": {"stop_reason": stop}}, {"type": "message_stop"}]
    events = [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in lines]
    return interaction(events, ended=ended)


def interaction(chunks: list[bytes], *, ended: Any = "complete", url: str = MESSAGES, **more: Any) -> Interaction:
    return Interaction(
        number=1,
        lane="main",
        turn=1,
        request=Request(method="POST", url=url, headers=(), body=b'{"model": "m", "messages": []}'),
        status=200,
        headers=(("content-type", "text/event-stream" if chunks[0][:1] != b"{" else "application/json"),),
        chunks=[Chunk(float(number), data) for number, data in enumerate(chunks)],
        ended=ended,
        **more,
    )


def apart(text: str, places: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[a:b] for a, b in pairwise(edges)]


ONE = st.sampled_from(PLANTED)
UNTOLD = {"mailchimp", "curl's user", "token in a query"}
"""What tells these comes after them, or they begin as other words do."""
PLACES = st.lists(st.integers(0, 2000), max_size=40)


@settings(max_examples=150, deadline=None)
@given(ONE, PLACES, PLACES, st.booleans())
def test_law_deltas_may_be_cut_anywhere(one: Planted, places: list[int], bytes_: list[int], tool: bool) -> None:
    text = f"It is {one.text} and so on."
    said = json.dumps({"note": text}) if tool else text
    made = streamed(apart(said, places), tool=tool)
    body = made.body.decode()
    made.chunks = [Chunk(0.0, part.encode()) for part in apart(body, bytes_)]

    kept = to_text([made])
    (back,) = from_plain(yaml.safe_load(kept))

    assert not one.left_in(kept), one.kind
    assert not one.left_in("".join(texts_of(back.body))), one.kind
    if tool:
        assert json.loads(texts_of(back.body)[0])["note"].startswith("It is ")
    assert back.body.count(b"\n\n") == made.body.count(b"\n\n")


@settings(max_examples=150, deadline=None)
@given(
    ONE.filter(lambda one: one.kind not in UNTOLD),
    st.integers(0, 1000),
    st.integers(1, 9),
    st.sampled_from(["closed_by_client", "max_tokens"]),
    st.booleans(),
)
def test_law_an_answer_that_ends_anywhere_in_a_secret_shows_none_of_it(
    one: Planted, place: int, size: int, end: str, tool: bool
) -> None:
    text = f"It is {one.text}"
    said = json.dumps({"note": text})[:-2] if tool else text
    kept = said[: len(said) - place % len(one.secret)]
    pieces = apart(kept, list(range(0, len(kept), size)))
    limited = end == "max_tokens"
    made = streamed(pieces, tool=tool, ended="complete" if limited else end, stop="max_tokens")

    written = to_text([made])
    (back,) = from_plain(yaml.safe_load(written))

    assert not one.left_in("".join(texts_of(back.body))), one.kind
    assert not one.left_in(written), one.kind


@settings(max_examples=60, deadline=None)
@given(ONE, ONE, st.lists(st.integers(0, 300), min_size=4, max_size=30))
def test_law_two_choices_that_come_by_turns_hide_nothing(one: Planted, other: Planted, places: list[int]) -> None:
    rows = [apart(f"It is {which.text}.", places) for which in (one, other)]
    longest = max(map(len, rows))
    turns = [(index, row[at]) for at in range(longest) for index, row in enumerate(rows) if at < len(row)]
    events = [
        f"data: {json.dumps({'id': 'c', 'choices': [{'index': index, 'delta': {'content': text}}]})}\n\n".encode()
        for index, text in turns
    ]
    made = interaction([*events, b"data: [DONE]\n\n"], url=CHAT)

    (back,) = from_plain(yaml.safe_load(to_text([made])))

    said = "".join(texts_of(back.body))
    assert not one.left_in(said), one.kind
    assert not other.left_in(said), other.kind


@pytest.mark.parametrize("size", [6, 12, 25])
def test_an_answer_that_reaches_its_limit_inside_a_secret_replays(stage: Stage, size: int) -> None:
    """Recorded with the beginning of a key in the history that follows; replayed without it, by the same client."""
    text = """
    scenario: limited
    steps:
      - user: Tell me the key.
        expect: {ended: max_tokens}
      - user: Go on.
        expect: {sent: {contains: The answer is}}
    """
    key = token("ada", 1)
    first: list[int] = []

    def edit(data: bytes) -> bytes:
        if b"message_start" in data:
            first.append(1)
        if len(first) > 1:
            return data
        data = data.replace(b"forty", b"").replace(b"-two", key[:size].encode()).replace(" 😀.".encode(), b"")
        data = data.replace(rb" \ud83d\ude00.", b"")
        return data.replace(b'"end_turn"', b'"max_tokens"')

    with model(Behaviour(edit=edit)) as (url, server):
        recorded = stage.play(text, GOOD, Mode(record="all"), upstream=url)
    replayed = stage.play(text, GOOD, upstream=url)

    assert key[:size] in server.requests[1].decode()
    assert key[:5] not in stage.cassette().read_text()
    assert key[:5] not in str(recorded.result())
    assert checks_of(recorded) == checks_of(replayed) == []


@pytest.mark.parametrize("escaped", [False, True])
def test_an_answer_in_one_piece_that_reaches_its_limit_ends_before_the_secret(escaped: bool) -> None:
    said = "Größe: the key is " + token("ada", 1)[:14]
    message = {"role": "assistant", "content": [{"type": "text", "text": said}], "stop_reason": "max_tokens"}
    made = interaction([json.dumps(message, ensure_ascii=escaped).encode()])

    (back,) = from_plain(yaml.safe_load(to_text([made])))

    assert back.reply()["content"][0]["text"] == "Größe: the key is "


def test_the_last_event_of_a_limited_answer_tells_it_without_the_beginning_of_the_secret() -> None:
    said = "The key is " + token("ada", 1)[:14]
    deltas = [{"type": "response.output_text.delta", "delta": said[at : at + 4]} for at in range(0, len(said), 4)]
    whole = {
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [{"type": "message", "content": [{"type": "output_text", "text": said}]}],
    }
    events = [
        *deltas,
        {"type": "response.output_text.done", "text": said},
        {"type": "response.incomplete", "response": whole},
    ]
    made = interaction(
        [f"data: {json.dumps(one)}\n\n".encode() for one in events], url="https://api.openai.com/v1/responses"
    )

    kept = to_text([made])

    assert "sk-a" not in kept
    assert kept.count("The key is ") >= 2
