"""Turns that are answered without the model, and clients that condense what was said: honest and broken ones."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest

from convtest.config import load_config
from convtest.errors import ConfigError
from convtest.events import Event, TextDelta, TurnEnd
from convtest.play.mode import Mode
from convtest.play.perform import Played, ready
from convtest.policy import Policy
from convtest.structs import replace
from tests.playing import MODEL, Stage, checks_of, finding_of
from tests.project import SECTION
from tests.side_clients import App

HERE = "tests.test_unsent"


def play(stage: Stage, text: str, client: str, mode: Mode | None = None, **policy: Any) -> Played:
    config = stage.config(f"{HERE}:{client}")
    config = replace(config, clients={"assistant": replace(config.profile("assistant"), policy=policy)})
    (scenario,) = stage.scenarios(text)
    stage.runs += 1
    folder = stage.root / f"run-{stage.runs}"
    folder.mkdir()
    return ready(config, scenario, mode or Mode()).play(folder)


class Local(App):
    """It answers by itself what begins with a slash, and what its guard refuses; `stores`: it keeps that."""

    async def receive_response(self) -> AsyncIterator[Event]:
        asked = self._prompt
        if "lock" in asked:
            await self._ask("Is this safe?", [{"role": "user", "content": asked}])
        if asked.startswith("/") or "lock" in asked:
            if self._opening.options.get("stores"):
                # As the CLI of Claude Code keeps its commands: the prompt stands in two texts, and nobody asked for it.
                self._history += [{"role": "user", "content": f"<command>{asked}</command>"}]
                self._history += [{"role": "user", "content": asked}, {"role": "assistant", "content": "All is well."}]
            yield TextDelta(text="All is well.")
            yield TurnEnd()
            return
        async for event in super().receive_response():
            yield event


LOCAL = """
    scenario: a turn without the model
    facts: {who: {tell: My name is Ada., ask: What is my name?, answer: Ada}}
    steps:
      - tell: who
      - user: {prompt}
        expect: {contains: All is well}
      - ask: who
