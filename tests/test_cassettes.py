"""The cassette format: for people, for plain vcrpy, and for the laws."""

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import vcr.cassette
import vcr.request
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from vcr.persisters.filesystem import FilesystemPersister
from vcr.serializers import yamlserializer

from convtest.cassettes import store
from convtest.cassettes.difference import difference
from convtest.cassettes.format import from_plain, to_text
from convtest.cassettes.naming import SECRET_HEADERS, Names
from convtest.cassettes.scrubbing import NOTHING_KNOWN
from convtest.cassettes.yaml_text import dump
from convtest.errors import UnreadableCassette
from convtest.wire.canonical import Canonical, canonical
from convtest.wire.interaction import Chunk, Interaction, Request, StreamEnd
from convtest.wire.marks import PLACEHOLDER

TRICKY = st.text(
    alphabet=st.one_of(
        st.sampled_from(" \n\t:-#'\"|>%@&*!?{}[],abc\r\x85\u2028\ufeff😀éß\x00\x7f"),
        st.characters(exclude_categories=["Cs"]),
    )
)


@settings(max_examples=300)
@given(TRICKY, st.lists(TRICKY, max_size=3), st.binary())
def test_law_any_text_comes_back_from_both_yaml_loaders(text: str, more: list[str], data: bytes) -> None:
    value = {"a": {"b": text, "c": [{"x": text}, text, *more]}, text or "k": data, "n": [1, 2.5, None, True, {}, []]}
    written = dump(value)

    assert yaml.load(written, yaml.CSafeLoader) == value
    assert yaml.load(written, yaml.SafeLoader) == value


