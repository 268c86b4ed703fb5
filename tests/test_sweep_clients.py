"""A sweep finds the event at which a client breaks, and names what broke: nothing fails before that event."""

from collections.abc import Iterator

import pytest

from convtest.config import Config
from convtest.play.mode import Mode
from convtest.play.perform import Played, perform
from convtest.play.prepare import prepare
from convtest.play.sweeping import points
from convtest.structs import replace
from tests.playing import GOOD, Stage, checks_of, finding_of

HONEST = {"interrupted_prompt": "kept", "early_interrupt": "kept", "partial_text": "yielded", "cleared": "gone"}
"""What the honest client declares; the kind `python` by itself binds nobody to keep a prompt."""
FACTS = """
    facts:
      who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
    """
TEXT = f"""
    scenario: a story
    {FACTS}
    steps:
      - tell: who
      - user: Tell me about the sea.
        id: swept
        simulate:
          - text: The sea is wide and blue.
    sweep:
      turn: swept
      disturb: [interrupt, resume, fork, reset, close]
    """
TOOLS = f"""
    scenario: a search
    {FACTS}
    tools:
      look:
        input: {{what: string}}
        answers:
          - {{when: {{what: keys}}, return: on the table}}
          - {{return: in the hall}}
    steps:
      - tell: who
      - user: Where are my keys and my hat?
        id: swept
        simulate:
          - thinking: Two things.
            text: I will look for both.
            calls:
              - look: {{what: keys}}
              - look: {{what: hat}}
          - text: The keys are on the table and the hat is in the hall.
    sweep:
      turn: swept
      disturb: [interrupt, resume, fork, reset, close]
    """
AGAIN = (
    TEXT.replace("facts:", "timeout: 1s\n    facts:")
    + """
      then:
        - user: And about the hills?
          simulate:
            - text: The hills are high and green.
          interrupt: {after: 2}
          expect: {ended: interrupted}
        - ask: who
    """
)


def config_of(stage: Stage, target: str) -> Config:
    config = stage.config(target)
    profile = replace(config.clients["assistant"], policy=HONEST)
    return replace(config, clients={"assistant": profile})


def swept(stage: Stage, text: str, target: str) -> Iterator[tuple[str, Played]]:
    """The points of the sweep in their order, each with what came of it."""
    config = config_of(stage, target)
    (base,) = stage.scenarios(text)
    for scenario in points(config, base):
        assert scenario.point is not None
        stage.runs += 1
        folder = stage.root / f"run-{stage.runs}"
        folder.mkdir()
        yield scenario.point.label, perform(prepare(config, scenario, Mode()), folder)


