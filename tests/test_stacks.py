"""What each HTTP stack's requests come to: recorded and replayed, streamed, refused while offline; docs/network.md has
the table, and each of its cells is a test here."""

import asyncio
import base64
import binascii
import contextlib
import http.client
import importlib
import json
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import pytest

from convtest.cassettes.store import Cassette
from convtest.clients.port import Opening
from convtest.errors import NetworkBlocked, NothingCaptured
from convtest.events import Event, TextDelta, TurnEnd
from convtest.play.mode import Mode, Rules
from convtest.play.network import _GUARD, blocked
from convtest.play.recording import recording
from convtest.wire import lanes
from tests.h2_model import h2_model
from tests.models import Behaviour, model
from tests.playing import Stage, checks_of

BODY = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
HOST = "model.example.com"
Heard = Callable[[bytes], None]
"""Told each piece as it comes."""


def use_httpx(url: str, heard: Heard, name: str = "httpx", **options: Any) -> None:
    module = importlib.import_module(name)
    with (
        module.Client(timeout=5, trust_env=False, **options) as client,
        client.stream("POST", f"{url}/v1/messages", json=BODY) as said,
    ):
        for piece in said.iter_raw():
            heard(piece)


def use_httpx_async(url: str, heard: Heard, name: str = "httpx") -> None:
    module = importlib.import_module(name)

    async def ask() -> None:
        async with (
            module.AsyncClient(timeout=5, trust_env=False) as client,
            client.stream("POST", f"{url}/v1/messages", json=BODY) as said,
        ):
            async for piece in said.aiter_raw():
                heard(piece)

    asyncio.run(ask())


def use_aiohttp(url: str, heard: Heard) -> None:
    import aiohttp

    async def ask() -> None:
        async with aiohttp.ClientSession() as session, session.post(f"{url}/v1/messages", json=BODY) as said:
            async for piece in said.content.iter_any():
                heard(piece)

    asyncio.run(ask())


def use_requests(url: str, heard: Heard) -> None:
    import requests

    with requests.post(f"{url}/v1/messages", json=BODY, stream=True, timeout=5) as said:
        for piece in said.iter_content(None):
            heard(piece)


def use_urllib3(url: str, heard: Heard) -> None:
    import urllib3

    with urllib3.PoolManager(retries=False, timeout=5) as pool:
        said = pool.request("POST", f"{url}/v1/messages", json=BODY, preload_content=False)
        for piece in said.stream():
            heard(piece)


def use_urllib(url: str, heard: Heard) -> None:
    import urllib.request

    data, headers = json.dumps(BODY).encode(), {"content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/messages", data, headers), timeout=5) as said:
        while piece := said.read1():
            heard(piece)


def use_botocore(url: str, heard: Heard) -> None:
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="AKIA",
        aws_secret_access_key="s",
        config=Config(retries={"max_attempts": 1, "mode": "standard"}, connect_timeout=5, read_timeout=5),
    )
    said = client.invoke_model_with_response_stream(modelId="m", body=json.dumps(BODY))
    for event in said["body"]:
        heard(event["chunk"]["bytes"])


def use_http_client(url: str, heard: Heard) -> None:
    asked = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        asked.request("POST", "/v1/messages", json.dumps(BODY))
        said = asked.getresponse()
        while piece := said.read1():
            heard(piece)
    finally:
        asked.close()


def use_grpc(url: str, heard: Heard) -> None:
    import grpc

    with grpc.insecure_channel(urlsplit(url).netloc) as channel, contextlib.suppress(grpc.RpcError):
        channel.unary_unary("/model/Ask")(b"", timeout=2)


def use_curl_cffi(url: str, heard: Heard) -> None:
    requests = pytest.importorskip("curl_cffi.requests", reason="curl_cffi is not here, nor its row of the table")
    with requests.Session() as session:
        heard(session.post(f"{url}/v1/messages", json=BODY, timeout=5).content)


