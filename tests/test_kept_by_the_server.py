"""Clients that leave their history to the server: a `previous_response_id` *is* the conversation that it names."""

import itertools
import json
import threading
import uuid
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
        if self.path.endswith("/conversations"):
            id = f"conv_{next(server.numbers):08}"
            server.kept[id] = []
            self._answer({"id": id, "object": "conversation", "created_at": 1, "metadata": {}})
            return
        if self.path.endswith("/items"):
            server.kept[self.path.split("/")[-2]] += [str(item["content"]) for item in asked["items"]]
            self._answer({"object": "list", "data": [], "has_more": False, "first_id": "", "last_id": ""})
            return
        held = asked.get("conversation")
        said = [*server.kept.get(held or asked.get("previous_response_id") or "", []), str(asked["input"])]
        name = next((one.removeprefix("My name is ") for one in said if one.startswith("My name is ")), "unknown")
        text = f"Your name is {name}" if "my name" in said[-1] else f"Noted, {len(said)}."
        id = f"resp_{next(server.numbers):08}"
        server.kept[held or id] = said
        content = [{"type": "output_text", "text": text, "annotations": []}]
        message = {"id": f"msg_{id}", "type": "message", "role": "assistant", "status": "completed", "content": content}
        usage = {"input_tokens": 7, "output_tokens": 6, "total_tokens": 13}
        body = {
            "id": id, "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": [message],
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage,
        }  # fmt: skip
        self._answer(body)

    def _answer(self, body: Any) -> None:
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


HELD = "tests.test_kept_by_the_server:Held"


class Held(App):
    """Leaves its history to a conversation of the server. `bug`: latest (asks in the one that was made last), anew
    (makes one for each turn); `given`: one that is there before; `told`: adds a message to it before it asks."""

    made: ClassVar[str | None] = None

    async def receive_response(self) -> AsyncIterator[Event]:
        assert self._model is not None
        options = self._opening.options
        self._previous = self._previous or str(options.get("given", "")) or None
        if self._previous is None or self._bug == "anew":
            self._previous = Held.made = (await self._model.conversations.create()).id
            if told := options.get("told"):
                item: Any = {"type": "message", "role": "user", "content": str(told)}
                await self._model.conversations.items.create(self._previous, items=[item])
        named = Held.made if self._bug == "latest" else self._previous
        answer = await self._model.responses.create(model="m", input=self._text, conversation=named)
        yield TextDelta(text=answer.output_text)
        yield TurnEnd()


def held(stage: Stage, text: str, upstream: str, mode: Mode | None = None, **options: str) -> Played:
    stage.options = {**MODEL, **options}
    return stage.play(text, HELD, mode, upstream=upstream)


@pytest.mark.parametrize("text", [ALONE, TWO], ids=["one user", "two users"])
def test_a_conversation_of_the_server_is_what_was_said_in_it(stage: Stage, upstream: str, text: str) -> None:
    recorded = held(stage, text, upstream, Mode(record="all"))
    replayed = held(stage, text, upstream)

    assert checks_of(recorded) == checks_of(replayed) == []
    assert not [one for one in replayed.verdict.not_seen if "no answer" in one.why]
    last = replayed.transcript.turns()[-1].sent()
    assert last is not None
    assert len(last.messages) == (5 if text is ALONE else 3)


@pytest.mark.parametrize(("text", "bug", "check"), [(TWO, "latest", "isolation"), (ALONE, "anew", "history")])
def test_another_conversation_than_the_sessions_own_fails_recorded_and_replayed(
    stage: Stage, upstream: str, text: str, bug: str, check: str
) -> None:
    live = held(stage, text, upstream, Mode(live=True), bug=bug)
    held(stage, text, upstream, Mode(record="all"))
    replayed = held(stage, text, upstream, bug=bug)

    assert (check, "wire") in checks_of(live)
    assert ("miss", "wire") in checks_of(replayed)


def test_a_message_that_is_only_added_to_the_conversation_is_part_of_it(stage: Stage, upstream: str) -> None:
    text = """
    scenario: told before
    steps:
      - user: What is my name?
        expect: {contains: Ada, sent: {contains: My name is Ada., roles: [user, user]}}
    """
    told = held(stage, text, upstream, Mode(record="all"), told="My name is Ada.")

    assert checks_of(told) == []
    assert ("miss", "wire") in checks_of(held(stage, text, upstream, told="My name is Bob."))


def test_a_conversation_from_before_the_item_is_said_to_be_not_seen(stage: Stage, upstream: str) -> None:
    recorded = held(stage, ALONE, upstream, Mode(record="all"), given="conv_earlier")
    replayed = held(stage, ALONE, upstream, given="conv_other")

    assert checks_of(recorded) == checks_of(replayed) == []
    for one in (recorded, replayed):
        assert [blind.check for blind in one.verdict.not_seen if "no answer of this item had" in blind.why]


PER_RUN = """
scenario: ids of its own
sessions: {alice: {}, bob: {}}
steps:
  - {session: alice, user: I like tea.}
  - {session: bob, user: I like tea.}
  - {session: alice, user: And coffee.}
  - {session: bob, user: And coffee.}
"""


class Tagged(App):
    """Sends a session id that it made up. `bug`: shared (everybody's is the first one's), stale (from the second turn
    on that of the last run)."""

    ids: ClassVar[dict[str, str]] = {}
    before: ClassVar[dict[str, str]] = {}

    async def receive_response(self) -> AsyncIterator[Event]:
        assert self._model is not None
        own = Tagged.ids.setdefault(self._opening.session, str(uuid.uuid4()))
        tag = own
        if self._bug == "shared":
            tag = next(iter(Tagged.ids.values()))
        if self._bug == "stale" and self._previous:
            tag = Tagged.before[self._opening.session]
        given: Any = {"previous_response_id": self._previous} if self._previous else {}
        answer = await self._model.responses.create(model="m", input=self._text, metadata={"session_id": tag}, **given)
        self._previous = answer.id
        yield TextDelta(text=answer.output_text)
        yield TurnEnd()


def tagged(stage: Stage, upstream: str, mode: Mode | None = None, bug: str = "") -> Played:
    Tagged.before, Tagged.ids = Tagged.ids, {}
    stage.options = {**MODEL, "bug": bug}
    return stage.play(PER_RUN, "tests.test_kept_by_the_server:Tagged", mode, upstream=upstream)


@pytest.mark.parametrize("bug", ["", "shared", "stale"])
def test_an_id_of_the_clients_own_is_one_id_through_the_whole_item(stage: Stage, upstream: str, bug: str) -> None:
    """Another one in each run; but the same where it was the same, and another where it was another."""
    recorded = tagged(stage, upstream, Mode(record="all"))
    replayed = tagged(stage, upstream, bug=bug)

    assert checks_of(recorded) == []
    assert [check for check in checks_of(replayed) if check[0] == "miss"] == ([("miss", "wire")] if bug else [])
    if bug:
        (said,) = [one for one in replayed.result().found if one.check == "miss"]
        assert "an id is another one: recorded" in "\n".join(said.difference)
        assert any(one in "\n".join(said.difference) for one in (*Tagged.ids.values(), *Tagged.before.values()))
