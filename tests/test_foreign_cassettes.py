"""Cassettes of the world: whatever vcrpy and its users write comes in with its bodies; the rest is refused by name."""

import gzip
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import brotli
import pytest
import vcr.serialize
import yaml
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from vcr.request import Request as VcrRequest
from vcr.serializers import jsonserializer

from convtest.cassettes import store
from convtest.cassettes.comparison import compare
from convtest.errors import UnreadableCassette
from convtest.reporting.cassette import cassette_lines
from convtest.wire.interaction import Interaction

URL = "https://api.openai.com/v1/chat/completions"
ASKED = {"messages": [{"role": "user", "content": "What is 1 + 1?"}]}
ANSWERED = {"choices": [{"message": {"role": "assistant", "content": "2"}, "finish_reason": "stop"}]}
TEXT = json.dumps(ANSWERED)
OK = {"code": 200, "message": "OK"}


def document(request: Mapping[str, Any], response: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    request = {"method": "POST", "uri": URL, "headers": {}, **request}
    response = {"status": OK, "headers": {}, **response}
    return {"interactions": [{"request": request, "response": response}], "version": 1, **more}


def loaded(folder: Path, data: Any) -> list[Interaction]:
    path = folder / "c.yaml"
    path.write_bytes(data if isinstance(data, bytes) else yaml.safe_dump(data).encode())
    return store.load(path, shown="c.yaml")


def refusal(folder: Path, data: Any) -> str:
    with pytest.raises(UnreadableCassette) as caught:
        loaded(folder, data)
    return str(caught.value)


FORMS: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "vcrpy": ({"body": json.dumps(ASKED)}, {"body": {"string": TEXT}}),
    "bytes": ({"body": json.dumps(ASKED).encode()}, {"body": {"string": TEXT.encode()}}),
    "parsed_body": ({"parsed_body": ASKED}, {"parsed_body": ANSWERED}),
    "parsed_body beside an old one": ({"parsed_body": ASKED, "body": ""}, {"parsed_body": ANSWERED, "body": ""}),
    "data for text": ({"body": ASKED}, {"body": {"string": ANSWERED}}),
    "a body on its own": ({"body": json.dumps(ASKED)}, {"body": TEXT}),
    "a body of data on its own": ({"body": json.dumps(ASKED)}, {"body": ANSWERED}),
    "older httpx": (
        {"body": json.dumps(ASKED)},
        {"status": None, "status_code": 200, "content": TEXT, "http_version": "HTTP/1.1"},
    ),
    "older httpx, its header left": (
        {"body": json.dumps(ASKED)},
        {"status": None, "status_code": 200, "content": TEXT, "headers": {"content-encoding": ["gzip"]}},
    ),
    "status alone": ({"body": json.dumps(ASKED)}, {"status": 200, "body": {"string": TEXT}}),
    "a code in words": ({"body": json.dumps(ASKED)}, {"status": {"code": "200"}, "body": {"string": TEXT}}),
    "headers as pairs": (
        {"body": json.dumps(ASKED), "headers": [["a", "b"]]},
        {"body": {"string": TEXT}, "headers": [["content-type", "application/json"]]},
    ),
    "base64": (
        {"body": json.dumps(ASKED)},
        {"body": {"base64_string": "eyJjaG9pY2VzIjpbeyJtZXNzYWdlIjp7ImNvbnRlbnQiOiIyIn19XX0=", "encoding": "utf-8"}},
    ),
    "url": ({"uri": None, "url": URL, "body": json.dumps(ASKED)}, {"body": {"string": TEXT}}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("version", [{}, {"version": None}, {"version": "1"}])
def test_a_conversation_comes_in_whatever_form_it_was_kept_in(
    tmp_path: Path, form: str, version: Mapping[str, Any]
) -> None:
    data = document(*FORMS[form], **version)
    if version and version["version"] is None:
        del data["version"]
    for written in (yaml.safe_dump(data), yaml.safe_dump(data, default_flow_style=True)):
        (one,) = loaded(tmp_path, written.encode())

        assert one.canonical.texts() == ["What is 1 + 1?"]
        assert [block["text"] for block in one.reply()["content"]] == ["2"]
        assert (one.status, one.ended, one.request.url) == (200, "complete", URL)


def test_conversations_that_differ_do_not_count_as_the_same_where_bodies_are_data(tmp_path: Path) -> None:
    other = {"messages": [{"role": "user", "content": "Delete everything."}]}
    first = loaded(tmp_path, document({"parsed_body": ASKED}, {"parsed_body": ANSWERED}))
    second = loaded(tmp_path, document({"parsed_body": other}, {"parsed_body": ANSWERED}))

    assert [change.verdict for change in compare(first, second)] == ["request"]


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: data])
def test_requests_and_responses_side_by_side_also_in_a_packed_file(tmp_path: Path, pack: Any) -> None:
    (pair,) = document({"body": json.dumps(ASKED)}, {"body": {"string": TEXT}})["interactions"]
    both = {"requests": [pair["request"]] * 2, "responses": [pair["response"]] * 2}

    found = loaded(tmp_path, pack(yaml.safe_dump(both).encode()))

    assert [one.number for one in found] == [1, 2]
    assert "2 requests and 1 responses" in refusal(tmp_path, {**both, "responses": [pair["response"]]})


