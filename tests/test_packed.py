"""Packed bodies and odd headers on the wire: kept in plain, matched and scrubbed, live, replayed and at the gateway."""

import gzip
import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import httpx
import httpx2
import pytest
import yaml
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from convtest.cassettes import store
from convtest.cassettes.store import Cassette
from convtest.errors import ConversationFailed, MissingDecoder, TooLarge, UnreadableCassette
from convtest.limits import DEFAULTS, Limits
from convtest.play.mode import Mode, Rules
from convtest.play.recording import recording
from convtest.wire import encoding
from convtest.wire.encoding import Decoding, TooMuch, Undecodable, decoded_body
from convtest.wire.headers import to_bytes, to_text, without_undecodable
from convtest.wire.interaction import Interaction, Request
from convtest.wire.notes import Notes
from tests.gateways import request, serving
from tests.models import TEXT, Behaviour, encoder, model

KEY = "sk-ant-api03-Aq3xYz9Kp2Lm8Nv5Rt7Wb4Cd6Ef1Gh0Jk"
ASKED = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": f"Grüße. My key is {KEY}."}]}
RULES = Rules()
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def recorded(folder: Path, mode: Mode, call: Callable[[], Any], rules: Rules = RULES) -> tuple[Any, list[Interaction]]:
    with recording(Cassette(folder / "c.yaml", "c.yaml", "record"), mode, rules, node="test") as made:
        value = call()
    return value, made.interactions


def asking(url: str, pack: str, asked: dict[str, Any] = ASKED, module: Any = httpx) -> Callable[[], str]:
    def ask() -> str:
        headers = {"content-encoding": pack, "content-type": "application/json"}
        content = PACK[pack](json.dumps(asked).encode())
        answer = module.post(f"{url}/v1/messages", content=content, headers=headers).json()
        return str(answer["content"][0]["text"])

    return ask


@pytest.mark.parametrize("module", [httpx, httpx2])
@pytest.mark.parametrize("pack", PACK)
def test_a_packed_request_is_kept_matched_and_scrubbed_in_plain(tmp_path: Path, pack: str, module: Any) -> None:
    with model(Behaviour(unpack=lambda data: decoded_body(data, [pack]))) as (url, does):
        said, first = recorded(tmp_path, Mode(record="once"), asking(url, pack, module=module))

    assert said == TEXT
    assert does.requests == [PACK[pack](json.dumps(ASKED).encode())]
    assert first[0].canonical.texts() == [f"Grüße. My key is {KEY}."]
    text = (tmp_path / "c.yaml").read_text()
    assert "Grüße. My key is SCRUBBED_KEY-1." in text
    assert KEY not in text
    assert "!!binary" not in text
    again, _ = recorded(tmp_path, Mode(), asking(url, pack, module=module))
    assert again == TEXT
    other = {**ASKED, "messages": [{"role": "user", "content": "Another word."}]}
    with pytest.raises(ConversationFailed, match=r"\[Another word.\]"):
        recorded(tmp_path, Mode(), asking(url, pack, other, module))


@pytest.mark.parametrize("pack", PACK)
def test_packed_requests_are_plain_at_a_gateway_too(tmp_path: Path, pack: str) -> None:
    asked = PACK[pack](json.dumps(ASKED).encode())
    with serving(tmp_path, "--record", "r.yaml") as server:
        answer = server.raw(request(asked, host=f"127.0.0.1:{server.port}", content_encoding=pack))
        code, _, err = server.stop()

    assert b" 200 " in answer.split(b"\r\n", 1)[0], answer
    assert (code, err) == (0, "")
    (one,) = store.load(tmp_path / "r.yaml", shown="r.yaml")
    assert one.canonical.texts() == ["Grüße. My key is SCRUBBED_KEY-1."]
    with serving(tmp_path, "--replay", "r.yaml") as server:
        again = server.raw(request(asked, host=f"127.0.0.1:{server.port}", content_encoding=pack))
        assert b" 200 " in again.split(b"\r\n", 1)[0], again
        assert server.stop()[0] == 0


def test_an_answer_that_is_not_packed_as_it_says_breaks_off_in_its_recording_too(tmp_path: Path) -> None:
    def ask(url: str) -> str:
        with pytest.raises(httpx.HTTPError) as caught:
            httpx.post(f"{url}/v1/messages", json=ASKED)
        return type(caught.value).__name__

    with model(Behaviour(extra_headers={"content-encoding": "gzip"})) as (url, _):
        live, first = recorded(tmp_path, Mode(record="once"), lambda: ask(url))

    again, second = recorded(tmp_path, Mode(), lambda: ask(url))

    assert (live, again) == ("DecodingError", "RemoteProtocolError")
    assert first[0].ended == second[0].ended == "truncated"