BROKEN = [
    (
        "DropsPrompt", TEXT, "interrupt@4-text",
        "prompts_once", "an earlier prompt is gone from the request", "My name is Ada. | What is my name?",
    ),
    (
        "ReadsAhead", TEXT, "interrupt@1-text",
        "kept_text", "the history holds text that the session never yielded", "'The sea'",
    ),
    (
        "ReadsAhead", TOOLS, "interrupt@2-thinking",
        "kept_text", "the history holds text that the session never yielded", "'I'",
    ),
    (
        "LeavesToolOpen", TOOLS, "interrupt@8-tool_use",
        "tool_pairs", "the tool use look has no result", "assistant[text, tool_use] user[text]",
    ),
    (
        "LosesWhatWasNotSent", TEXT, "interrupt@before_request",
        "prompts_once", "an earlier prompt is gone from the request", "My name is Ada. | What is my name?",
    ),
    (
        "AnswersWithTheRest", TEXT, "interrupt@before_request",
        "one_end", "the reply belongs to an earlier turn: 'Tell me about the sea.'", "'The sea is wide and blue.'",
    ),
    (
        "HangsOnSecondInterrupt", AGAIN, "interrupt@before_request",
        "timeout", "the step did not end in time", "text ' hills'",
    ),
    (
        "LosesSessionOnResume", TOOLS, "resume@8-tool_use",
        "history", "the request does not extend the conversation so far", "user: 'What is my name?'",
    ),
    (
        "SharesHistoryWithFork", TEXT, "fork@before_request",
        "prompts_once", "a prompt stands 2 times in the request", "What is my name? | What is my name?",
    ),
    (
        "RunsToolsAgain", TOOLS, "reset@23-message_stop",
        "tool_pairs", "the tool look was carried out 2 times for 1 tool use", 'look({"what":"keys"}) again',
    ),
    (
        "SwallowsTruncation", TEXT, "close@0-request",
        "whole_answer", "a stream that broke off was taken for a whole answer", "complete, after a stream",
    ),
    (
        "DoublesText", TEXT, "reset@3-content_block_delta",
        "whole_answer", "the beginning of an answer that broke off was said again", "'TheThe sea is wide and blue.'",
    ),
    (
        "DoublesText", TOOLS, "reset@8-content_block_delta",
        "whole_answer", "the beginning of an answer that broke off was said again", "'II will look for both.",
    ),
    (
        "LeaksConnection", TOOLS, "interrupt@1-thinking",
        "no_leftovers", "the client left something running", "the answer to request 2 of 'main'",
    ),
    (
        "ChangesId", TOOLS, "interrupt@10-tool_result",
        "session_id", "the session's id changed", "-",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("client", "text", "point", "check", "message", "seen"),
    BROKEN,
    ids=[f"{row[0]}-{row[2]}" for row in BROKEN],
)
def test_the_first_point_that_fails_is_the_event_at_which_the_client_breaks(
    stage: Stage, client: str, text: str, point: str, check: str, message: str, seen: str
) -> None:
    played = swept(stage, text, f"tests.sweep_clients:{client}")

    first = next((found for found in played if not found[1].verdict.passed), None)

    assert first is not None, "every point passed"
    label, outcome = first
    assert label == point, checks_of(outcome)
    finding = finding_of(outcome, check)
    assert message in finding.message
    assert seen in finding.seen


@pytest.mark.parametrize("text", [TEXT, TOOLS, AGAIN], ids=["text", "tools", "again"])
def test_the_honest_client_passes_every_point(stage: Stage, text: str) -> None:
    played = list(swept(stage, text.replace("timeout: 1s", "timeout: 30s"), GOOD))

    assert [(label, checks_of(outcome)) for label, outcome in played if not outcome.verdict.passed] == []
    assert {point for _, row, point, *_ in BROKEN if row == text} <= {label for label, _ in played}


@pytest.mark.parametrize(("early", "passes"), [("missed", True), ("either", False)])
def test_an_interrupt_that_comes_too_early_is_missed_only_where_the_policy_says_so(
    stage: Stage, early: str, passes: bool
) -> None:
    config = config_of(stage, "tests.sweep_clients:MissesWhatComesEarly")
    profile = replace(config.clients["assistant"], policy={**HONEST, "early_interrupt": early})
    config = replace(config, clients={"assistant": profile})
    (base,) = stage.scenarios(TEXT)
    (point,) = [one for one in points(config, base) if one.point and one.point.label == "interrupt@before_request"]

    outcome = perform(prepare(config, point, Mode()), stage.root)

    assert checks_of(outcome) == ([] if passes else [("ended", None)])
    assert outcome.transcript.turns()[1].text == "The sea is wide and blue."


@pytest.mark.parametrize(("early", "check"), [("missed", None), ("kept", "kept_text")])
@pytest.mark.parametrize("target", ["GoesOnAlone", "MakesUpTheRest"])
def test_what_a_client_that_goes_on_alone_has_put_down_is_what_was_streamed(
    stage: Stage, target: str, early: str, check: str | None
) -> None:
    config = config_of(stage, f"tests.sweep_clients:{target}")
    profile = replace(config.clients["assistant"], policy={**HONEST, "early_interrupt": early})
    config = replace(config, clients={"assistant": profile})
    (base,) = stage.scenarios(TEXT)
    (point,) = [one for one in points(config, base) if one.point and one.point.label == "resume@before_request"]

    outcome = perform(prepare(config, point, Mode()), stage.root)

    found = checks_of(outcome)
    assert found == ([("kept_text", "wire")] if check or target == "MakesUpTheRest" else []), outcome.verdict


@pytest.mark.parametrize(("target", "found"), [("GoesOnAlone", []), ("MakesUpTheRest", [("kept_text", "wire")])])
def test_one_elsewhere_that_is_left_before_its_request_may_hold_what_was_streamed_whatever_its_policy(
    stage: Stage, target: str, found: list[tuple[str, str]]
) -> None:
    config = config_of(stage, f"tests.sweep_clients:{target}")
    profile = replace(config.clients["assistant"], policy={**HONEST, "early_interrupt": "kept"})
    config = replace(config, clients={"assistant": profile})
    (base,) = stage.scenarios(TEXT)
    (point,) = [one for one in points(config, base) if one.point and one.point.label == "resume@before_request"]
    assert point.point is not None
    elsewhere = replace(point, point=replace(point.point, ms=0))

    outcome = perform(prepare(config, elsewhere, Mode()), stage.root)

    assert checks_of(outcome) == found, outcome.verdict
