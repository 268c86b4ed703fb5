"""Clients that leave their history to the server: a `previous_response_id` *is* the conversation that it names."""

import itertools
import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import openai
import pytest

from convtest import Event, Opening, SessionError, TextDelta, TurnEnd
from convtest.play.mode import Mode
from convtest.play.perform import Played
from tests.playing import MODEL, Stage, checks_of, finding_of

ME = "tests.test_kept_by_the_server:App"
ALONE = """
scenario: the server keeps the history
facts: {who: {tell: My name is Ada., ask: What is my name?, answer: Ada}}
steps:
  - tell: who
  - user: What is 1 + 1?
  - ask: who
"""
TWO = """
scenario: two users
sessions: {alice: {}, bob: {}}
steps:
  - {session: alice, user: My name is Alessandra Quux.}
  - {session: bob, user: I live near the old harbour.}
  - {session: alice, user: What is 1 + 1?}
  - {session: bob, user: What is 2 + 2?}
"""


class Server(ThreadingHTTPServer):
    """A Responses API that knows what it has answered; it says what of the conversation it has."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.kept: dict[str, list[str]] = {}
        self.numbers = itertools.count(1)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = [*server.kept.get(asked.get("previous_response_id") or "", []), str(asked["input"])]
        name = next((one.removeprefix("My name is ") for one in said if one.startswith("My name is ")), "unknown")
        text = f"Your name is {name}" if "my name" in said[-1] else f"Noted, {len(said)}."
        id = f"resp_{next(server.numbers):08}"
        server.kept[id] = said
        content = [{"type": "output_text", "text": text, "annotations": []}]
        message = {"id": f"msg_{id}", "type": "message", "role": "assistant", "status": "completed", "content": content}
        usage = {"input_tokens": 7, "output_tokens": 6, "total_tokens": 13}
        body = {
            "id": id, "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": [message],
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage,
        }  # fmt: skip
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def upstream() -> Iterator[str]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


class App:
    """`bug`: latest (chains to whoever spoke last), first (always to its first answer), none (to nothing)."""

    latest: ClassVar[str | None] = None

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._bug = str(opening.options.get("bug", ""))
        self._previous: str | None = None
        self._text = ""
        self._model: openai.AsyncOpenAI | None = None

    @property
    def session_id(self) -> str | None:
        return f"s-{self._opening.session}"

    async def connect(self) -> None:
        self._model = openai.AsyncOpenAI(base_url=self._opening.base_url, api_key=self._opening.api_key)

    async def disconnect(self) -> None:
        if self._model is not None:
            await self._model.close()

    async def query(self, text: str) -> None:
        if self._model is None:
            raise SessionError("not_connected", "connect first")
        self._text = text

    async def interrupt(self) -> None: ...

    async def receive_response(self) -> AsyncIterator[Event]:
        assert self._model is not None
        named = App.latest if self._bug == "latest" and self._previous else self._previous
        given: Any = {"previous_response_id": named} if named and self._bug != "none" else {}
        answer = await self._model.responses.create(model="m", input=self._text, **given)
        if self._bug != "first" or self._previous is None:
            self._previous = answer.id
        App.latest = answer.id
        yield TextDelta(text=answer.output_text)
        yield TurnEnd()


def play(stage: Stage, text: str, upstream: str, mode: Mode | None = None, bug: str = "") -> Played:
    stage.options = {**MODEL, "bug": bug}
    App.latest = None
    return stage.play(text, ME, mode, upstream=upstream)


@pytest.mark.parametrize("text", [ALONE, TWO], ids=["one user", "two users"])
def test_an_honest_client_passes_at_the_default_wire(stage: Stage, upstream: str, text: str) -> None:
    recorded = play(stage, text, upstream, Mode(record="all"))
    replayed = play(stage, text, upstream)

    assert replayed.transcript.source == "replayed"
    assert checks_of(recorded) == checks_of(replayed) == []
    last = replayed.transcript.turns()[-1].sent()
    assert last is not None
    assert len(last.messages) == (5 if text is ALONE else 3)


@pytest.mark.parametrize(
    ("text", "bug", "check"),
    [(TWO, "latest", "isolation"), (ALONE, "first", "history"), (ALONE, "none", "history")],
)
def test_an_id_that_is_foreign_stale_or_missing_fails_recorded_and_replayed(
    stage: Stage, upstream: str, text: str, bug: str, check: str
) -> None:
    live = play(stage, text, upstream, Mode(live=True), bug)
    play(stage, text, upstream, Mode(record="all"))
    replayed = play(stage, text, upstream, bug=bug)

    assert (check, "wire") in checks_of(live)
    assert {(check, "wire"), ("miss", "wire")} <= set(checks_of(replayed))


def test_the_history_behind_an_id_is_looked_through(stage: Stage, upstream: str) -> None:
    """`knows` finds the fact in what the server keeps, and says so where the client goes on from elsewhere."""
    found = finding_of(play(stage, ALONE, upstream, Mode(live=True), "none"), "knows")

    assert (found.layer, found.step) == ("wire", 3)
