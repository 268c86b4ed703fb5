"""The laws of the whole: recording and replaying, prefixes of scenarios, equal and unequal requests."""

import copy
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import msgspec
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from convtest.cassettes.difference import difference
from convtest.cassettes.format import from_plain, to_text
from convtest.cassettes.naming import Names
from convtest.cassettes.player import Player
from convtest.cassettes.scrubbing import NOTHING_KNOWN
from convtest.clock import VirtualClock
from convtest.reporting.cassette import cassette_lines
from convtest.simulator.source import Simulator
from convtest.wire.blocks import request_blocks
from convtest.wire.canonical import canonical
from convtest.wire.cuts import Cut, relaxed
from convtest.wire.interaction import Interaction, Request, StreamEnd
from convtest.wire.marks import PLACEHOLDER
from convtest.wire.tap import Answer, OpenTurn, Source, Tap, Via, WireFailure
from convtest.wire.transports import binding
from tests.playing import Stage

URL = "https://api.anthropic.com/v1/messages"


class Streams:
    """A source that sends drawn chunks at drawn times and ends as drawn."""

    def __init__(self, clock: VirtualClock, chunks: list[tuple[float, bytes]], ended: StreamEnd) -> None:
        self._clock = clock
        self._chunks = chunks
        self._ended = ended

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        headers = (("content-type", "text/event-stream"), ("set-cookie", "secret"))
        return Answer(status=200, reason="OK", headers=headers, chunks=self._stream())

    async def _stream(self) -> AsyncIterator[bytes]:
        for ms, data in self._chunks:
            await self._clock.sleep(ms)
            yield data
        if self._ended in {"reset", "truncated"}:
            raise WireFailure(self._ended, "as drawn")

    async def aclose(self) -> None:
        return None


async def read(source: Source, clock: VirtualClock, cut: int | None) -> tuple[list[tuple[float, bytes]], str, Tap]:
    """What a client sees that stops after `cut` chunks: (when, what), and how it ended for it."""
    tap = Tap(source, clock)
    seen: list[tuple[float, bytes]] = []
    request = httpx.Request("POST", URL, headers={"x-api-key": "secret"}, content=b'{"messages": []}')
    response = await binding("httpx").async_transport(tap, "main").handle_async_request(request)
    ended = "complete"
    try:
        if cut != 0:
            async for data in response.aiter_raw():
                seen.append((round(clock.now(), 1), data))
                if len(seen) == cut:
                    ended = "closed"
                    break
    except httpx.TransportError as error:
        ended = type(error).__name__
    await response.aclose()
    return seen, ended, tap


PIECES = st.one_of(
    st.binary(min_size=1, max_size=30),
    st.text(min_size=1, max_size=20).map(lambda text: f"data: {text}\n\n".encode()),
    st.sampled_from([b"event: x\r\n", b"\r", b"\xef\xbb\xbf", "é😀".encode()[:3], b"data: {}\n\n", b"\n"]),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5000).map(lambda n: n / 10), PIECES), max_size=8),
    st.sampled_from(["complete", "reset", "truncated"]),
    st.one_of(st.none(), st.integers(1, 8)),
)
def test_law_replay_of_a_recording_is_the_recording_scrubbed(
    chunks: list[tuple[float, bytes]], ended: StreamEnd, cut: int | None
) -> None:
    said = b"".join(data for _, data in chunks)
    assume(Names(NOTHING_KNOWN).data(said) == said and PLACEHOLDER.encode() not in said and b"secret" not in said)
    clock = VirtualClock()
    first, how, tap = anyio.run(read, Streams(clock, chunks, ended), clock, cut)

    text = to_text(tap.interactions)
    loaded = from_plain(yaml.safe_load(text))
    clock = VirtualClock()
    again, how_again, replayed = anyio.run(read, Player(loaded, command=""), clock, cut)

    assert again == first
    assert how_again == how
    assert replayed.interactions[0].ended == tap.interactions[0].ended
    assert "secret" not in text
    assert text.count(PLACEHOLDER) == 2