"""
PROMPTS = {"a command": "/status of it", "refused": "How do I open a lock?"}


@pytest.mark.parametrize("stores", [True, False])
@pytest.mark.parametrize("unsent", ["allowed", ["/status", "How do I open"]])
@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_a_turn_that_the_policy_names_leaves_the_conversation_as_it_was(
    stage: Stage, prompt: str, unsent: Any, stores: bool
) -> None:
    stage.options = {**MODEL, "stores": stores}
    text = LOCAL.replace("{prompt}", prompt)
    for mode in (None, Mode(record="all"), None):
        outcome = play(stage, text, "Local", mode, unsent=unsent)

        assert checks_of(outcome) == []
        assert outcome.verdict.not_seen == ()
        assert [len(turn.main()) for turn in outcome.transcript.turns()] == [1, 0, 1]


@pytest.mark.parametrize("policy", [{}, {"unsent": "never"}, {"unsent": ["/cost"]}])
def test_without_it_the_prompt_was_never_sent(stage: Stage, policy: dict[str, Any]) -> None:
    found = finding_of(play(stage, LOCAL.replace("{prompt}", "/status of it"), "Local", **policy), "prompts_once")

    assert (found.step, found.layer) == (2, "wire")
    assert found.message == "the turn was answered, and its prompt was never sent"
    assert "unsent" in found.advice


def test_without_it_a_request_beside_the_conversation_is_a_lost_history(stage: Stage) -> None:
    found = finding_of(play(stage, LOCAL.replace("{prompt}", PROMPTS["refused"]), "Local"), "history")

    assert (found.step, found.layer) == (2, "wire")
    assert "unsent" in found.advice


def test_the_last_turn_too_has_to_be_sent(stage: Stage) -> None:
    text = "scenario: x\nsteps:\n  - user: What is 1 + 1?\n  - user: /status\n"

    assert checks_of(play(stage, text, "Local")) == [("prompts_once", "wire")]
    assert checks_of(play(stage, text, "Local", unsent=["/"])) == []


@pytest.mark.parametrize("loses", ["all", "the first answer"])
def test_a_lost_history_is_found_around_it(stage: Stage, loses: str) -> None:
    stage.options = {**MODEL, "loses": loses}
    outcome = play(stage, LOCAL.replace("{prompt}", "/status of it"), "Local", unsent="allowed")

    assert ("history", "wire") in checks_of(outcome)


def test_what_was_not_sent_is_not_seen_and_said(stage: Stage) -> None:
    text = LOCAL.replace("contains: All is well", "sent: {contains: Ada}").replace("{prompt}", "/status of it")
    outcome = play(stage, text, "Local", unsent=["/status"])

    assert checks_of(outcome) == []
    assert [(one.check, one.why) for one in outcome.verdict.not_seen] == [
        ("sent", "step 2 went without a request, as the policy permits")
    ]


class Whoami(Local):
    async def receive_response(self) -> AsyncIterator[Event]:
        async for event in super().receive_response():
            yield TextDelta(text="You are Ada.") if event == TextDelta(text="All is well.") else event


def test_what_it_says_by_itself_is_known_and_where_from_is_not_seen(stage: Stage) -> None:
    text = LOCAL.replace("contains: All is well", "knows: who").replace("{prompt}", "/status of it")
    outcome = play(stage, text, "Whoami", unsent=["/status"])

    assert checks_of(outcome) == []
    assert [one.check for one in outcome.verdict.not_seen] == ["knows"]

    found = finding_of(play(stage, text, "Local", unsent=["/status"]), "knows")
    assert (found.layer, found.advice) == ("reply", "")


def test_what_is_sent_although_it_need_not_be_is_judged(stage: Stage) -> None:
    text = LOCAL.replace("ask: who", "{ask: who, expect: {sent: {messages: 99}}}").replace("{prompt}", "/status of it")

    assert checks_of(play(stage, text, "Local", unsent="allowed")) == [("sent", "wire")]


class Condenses(App):
    """It sends notes of what was said before in place of the messages."""

    notes_of_all: list[str] = []  # noqa: RUF012 - a bug that users' applications have

    def _sent(self, turn: int) -> list[dict[str, str]]:
        bug = self._opening.options.get("bug")
        notes = [one["content"] for one in self._history[:-1] if one["role"] == "user"]
        if bug == "loses":
            notes = notes[1:]
        if bug == "mixes":
            notes = self.notes_of_all
            notes.append(self._history[-1]["content"])
        known = " ".join(notes)
        said = [f"Known so far: {known}", self._prompt] if known else [self._prompt]
        return [{"role": "user", "content": text} for text in said]


class Summarises(App):
    """When three turns were said it asks for a summary, and goes on from that alone."""

    async def receive_response(self) -> AsyncIterator[Event]:
        boundary = len(self._history) == 6
        if boundary:
            whole = [*self._history, {"role": "user", "content": "Summarise all that was said before."}]
            await self._ask("You summarise.", whole)
            prompts = [one["content"] for one in self._history if one["role"] == "user"]
            told = "nothing" if self._opening.options.get("bug") == "loses" else f"{prompts[0]} Then some sums."
            self._history = [
                {"role": "user", "content": f"Summary: {told}"},
                {"role": "assistant", "content": "I see."},
            ]
        says = bool(self._opening.options.get("says"))
        async for event in super().receive_response():
            yield dataclasses.replace(event, boundary=boundary and says) if isinstance(event, TurnEnd) else event


CONDENSED = """
    scenario: notes in place of messages
    facts: {who: {tell: My name is Ada., ask: What is my name?, answer: Ada}}
    steps:
      - tell: who
      - user: What is 15 * 7?
        expect: {contains: "105"}
      - user: Tell me a long story about a lighthouse and the people who lived in it.
      - ask: who
