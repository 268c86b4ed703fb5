"""An application that is not told the session's name: the words of its requests tell whose they are."""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import anthropic
import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.errors import ClientError
from convtest.events import Event, TextDelta, TurnEnd
from convtest.play.mode import Mode
from convtest.play.perform import Played
from tests.playing import MODEL, Stage, checks_of, finding_of

ME = "tests.test_unnamed:Elsewhere"
USERS = """
scenario: two users at once
sessions: {alice: {}, bob: {}}
facts:
  her: {tell: My name is Alessandra., ask: What is my name?, answer: Alessandra}
  his: {tell: My name is Bartholomew., ask: What is my name?, answer: Bartholomew}
steps:
  - together:
      - - {session: alice, tell: her}
        - {session: alice, ask: her}
      - - {session: bob, tell: his}
        - {session: bob, ask: his}
  - {session: alice, ask: her}
  - {session: bob, ask: his}
"""
LEAK = """
scenario: two at once, one history for both
sessions: {alice: {}, bob: {}}
steps:
  - together:
      - - {session: alice, user: My name is Alessandra.}
      - - {session: bob, user: My name is Bartholomew.}
  - together:
      - - {session: alice, user: What is 1 + 1?, expect: {contains: "2"}}
      - - {session: bob, user: What is 2 + 3?, expect: {contains: "5"}}
"""


class Elsewhere:
    """What it sends is sent in a context of its own: nothing of it says which session it is for."""

    mixed: ClassVar[list[dict[str, str]]] = []

    def __init__(self, opening: Any) -> None:
        self._opening = opening
        self._history = Elsewhere.mixed if opening.options.get("bug") == "mix" else []
        self._text = ""

    @property
    def session_id(self) -> str | None:
        return f"s-{self._opening.session}"

    async def connect(self) -> None:
        self._model = anthropic.AsyncAnthropic(base_url=self._opening.base_url, api_key=self._opening.api_key)

    async def disconnect(self) -> None:
        await self._model.close()

    async def query(self, text: str) -> None:
        self._text = text

    async def interrupt(self) -> None: ...

    async def receive_response(self) -> AsyncIterator[Event]:
        asked: Any = [*self._history, {"role": "user", "content": self._text}]
        sending: Any = self._model.messages.create(model="claude-haiku-4-5", max_tokens=99, messages=asked)
        answer = await asyncio.create_task(sending, context=contextvars.Context())
        text = "".join(block.text for block in answer.content if block.type == "text")
        self._history += [asked[-1], {"role": "assistant", "content": text}]
        yield TextDelta(text=text)
        yield TurnEnd()


def play(stage: Stage, text: str, mode: Mode | None = None, bug: str = "") -> Played:
    stage.options = {**MODEL, "bug": bug}
    Elsewhere.mixed.clear()
    return stage.play(text, ME, mode)


@pytest.mark.parametrize("text", [USERS, LEAK], ids=["users", "at once"])
def test_an_honest_application_passes_and_all_of_it_is_seen(stage: Stage, text: str) -> None:
    for outcome in (play(stage, text), play(stage, text, Mode(record="all")), play(stage, text)):
        assert any(one.lane is None for one in outcome.transcript.interactions)
        assert checks_of(outcome) == []
        assert outcome.verdict.not_seen == ()


def test_two_users_mixed_into_one_history_are_found(stage: Stage) -> None:
    mixed = play(stage, LEAK, bug="mix")

    assert ("isolation", "wire") in checks_of(mixed)
    assert "stands in the request of" in finding_of(mixed, "isolation").message


SHORT = """
scenario: few words
sessions: {alice: {}, bob: {}}
steps:
  - {session: alice, user: Hi.}
  - {session: bob, user: Hello.}
  - {session: alice, user: So?}
"""


class Swaps(Elsewhere):
    """Bob is shown the answer that was made before his own, whose it may be."""

    made: ClassVar[list[str]] = []

    async def receive_response(self) -> AsyncIterator[Event]:
        async for event in super().receive_response():
            if isinstance(event, TextDelta):
                Swaps.made.append(event.text)
                yield TextDelta(text=Swaps.made[-2]) if self._opening.session == "bob" else event
            else:
                yield event


class Coded(Elsewhere):
    """What it sends says nothing of the prompt, in every turn, or only in some; both sessions ask at once."""

    both: ClassVar[asyncio.Barrier]

    async def query(self, text: str) -> None:
        coded = self._opening.options.get("bug") == "always" or "So" in text
        await super().query(text[::-1] if coded else text)

    async def receive_response(self) -> AsyncIterator[Event]:
        await Coded.both.wait()
        events = [event async for event in super().receive_response()]
        await Coded.both.wait()
        for event in events:
            yield event


def test_an_exchange_of_few_words_is_found_in_anothers_history(stage: Stage) -> None:
    assert checks_of(play(stage, SHORT)) == []
    found = [one for one in play(stage, SHORT, bug="mix").verdict.findings if one.check == "isolation"]

    assert [(one.step, one.seen) for one in found] == [(2, "'Hi.'"), (3, "'Hello.'")]