def use_curl_cffi_async(url: str, heard: Heard) -> None:
    requests = pytest.importorskip("curl_cffi.requests", reason="curl_cffi is not here, nor its row of the table")

    async def ask() -> None:
        async with requests.AsyncSession() as session:
            heard((await session.post(f"{url}/v1/messages", json=BODY, timeout=5)).content)

    asyncio.run(ask())


@dataclass(frozen=True)
class Stack:
    """One row: what it is called, how it is used, and which cells hold. `served`: with which fake."""

    name: str
    use: Callable[[str, Heard], None]
    recorded: bool = True
    streamed: bool = True
    served: str = "http"


STACKS = [
    Stack("httpx", use_httpx),
    Stack("httpx, async", use_httpx_async),
    Stack("httpx, HTTP/2", lambda url, heard: use_httpx(url, heard, http2=True, http1=False), served="h2"),
    Stack("httpx2", lambda url, heard: use_httpx(url, heard, "httpx2")),
    Stack("httpx2, async", lambda url, heard: use_httpx_async(url, heard, "httpx2")),
    Stack("aiohttp", use_aiohttp),
    Stack("requests", use_requests),
    Stack("urllib3", use_urllib3),
    Stack("botocore (Bedrock)", use_botocore, served="bedrock"),
    Stack("urllib.request", use_urllib),
    Stack("http.client", use_http_client, recorded=False, streamed=False),
    Stack("gRPC", use_grpc, recorded=False, streamed=False),
    Stack("curl_cffi", use_curl_cffi, recorded=False, streamed=False),
    Stack("curl_cffi, async", use_curl_cffi_async, recorded=False, streamed=False),
]
named = pytest.mark.parametrize("stack", STACKS, ids=lambda one: one.name)


def bedrock(part: bytes) -> bytes:
    """One message of AWS's event stream with this in it."""
    payload = json.dumps({"bytes": base64.b64encode(part).decode()}).encode()
    headers = b""
    for name, value in ((":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")):
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", binascii.crc32(message))