def test_json_as_vcrpy_writes_it_may_hold_an_emoji(tmp_path: Path) -> None:
    answer = {"status": OK, "headers": {}, "body": {"string": '{"content":[{"type":"text","text":"Hi 😀"}]}'}}
    text = vcr.serialize.serialize(
        {"requests": [VcrRequest("POST", URL, b"{}", {})], "responses": [answer]}, jsonserializer
    )
    assert "\\ud83d\\ude00" in text

    (one,) = loaded(tmp_path, text.encode())

    assert "Hi 😀".encode() in one.body
    assert "surrogate" in refusal(tmp_path, text.replace("\\ude00", "").encode())


def test_a_recording_of_nothing_is_empty(tmp_path: Path) -> None:
    assert loaded(tmp_path, {"interactions": {}}) == loaded(tmp_path, {"interactions": [], "version": 1}) == []


def test_aliases_stand_for_what_they_name(tmp_path: Path) -> None:
    text = f"""\
interactions:
- request: {{method: POST, uri: '{URL}', body: &asked '{json.dumps(ASKED)}', headers: &id001 {{a: [b]}}}}
  response: {{status: &ok {{code: 200, message: OK}}, headers: {{}}, body: &said {{string: '{TEXT}'}}}}
- request: {{method: POST, uri: '{URL}', body: *asked, headers: *id001}}
  response: {{status: *ok, headers: *id001, body: *said}}
version: 1
"""

    one, other = loaded(tmp_path, text.encode())

    assert one.request == other.request
    assert one.body == other.body
    assert other.headers == (("a", "b"),)


def test_aliases_that_unfold_without_end_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    around = "\n".join([*lines, "interactions: [{request: {body: *a8, method: POST, uri: x}, response: {}}]"])

    assert "unfold to more than 1,000,000 values" in refusal(tmp_path, around.encode())
    assert "names nothing that stands before it" in refusal(tmp_path, b"interactions: &a [*a]\n")


def test_texts_that_python_2_wrote_are_texts(tmp_path: Path) -> None:
    data = yaml.safe_dump(document({"body": "BODY"}, {"body": {"string": TEXT}}))

    (one,) = loaded(tmp_path, data.replace("body: BODY", "body: !!python/unicode 'BODY'").encode())

    assert one.request.body == b"BODY"


PACKED = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("name", PACKED)
def test_bodies_are_decoded_on_both_sides(tmp_path: Path, name: str) -> None:
    headers = {"Content-Encoding": [name]}
    packed = PACKED[name](json.dumps(ASKED).encode()), PACKED[name](TEXT.encode())

    (one,) = loaded(
        tmp_path,
        document({"body": packed[0], "headers": headers}, {"body": {"string": packed[1]}, "headers": headers}),
    )

    assert one.canonical.texts() == ["What is 1 + 1?"]
    assert one.body == TEXT.encode()


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_what_begins_as_a_packed_body_is_one_where_its_header_was_filtered(tmp_path: Path, name: str) -> None:
    for headers in ({}, {"content-encoding": ["**REDACTED**"]}, {"content-encoding": "br"}):
        (one,) = loaded(
            tmp_path,
            document(
                {"body": PACKED[name](json.dumps(ASKED).encode()), "headers": headers},
                {"body": {"string": PACKED[name](PACKED[name](TEXT.encode()))}, "headers": headers},
            ),
        )

        assert one.canonical.texts() == ["What is 1 + 1?"]
        assert one.body == TEXT.encode()