def test_the_answer_to_another_sessions_request_is_found(stage: Stage) -> None:
    Swaps.made.clear()
    found = finding_of(stage.play(SHORT, "tests.test_unnamed:Swaps"), "isolation")

    assert (found.step, found.layer) == (2, "reply")
    assert found.message == "session 'bob' was shown the answer to a request of 'alice'"


DECLARED = """
scenario: declared
sessions: {alice: {%s}, bob: {%s}}
steps:
  - {session: alice, user: Hi., simulate: {text: Hello.}}
  - {session: bob, user: So?}
"""


def test_an_exchange_that_a_session_declares_is_its_own(stage: Stage) -> None:
    had = "history: [{user: Hi.}, {assistant: Hello.}]"

    assert checks_of(stage.play(DECLARED % ("", had))) == []


class TellsAlices(MessagesClient):
    """It begins each session with what the first one had declared."""

    async def query(self, text: str) -> None:
        if not self._messages:
            said = [("user", "Hey."), ("assistant", "Yes.")]
            self._messages += [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in said]
        await super().query(text)


def test_and_in_anothers_history_it_is_found(stage: Stage) -> None:
    had = "history: [{user: Hey.}, {assistant: Yes.}]"
    found = stage.play(DECLARED % (had, ""), "tests.test_unnamed:TellsAlices").verdict.findings

    assert [(one.session, one.seen) for one in found if one.check == "isolation"] == [("bob", "'Hey.'")]


class Remembers(Elsewhere):
    """A guard is asked in each turn; to what was answered once the client says the same again; with the bug
    `all` to everybody."""

    kept: ClassVar[dict[tuple[str, str], str]] = {}

    async def receive_response(self) -> AsyncIterator[Event]:
        key = "" if self._opening.options.get("bug") == "all" else self._opening.session, self._text
        if key in Remembers.kept:
            asked: Any = [{"role": "user", "content": f"Is this allowed? {self._text}"}]
            await self._model.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=asked)
            yield TextDelta(text=Remembers.kept[key])
            yield TurnEnd()
            return
        async for event in super().receive_response():
            if isinstance(event, TextDelta):
                Remembers.kept[key] = event.text
            yield event


AGAIN = """
scenario: asked again
sessions: {alice: {}, bob: {}}
steps:
  - {session: alice, user: Hi., simulate: {text: Hello there.}}
  - {session: bob, user: Hi., simulate: {text: %s}}
  - {session: bob, user: Hi.}
"""


@pytest.mark.parametrize(("bug", "answer", "steps"), [("", "Hello there.", []), ("all", "Allowed.", [2, 3])])
def test_a_client_may_say_again_what_its_own_session_was_told(
    stage: Stage, bug: str, answer: str, steps: list[int]
) -> None:
    Remembers.kept.clear()
    stage.options = {**MODEL, "bug": bug}
    found = stage.play(AGAIN % answer, "tests.test_unnamed:Remembers").verdict.findings

    assert [one.step for one in found if one.message.startswith("session 'bob' was shown the answer")] == steps


AT_ONCE = """
scenario: at once
sessions: {alice: {}, bob: {}}
steps:
  - together:
      - - {session: alice, user: Hi.}
      - - {session: bob, user: So many things.}
"""


def at_once(stage: Stage, text: str = AT_ONCE, bug: str = "", mode: Mode | None = None) -> Played:
    Coded.both = asyncio.Barrier(2)
    stage.options = {**MODEL, "bug": bug}
    return stage.play(text, "tests.test_unnamed:Coded", mode, wire="history")


def test_where_nearly_nothing_tells_the_session_a_declared_wire_is_an_error(stage: Stage) -> None:
    with pytest.raises(
        ClientError, match=r"(?s)no session could be told for 2 of 2 requests.*/s/app/<session>"
    ) as raised:
        at_once(stage, bug="always")
    assert 'it declares wire = "history"' in str(raised.value)


def test_an_occasional_one_is_not_seen_and_a_failure_stays_one(stage: Stage) -> None:
    once = at_once(stage)
    assert checks_of(once) == []
    assert "no session could be told for request" in once.verdict.not_seen[-1].why

    failing = AT_ONCE.replace("user: Hi.", "user: Hi., expect: {contains: a word that nobody says}")
    assert ("contains", "reply") in checks_of(at_once(stage, failing, bug="always"))


def test_of_a_request_that_is_nobodys_no_session_is_named(stage: Stage) -> None:
    # One of the two waits for the other for ever once that has missed.
    text = AT_ONCE.replace("steps:", "timeout: 3s\nsteps:", 1)
    at_once(stage, text, mode=Mode(record="all"))

    assert {one.session for one in at_once(stage, text, bug="always").verdict.findings if one.check == "miss"} == {""}
    left = stage.play(text, "tests.broken_clients:AsksNobody").verdict.findings
    assert {one.session for one in left if one.check == "unplayed"} == {""}