TURNS = st.lists(
    st.sampled_from(
        [
            "user: My name is Ada.",
            "user: What is my name?",
            "user: Tell me a long story about a lighthouse.\n    interrupt: {after: 3}",
            "user: Count to ten.\n    interrupt: {after: 0}",
            "resume: main",
            "clear: main",
            "save: main",
            "user: What is 3 * 4?",
        ]
    ),
    min_size=2,
    max_size=6,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TURNS)
def test_law_removing_the_last_step_changes_nothing_before_it(stage: Stage, turns: list[str]) -> None:
    steps = ["user: I like tea.", *turns]

    def played(count: int) -> list[Any]:
        text = "scenario: x\nsteps:\n" + "".join(f"  - {step}\n" for step in steps[:count])
        outcome = stage.play(text)
        return [
            (
                record.step.label,
                getattr(record, "events", None),
                [i.canonical.key for i in getattr(record, "main", list)()],
            )
            for record in outcome.transcript.records
        ]

    assert played(len(steps))[:-1] == played(len(steps) - 1)


WORDS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
TEXT = st.builds(lambda text: {"type": "text", "text": text}, WORDS)
TOOL_ID = st.sampled_from(["t1", "t2", "t3"])
BLOCK = st.one_of(
    TEXT,
    st.builds(lambda i, w: {"type": "tool_use", "id": i, "name": "f", "input": {"a": w}}, TOOL_ID, WORDS),
    st.builds(lambda i, w: {"type": "tool_result", "tool_use_id": i, "content": w}, TOOL_ID, WORDS),
)
MESSAGE = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["user", "assistant"]),
    st.one_of(WORDS, st.lists(BLOCK, min_size=1, max_size=3)),
)
BODY = st.builds(
    lambda messages, system: {
        "model": "m",
        "max_tokens": 9,
        "messages": messages,
        **({"system": system} if system else {}),
    },
    st.lists(MESSAGE, min_size=1, max_size=4),
    st.one_of(st.none(), WORDS),
)


def key(body: Any) -> str:
    return canonical("POST", URL, msgspec.json.encode(body)).key


def _in_two(message: dict[str, Any], draw: st.DataObject) -> list[dict[str, Any]]:
    """The Messages API joins neighbours of one role."""
    content = message["content"]
    if isinstance(content, str) or len(content) < 2 or not draw.draw(st.booleans()):
        return [message]
    return [{**message, "content": content[:1]}, {**message, "content": content[1:]}]


def said_otherwise(body: Any, draw: st.DataObject) -> Any:
    """The same request, as another version of the client might write it."""
    other = copy.deepcopy(body)
    names = draw.draw(st.permutations(["x7", "call_9", "toolu_a"]))
    for message in other["messages"]:
        if isinstance(message["content"], str) and draw.draw(st.booleans()):
            message["content"] = [{"type": "text", "text": message["content"]}]
        for block in message["content"] if isinstance(message["content"], list) else []:
            for field in ("id", "tool_use_id"):
                if field in block:
                    block[field] = names[int(block[field][1:]) - 1]
            if draw.draw(st.booleans()):
                block["cache_control"] = {"type": "ephemeral"}
    other["messages"] = [part for message in other["messages"] for part in _in_two(message, draw)]
    if isinstance(other.get("system"), str) and draw.draw(st.booleans()):
        other["system"] = [{"type": "text", "text": other["system"]}]
    for name in ("tools", "stop_sequences", "metadata"):
        if draw.draw(st.booleans()):
            other[name] = {} if name == "metadata" else []
    return other


@given(BODY, st.data())
def test_law_what_means_the_same_is_equal(body: Any, draw: st.DataObject) -> None:
    assert key(said_otherwise(body, draw)) == key(body)


