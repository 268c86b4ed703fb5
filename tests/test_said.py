"""What was yielded is what was streamed."""

import dataclasses
import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from convtest.checks.result import Finding
from convtest.clients.messages.client import MessagesClient
from convtest.config import Config
from convtest.events import Event, TextDelta, ToolResult, ToolUse, TurnEnd, Usage
from convtest.play.mode import Mode
from convtest.play.perform import Played, ready
from convtest.probe.frames import said_by
from convtest.probe.plays import Plays
from convtest.probe.probing import probe
from convtest.reporting.failure import failure_text
from convtest.structs import replace
from tests.playing import GOOD, Stage, checks_of, finding_of

TALK = """
scenario: a talk
tools: {look_up: {input: {what: string}, answers: [{return: in the attic}]}}
steps:
  - user: Tell me a story.
    simulate: {words: 12}
  - user: Where is it?
    simulate: [{text: I look., calls: [{look_up: {what: it}}]}, {text: In the attic.}]
"""


class Edits(MessagesClient):
    """Changes what it yields, one event at a time; None drops it."""

    def edited(self, event: Event, number: int) -> Event | None:
        return event

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        number = 0
        async for event in super().receive_response():
            number += isinstance(event, TextDelta)
            if (changed := self.edited(event, number)) is not None:
                yield changed


class LosesHalf(Edits):
    def edited(self, event: Event, number: int) -> Event | None:
        return None if isinstance(event, TextDelta) and number % 2 == 0 else event


class LosesTheEnd(Edits):
    def edited(self, event: Event, number: int) -> Event | None:
        return None if isinstance(event, TextDelta) and number > 3 else event


class SaysTwice(Edits):
    def edited(self, event: Event, number: int) -> Event | None:
        return (
            dataclasses.replace(event, text=event.text * 2) if isinstance(event, TextDelta) and number == 2 else event
        )


class Strips(Edits):
    """White space alone: of Markdown renderers and the like."""

    def edited(self, event: Event, number: int) -> Event | None:
        return dataclasses.replace(event, text=event.text.strip() + "\n") if isinstance(event, TextDelta) else event


class Shouts(Edits):
    def edited(self, event: Event, number: int) -> Event | None:
        return dataclasses.replace(event, text=event.text.upper()) if isinstance(event, TextDelta) else event


class SaysNothing(Edits):
    def edited(self, event: Event, number: int) -> Event | None:
        return None if isinstance(event, TextDelta) else event


class LosesTheSecondTurn(Edits):
    def edited(self, event: Event, number: int) -> Event | None:
        return None if isinstance(event, TextDelta) and len(self._turns) > 1 else event


class HidesThoughts(MessagesClient):
    """Honest: of an answer that thinks aloud it shows the rest."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        said = ""
        async for event in super().receive_response():
            if isinstance(event, TextDelta):
                said += event.text
                continue
            if text := re.sub("<think>.*?</think>", "", said, flags=re.DOTALL).strip():
                yield TextDelta(text=text)
            said = ""
            yield event


class Withholds(Edits):
    """Honest: a guard that shows no answer, and says so by the turn's end."""

    def edited(self, event: Event, number: int) -> Event | None:
        if isinstance(event, TurnEnd):
            return dataclasses.replace(event, ended="refusal")
        return None if isinstance(event, TextDelta) else event


class Wavers(Edits):
    """Takes blanks away in some of its sessions: every other one."""

    made = 0

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        Wavers.made += 1
        self._strips = Wavers.made % 2 == 0

    def edited(self, event: Event, number: int) -> Event | None:
        return (
            dataclasses.replace(event, text=event.text.strip())
            if isinstance(event, TextDelta) and self._strips
            else event
        )


class Replaces(Edits):
    """In each piece of the text."""

    pattern, to = "", ""

    def edited(self, event: Event, number: int) -> Event | None:
        if not isinstance(event, TextDelta):
            return event
        return dataclasses.replace(event, text=re.sub(self.pattern, self.to, event.text))


