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

from convtest.cassettes import store
from convtest.errors import ConversationFailed, NoCassette
from convtest.prepare import Mode
from convtest.recording import Recording, recording
from convtest.wire import lanes
from tests.models import TEXT, Behaviour, model

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
    with recording(path, mode, node="test", shown="c.yaml", command="record") as made:
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


FAILURES: list[tuple[str, Behaviour, type[Exception]]] = [
    ("close", Behaviour(cut_after=3), httpx2.RemoteProtocolError),
    ("reset", Behaviour(cut_after=3, cut="reset"), httpx2.ReadError),
    ("stall", Behaviour(cut_after=3, cut="stall"), httpx2.ReadTimeout),
    ("malformed", Behaviour(garbage_after=3), ValueError),
    (
        "429",
        Behaviour(statuses=[(429, {"retry-after": "3"}, b'{"error": {"message": "slow"}}')]),
        anthropic.RateLimitError,
    ),
    ("529", Behaviour(statuses=[(529, {}, b'{"error": {"type": "overloaded_error"}}')]), anthropic.APIStatusError),
    ("400", Behaviour(statuses=[(400, {}, b'{"error": {"message": "no"}}')]), anthropic.BadRequestError),
]


@pytest.mark.parametrize(("behaviour", "error"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES])
def test_failures_on_the_wire_are_recorded_and_replayed(
    tmp_path: Path, behaviour: Behaviour, error: type[Exception]
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

    assert again == first
    assert again[0] in {error.__name__, "JSONDecodeError", "APITimeoutError", "APIConnectionError", "OverloadedError"}


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

    assert none.counts() == {"error": 1}
    assert "record it: pytest --convtest-record=all tests/test_chat.py::test_chat" in none.out
    assert record.counts() == again.counts() == {"passed": 1}
    assert (project.root / "cassettes/tests/test_chat/test_chat.yaml").is_file()