def test_several_encodings_are_undone_in_their_order(tmp_path: Path) -> None:
    twice = PACKED["br"](PACKED["gzip"](TEXT.encode()))

    for headers in ({"content-encoding": ["gzip, br"]}, {"content-encoding": ["gzip", "br"]}):
        (one,) = loaded(tmp_path, document({}, {"body": {"string": twice}, "headers": headers}))
        assert one.body == TEXT.encode()


def test_a_packed_body_that_is_broken_is_named(tmp_path: Path) -> None:
    headers = {"content-encoding": ["gzip"]}
    whole = gzip.compress(TEXT.encode() * 50)
    for body, what in (
        (whole[:-20], "gzip that was cut off"),
        (whole[:12] + b"\xff" * 40, "not what it is said to be"),
    ):
        said = refusal(tmp_path, document({}, {"body": {"string": body}, "headers": headers}))
        assert "interaction 1: response.body: " in said
        assert what in said


def test_a_body_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    bomb = gzip.compress(b"\0" * 70_000_000)

    said = refusal(tmp_path, document({}, {"body": {"string": bomb}, "headers": {"content-encoding": "gzip"}}))

    assert "more than 67,108,864 bytes, decoded" in said
    for name in ("br", "zstd"):
        packed = PACKED[name](b"\0" * 70_000_000)
        headers = {"content-encoding": name}
        assert "bytes, decoded" in refusal(tmp_path, document({}, {"body": {"string": packed}, "headers": headers}))


RUBY = {"http_interactions": [{"request": {}, "response": {}, "recorded_at": "x"}], "recorded_with": "VCR 6.2.0"}
FOREIGN: list[tuple[Any, str, str]] = [
    (RUBY, "a cassette of Ruby's VCR", "convtest import"),
    ({**RUBY, "recorded_with": "betamax/0.9"}, "a cassette of betamax", "record it again"),
    ({"log": {"version": "1.2", "entries": []}}, "a HAR file", "convtest import"),
    (
        {"version": 2, "interactions": [{"id": 0, "request": {"url": "u", "form": {}}, "response": {"code": 200}}]},
        "a cassette of go-vcr",
        "record it again",
    ),
    ([{"request": {}, "response": {}}], "a cassette of vcrpy before 1.0", "vcr.migration"),
    ([{"scope": "https://x.example", "method": "POST", "path": "/v1"}], "a recording of nock", "record it again"),
    ([{"url": "https://x.example", "status_code": 200}], "pytest-httpx", "record it again"),
    ([{"role": "user", "content": "Hi"}], "a list of messages", "convtest import"),
    ({"messages": [{"role": "user", "content": "Hi"}]}, "a list of messages", "convtest import"),
    ({"type": "user", "sessionId": "s", "message": {}}, "a session file of Claude Code", "convtest import"),
    ({"messages": [{"type": "control_response"}]}, "what a Claude Agent SDK and its CLI said", "record it again"),
    ({"type": "message_start", "message": {}}, "the events of one answer", "record it again"),
    ({"resourceSpans": []}, "a list of OpenTelemetry spans", "convtest import"),
    ({"mappings": []}, "a stub mapping of WireMock", "record it again"),
    ({"request": {}, "response": {}}, "a stub mapping of WireMock", "record it again"),
    ({"responses": [{"response": {"url": "u"}}]}, "a list of answers of the package responses", "record it again"),
    ({"scenario": "x", "steps": []}, "a scenario", "convtest check"),
]


@pytest.mark.parametrize(("data", "name", "reads"), FOREIGN)
def test_what_is_refused_says_what_it_is_and_what_reads_it(tmp_path: Path, data: Any, name: str, reads: str) -> None:
    for text in (yaml.safe_dump(data), json.dumps(data)):
        said = refusal(tmp_path, text.encode())
        assert name in said
        assert reads in said