class AsksOn(MessagesClient):
    """Honest: after an answer of blanks it asks on, in the same message, as Claude Code does."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        said = ""
        async for event in super().receive_response():
            if isinstance(event, TurnEnd) and not said.strip():
                break
            said += event.text if isinstance(event, TextDelta) else ""
            yield event
        else:
            return
        *self._messages, asked = [
            one for one in self._messages if one["role"] == "user" or one["content"][0]["text"].strip()
        ]
        self._messages.append({"role": "user", "content": [*asked["content"], {"type": "text", "text": "Say on."}]})
        self._asked = True
        async for event in super().receive_response():
            for one in self.edited(event):
                yield one

    def edited(self, event: Event) -> list[Event]:
        return [event]


class AsksOnAndSaysTwice(AsksOn):
    def edited(self, event: Event) -> list[Event]:
        return [event, event] if isinstance(event, TextDelta) else [event]


class InAForm(MessagesClient):
    """Honest: its answer is the input of a tool that ends the turn, told as JSON."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async with aclosing(super().receive_response()) as events:
            async for event in events:
                if isinstance(event, ToolUse) and event.name == "answer":
                    yield TextDelta(text=json.dumps(self.told(dict(event.input)), indent=1))
                elif isinstance(event, ToolResult) and self.formed:
                    break
                elif isinstance(event, ToolUse | ToolResult | TurnEnd):
                    yield event
                if isinstance(event, ToolUse):
                    self.formed = event.name == "answer"
            else:
                return
        yield self._finished(TurnEnd(ended="complete"), Usage())

    formed = False

    def told(self, answer: dict[str, Any]) -> dict[str, Any]:
        return answer


class FillsInAForm(InAForm):
    """Honest but by the letter: a default that the model left out."""

    def told(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "sure": True}


class AnotherForm(InAForm):
    def told(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "sum": 41}