BODIES = st.one_of(st.binary(max_size=60), TRICKY.map(str.encode))
MS = st.integers(min_value=0, max_value=99_999).map(lambda n: n / 10 if n < 10_000 else float(n // 10))
CHUNKS = st.lists(st.builds(Chunk, MS, BODIES.filter(bool)), max_size=6)


@st.composite
def interactions(draw: st.DrawFn, number: int = 1) -> Interaction:
    body = draw(st.one_of(st.just(b"{}"), st.binary(max_size=20), TRICKY.map(lambda t: msgspec.json.encode({"t": t}))))
    ended: StreamEnd = draw(st.sampled_from(get_args(StreamEnd)))
    silent = ended in {"refused", "timeout", "no_response"}
    chunks = [] if silent else draw(CHUNKS)
    # What looks like a secret does not come back, by design; `/home/x` can be drawn too.
    assume(all(Names(NOTHING_KNOWN).data(data) == data for data in (body, b"".join(chunk.data for chunk in chunks))))
    return Interaction(
        number=number,
        lane=draw(st.one_of(st.none(), TRICKY.filter(bool))),
        turn=draw(st.one_of(st.none(), st.integers(1, 50))),
        request=Request(method="POST", url="https://api.anthropic.com/v1/messages", headers=(("a", "b"),), body=body),
        status=599 if silent else draw(st.sampled_from([200, 400, 429, 529])),
        reason=draw(st.sampled_from(["OK", "", "Too Many Requests"])),
        headers=(("content-type", "text/event-stream"),),
        first_byte=None if silent else draw(MS),
        chunks=chunks,
        ended=ended,
        yielded=draw(st.lists(st.sampled_from(["text", "thinking", "tool_use"]), max_size=5)),
    )


def facts(one: Interaction) -> dict[str, Any]:
    chunks = [(chunk.ms, chunk.data) for chunk in one.chunks]
    names = ("number", "lane", "turn", "status", "reason", "headers", "first_byte", "ended", "yielded", "digest")
    return {**{name: getattr(one, name) for name in names}, "chunks": chunks, "request": one.canonical.key}


@settings(max_examples=200)
@given(st.lists(interactions(), max_size=3))
def test_law_load_is_the_inverse_of_dump(drawn: list[Interaction]) -> None:
    for number, one in enumerate(drawn, 1):
        one.number = number

    loaded = from_plain(yaml.safe_load(to_text(drawn)))

    assert [facts(one) for one in loaded] == [facts(one) for one in drawn]


@settings(max_examples=100)
@given(interactions())
def test_law_plain_vcrpy_loads_what_we_write(drawn: Interaction) -> None:
    requests, responses = vcr_deserialize(to_text([drawn]))

    assert requests[0].method == "POST"
    body = responses[0]["body"]["string"]
    assert (body.encode() if isinstance(body, str) else body) == drawn.body
    assert responses[0]["status"]["code"] == drawn.status


def vcr_deserialize(text: str) -> tuple[list[Any], list[Any]]:
    from vcr.serialize import deserialize

    requests, responses = deserialize(text, yamlserializer)[:2]
    return list(requests), list(responses)


def test_plain_vcrpy_plays_a_shipped_cassette() -> None:
    path = Path(__file__).parent.parent / "cassettes" / "counting" / "difference.yaml"
    recorded = store.load(path, shown=str(path))
    cassette = vcr.cassette.Cassette.load(path=str(path), serializer=yamlserializer, persister=FilesystemPersister)

    for one in recorded:
        request = vcr.request.Request("POST", one.request.url, one.request.body, {})
        assert cassette.can_play_response_for(request)
        body = cassette.play_response(request)["body"]["string"]
        assert (body if isinstance(body, bytes) else body.encode()) == one.body


def test_a_cassette_is_for_people() -> None:
    body = msgspec.json.encode({"messages": [{"role": "user", "content": "Grüße 😀 \u4f60"}]})
    stream = 'event: a\ndata: {"text":"Grüße 😀"}\n\n'.encode()
    one = Interaction(
        number=1,
        lane="main",
        turn=1,
        request=Request(method="POST", url="https://x.example/v1", headers=(("x-api-key", "sk-secret"),), body=body),
        status=200,
        headers=(("set-cookie", "secret"), ("content-length", "9")),
        chunks=[Chunk(12.0, stream[:10]), Chunk(20.5, stream[10:])],
        ended="complete",
    )

    text = to_text([one])

    assert '     "content": "Grüße 😀 你"' in text
    assert '        data: {"text":"Grüße 😀"}\n' in text
    assert "'12:10 20.5:30'" in text
    assert "secret" not in text
    assert text.count(PLACEHOLDER) == 2
    assert "content-length" not in text


@pytest.mark.parametrize("header", sorted(SECRET_HEADERS))
def test_headers_that_carry_secrets_are_scrubbed_both_ways(header: str) -> None:
    one = Interaction(
        number=1,
        lane=None,
        turn=None,
        request=Request(method="POST", url="https://x.example", headers=((header.title(), "s3cr3t"),), body=b""),
        status=200,
        headers=((header, "s3cr3t"),),
        ended="complete",
    )

    assert "s3cr3t" not in to_text([one])


def test_a_recording_of_plain_vcrpy_is_split_at_event_boundaries() -> None:
    plain = {
        "interactions": [
            {
                "request": {"method": "POST", "uri": "https://x.example", "body": None, "headers": {}},
                "response": {
                    "status": {"code": 200, "message": "OK"},
                    "headers": {"Content-Type": ["text/event-stream"]},
                    "body": {"string": "data: a\n\ndata: b\r\n\r\ndata: c\n\n"},
                },
            }
        ],
        "version": 1,
    }

    (one,) = from_plain(plain)

    assert [chunk.data for chunk in one.chunks] == [b"data: a\n\n", b"data: b\r\n\r\n", b"data: c\n\n"]
    assert (one.lane, one.ended) == (None, "complete")


GOOD = """\
interactions:
- request: {method: POST, uri: 'https://x.example', body: '', headers: {}}
  response:
    status: {code: 200, message: OK}
    headers: {}
    body: {string: "a"}
version: 1
"""
OURS = to_text(
    [
        Interaction(
            number=1,
            lane="main",
            turn=1,
            request=Request(method="POST", url="https://x.example", headers=(), body=b"{}"),
            status=200,
            chunks=[Chunk(1.0, b"data: a\n\n")],
            ended="complete",
        )
    ]
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OURS.replace("version: 1\n", ""), "the file was cut off"),
        (OURS[: OURS.index("    x-convtest")], "the file was cut off"),
        (GOOD[:120], "expected ',' or '}'|did not find expected node content"),
        ("", "it has no list of interactions"),
        ("interactions: 3\nversion: 1\n", "interactions: a list was expected, not a number"),
        (GOOD.replace("code: 200", "code: many"), "interaction 1: response.status.code: a whole number"),
        (GOOD.replace("method: POST, ", ""), "interaction 1: request.method: a text was expected, not nothing"),
        (GOOD.replace('string: "a"', "string: !!python/object/apply:os.getcwd []"), "c.yaml:6"),
        (GOOD.encode() + b"\xff\xfe", "c.yaml"),
        ("a: *x\n", "c.yaml:1"),
    ],
)
def test_a_broken_cassette_is_an_error_and_never_an_empty_one(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(UnreadableCassette, match=message):
        store.load(path, shown="c.yaml")


def test_every_truncation_of_a_cassette_is_noticed(tmp_path: Path) -> None:
    whole = (Path(__file__).parent.parent / "cassettes" / "counting" / "difference.yaml").read_bytes()
    path = tmp_path / "c.yaml"

    for size in range(0, len(whole) - 12, 97):
        path.write_bytes(whole[:size])
        with pytest.raises(UnreadableCassette):
            store.load(path, shown="c.yaml")


def test_saving_replaces_the_file_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "c.yaml"
    store.save(path, [])
    before = path.read_bytes()

    def fails(interactions: object, scrubber: object) -> str:
        raise MemoryError

    monkeypatch.setattr("convtest.cassettes.store.to_text", fails)
    with pytest.raises(MemoryError):
        store.save(path, [])

    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["c.yaml"]


def test_words_that_changed_close_to_each_other_are_shown_in_one_line_each_as_sent() -> None:
    def asked(text: str) -> Canonical:
        body = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": text}]})
        return canonical("POST", "https://api.anthropic.com/v1/messages", body)

    far = " and more" * 20

    assert difference(asked("My name is Ada."), asked("What is 1 + 1?")) == [
        "message 1 (user) differs:",
        "    - [My name] is [Ada.]",
        "    + [What] is [1 + 1?]",
    ]
    assert difference(asked(f"one{far} two"), asked(f"One{far} TWO")) == [
        "message 1 (user) differs:",
        "    - [one] and more and more and more",
        "    + [One] and more and more and more",
        "    - and more and more and more [two]",
        "    + and more and more and more [TWO]",
    ]
    assert difference(asked("now now"), asked("now")) == [
        "message 1 (user) differs:",
        "    - now [now]",
        "    + now []",
    ]
