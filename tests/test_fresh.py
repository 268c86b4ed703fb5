"""A fresh session knows nobody: not what was said in another item of the same process either."""

import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.config import Config
from convtest.play.mode import Mode
from convtest.play.perform import Played, ready
from convtest.probe.probing import probe
from convtest.structs import replace
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

    async def clear_history(self) -> None:
        examples = self._messages[:4]
        await super().clear_history()
        await self.load_history(examples)


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


EXAMPLES = ("Say yes.", "Yes.", "Say no.", "No.")


class Remembers(MessagesClient):
    """Brings a stranger's words from outside of this process into its very first session."""

    async def connect(self) -> None:
        await super().connect()
        if not self._messages:
            said = [("user", "My name is Bob."), ("assistant", "Hello Bob.")]
            await self.load_history([{"role": role, "content": text} for role, text in said])


def declared(stage: Stage, client: type[MessagesClient], opening: int | tuple[str, ...] | None) -> Played:
    made = config(stage, f"tests.test_fresh:{client.__name__}")
    profile = replace(made.profile("assistant"), opening=opening)
    (scenario,) = stage.scenarios("scenario: x\nsteps: [{user: I live in the old town.}, {user: What is 2 + 2?}]")
    stage.runs += 1
    folder = stage.root / f"run-{stage.runs}"
    folder.mkdir()
    return ready(replace(made, clients={"assistant": profile}), scenario, Mode()).play(folder)


@pytest.mark.parametrize(
    ("client", "opening", "passes"),
    [
        (FewShot, EXAMPLES, True),
        (FewShot, 4, True),
        (FewShot, None, True),
        (FewShot, 0, False),
        (FewShot, EXAMPLES[:2], False),
        (Remembers, None, True),  # nobody has said how its sessions begin
        (Remembers, 0, False),
        (Remembers, EXAMPLES, False),
    ],
)
def test_with_a_declared_opening_the_first_session_is_judged_too(
    stage: Stage, client: type[MessagesClient], opening: int | tuple[str, ...] | None, passes: bool
) -> None:
    outcome = declared(stage, client, opening)

    assert {check for check, _ in checks_of(outcome)} == (set() if passes else {"fresh"})


def test_an_opening_of_other_words_is_named_with_what_was_declared(stage: Stage) -> None:
    found = finding_of(declared(stage, Remembers, EXAMPLES), "fresh")

    assert found.expected == "its prompt after the declared opening: Say yes. | Yes. | Say no. | No."
    assert found.seen == "My name is Bob. | Hello Bob."


@pytest.mark.parametrize(("client", "opening"), [(FewShot, EXAMPLES), (MessagesClient, 0)])
def test_the_probe_measures_the_opening(
    stage: Stage, client: type[MessagesClient], opening: int | tuple[str, ...]
) -> None:
    made = stage.config() if client is MessagesClient else config(stage, f"tests.test_fresh:{client.__name__}")

    assert probe(made, "assistant").opening == opening


@pytest.mark.parametrize(
    ("client", "fails"), [(GOOD, None), ("FewShot", None), ("ClearsLittle", "1 message stands before the prompt")]
)
def test_an_empty_history_is_empty_but_for_the_opening(stage: Stage, client: str, fails: str | None) -> None:
    text = """
        scenario: empty
        steps:
          - user: My name is Ada Lovelace.
          - clear: main
            expect: {history: empty}
          - user: What is my name?
    """

    outcome = stage.play(text, client if ":" in client else f"tests.test_fresh:{client}")

    if fails is None:
        assert checks_of(outcome) == []
    else:
        assert fails in finding_of(outcome, "history").message
        assert finding_of(outcome, "history").seen == "You know the user: What is my name? is what he asks."


class ClearsLittle(MessagesClient):
    """What is left holds the words of the next prompt, too."""

    async def clear_history(self) -> None:
        await super().clear_history()
        left = "You know the user: What is my name? is what he asks."
        await self.load_history([{"role": "user", "content": [{"type": "text", "text": left}]}])


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
