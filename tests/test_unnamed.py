"""An application that is not told the session's name: the words of its requests tell whose they are."""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import anthropic
import pytest

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