class Paced:
    """A fake's pace: each piece waits until the client has heard the one before it, or for two seconds."""

    def __init__(self, served: str) -> None:
        self.turn = threading.Semaphore(1)
        self.late = 0
        self.pieces: list[bytes] = []
        self.behaviour = Behaviour(edit=self.edit, pause=0)
        if served == "bedrock":
            self.behaviour.extra_headers = {"content-type": "application/vnd.amazon.eventstream"}
        self._served = served

    def edit(self, part: bytes) -> bytes:
        self.late += not self.turn.acquire(timeout=2)
        return bedrock(part) if self._served == "bedrock" else part

    def heard(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.turn.release()


def serving(stack: Stack, pace: Paced) -> Any:
    return h2_model(pace.behaviour) if stack.served == "h2" else model(pace.behaviour)


def record(stack: Stack, path: Path, mode: Mode, url: str, heard: Heard) -> None:
    with recording(Cassette(path, "c", "record"), mode, Rules(), node="test_it"):
        stack.use(url, heard)


@pytest.mark.parametrize("stack", [one for one in STACKS if one.recorded], ids=lambda one: one.name)
def test_it_is_recorded_as_it_streams_and_replays_the_same(stack: Stack, tmp_path: Path) -> None:
    pace = Paced(stack.served)
    replayed: list[bytes] = []
    with serving(stack, pace) as (url, _):
        record(stack, tmp_path / "c.yaml", Mode(record="all"), url, pace.heard)

    record(stack, tmp_path / "c.yaml", Mode(), url, replayed.append)

    assert stack.streamed == (pace.late == 0), "a piece was held back until the next one had come"
    assert b"".join(replayed) == b"".join(pace.pieces)
    assert len(replayed) == len(pace.pieces) > 5
    assert b"forty" in b"".join(replayed)
    assert not lanes.patched()


@named
def test_it_is_refused_while_offline_with_the_item_s_name(stack: Stack) -> None:
    with blocked("talk.yaml::one", ()) as traffic, pytest.raises(Exception) as raised:  # noqa: PT011  each has its own
        stack.use(f"http://{HOST}", lambda piece: None)

    error: BaseException | None = raised.value
    assert HOST in {one.host for one in traffic.attempts}
    assert all("talk.yaml::one" in str(one) for one in traffic.attempts)
    assert error is not None
    assert not isinstance(error, NetworkBlocked) or HOST in str(error)


UNRECORDED = {"http.client": "http", "gRPC": "grpc", "curl_cffi": "curl_cffi", "curl_cffi, async": "curl_cffi"}


@pytest.mark.parametrize("stack", [one for one in STACKS if not one.recorded], ids=lambda one: one.name)
def test_what_is_not_recorded_is_an_error_that_names_it(stack: Stack, tmp_path: Path) -> None:
    """On another machine than this: here an application may be spoken to."""

    def ask(url: str, heard: Heard) -> None:
        _GUARD.playing[-1].addresses["127.0.0.1"] = HOST
        stack.use(url, heard)

    asks = Stack(stack.name, ask)
    named = rf"{UNRECORDED[stack.name]}, test_stacks.py:\d+ to {HOST}"
    with model() as (url, _), pytest.raises(NothingCaptured, match=named):
        record(asks, tmp_path / "c.yaml", Mode(record="all"), url, lambda piece: None)


def rows() -> Iterator[str]:
    yield "| stack | recorded and replayed | streamed | refused while offline |"
    yield "|---|---|---|---|"
    for stack in STACKS:
        recorded, streamed = ("yes" if one else "no: an error" for one in (stack.recorded, stack.streamed))
        yield f"| {stack.name} | {recorded} | {streamed if stack.recorded else 'no'} | yes |"


def test_the_table_in_the_docs_is_that_of_these_tests() -> None:
    text = (Path(__file__).parent.parent / "docs" / "network.md").read_text()

    assert "\n".join(rows()) in text, "\n".join(rows())


FAILING = [one for one in STACKS if one.name in {"aiohttp", "requests", "urllib3"}]


@pytest.mark.parametrize("cut", ["reset", "close"])
@pytest.mark.parametrize("stack", FAILING, ids=lambda one: one.name)
def test_an_answer_that_broke_off_breaks_off_again(stack: Stack, cut: str, tmp_path: Path) -> None:
    met: list[tuple[type[BaseException], bytes]] = []
    heard: list[bytes] = []

    def ask(url: str) -> None:
        heard.clear()
        with pytest.raises(Exception) as raised:  # noqa: PT011  each stack has its own
            stack.use(url, heard.append)
        met.append((raised.type, b"".join(heard)))

    asks = Stack(stack.name, lambda url, _: ask(url))
    with model(Behaviour(cut_after=3, cut=cut)) as (url, _):
        record(asks, tmp_path / "c.yaml", Mode(record="all"), url, heard.append)
    record(asks, tmp_path / "c.yaml", Mode(), url, heard.append)

    assert met[0][0] is met[1][0]
    assert met[1][1].startswith(met[0][1])
    assert b"message_start" in met[1][1]


@pytest.mark.parametrize("stack", FAILING, ids=lambda one: one.name)
def test_packed_answers_are_unpacked_by_the_stack_and_kept_in_plain(stack: Stack, tmp_path: Path) -> None:
    read: list[bytes] = []
    with model(Behaviour(encoding="gzip")) as (url, _):
        for mode in (Mode(record="all"), Mode()):
            heard: list[bytes] = []
            record(stack, tmp_path / "c.yaml", mode, url, heard.append)
            read.append(b"".join(heard))

    assert read[0] == read[1]
    assert b"forty" in read[0]
    assert "forty" in (tmp_path / "c.yaml").read_text()


class ByRequests:
    """A client on requests, in a thread of its own, that streams."""

    session_id = None

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._history: list[dict[str, str]] = []

    async def connect(self) -> None: ...
    async def disconnect(self) -> None: ...
    async def interrupt(self) -> None: ...

    async def query(self, text: str) -> None:
        self._history.append({"role": "user", "content": text})

    async def receive_response(self) -> AsyncIterator[Event]:
        text = await anyio.to_thread.run_sync(self._ask)
        self._history.append({"role": "assistant", "content": text})
        yield TextDelta(text=text)
        yield TurnEnd()

    def _ask(self) -> str:
        import requests

        body = {"model": "claude-haiku-4-5", "max_tokens": 99, "messages": self._history}
        said = requests.post(f"{self._opening.base_url}/v1/messages", json=body, timeout=5)
        return "".join(block["text"] for block in said.json()["content"])


class Forgets(ByRequests):
    async def query(self, text: str) -> None:
        self._history = [{"role": "user", "content": text}]


class ByAiohttp(ByRequests):
    async def receive_response(self) -> AsyncIterator[Event]:
        import aiohttp

        body = {"model": "claude-haiku-4-5", "max_tokens": 99, "messages": self._history}
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            said = await (await session.post(f"{self._opening.base_url}/v1/messages", json=body)).json()
        text = "".join(block["text"] for block in said["content"])
        self._history.append({"role": "assistant", "content": text})
        yield TextDelta(text=text)
        yield TurnEnd()


SESSIONS = """\
scenario: two at once
sessions: {alice: {}, bob: {}}
facts:
  who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
steps:
  - together:
      - - {session: alice, tell: who}
        - {session: alice, ask: who}
      - - {session: bob, user: Hello.}
        - {session: bob, user: What is 1 + 1?, expect: {contains: "2"}}
"""


@pytest.mark.parametrize("client", ["ByRequests", "ByAiohttp"])
def test_scenarios_are_simulated_recorded_and_replayed_each_session_in_its_lane(client: str, stage: Stage) -> None:
    target = f"tests.test_stacks:{client}"

    simulated, recorded = stage.play(SESSIONS, target), stage.record(SESSIONS, target)
    replayed = stage.play(SESSIONS, target)

    assert [one.verdict.passed for one in (simulated, recorded, replayed)] == [True] * 3
    assert [one.transcript.source for one in (simulated, recorded, replayed)] == ["simulated", "recorded", "replayed"]
    assert sorted(str(one.lane) for one in replayed.transcript.interactions) == ["alice", "alice", "bob", "bob"]


def test_a_client_on_requests_that_forgets_is_caught(stage: Stage) -> None:
    outcome = stage.play(SESSIONS, "tests.test_stacks:Forgets")

    assert ("history", "wire") in checks_of(outcome)


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
def test_google_genai_is_recorded_and_replayed_by_both_of_its_stacks(tmp_path: Path) -> None:
    from google import genai

    answer = {"candidates": [{"content": {"role": "model", "parts": [{"text": "forty-two"}]}, "finishReason": "STOP"}]}

    def ask(url: str) -> list[str]:
        client = genai.Client(api_key="AIza-not-a-key", http_options=genai.types.HttpOptions(base_url=url))
        said = str(client.models.generate_content(model="m", contents="Hi").text)
        client.close()

        async def later() -> str:
            answer = await client.aio.models.generate_content(model="m", contents="Ho")
            await client.aio.aclose()
            return str(answer.text)

        return [said, asyncio.run(later())]

    cassette = Cassette(tmp_path / "c.yaml", "c", "r")
    with (
        model(Behaviour(statuses=[(200, {}, json.dumps(answer).encode())] * 2)) as (url, _),
        recording(cassette, Mode(record="all"), Rules(), node="t"),
    ):
        recorded = ask(url)
    with recording(cassette, Mode(), Rules(), node="t") as made:
        replayed = ask(url)

    assert recorded == replayed == ["forty-two"] * 2
    asked = [urlsplit(one.request.url).path for one in made.interactions]
    assert [one.rpartition("/")[2] for one in asked] == ["m:generateContent"] * 2
