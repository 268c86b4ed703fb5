"""White space in what a history holds, by the policy `white_space`."""

import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.play.perform import Played
from convtest.probe.probing import probe
from convtest.structs import replace
from tests.playing import GOOD, Stage, checks_of, finding_of

HERE = "tests.test_spacing:"
PROGRAM = """
    scenario: a program
    steps:
      - user: Write a program.
        simulate:
          - text: "def f():\\n    if True:\\n        return 1\\n\\nThat is all."
      - user: "  What is 1 + 1?\\n"
      - user: Thank you.
    """


class LosesLineBreaks(MessagesClient):
    """It stores an answer as one line."""

    async def query(self, text: str) -> None:
        for message in self._messages:
            for block in message["content"]:
                if message["role"] == "assistant" and "text" in block:
                    block["text"] = " ".join(block["text"].split())
        await super().query(text)


class TrimsPrompts(MessagesClient):
    """An honest one: what a user typed around a prompt is not sent."""

    async def query(self, text: str) -> None:
        await super().query(text.strip())


def play(stage: Stage, target: str, **policy: str) -> Played:
    config = stage.config(target)
    profile = replace(config.clients["assistant"], policy=policy)
    return stage.play_with(replace(config, clients={"assistant": profile}), PROGRAM)


@pytest.mark.parametrize("target", [GOOD, f"{HERE}TrimsPrompts"])
def test_an_honest_client_keeps_the_white_space_of_answers(stage: Stage, target: str) -> None:
    assert checks_of(play(stage, target, white_space="kept")) == []


def test_lost_line_breaks_are_found_where_the_policy_says_kept(stage: Stage) -> None:
    outcome = play(stage, f"{HERE}LosesLineBreaks", white_space="kept")

    assert set(checks_of(outcome)) == {("history", "wire")}
    finding = finding_of(outcome, "history")
    assert "other white space than they had" in finding.message
    assert "\\n    if True" in finding.expected
    assert "def f(): if True" in finding.seen


def test_elsewhere_it_may_be_laid_out_anew(stage: Stage) -> None:
    assert checks_of(play(stage, f"{HERE}LosesLineBreaks")) == []


@pytest.mark.parametrize(("target", "policy"), [(GOOD, "kept"), (f"{HERE}LosesLineBreaks", "any")])
def test_the_probe_measures_it(stage: Stage, target: str, policy: str) -> None:
    assert probe(stage.config(target), "assistant").policy["white_space"] == policy
