"""The kinds `chat_completions` and `sse`, and the fixtures by which a run says what only it knows."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import anyio
import openai
import pytest

from convtest.clients.messages.chat_completions import ChatCompletionsClient
from convtest.config import Profile
from convtest.errors import ClientError
from convtest.play.mode import Mode
from convtest.probe.conformance import assert_conforms, check_client
from convtest.structs import replace
from convtest.wire.chat_stream import ChatStream
from convtest.wire.sse import ServerEvent, parse
from tests.gateways import TOKEN, serving
from tests.models import TEXT, chat_chunks
from tests.playing import MODEL, Stage, checks_of
from tests.project import Project
from tests.test_processes import MEMORY, play, report


def test_chat_completions_conforms(tmp_path: Path) -> None:
    async def check() -> Any:
        return await check_client(ChatCompletionsClient, folder=tmp_path)

    found = anyio.run(check)

    assert_conforms(found)
    assert len(found) > 10


def chat(**more: Any) -> Profile:
    return Profile(name="assistant", kind="chat_completions", upstream="simulator", options=MODEL, **more)


@pytest.mark.parametrize("profile", [chat(), chat(gateway=True)], ids=["in process", "at the gateway"])
def test_chat_completions_plays_records_and_replays(stage: Stage, profile: Profile) -> None:
    for mode in (Mode(), Mode(record="all"), Mode()):
        outcome = play(stage, MEMORY, profile, mode)
        assert outcome.verdict.passed, report(outcome)
    sent = outcome.transcript.interactions[2].canonical

    assert outcome.transcript.source == "replayed"
    assert sent.url == "https://api.openai.com/v1/chat/completions"
    assert [message["role"] for message in sent.messages][-2:] == ["assistant", "tool"]
    assert outcome.transcript.turns()[0].usage.output_tokens > 0


def test_a_chat_stream_that_says_it_is_done_is_whole_without_a_reason() -> None:
    """As some providers send it; one that only ends is not whole."""
    call = {"index": 0, "id": "1", "function": {"name": "look_up", "arguments": "{}"}}
    deltas = [{"content": "I will look."}, {"tool_calls": [call]}]
    chunks = [{"id": "c", "choices": [{"index": 0, "delta": one}]} for one in deltas]
    events = [ServerEvent("message", json.dumps(one)) for one in chunks]
    cut, done = ChatStream(), ChatStream()
    for event in events:
        cut.feed(event)
    yielded = [made for event in [*events, ServerEvent("message", "[DONE]")] for made in done.feed(event)]

    assert (cut.complete, cut.message["stop_reason"]) == (False, None)
    assert (done.complete, done.message["stop_reason"]) == (True, "tool_use")
    assert [type(one).__name__ for one in yielded] == ["TextDelta", "ToolUse"]
    empty = ChatStream()
    assert (empty.feed(ServerEvent("message", "[DONE]")), empty.complete) == ([], False)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_recorded_chat_stream_is_a_complete_reply_whatever_the_chunking(size: int) -> None:
    data = b"".join(chat_chunks())
    stream = ChatStream()

    events = [
        one for event in parse([data[i : i + size] for i in range(0, len(data), size)]) for one in stream.feed(event)
    ]

    assert stream.complete
    assert "".join(getattr(event, "text", "") for event in events) == TEXT
    assert stream.message["content"] == [{"type": "text", "text": TEXT}]


def test_the_openai_package_understands_the_simulator(tmp_path: Path) -> None:
    tools: Any = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    asked: Any = {"model": "m", "messages": [{"role": "user", "content": "What is 15 * 7?"}], "tools": tools}
    with serving(tmp_path, "--speed", "1000") as found:
        client = openai.OpenAI(base_url=f"{found.url}/s/serve/main/v1", api_key=TOKEN, max_retries=0)
        with client:
            whole = client.chat.completions.create(**asked)
            with client.chat.completions.create(stream=True, **asked) as stream:
                streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
            models = [model.id for model in client.models.list()]
            with pytest.raises(openai.BadRequestError, match="at least one message"):
                client.chat.completions.create(model="m", messages=[])

    assert whole.choices[0].message.content == streamed == "The result is 105."
    assert whole.usage is not None
    assert whole.usage.total_tokens > 20
    assert "claude-haiku-4-5" in models


class _Application(BaseHTTPRequestHandler):
    """A chatbot with several ways to answer; it remembers, and needs no model."""

    protocol_version = "HTTP/1.1"
    said: ClassVar[dict[str, list[str]]] = {}

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = self.said.setdefault(asked["id"], [])
        said.append(asked["text"])
        getattr(self, f"_{self.path.strip('/')}")(f"you said {' and '.join(said)}")

    def _head(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _events(self, text: str) -> None:
        events = [f"event: delta\ndata: {json.dumps({'d': {'t': word + ' '}})}\n\n" for word in text.split()]
        rest = 'event: other\ndata: {"d": {"t": "noise"}}\n\ndata: [DONE]\n\n'
        self._head(200, "text/event-stream", "".join([*events, rest]).encode())

    def _plain(self, text: str) -> None:
        self._head(200, "text/event-stream", f"data: {text}\n\n".encode())

    def _whole(self, text: str) -> None:
        self._head(200, "application/json", json.dumps({"choices": [{"text": text}], "id": "conversation-7"}).encode())

    def _failing(self, text: str) -> None:
        self._head(200, "text/event-stream", b'data: {"error": {"message": "no model"}}\n\n')

    def _busy(self, text: str) -> None:
        self._head(429, "text/plain", b"slow down")

    def _cut(self, text: str) -> None:
        self._head(200, "text/event-stream", b'event: delta\ndata: {"d": {"t": "you"}}\n\n')

    def log_message(self, *_: object) -> None:
        return None


@contextmanager
def application() -> Iterator[str]:
    _Application.said = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Application)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def bot(url: str, **options: Any) -> Profile:
    body = {"id": "${session_id}", "text": "${text}"}
    return Profile(name="assistant", kind="sse", upstream="simulator", options={"url": url, "body": body, **options})


EVENTS = {"text": "d.t", "event": "delta", "done": "[DONE]"}
WAYS: dict[str, tuple[dict[str, Any], str]] = {
    "events": (EVENTS, "complete"),
    "plain": ({}, "complete"),
    "whole": ({"text": "choices.0.text", "session": "id"}, "complete"),
    "failing": ({"error": "error.message"}, "error"),
    "busy": ({}, "rate_limited"),
    "cut": (EVENTS, "connection_lost"),
}
TALK = """
    scenario: talk
    steps:
      - user: I am Ada.
        expect: {ended: %s}
      - user: Who am I?
        expect: {ended: %s}
    """


@pytest.mark.parametrize("way", list(WAYS))
def test_an_application_is_asked_and_read_as_the_profile_says(stage: Stage, way: str) -> None:
    options, ended = WAYS[way]
    with application() as url:
        outcome = play(stage, TALK % (ended, ended), bot(f"{url}/{way}", **options))
        turns = outcome.transcript.turns()

    assert outcome.verdict.passed, report(outcome)
    texts = [turn.text.strip() for turn in turns]
    if ended == "complete":
        assert texts[0] == "you said I am Ada."
        assert texts[1] == ("you said Who am I?" if way == "whole" else "you said I am Ada. and Who am I?")
    assert turns[0].end is not None
    assert {"failing": "no model", "busy": "HTTP 429: slow down"}.get(way, "") in turns[0].end.message
    assert (turns[1].session_id == "conversation-7") == (way == "whole")
    assert "wire" not in [layer for _, layer in checks_of(outcome)]
    assert outcome.verdict.not_seen


def test_a_resumed_conversation_goes_on_under_its_id_and_others_apart(stage: Stage) -> None:
    text = """
        scenario: apart
        sessions: {alice: {}, bob: {}}
        steps:
          - {session: alice, user: I am Alice.}
          - {session: bob, user: I am Bob., expect: {lacks: Alice}}
          - resume: alice
            expect: {session: same}
          - {session: alice, user: Who am I?, expect: {contains: I am Alice., lacks: Bob}}
          - fork: alice
            as: other
            expect: {error: bad_request}
        """
    with application() as url:
        outcome = play(stage, text, bot(f"{url}/events", **EVENTS))

    assert outcome.verdict.passed, report(outcome)


def test_an_application_that_is_not_there_is_named(stage: Stage) -> None:
    with pytest.raises(ClientError, match=r"nothing answers at http://127\.0\.0\.1:9/chat"):
        play(stage, TALK % ("complete", "complete"), bot("http://127.0.0.1:9/chat"))


def test_its_own_recording_is_empty_and_plays(stage: Stage) -> None:
    with application() as url:
        profile = replace(bot(f"{url}/plain"), upstream="")
        recorded = play(stage, TALK % ("complete", "complete"), profile, Mode(record="once"))
        replayed = play(stage, TALK % ("complete", "complete"), profile)

    assert recorded.written is not None
    assert replayed.verdict.passed, report(replayed)


CONFTEST = """
    import pytest
    from tests.test_other_apis import application

    @pytest.fixture
    def chatbot():
        with application() as url:
            yield url

    @pytest.fixture
    def convtest_client_options(chatbot):
        return {"url": f"{chatbot}/plain", "body": {"id": "${session_id}", "text": "${text} Adalbert."}}

    @pytest.fixture
    def convtest_upstream():
        return "simulator"

    @pytest.fixture
    def convtest_scrub():
        return ["Ada[a-z]+"]
    """
SECTION = """
[tool.convtest.clients.bot]
kind = "sse"
body = {id = "${session_id}", text = "${text}"}
upstream = "https://api.anthropic.com"

[tool.pytest.ini_options]
addopts = ["-p", "no:cacheprovider"]
filterwarnings = ["error"]
"""


def test_fixtures_say_where_the_application_is_who_answers_and_what_is_secret(project: Project) -> None:
    repository = Path(__file__).parent.parent
    project.environment = {"PYTHONPATH": str(repository)}
    project.write("pyproject.toml", SECTION)
    project.write("conftest.py", CONFTEST)
    project.write(
        "scenarios/talk.yaml",
        """
        scenario: talk
        fixtures: [chatbot]
        steps: [{user: I am, expect: {contains: somebody else}}]
        """,
    )

    done = project.pytest()

    assert done.counts() == {"failed": 1}
    assert "convtest: 1 simulated" in done.out
    assert "you said I am SCRUBBED_OWN-1." in done.out
    assert "Adalbert" not in done.out


def test_a_fixture_that_is_not_there_is_an_error(project: Project) -> None:
    project.write("scenarios/talk.yaml", "scenario: talk\nfixtures: [nowhere]\nsteps: [{user: Hello.}]\n")

    done = project.pytest()

    assert done.counts() == {"error": 1}
    assert "fixture 'nowhere' not found" in done.out
