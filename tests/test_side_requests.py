"""Which requests are the conversation: applications ask for titles, guards and classifications beside it."""

from collections.abc import AsyncIterator
from pathlib import Path

import anthropic
import pytest

from convtest.config import Config
from convtest.events import Event, TurnEnd
from convtest.play.mode import Mode
from convtest.play.perform import Played, ready
from convtest.probe.probing import probe
from convtest.structs import replace
from tests import side_clients
from tests.playing import MODEL, Stage, checks_of, finding_of
from tests.project import Project

APP = "tests.side_clients:App"


class GivesUp(side_clients.App):
    """Where it is not told what the user wants, it asks no further."""

    async def receive_response(self) -> AsyncIterator[Event]:
        try:
            async for event in super().receive_response():
                yield event
        except anthropic.APIStatusError:
            self._history.pop()
            yield TurnEnd(ended="overloaded")


TALK = """
    scenario: an application with more to ask
    facts: {who: {tell: My name is Ada., ask: What is my name?, answer: Ada}}
    steps:
      - tell: who
      - user: What is 15 * 7?
        expect: {contains: "105", sent: {lacks: Suggest}}
      - ask: who
    """
DOES = ["classify", "title", "title later", "guard", "rewrite", "suggest", "clock"]
LOSES = ["all", "the first answer", "one of two"]


def play(stage: Stage, mode: Mode | None = None, **options: str) -> Played:
    stage.options = {**MODEL, **options}
    return stage.play(TALK, APP, mode)


@pytest.mark.parametrize("does", ["", *DOES])
def test_an_honest_application_passes_simulated_recorded_and_replayed(stage: Stage, does: str) -> None:
    simulated = play(stage, does=does)
    recorded = play(stage, Mode(record="all"), does=does)
    replayed = play(stage, does=does)

    assert [one.transcript.source for one in (simulated, recorded, replayed)] == ["simulated", "recorded", "replayed"]
    for outcome in (simulated, recorded, replayed):
        assert checks_of(outcome) == []
        assert outcome.verdict.not_seen == ()
        assert [len(turn.main()) for turn in outcome.transcript.turns()] == [1, 1, 1]
        main = [one for turn in outcome.transcript.turns() for one in turn.main()]
        assert all("You are terse" in one.canonical.system for one in main)


@pytest.mark.parametrize("loses", LOSES)
@pytest.mark.parametrize("does", ["", *DOES])
def test_a_lost_history_is_found_whatever_is_asked_beside_it(stage: Stage, does: str, loses: str) -> None:
    if loses == "one of two" and does == "clock":
        pytest.skip("its settings are other ones in each turn: nothing says which request is the conversation")
    simulated = play(stage, does=does, loses=loses)
    play(stage, Mode(record="all"), does=does)
    replayed = play(stage, does=does, loses=loses)

    assert ("history", "wire") in checks_of(simulated)
    assert "wire" in {layer for _, layer in checks_of(replayed)}


def test_of_two_requests_the_one_that_carries_nothing_is_named(stage: Stage) -> None:
    found = finding_of(play(stage, loses="one of two"), "history")

    assert found.step == 2
    assert "the prompt is also sent without the conversation so far" in found.message
    assert found.seen.endswith("with 1 messages")


def test_side_requests_are_no_other_tries(stage: Stage) -> None:
    stage.options = {**MODEL, "does": "classify"}

    assert checks_of(stage.play(TALK.replace("{contains:", "{retries: {count: 0}, contains:"), APP)) == []


def test_a_turn_that_is_cut_while_something_else_is_asked_lost_nothing(stage: Stage) -> None:
    stage.options = {**MODEL, "does": "classify"}
    text = TALK.replace("- user: What is 15 * 7?", "- user: What is 15 * 7?\n        fault: {status: 529}")
    text = text.replace('expect: {contains: "105", sent: {lacks: Suggest}}', "expect: {ended: overloaded}")

    outcome = stage.play(text, "tests.test_side_requests:GivesUp")

    assert checks_of(outcome) == []
    assert [len(turn.main()) for turn in outcome.transcript.turns()] == [1, 0, 1]


def config(stage: Stage, **policy: str) -> Config:
    made = stage.config(APP)
    return replace(made, clients={"assistant": replace(made.profile("assistant"), policy=policy)})


def test_retrieved_context_around_a_prompt_is_a_choice_that_the_probe_measures(stage: Stage) -> None:
    stage.options = {**stage.options, "does": "retrieve"}
    found = probe(config(stage), "assistant")
    (scenario,) = stage.scenarios(TALK)

    def checks(name: str, **policy: str) -> list[tuple[str, str | None]]:
        folder = stage.root / name
        folder.mkdir()
        return checks_of(ready(config(stage, **policy), scenario, Mode()).play(folder))

    assert found.policy["prompt"] == "bare"
    assert "are stored bare" in {one.words for one in found.observations}
    assert checks("probed", **found.policy) == []
    assert {check for check, _ in checks("unprobed")} == {"history"}
    stage.options = {**stage.options, "loses": "all"}
    assert ("history", "wire") in checks("broken", **found.policy)
    stage.options = {**stage.options, "loses": "the first answer"}
    assert ("history", "wire") in checks("changed", **found.policy)


def test_a_client_without_frames_is_given_no_policy_for_them(stage: Stage) -> None:
    assert "prompt" not in probe(stage.config(), "assistant").policy


FRAMED = """
scenario: prompts within prompts, each with a timestamp
steps:
  - user: I like tea.
  - user: I like tea. And coffee.
  - user: I like tea.
  - user: And coffee.
"""


def test_a_prompt_within_another_one_is_no_second_one_also_in_a_frame(stage: Stage) -> None:
    assert checks_of(stage.play(FRAMED, "tests.side_clients:Stamped")) == []


def test_a_title_with_the_bare_prompt_as_a_user_meets_it(project: Project) -> None:
    """From outside, with the file that a user would have."""
    project.write(
        "pyproject.toml",
        """
        [tool.convtest.clients.app]
        kind = "python"
        target = "side:App"
        does = "title"
        upstream = "simulator"
        """,
    )
    project.write("side.py", Path(side_clients.__file__).read_text())
    project.write("scenarios/a.yaml", TALK)

    done = project.pytest("-q")

    assert done.code == 0, done.text
