"""The real anthropic and openai packages: recorded from a server, replayed without it, every chunk where it was."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import anyio
import httpx
import httpx2
import openai
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from convtest.cassettes import store
from convtest.cassettes.format import from_plain, to_text
from convtest.cassettes.naming import SECRET_HEADERS, Names
from convtest.cassettes.player import Player
from convtest.cassettes.scrubbing import NOTHING_KNOWN
from convtest.cassettes.store import Cassette
from convtest.clients.port import Opening
from convtest.clock import VirtualClock
from convtest.errors import ConversationFailed, NoCassette
from convtest.events import TextDelta, TurnEnd
from convtest.play.mode import Mode, Rules
from convtest.play.recording import Recording, recording
from convtest.wire import lanes
from convtest.wire.interaction import Interaction, StreamEnd
from convtest.wire.marks import PLACEHOLDER
from convtest.wire.tap import Answer, OpenTurn, Source, Tap, Via, WireFailure
from convtest.wire.transports import binding
from tests.models import TEXT, Behaviour, encoder, model
from tests.playing import Stage

USER: Any = [{"role": "user", "content": "What is the answer?"}]
Call = Callable[[str], str]


def anthropic_sync(url: str) -> str:
    with anthropic.Anthropic(base_url=url, api_key="sk-ant-secret-secret", max_retries=0) as client:
        return str(client.messages.create(model="m", max_tokens=9, messages=USER).content[0].text)  # type: ignore[union-attr]


def anthropic_sync_stream(url: str) -> str:
    with (
        anthropic.Anthropic(base_url=url, api_key="sk-ant-secret-secret", max_retries=0) as client,
        client.messages.stream(model="m", max_tokens=9, messages=USER) as stream,
    ):
        return "".join(stream.text_stream)


def anthropic_async(url: str) -> str:
    async def run() -> str:
        async with anthropic.AsyncAnthropic(base_url=url, api_key="sk-ant-secret-secret", max_retries=0) as client:
            return str((await client.messages.create(model="m", max_tokens=9, messages=USER)).content[0].text)  # type: ignore[union-attr]

    return anyio.run(run)


def anthropic_async_stream(url: str) -> str:
    async def run() -> str:
        async with (
            anthropic.AsyncAnthropic(base_url=url, api_key="sk-ant-secret-secret", max_retries=0) as client,
            client.messages.stream(model="m", max_tokens=9, messages=USER) as stream,
        ):
            return "".join([text async for text in stream.text_stream])

    return anyio.run(run)


def chat_sync(url: str) -> str:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="sk-secret-secret", max_retries=0) as client:
        return str(client.chat.completions.create(model="m", messages=USER).choices[0].message.content)


def chat_sync_stream(url: str) -> str:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="sk-secret-secret", max_retries=0) as client:
        stream = client.chat.completions.create(model="m", messages=USER, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def chat_async_stream(url: str) -> str:
    async def run() -> str:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-secret-secret", max_retries=0) as client:
            stream = await client.chat.completions.create(model="m", messages=USER, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    return anyio.run(run)


def responses_sync(url: str) -> str:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="sk-secret-secret", max_retries=0) as client:
        return client.responses.create(model="m", input="What is the answer?").output_text


def responses_async_stream(url: str) -> str:
    async def run() -> str:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-secret-secret", max_retries=0) as client:
            stream = await client.responses.create(model="m", input="What is the answer?", stream=True)
            return "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])

    return anyio.run(run)


def legacy_client(url: str) -> str:
    with (
        httpx.Client() as http,
        openai.OpenAI(
            base_url=f"{url}/v1",
            api_key="sk-secret-secret",
            max_retries=0,
            http_client=http,  # type: ignore[arg-type]
        ) as client,
    ):
        return str(client.chat.completions.create(model="m", messages=USER).choices[0].message.content)


CALLS: list[Call] = [
    anthropic_sync,
    anthropic_sync_stream,
    anthropic_async,
    anthropic_async_stream,
    chat_sync,
    chat_sync_stream,
    chat_async_stream,
    responses_sync,
    responses_async_stream,
    legacy_client,
]


def played(tmp_path: Path, mode: Mode, call: Callable[[], Any]) -> tuple[Any, Recording]:
    path = tmp_path / "c.yaml"
    with recording(Cassette(path, "c.yaml", "record"), mode, Rules(), node="test") as made:
        value = call()
    return value, made


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_recorded_from_a_server_and_replayed_without_it(tmp_path: Path, call: Call) -> None:
    with model() as (url, _):
        said, first = played(tmp_path, Mode(record="once"), lambda: call(url))

    again, second = played(tmp_path, Mode(), lambda: call(url))

    assert said == again == TEXT
    assert (first.source, second.source) == ("recorded", "replayed")
    (one,), (two,) = first.interactions, second.interactions
    assert [c.data for c in one.chunks] == [c.data for c in two.chunks]
    assert len(one.chunks) >= (7 if "stream" in call.__name__ else 1)
    assert one.reply()["content"] == [{"type": "text", "text": TEXT}]
    assert one.reply()["usage"]["output_tokens"] == 6
    assert "secret" not in (tmp_path / "c.yaml").read_text()
    assert not lanes.patched()


ENCODINGS = [(httpx, "gzip"), (httpx, "br"), (httpx, "zstd"), (httpx2, "gzip"), (httpx2, "br")]
"""httpx2 decodes zstd with another package than the one we test with."""


@pytest.mark.parametrize(("module", "encoding"), ENCODINGS, ids=[f"{m.__name__}-{e}" for m, e in ENCODINGS])
def test_encoded_streams_are_stored_as_text_with_their_boundaries(tmp_path: Path, encoding: str, module: Any) -> None:
    def read(url: str) -> list[bytes]:
        request = {"model": "m", "max_tokens": 9, "messages": USER, "stream": True}
        with module.Client() as client, client.stream("POST", f"{url}/v1/messages", json=request) as response:
            return [data for data in response.iter_bytes() if data]

    with model(Behaviour(encoding=encoding)) as (url, _):
        said, _ = played(tmp_path, Mode(record="once"), lambda: read(url))

    again, made = played(tmp_path, Mode(), lambda: read(url))

    assert b"".join(again) == b"".join(said)
    assert len(again) == len(said) == len(made.interactions[0].chunks) == 7
    text = (tmp_path / "c.yaml").read_text()
    assert "data: {" in text
    assert "!!binary" not in text


OVERLOADED = b'{"error": {"type": "overloaded_error"}}'
BEGUN = ["The", " answer"]
FAILURES: dict[str, tuple[Behaviour, str, list[str], tuple[str, int]]] = {
    "close": (Behaviour(cut_after=3), "RemoteProtocolError", BEGUN, ("truncated", 200)),
    "reset": (Behaviour(cut_after=3, cut="reset"), "ReadError", BEGUN, ("reset", 200)),
    "stall": (Behaviour(cut_after=3, cut="stall"), "ReadTimeout", BEGUN, ("timeout", 200)),
    "malformed": (Behaviour(garbage_after=3), "JSONDecodeError", BEGUN, ("closed_by_client", 200)),
    "429": (Behaviour(statuses=[(429, {"retry-after": "3"}, b"{}")]), "RateLimitError", [], ("complete", 429)),
    "529": (Behaviour(statuses=[(529, {}, OVERLOADED)]), "OverloadedError", [], ("complete", 529)),
    "400": (Behaviour(statuses=[(400, {}, b'{"error": {"message": "no"}}')]), "BadRequestError", [], ("complete", 400)),
}
"""How the server fails, the exception that the SDK raises, the text read before it, what is stored (ended, status)."""


@pytest.mark.parametrize(("behaviour", "error", "said", "stored"), FAILURES.values(), ids=list(FAILURES))
def test_failures_on_the_wire_are_recorded_and_replayed(
    tmp_path: Path, behaviour: Behaviour, error: str, said: list[str], stored: tuple[str, int]
) -> None:
    def call(url: str) -> tuple[str, list[str]]:
        texts: list[str] = []
        timeout = httpx2.Timeout(5, read=0.5)
        try:
            with (
                anthropic.Anthropic(base_url=url, api_key="x" * 20, max_retries=0, timeout=timeout) as client,
                client.messages.stream(model="m", max_tokens=9, messages=USER) as stream,
            ):
                texts.extend(stream.text_stream)
        except (anthropic.APIError, httpx2.TransportError, ValueError) as raised:
            return type(raised).__name__, texts
        return "nothing", texts

    with model(behaviour) as (url, _):
        first, _ = played(tmp_path, Mode(record="once"), lambda: call(url))

    again, _ = played(tmp_path, Mode(), lambda: call(url))

    assert first == again == (error, said)
    assert [(one.ended, one.status) for one in store.load(tmp_path / "c.yaml", shown="c")] == [stored]


def test_a_refused_connection_is_recorded_and_replayed(tmp_path: Path) -> None:
    def call() -> str:
        try:
            return anthropic_sync("http://127.0.0.1:9")
        except anthropic.APIConnectionError as error:
            return type(error.__cause__).__name__

    assert played(tmp_path, Mode(record="once"), call)[0] == "ConnectError"
    assert store.load(tmp_path / "c.yaml", shown="c")[0].status == 599
    assert played(tmp_path, Mode(), call)[0] == "ConnectError"


def test_a_retry_is_replayed_as_recorded(tmp_path: Path) -> None:
    def call(url: str) -> str:
        with anthropic.Anthropic(base_url=url, api_key="x" * 20, max_retries=2) as client:
            return str(client.messages.create(model="m", max_tokens=9, messages=USER).content[0].text)  # type: ignore[union-attr]

    with model(Behaviour(statuses=[(500, {"retry-after": "0.01"}, b"{}")])) as (url, _):
        played(tmp_path, Mode(record="once"), lambda: call(url))

    again, made = played(tmp_path, Mode(), lambda: call(url))

    assert again == TEXT
    assert [one.status for one in made.interactions] == [500, 200]


def test_a_miss_fails_the_test_whatever_it_made_of_the_answer(tmp_path: Path) -> None:
    with model() as (url, _):
        played(tmp_path, Mode(record="once"), lambda: anthropic_sync(url))

    seen: list[int] = []

    def other() -> None:
        with anthropic.Anthropic(base_url=url, api_key="x" * 20, max_retries=3) as client:
            try:
                changed: Any = [{"role": "user", "content": "What is the question?"}]
                client.messages.create(model="m", max_tokens=9, messages=changed)
            except anthropic.APIStatusError as error:
                seen.append(error.status_code)

    with pytest.raises(ConversationFailed) as caught:
        played(tmp_path, Mode(), other)

    assert seen == [418]
    assert "- What is the [answer?]" in str(caught.value)
    assert "+ What is the [question?]" in str(caught.value)


def test_a_retry_that_no_longer_happens_fails(tmp_path: Path) -> None:
    with model() as (url, _):
        played(tmp_path, Mode(record="once"), lambda: (anthropic_sync(url), anthropic_sync(url)))

    with pytest.raises(ConversationFailed, match="1 recorded request not sent"):
        played(tmp_path, Mode(), lambda: anthropic_sync(url))


def test_no_cassette_is_an_error_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(NoCassette, match="record it: record"):
        played(tmp_path, Mode(), lambda: None)


def test_an_application_on_this_machine_is_left_alone(tmp_path: Path) -> None:
    with model() as (url, _):

        def both() -> Any:
            return httpx.get(f"{url}/health").json(), anthropic_sync(url)

        value, made = played(tmp_path, Mode(record="once"), both)
        assert value[0] == {"application": "under test"}
        assert len(made.interactions) == 1
        assert played(tmp_path, Mode(), both)[0] == value


def test_the_fixture_records_and_replays_an_ordinary_test(project: Any) -> None:
    project.write(
        "pyproject.toml", '[tool.convtest]\n[tool.pytest.ini_options]\naddopts = ["-p", "no:cacheprovider"]\n'
    )
    with model() as (url, _):
        project.write(
            "tests/test_chat.py",
            f"""
            import anthropic

            def test_chat(convtest_cassette):
                client = anthropic.Anthropic(base_url="{url}", api_key="x" * 20)
                said = client.messages.create(model="m", max_tokens=9, messages=[{{"role": "user", "content": "Hi"}}])
                assert "forty-two" in said.content[0].text
                client.close()
            """,
        )
        none, record = project.pytest(), project.pytest("--convtest-record=once")

    again = project.pytest()
    test = project.read("tests/test_chat.py")
    project.write("tests/test_chat.py", test.replace('"Hi"', '"Ho"').replace("    said", "    said", 1))
    missed = project.pytest()

    assert none.counts() == {"error": 1}
    assert "record it: pytest --convtest-record=all tests/test_chat.py::test_chat" in none.out
    assert "pytest_plugin.py" not in none.out
    assert record.counts() == again.counts() == {"passed": 1}
    assert missed.counts() == {"failed": 1}
    assert "[Hi]" in missed.out
    assert "FAILED tests/test_chat.py::test_chat - miss (layer wire)" in missed.out
    assert (project.root / "cassettes/tests/test_chat/test_chat.yaml").is_file()


class SdkClient:
    """A chatbot as people write them: the SDK inside, no transport of ours; sync in a thread, or async."""

    session_id = "sdk"
    sync = False

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._messages: list[Any] = []

    async def connect(self) -> None:
        return None

    async def disconnect(self) -> None:
        return None

    async def interrupt(self) -> None:
        return None

    async def query(self, text: str) -> None:
        self._messages.append({"role": "user", "content": text})

    async def receive_response(self) -> Any:
        asked: Any = {"model": "claude-haiku-4-5", "max_tokens": 99, "messages": self._messages}
        if self.sync:
            text = await anyio.to_thread.run_sync(self._ask, asked)
        else:
            async with (
                anthropic.AsyncAnthropic(base_url=self._opening.base_url, api_key="x" * 20) as client,
                client.messages.stream(**asked) as stream,
            ):
                text = "".join([part async for part in stream.text_stream])
        self._messages.append({"role": "assistant", "content": text})
        yield TextDelta(text=text)
        yield TurnEnd()

    def _ask(self, asked: Any) -> str:
        with anthropic.Anthropic(base_url=self._opening.base_url, api_key="x" * 20) as client:
            return str(client.messages.create(**asked).content[0].text)


class SyncSdkClient(SdkClient):
    sync = True


class ForgetfulSdkClient(SdkClient):
    async def query(self, text: str) -> None:
        self._messages = [{"role": "user", "content": text}]


USERS = """
    scenario: two users of an SDK
    sessions: {alice: {}, bob: {}}
    facts:
      a: {tell: My name is Alessandra., ask: What is my name?, answer: Alessandra}
      b: {tell: My name is Bartholomew., ask: What is my name?, answer: Bartholomew}
    steps:
      - together:
          - - {session: alice, tell: a}
            - {session: alice, ask: a}
          - - {session: bob, tell: b}
            - {session: bob, ask: b}
    """


@pytest.mark.parametrize("client", ["SdkClient", "SyncSdkClient"])
def test_an_sdk_inside_a_python_client_is_seen_recorded_and_replayed(stage: Stage, client: str) -> None:
    target = f"tests.test_sdks:{client}"

    simulated = stage.play(USERS, target)
    recorded = stage.play(USERS, target, Mode(record="all"))
    replayed = stage.play(USERS, target)
    broken = stage.play(USERS, "tests.test_sdks:ForgetfulSdkClient")

    for outcome in (simulated, recorded, replayed):
        assert outcome.verdict.passed, outcome.verdict
        assert {one.lane for one in outcome.transcript.interactions} == {"alice", "bob"}
    assert replayed.transcript.source == "replayed"
    assert "wire" in [finding.layer for finding in broken.verdict.findings]
    assert not lanes.patched()


@pytest.mark.parametrize("name", ["httpx", "httpx2"])
@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(st.one_of(st.binary(min_size=1, max_size=30), st.just("é😀".encode()[:3])), max_size=6),
    encoding=st.sampled_from(["", "gzip", "br", "zstd"]),
    header=st.sampled_from(sorted(SECRET_HEADERS)),
    ended=st.sampled_from(["complete", "reset", "truncated"]),
    cut=st.one_of(st.none(), st.integers(1, 5)),
)
def test_law_replay_is_the_recording_for_both_modules_sync_and_async(
    name: str, sync: bool, pieces: list[bytes], encoding: str, header: str, ended: StreamEnd, cut: int | None
) -> None:
    assume(Names(NOTHING_KNOWN).data(b"".join(pieces)) == b"".join(pieces))
    assume(PLANTED.encode() not in b"".join(pieces))
    assume(cut is None or cut <= len(pieces))  # behind the last piece there may be packing without a word in it
    encode, finish = encoder(encoding)
    wire = [encode(piece) for piece in pieces]
    wire = [*wire, tail] if (tail := finish()) else wire
    plain = Drawn(wire, encoding, header, ended)

    first, how, tap = read_with(name, sync, plain, header, cut)
    text = to_text(tap.interactions)
    loaded = from_plain(yaml.safe_load(text))
    again, how_again, replayed = read_with(name, sync, Player(loaded, command=""), header, cut)

    noted = [chunk.data for chunk in tap.interactions[0].chunks]
    assert [data for data in again if data] == noted
    assert how_again == how
    assert encoding or first == again
    assert cut or ended != "complete" or b"".join(noted) == b"".join(pieces)
    assert replayed.interactions[0].ended == tap.interactions[0].ended
    assert PLANTED not in text
    assert text.count(PLACEHOLDER) == 2


PLANTED = "planted-value-of-a-header"


class Drawn:
    """A source of drawn bytes that suspends nowhere but on the clock."""

    def __init__(self, wire: list[bytes], encoding: str, header: str, ended: StreamEnd) -> None:
        self._wire, self._encoding, self._header, self._ended = wire, encoding, header, ended

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        headers = [("content-type", "text/event-stream"), (self._header, PLANTED)]
        headers += [("content-encoding", self._encoding)] if self._encoding else []
        return Answer(status=200, reason="OK", headers=tuple(headers), chunks=self._chunks(via))

    async def _chunks(self, via: Via) -> Any:
        for data in self._wire:
            await via.clock.sleep(3)
            yield data
        if self._ended != "complete":
            raise WireFailure(self._ended, "as drawn")


def read_with(name: str, sync: bool, source: Source, header: str, cut: int | None) -> tuple[list[bytes], str, Tap]:
    """The raw chunks that a client of this module sees, how it ended for it, and the tap."""
    bound, tap = binding(name), Tap(source, VirtualClock())
    request = bound.module.Request(
        "POST", "https://api.anthropic.com/v1/messages", content=b"{}", headers={header: PLANTED}
    )
    seen: list[bytes] = []

    def note(data: bytes) -> bool:
        seen.append(data)
        return len(seen) == cut

    async def asynchronous() -> str:
        response = await bound.async_transport(tap, "main").handle_async_request(request)
        try:
            async for data in response.stream:
                if note(data):
                    return "cut"
        except bound.module.TransportError as error:
            return type(error).__name__
        finally:
            await response.stream.aclose()
        return "complete"

    def synchronous() -> str:
        response = bound.sync_transport(tap, "main").handle_request(request)
        try:
            for data in response.stream:
                if note(data):
                    return "cut"
        except bound.module.TransportError as error:
            return type(error).__name__
        finally:
            response.stream.close()
        return "complete"

    how = synchronous() if sync else anyio.run(asynchronous)
    return seen, how, tap