def test_an_answer_that_breaks_in_mid_stream_is_kept_up_to_there() -> None:
    one = Interaction(number=1, lane=None, turn=1, request=Request(method="GET", url="x", headers=(), body=b""))
    one.headers = (("content-encoding", "gzip"),)
    notes, encode = Notes(one, DEFAULTS), encoder("gzip")[0]

    for data in (encode(b"data: one\n\n"), b"\xff" * 40, encode(b"data: two\n\n")):
        assert notes.note(1.0, data) == ""

    assert [chunk.data for chunk in one.chunks] == [b"data: one\n\n"]
    assert one.ended == "truncated"


@pytest.mark.parametrize("pack", PACK)
def test_a_small_packed_body_that_unfolds_to_a_large_one_is_not_sent(tmp_path: Path, pack: str) -> None:
    bomb = PACK[pack](b"[" * 3_000_000)
    rules = Rules(limits=Limits(body=1_000_000))

    def ask() -> None:
        with pytest.raises(httpx.HTTPError):
            httpx.post(f"{url}/v1/messages", content=bomb, headers={"content-encoding": pack})

    with model() as (url, does), pytest.raises(TooLarge, match="more than 1,000,000 bytes"):
        recorded(tmp_path, Mode(record="once"), ask, rules)

    assert does.requests == []


@pytest.mark.parametrize("pack", PACK)
def test_no_more_is_decoded_than_the_limit(pack: str) -> None:
    bomb = PACK[pack](b"\0" * 200_000_000)
    assert len(bomb) < 300_000

    with pytest.raises(TooMuch):
        Decoding([pack], 1_000_000).feed(bomb)
    with pytest.raises(TooMuch):
        decoded_body(bomb, [pack], limit=1_000_000)