"""


@pytest.mark.parametrize(("client", "memory"), [("Condenses", "condensed"), ("Summarises", "summary")])
def test_a_client_that_condenses_declares_it_and_what_is_silent_is_said(stage: Stage, client: str, memory: str) -> None:
    stage.options = {**MODEL, "says": True}
    for mode in (None, Mode(record="all"), None):
        outcome = play(stage, CONDENSED, client, mode, memory=memory)

        assert checks_of(outcome) == []
        silent = {one.check for one in outcome.verdict.not_seen}
        assert silent == {"history", "prompts_once", *(["mass"] if memory == "condensed" else [])}
        assert {one.why for one in outcome.verdict.not_seen} == {f"client 'assistant' declares memory = \"{memory}\""}
        assert [len(turn.main()) for turn in outcome.transcript.turns()] == [1, 1, 1, 1]
    stage.options = MODEL
    assert ("history", "wire") in checks_of(play(stage, CONDENSED, client))


@pytest.mark.parametrize(("client", "memory"), [("Condenses", "condensed"), ("Summarises", "summary")])
def test_what_it_forgets_is_found(stage: Stage, client: str, memory: str) -> None:
    stage.options = {**MODEL, "says": True, "bug": "loses"}

    assert ("knows", "wire") in checks_of(play(stage, CONDENSED, client, memory=memory))


def test_a_summary_needs_a_boundary(stage: Stage) -> None:
    without = play(stage, CONDENSED, "Summarises", memory="summary")
    declared = CONDENSED.replace("- ask: who", "- {ask: who, boundary: compact}")

    assert checks_of(without) == [("mass", "mass")]
    assert finding_of(without, "mass").step == 4
    assert checks_of(play(stage, declared, "Summarises", memory="summary")) == []


def test_notes_of_two_users_in_one_are_found(stage: Stage) -> None:
    text = """
    scenario: two users
    sessions: {alice: {}, bob: {}}
    facts: {her: {tell: My name is Alessandra., ask: What is my name?, answer: Alessandra}}
    steps:
      - {session: alice, tell: her}
      - {session: bob, user: What is 1 + 1?}
    """
    for bug, checks in (("", []), ("mixes", [("isolation", "wire")])):
        Condenses.notes_of_all.clear()
        stage.options = {**MODEL, "bug": bug}
        assert [
            one for one in checks_of(play(stage, text, "Condenses", memory="condensed")) if one[0] != "said"
        ] == checks


def test_a_fact_may_stand_in_any_request_of_the_turn(stage: Stage) -> None:
    """A client that looks its memory up in a request beside the answer."""
    stage.options = {**MODEL, "does": "rewrite", "bug": "loses"}
    for memory, layer in (("messages", "wire"), ("condensed", "reply")):
        outcome = play(stage, CONDENSED, "Condenses", memory=memory)
        assert finding_of(outcome, "knows").layer == layer


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ('{unsent = "sometimes"}', "one of never, allowed, or a list of texts"),
        ("{unsent = []}", "one of never, allowed, or a list of texts"),
        ('{unsent = [""]}', "one of never, allowed, or a list of texts"),
        ('{memory = ["summary"]}', "one of messages, condensed, summary$"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Any, policy: str, message: str) -> None:
    head = "[tool.convtest.clients.assistant]\n"
    (tmp_path / "pyproject.toml").write_text(SECTION.replace(head, f"{head}policy = {policy}\n"))

    with pytest.raises(ConfigError, match=f"(?s){message}"):
        load_config(tmp_path)


def test_a_prompt_is_named_by_how_it_begins() -> None:
    named = Policy(unsent=("/", "Status"))

    assert [named.may_be_unsent(one) for one in ("/cost", " /cost", "Status?", "What is the Status?")] == [
        True,
        True,
        True,
        False,
    ]
    assert [Policy(unsent=one).may_be_unsent("x") for one in ("never", "allowed")] == [False, True]