@given(BODY, st.data())
def test_law_any_other_word_is_unequal(body: Any, draw: st.DataObject) -> None:
    other = copy.deepcopy(body)
    message = draw.draw(st.sampled_from(other["messages"]))
    if isinstance(message["content"], str):
        message["content"] += draw.draw(WORDS)
    else:
        block = draw.draw(st.sampled_from(message["content"]))
        word = draw.draw(WORDS)
        if block["type"] == "text":
            block["text"] += word
        elif block["type"] == "tool_use":
            block["input"]["a"] += word
        else:
            block["content"] += word

    assert key(other) != key(body)


@given(BODY, st.sampled_from(["model", "temperature", "max_tokens", "system"]))
def test_law_another_setting_is_unequal(body: Any, name: str) -> None:
    assert key({**body, name: {"model": "n", "temperature": 0.1, "max_tokens": 8, "system": "\x00other"}[name]}) != key(
        body
    )


KEYS = st.sampled_from(
    [
        "role", "content", "type", "text", "id", "tool_use_id", "tool_call_id", "tool_calls", "call_id", "function",
        "name", "arguments", "input", "output", "is_error", "metadata", "cache_control", "item", "thinking",
    ]
)  # fmt: skip
TYPES = st.sampled_from(
    [
        "text", "tool_use", "tool_result", "function_call", "function_call_output", "message", "input_text", "thinking",
        "user", "assistant", "system", "tool", "{bad", "[1]", "",
    ]
)  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8), TYPES)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(KEYS, st.text(max_size=4)), inner, max_size=5),
    ),
    max_leaves=12,
)
NEARLY_MESSAGES = st.one_of(
    ANYTHING,
    st.lists(st.one_of(MESSAGE, st.fixed_dictionaries({"role": TYPES, "content": ANYTHING}), ANYTHING), max_size=3),
)
ANY_BODY = st.one_of(
    ANYTHING,
    st.fixed_dictionaries(
        {"model": st.just("m"), "max_tokens": st.just(9), "messages": NEARLY_MESSAGES},
        optional={
            name: st.one_of(ANYTHING, st.lists(ANYTHING, max_size=2))
            for name in ("input", "instructions", "system", "tools", "stream", "stream_options", "metadata")
        },
    ),
)
ADDRESSES = st.sampled_from(
    [URL, f"{URL}/count_tokens", "https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1/responses"]
)


def seen(body: Any, url: str) -> Interaction:
    request = Request(method="POST", url=url, headers=(), body=msgspec.json.encode(body))
    return Interaction(number=1, lane="main", turn=1, request=request, ended="complete")


@settings(max_examples=300, deadline=None)
@given(ANY_BODY, ADDRESSES)
def test_law_any_json_has_a_canonical_form_that_is_kept_and_read(body: Any, url: str) -> None:
    one = seen(body, url)

    loaded = from_plain(yaml.safe_load(to_text([one])))

    assert loaded[0].canonical == one.canonical
    assert one.canonical.texts() is not None
    assert isinstance(one.canonical.system, str)
    assert all(isinstance(name, str) for name in one.canonical.tool_names)
    assert list(cassette_lines("c", loaded))
    assert request_blocks(one.canonical) is not None
    assert list(difference(one.canonical, seen({"model": "m"}, url).canonical)) is not None
    assert relaxed(one.canonical, [Cut.of(one.canonical, "text")])


@settings(max_examples=300, deadline=None)
@given(ANY_BODY, ADDRESSES)
def test_law_the_simulator_answers_any_json(body: Any, url: str) -> None:
    async def asked() -> int:
        via = Via(clock=VirtualClock(), forward=nowhere)
        answer = await Simulator().answer(seen(body, url), None, via)
        assert [chunk async for chunk in answer.chunks]
        return answer.status

    status = anyio.run(asked)

    assert status == 200 or 400 <= status < 500


async def nowhere(request: Request) -> Answer:
    raise AssertionError("nothing is sent on")