PACKED = {name: pack(json.dumps(ASKED).encode()) for name, pack in PACK.items()}


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("brotli", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(encoding, "find_spec", lambda name: None)
    encoding.decodable.cache_clear()
    yield
    encoding.decodable.cache_clear()


@pytest.mark.usefixtures("nothing_installed")
def test_what_cannot_be_decoded_is_not_asked_for() -> None:
    def accepted(value: str) -> str:
        return dict(without_undecodable([("Accept-Encoding", value), ("x", "br")]))["Accept-Encoding"]

    assert accepted("gzip, deflate, br, zstd") == "gzip, deflate"
    assert accepted("br;q=1.0, gzip;q=0.5, *;q=0.1") == "gzip;q=0.5"
    assert accepted("br") == "identity"
    assert accepted("gzip,deflate") == "gzip,deflate"


@pytest.mark.parametrize("pack", ["br", "zstd"])
@pytest.mark.usefixtures("nothing_installed")
def test_a_missing_decoder_is_an_error_that_says_what_to_install(tmp_path: Path, pack: str) -> None:
    packed = PACKED[pack]

    def ask() -> None:
        with pytest.raises(httpx.HTTPError):
            httpx.post(f"{url}/v1/messages", content=packed, headers={"content-encoding": pack})

    with model() as (url, does), pytest.raises(MissingDecoder, match=rf"encoded as {pack}\n.*convtest\[encodings\]"):
        recorded(tmp_path, Mode(record="once"), ask)

    assert does.requests == []
    answer = {"status": {"code": 200}, "headers": {"content-encoding": pack}, "body": {"string": packed}}
    data = {"interactions": [{"request": {"method": "GET", "uri": "x"}, "response": answer}]}
    (tmp_path / "d.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(UnreadableCassette, match=rf"response\.body: a body is encoded as {pack}"):
        store.load(tmp_path / "d.yaml", shown="d.yaml")


HELD = f"My key is {KEY}, my notes are in /Users/ada.l/notes.md and /Users/bob.m/notes.md."


@pytest.mark.parametrize(
    ("sent", "fits"),
    [
        (HELD, True),
        (HELD.replace("ada.l", "grace.h"), True),
        (HELD.replace("ada.l", "bob.m"), False),
        (HELD.replace("notes.md.", "todo.md."), False),
    ],
)
def test_what_others_recorded_with_secrets_in_it_is_matched_as_what_we_scrub(
    tmp_path: Path, sent: str, fits: bool
) -> None:
    def asked(text: str) -> dict[str, Any]:
        return {**ASKED, "messages": [{"role": "user", "content": text}]}

    url = "https://api.anthropic.com/v1/messages"
    answer = {"status": {"code": 200}, "headers": {}, "body": {"string": '{"content": [{"text": "Yes."}]}'}}
    pair = {"request": {"method": "POST", "uri": url, "body": json.dumps(asked(HELD))}, "response": answer}
    (tmp_path / "c.yaml").write_text(json.dumps({"interactions": [pair]}))

    if fits:
        assert recorded(tmp_path, Mode(), asking(url.removesuffix("/v1/messages"), "gzip", asked(sent)))[0] == "Yes."
    else:
        with pytest.raises(ConversationFailed, match="no recorded interaction answers"):
            recorded(tmp_path, Mode(), asking(url.removesuffix("/v1/messages"), "gzip", asked(sent)))


def test_a_client_gets_headers_of_any_letters(tmp_path: Path) -> None:
    with model(Behaviour(extra_headers={"x-latin": "Größe"})) as (url, _):
        live, _ = recorded(tmp_path, Mode(record="once"), lambda: httpx.post(f"{url}/v1/messages", json=ASKED).headers)

    text = (tmp_path / "c.yaml").read_text()
    (tmp_path / "c.yaml").write_text(text.replace("Größe", "Größe 😀 \u4f60"))
    again, _ = recorded(tmp_path, Mode(), lambda: httpx.post(f"{url}/v1/messages", json=ASKED).headers)

    assert (live["x-latin"], again["x-latin"]) == ("Größe", "Größe 😀 \u4f60")


def test_a_gateway_passes_headers_of_any_letters_on_and_none_that_begin_others(tmp_path: Path) -> None:
    plain = {"method": "POST", "uri": "https://api.anthropic.com/v1/messages", "body": json.dumps(ASKED), "headers": {}}
    headers = {"x-odd": ["Größe 😀"], "x-split": ["a\r\nx-planted: b"]}
    answer = {"status": {"code": 200}, "headers": headers, "body": {"string": '{"content": []}'}}
    (tmp_path / "r.json").write_text(json.dumps({"interactions": [{"request": plain, "response": answer}]}))

    with serving(tmp_path, "--replay", "r.json") as server:
        head = server.raw(request(json.dumps(ASKED).encode(), host=f"127.0.0.1:{server.port}")).split(b"\r\n\r\n")[0]

    assert "x-odd: Größe 😀".encode() in head
    assert b"x-split: a x-planted: b" in head
    assert b"\nx-planted" not in head


@settings(max_examples=200)
@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=20)), max_size=4))
def test_law_headers_of_any_letters_go_over_the_wire_and_come_back(headers: list[tuple[str, str]]) -> None:
    for (name, value), (sent_name, sent) in zip(headers, to_bytes(headers), strict=True):
        assert not {*b"\r\n\0"} & {*sent, *sent_name}
        if not {*"\r\n\0"} & {*name, *value}:
            assert (to_text(sent_name), to_text(sent)) == (name, value)


NAMES = st.lists(st.sampled_from([*PACK, "x-gzip", "identity", "unknown"]), max_size=3)


@settings(max_examples=200)
@given(st.binary(max_size=400), NAMES, st.lists(st.integers(1, 60), max_size=8))
def test_law_decoding_undoes_encoding_whatever_the_pieces(body: bytes, names: list[str], cuts: list[int]) -> None:
    packed = body
    for name in names:
        packed = PACK.get(name.removeprefix("x-"), bytes)(packed)
    known = [name for name in names if name in encoding._STEPS]

    assert decoded_body(packed, [name for name in names if name != "unknown"]) == body
    decoding, found = Decoding(known), b""
    for size in [*cuts, len(packed)]:
        found, packed = found + decoding.feed(packed[:size]), packed[size:]
    assert found == body


@settings(max_examples=300)
@given(st.binary(max_size=200), NAMES, st.booleans())
def test_law_bytes_that_are_anything_are_decoded_or_refused(body: bytes, names: list[str], by_shape: bool) -> None:
    for data in (body, b"\x1f\x8b\x08" + body, b"\x28\xb5\x2f\xfd" + body, gzip.compress(body)[:-5]):
        try:
            decoded_body(data, names, by_shape=by_shape, limit=100_000)
        except (Undecodable, TooMuch):
            continue
