"""A fresh session knows nobody: not what was said in another item of the same process either."""

from dataclasses import replace

import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.config import Config
from convtest.play.mode import Mode
from convtest.play.perform import Played, ready
from tests.playing import GOOD, Stage, checks_of, finding_of
from tests.project import Project

SHARED: list[dict[str, object]] = []
TALK = """
scenario: one user
id: one
steps: [{user: My name is Ada Lovelace.}, {user: What is 1 + 1?}]
---
scenario: the next user
id: next
steps: [{user: I live in the old town.}, {user: What is 2 + 2?}]
"""


class Shares(MessagesClient):
    """One history for all users of the process: the classic."""

    async def connect(self) -> None:
        await super().connect()
        self._messages = SHARED
        self._turns = [index for index, one in enumerate(SHARED) if one["role"] == "user"]


class FewShot(MessagesClient):
    """Every session begins with the same two examples."""

    async def connect(self) -> None:
        await super().connect()
        if not self._messages:
            examples = [("user", "Say yes."), ("assistant", "Yes."), ("user", "Say no."), ("assistant", "No.")]
            messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in examples]
            await self.load_history(messages)


class OnRequest(MessagesClient):
    """The examples are options: only some scenarios have them."""

    async def connect(self) -> None:
        await super().connect()
        given = self._options.pop("examples", [])
        messages = [
            {"role": role, "content": [{"type": "text", "text": text}]}
            for asked, answered in given
            for role, text in (("user", asked), ("assistant", answered))
        ]
        if messages and not self._messages:
            await self.load_history(messages)


def config(stage: Stage, client: str, **policy: str) -> Config:
    made = stage.config(client)
    return replace(made, clients={"assistant": replace(made.profile("assistant"), policy=policy)})


def play(stage: Stage, client: type[MessagesClient], text: str = TALK, **policy: str) -> list[Played]:
    SHARED.clear()
    found = []
    for scenario in stage.scenarios(text):
        stage.runs += 1
        folder = stage.root / f"run-{stage.runs}"
        folder.mkdir()
        made = config(stage, f"tests.test_fresh:{client.__name__}", **policy)
        found.append(ready(made, scenario, Mode()).play(folder))
    return found


def test_a_strangers_history_is_found_and_the_stranger_named(stage: Stage) -> None:
    one, following = play(stage, Shares)

    assert checks_of(one) == []
    found = finding_of(following, "fresh")
    assert (found.layer, found.step) == ("wire", 1)
    assert "what was said in scenarios/talk.yaml::one" in found.message
    assert "My name is Ada Lovelace." in found.seen


@pytest.mark.parametrize("client", [FewShot, MessagesClient])
def test_what_every_session_begins_with_is_nobodys(stage: Stage, client: type[MessagesClient]) -> None:
    if client is MessagesClient:
        assert [checks_of(stage.play(TALK.split("---")[number], GOOD)) for number in (0, 1)] == [[], []]
        return
    assert [checks_of(one) for one in play(stage, client)] == [[], []]


def test_words_of_the_options_and_declared_histories_are_no_strangers(stage: Stage) -> None:
    text = """
        scenario: plain
        steps: [{user: Hello there.}]
        ---
        scenario: with examples
        options: {examples: [[Say yes., "Yes."], [Say no., "No."]]}
        steps: [{user: Hello there.}]
        ---
        scenario: with a history
        sessions: {main: {history: [{user: My name is Ada.}, {assistant: Hello Ada.}]}}
        steps: [{user: Hello there.}]
    """

    assert [checks_of(one) for one in play(stage, OnRequest, text)] == [[], [], []]


def test_a_client_that_remembers_its_user_says_so(stage: Stage) -> None:
    _, following = play(stage, Shares, memory_across="user")

    assert "fresh" not in {check for check, _ in checks_of(following)}


def test_two_sessions_of_one_item_too(stage: Stage) -> None:
    text = """
        scenario: two users
        sessions: {alice: {}, bob: {}}
        steps:
          - {session: alice, user: Hi.}
          - {session: bob, user: Hello.}
    """

    (outcome,) = play(stage, Shares, text)

    assert finding_of(outcome, "fresh").session == "bob"


def test_resumed_restored_and_forked_sessions_are_not_fresh(stage: Stage) -> None:
    text = """
        scenario: not fresh
        steps:
          - user: My name is Ada Lovelace.
          - save: main
          - fork: main
            as: other
          - {session: other, user: And I like tea.}
          - restore: main
            as: again
          - {session: again, user: And I like coffee.}
          - resume: main
          - user: And I like milk.
    """

    assert checks_of(stage.play(text)) == []


def test_in_one_run_of_pytest_and_under_xdist(project: Project) -> None:
    project.write(
        "app.py",
        """
        from convtest import MessagesClient

        SHARED = []

        class Client(MessagesClient):
            async def connect(self):
                await super().connect()
                self._messages = SHARED
        """,
    )
    section = project.read("pyproject.toml").replace('kind = "messages"', 'kind = "python"\ntarget = "app:Client"')
    project.write("pyproject.toml", section)
    project.write("scenarios/x.yaml", TALK)

    both = project.pytest("-q", "scenarios/x.yaml::one", "scenarios/x.yaml::next")
    alone = project.pytest("-q", "scenarios/x.yaml::next")

    assert both.counts() == {"passed": 1, "failed": 1}
    assert "a fresh session begins with a history: what was said in scenarios/x.yaml::one" in both.out
    assert alone.counts() == {"passed": 1}