BROKEN: list[tuple[Any, str]] = [
    ({"interactions": {"a": 1}}, "interactions: a list was expected, not a mapping"),
    ({"interactions": [5], "version": 1}, "interaction 1: it: a mapping was expected, not a number (5)"),
    ({"interactions": [{"request": [], "response": {}}], "version": 1}, "request: a mapping was expected, not a list"),
    (document({"method": ["POST"]}, {}), "request.method: a text was expected, not a list"),
    (document({"uri": None}, {}), "request.uri: a text was expected, not nothing"),
    (document({"headers": 5}, {}), "request.headers: a mapping was expected, not a number (5)"),
    (document({"headers": {"a": [["b"]]}}, {}), "request.headers: their names and values are texts"),
    (document({}, {"status": {"code": [200]}}), "response.status.code: a whole number was expected, not a list"),
    (document({}, {"status": {"code": 2}}), "response.status.code: 2 is not between 100 and 999"),
    (document({}, {"status": None}), "response.status: a whole number was expected, not nothing"),
    (document({"json": ASKED}, {}), "request: it has no body, parsed_body or content, and json, which is not known"),
    (document({}, {"text": TEXT}), "response: it has no body, parsed_body or content, and text, which is not known"),
    (document({}, {"x-convtest": 5}), "response.x-convtest: a mapping was expected, not a number (5)"),
    (document({}, {"x-convtest": {"sent": "one"}}), "sent: a whole number was expected, not a text (one)"),
    (document({}, {"x-convtest": {"ended": "some day"}}), "ended: unknown end 'some day'"),
    (document({}, {"x-convtest": {"chunks": "1:2 x"}}), "chunks: ms:bytes were expected, not '1:2 x'"),
    (document({}, {"x-convtest": {"chunks": "1:-2"}}), "chunks: ms:bytes were expected, not '1:-2'"),
    (document({}, {"x-convtest": {"events": "text*99999999999"}}), "events: kinds with counts were expected"),
    (document({}, {"x-convtest": {"events": " ".join(["text*999999"] * 5)}}), "events: kinds with counts"),
    (document({}, {"x-convtest": {"first_byte": "soon"}}), "first_byte: milliseconds was expected, not a text (soon)"),
    (document({}, {"x-convtest": {"lane": []}}), "lane: a text was expected, not a list"),
    (document({}, {}, version=3), "version 3 is not known, only 1 is"),
    (document({}, {}, version={"a": 1}), "version {'a': 1} is not known, only 1 is"),
    (yaml.safe_dump(document({}, {})).replace("200", "2" * 5000).encode(), "a number of 5,000 digits"),
    (b"[" * 100_000, "nested too deep"),
    (b"a: " + b"{a: " * 5000, "nested deeper than 200 levels"),
    (gzip.compress(b"x" * 1000)[:-30], "c.yaml"),
    (b"\xff\xfe\x00", "c.yaml"),
    (b"5", "it has no list of interactions"),
    (b"", "it has no list of interactions"),
]


@pytest.mark.parametrize(("data", "message"), BROKEN)
def test_each_wrong_value_is_one_named_error(tmp_path: Path, data: Any, message: str) -> None:
    said = refusal(tmp_path, data)

    assert message in said
    assert len(said) < 400


NUMBERS = st.one_of(st.integers(-5, 600), st.just(10**400), st.floats())
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=4), st.binary(max_size=6))
ANY = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
)
EXTRA = {"sent": 1, "ended": "complete", "lane": "a", "turn": 1, "first_byte": "5", "chunks": "5:2", "events": "text"}


@st.composite
def spoilt(draw: st.DrawFn) -> dict[str, Any]:
    """A cassette with one to three values replaced by anything."""
    extra = {"x-convtest": dict(EXTRA)} if draw(st.booleans()) else {}
    data = document(
        {"body": "{}", "headers": {"content-encoding": ["gzip"]}},
        {"status": dict(OK), "body": {"string": "{}"}, "headers": {"a": ["b"]}, **extra},
    )
    for _ in range(draw(st.integers(1, 3))):
        holder: Any = data
        while True:
            key = draw(st.sampled_from(sorted(holder, key=str))) if isinstance(holder, dict) else 0
            if not (isinstance(holder[key], dict | list) and holder[key] and draw(st.booleans())):
                holder[key] = draw(ANY)
                break
            holder = holder[key]
    return data


@settings(max_examples=400)
@given(spoilt())
def test_law_a_cassette_with_any_values_loads_or_is_refused_and_shown(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("spoilt") / "c.yaml"
    path.write_text(yaml.safe_dump(data))
    try:
        found = store.load(path, shown="c.yaml")
    except UnreadableCassette:
        return
    assert list(cassette_lines("c.yaml", found, timeline=True))
    assert not list(compare(found, found))