class HalfAForm(InAForm):
    def told(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {"sum": answer["sum"]}


class HidesTools(Edits):
    """All of them, in every turn: a choice."""

    def edited(self, event: Event, number: int) -> Event | None:
        return None if type(event).__name__ in {"ToolUse", "ToolResult"} else event


class RenamesTools(Edits):
    def edited(self, event: Event, number: int) -> Event | None:
        return dataclasses.replace(event, input={"what": "that"}) if isinstance(event, ToolUse) else event


class FillsIn(Edits):
    """Default arguments that the model left out."""

    def edited(self, event: Event, number: int) -> Event | None:
        return dataclasses.replace(event, input={**event.input, "how": "fast"}) if isinstance(event, ToolUse) else event


class OnlyTheLast(MessagesClient):
    """What it says before its tools have answered is not shown."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        kept: list[Event] = []
        async for event in super().receive_response():
            if isinstance(event, ToolUse):
                kept.clear()
            if isinstance(event, TurnEnd):
                for one in kept:
                    yield one
                yield event
            elif isinstance(event, TextDelta):
                kept.append(event)


class Deaf(MessagesClient):
    """Goes on to the end when it is interrupted, and says that it was."""

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._told = False

    async def interrupt(self) -> None:
        self._told = True

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async for event in super().receive_response():
            yield (
                dataclasses.replace(event, ended="interrupted") if isinstance(event, TurnEnd) and self._told else event
            )


def target(client: type[MessagesClient]) -> str:
    return f"tests.test_said:{client.__name__}"


def config(stage: Stage, client: type[MessagesClient], **policy: str) -> Config:
    made = stage.config(target(client))
    return replace(made, clients={"assistant": replace(made.profile("assistant"), policy=policy)})


def play(stage: Stage, client: type[MessagesClient], text: str = TALK, **policy: str) -> Played:
    (scenario,) = stage.scenarios(text)
    stage.runs += 1
    folder = stage.root / f"run-{stage.runs}"
    folder.mkdir()
    return ready(config(stage, client, **policy), scenario, Mode()).play(folder)


def found(outcome: Played) -> list[Finding]:
    assert {check for check, _ in checks_of(outcome)} <= {"said"}, outcome.verdict
    return list(outcome.verdict.findings)


@pytest.mark.parametrize("client", [LosesHalf, LosesTheEnd, SaysTwice, Shouts, RenamesTools])
def test_a_client_that_passes_on_something_else_fails_simulated_and_replayed(
    stage: Stage, client: type[MessagesClient]
) -> None:
    simulated = play(stage, client)
    stage.record(TALK, GOOD)
    replayed = play(stage, client)

    assert replayed.transcript.source == "replayed"
    assert found(simulated)
    assert found(replayed)


@pytest.mark.parametrize("client", [MessagesClient, HidesTools, FillsIn])
def test_an_honest_client_passes_also_by_the_letter(stage: Stage, client: type[MessagesClient]) -> None:
    if client is MessagesClient:
        assert checks_of(stage.play(TALK)) == []
        return
    assert found(play(stage, client, said="exact")) == []


@pytest.mark.parametrize(("client", "right"), [(AsksOn, True), (AsksOnAndSaysTwice, False)])
def test_an_answer_of_blanks_that_is_asked_on_from_was_streamed_too(
    stage: Stage, client: type[MessagesClient], right: bool
) -> None:
    text = """
        scenario: blanks
        steps: [{user: Hello., simulate: {words: 3}}, {user: Say something., simulate: {text: "   "}}]
    """

    assert (found(play(stage, client, text, said="exact")) == []) == right


@pytest.mark.parametrize(
    ("client", "rung", "right"),
    [
        (InAForm, "exact", True),
        (InAForm, "final", True),
        (FillsInAForm, "words", True),
        (FillsInAForm, "exact", False),
        (AnotherForm, "words", False),
        (HalfAForm, "words", False),
    ],
)
def test_an_answer_in_a_form_is_its_tools_input(
    stage: Stage, client: type[MessagesClient], rung: str, right: bool
) -> None:
    text = """
        scenario: in a form
        tools:
          answer: {input: {sum: integer, unit: string}, answers: [{return: taken}]}
          look_up: {input: {what: string}, answers: [{return: "6"}]}
        steps:
          - user: What is it?
            simulate: [{calls: [{look_up: {what: it}}]}, {calls: [{answer: {sum: 42, unit: m}}]}]
          - user: And now?
            simulate: [{calls: [{answer: {sum: 7, unit: s}}]}]
    """

    assert (found(play(stage, client, text, said=rung)) == []) == right


@pytest.mark.parametrize(("rung", "right"), [("exact", False), ("words", False), ("final", True)])
def test_text_beside_an_answer_in_a_form_is_lost_only_by_policy(stage: Stage, rung: str, right: bool) -> None:
    text = """
        scenario: beside
        tools: {answer: {input: {sum: integer}, answers: [{return: taken}]}}
        steps: [{user: What is it?, simulate: [{text: I know., calls: [{answer: {sum: 42}}]}]}]
    """

    assert (found(play(stage, InAForm, text, said=rung)) == []) == right


def test_white_space_is_a_choice_and_the_default_of_unprobed_clients(stage: Stage) -> None:
    assert found(play(stage, Strips)) == []
    assert found(play(stage, Strips, said="exact"))


def test_what_only_the_last_answer_says_is_a_choice(stage: Stage) -> None:
    assert found(play(stage, OnlyTheLast))
    assert found(play(stage, OnlyTheLast, said="final")) == []
    assert found(play(stage, Shouts, said="transformed")) == []


@pytest.mark.parametrize("client", [SaysNothing, LosesTheSecondTurn])
def test_a_client_that_may_change_its_text_has_to_say_something(stage: Stage, client: type[MessagesClient]) -> None:
    (finding,) = found(play(stage, client, TALK, said="transformed"))[-1:]

    assert finding.seen == "no text at all"
    assert finding.expected == "'In the attic.'"


@pytest.mark.parametrize("client", [Shouts, HidesThoughts])
def test_an_honest_client_that_changes_its_text_passes(stage: Stage, client: type[MessagesClient]) -> None:
    text = """
        scenario: changes
        steps:
          - {user: Tell me a story., simulate: {words: 12}}
          - {user: Think., simulate: {text: "<think> Six times seven. </think>"}}
          - {user: And say so., simulate: {text: "<think> Why? </think> 42"}}
    """

    assert found(play(stage, client, text, said="transformed")) == []


def test_a_guard_withholds_an_answer_and_says_so(stage: Stage) -> None:
    text = "scenario: x\nsteps: [{user: Tell me a story., simulate: {words: 12}, expect: {ended: refusal}}]"

    assert found(play(stage, Withholds, text, said="transformed")) == []


@pytest.mark.parametrize(
    ("client", "rung"),
    [(MessagesClient, "exact"), (Strips, "words"), (OnlyTheLast, "final"), (Shouts, "transformed")],
)
def test_the_probe_measures_the_strictest_that_fits(stage: Stage, client: type[MessagesClient], rung: str) -> None:
    made = stage.config() if client is MessagesClient else config(stage, client)

    probed = probe(made, "assistant")

    assert probed.policy["said"] == rung
    words = next(one.words for one in probed.observations if one.about == "the model's answers")
    assert ("LOST" in words) == (rung == "transformed")


def test_the_probe_plays_its_answers_twice_and_writes_what_fits_both(stage: Stage) -> None:
    Wavers.made = 0
    probed = probe(config(stage, Wavers), "assistant")

    words = {one.about: one.words for one in probed.observations}["the model's answers"]
    assert probed.policy["said"] == "words"
    assert words == "passed on but for white space, and differ from run to run"


@pytest.mark.parametrize(
    ("pattern", "to", "rung"),
    [
        (r"^\s+|\s+$", "", "words"),
        (r"  ", " ", "words"),
        (r"\*\*", "", "transformed"),
        (r"<b>", "", "transformed"),
        ("\u200d", "", "transformed"),
        ("👩.👩", "?", "exact"),  # the emoji of several signs comes in pieces
        (r"```\w+", "```", "transformed"),
        ("</?think>", "", "transformed"),
        ('"b":', "'b':", "transformed"),
        ("Then", "", "transformed"),
    ],
)
def test_what_a_client_may_change_stands_in_the_probes_answers(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, pattern: str, to: str, rung: str
) -> None:
    monkeypatch.setattr(Replaces, "pattern", pattern)
    monkeypatch.setattr(Replaces, "to", to)
    folder = stage.root / "answers"
    folder.mkdir()

    played = Plays(config(stage, Replaces), "assistant", folder)

    assert said_by(played.turns("answers")) == rung


def test_the_first_difference_of_a_long_text_is_shown_with_its_position(stage: Stage) -> None:
    text = "scenario: long\nsteps: [{user: Tell me a long story., simulate: {words: 400}}]"

    finding = finding_of(play(stage, LosesTheEnd, text, said="exact"), "said")

    assert len(finding.expected) < 250
    assert len(finding.seen) < 250
    assert "the first other one is number " in finding.seen
    assert finding.seen.startswith("'Once")


def test_a_wrong_reply_that_the_client_made_is_not_the_models(stage: Stage) -> None:
    text = "scenario: one\nsteps: [{user: What is 15 * 7?, expect: {contains: '105'}}]"

    outcome = play(stage, LosesTheEnd, text)
    lines = failure_text(outcome.result()).splitlines()

    assert {check for check, _ in checks_of(outcome)} == {"contains", "said"}
    assert lines[1] == "  said: what the session yielded is not what the model was streaming"
    assert outcome.result().headline.startswith("said: ")


@pytest.mark.parametrize("do", ["interrupt", "kill"])
def test_a_turn_that_is_cut_yields_a_beginning(stage: Stage, do: str) -> None:
    ends = "interrupted" if do == "interrupt" else "connection_lost"
    text = f"""
        scenario: cut
        steps:
          - user: Tell me a story.
            simulate: {{words: 12}}
            disturb: {{do: {do}, after: 4}}
            expect: {{ended: {ends}}}
    """

    assert checks_of(stage.play(text)) == []
    assert ("said", None) in checks_of(play(stage, LosesHalf, text))


def test_an_interrupt_that_is_ignored_fails_by_name(stage: Stage) -> None:
    text = """
        scenario: deaf
        steps:
          - user: Tell me a story.
            simulate: {words: 12}
            interrupt: {after: 3}
            expect: {ended: interrupted}
    """

    assert "the interrupt was ignored" in finding_of(play(stage, Deaf, text), "said").message
    assert checks_of(stage.play(text)) == []


def test_a_beginning_that_is_said_twice_is_reported_once(stage: Stage) -> None:
    """By whole_answer, which knows the policy restarted_text."""
    text = """
        scenario: again
        options: {max_retries: 1}
        steps:
          - user: Tell me a story.
            simulate: {words: 12}
            fault: {do: reset, after: 6}
            expect: {ended: {one_of: [complete, connection_lost]}}
    """

    assert "said" not in {check for check, _ in checks_of(stage.play(text))}
