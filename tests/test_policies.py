"""What a client declares of itself, what it is held to, and what it did when the wire failed it."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from convtest.checks.conduct import conduct_of
from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from convtest.config import load_config
from convtest.errors import ConfigError, ScenarioError
from convtest.events import TurnEnd
from convtest.play.mode import Mode
from convtest.play.perform import Played, perform
from convtest.play.prepare import prepare
from convtest.policy import Policy
from convtest.probe.probing import probe
from convtest.reporting.conversation import conversation_lines
from convtest.structs import replace
from tests.playing import GOOD, Stage, checks_of, finding_of
from tests.project import SECTION

CUT = """
    scenario: cut short
    steps:
      - user: Tell me a long story about a lighthouse.
        interrupt: {after: 5}
        expect: {ended: interrupted}
      - user: What did I say?
    """
CLEARED = """
    scenario: cleared
    steps:
      - user: My name is Ada.
      - clear: main
      - user: What is 1 + 1?
      - resume: main
      - user: What is 2 + 2?
    """


def play(stage: Stage, text: str, target: str, **policy: str) -> Played:
    config = stage.config(target)
    profile = replace(config.profile("assistant"), policy=policy)
    (scenario,) = stage.scenarios(text)
    stage.runs += 1
    folder = stage.root / f"run-{stage.runs}"
    folder.mkdir()
    return perform(prepare(replace(config, clients={"assistant": profile}), scenario, Mode()), folder)


class _Cut(MessagesClient):
    """Edits its history when the turn after a cut one begins."""

    def edit(self) -> None:
        raise NotImplementedError

    async def query(self, text: str) -> None:
        if self._interrupted:
            self._interrupted = False
            self.edit()
        await super().query(text)


class DropsPrompt(_Cut):
    def edit(self) -> None:
        del self._messages[-2:]


class DropsText(_Cut):
    def edit(self) -> None:
        del self._messages[-1:]


class KeepsABeginning(_Cut):
    def edit(self) -> None:
        self._messages[-1]["content"][0]["text"] = "Once there"


class MakesUpText(_Cut):
    def edit(self) -> None:
        self._messages[-1]["content"][0]["text"] += " and a sea that nobody saw"


class MakesUpATool(_Cut):
    def edit(self) -> None:
        use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
        self._messages[-1]["content"].append(use)
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "here"}
        self._messages.append({"role": "user", "content": [result]})


class ClearsNothing(MessagesClient):
    """The history stays; only the id is another."""

    async def clear_history(self) -> None:
        kept = list(self._messages), list(self._turns)
        await super().clear_history()
        self._messages, self._turns = kept


class ComesBack(MessagesClient):
    """A resume brings back what was cleared."""

    async def clear_history(self) -> None:
        self._old = list(self._messages)
        await super().clear_history()

    def _save(self) -> None:
        if self._id is not None:
            kept = [*getattr(self, "_old", []), *self._messages]
            self._store.save(self._id, kept, [i for i, m in enumerate(kept) if m["role"] == "user"])


@pytest.mark.parametrize(
    ("client", "policy", "check"),
    [
        ("DropsPrompt", {"interrupted_prompt": "either"}, None),
        ("DropsPrompt", {"interrupted_prompt": "dropped"}, None),
        ("DropsPrompt", {"interrupted_prompt": "kept"}, "prompts_once"),
        (GOOD, {"interrupted_prompt": "kept", "partial_text": "yielded"}, None),
        (GOOD, {"interrupted_prompt": "dropped"}, "kept_text"),
        (GOOD, {"partial_text": "dropped"}, "kept_text"),
        ("DropsText", {"partial_text": "dropped"}, None),
        ("DropsText", {"partial_text": "prefix"}, None),
        ("DropsText", {"partial_text": "yielded"}, "kept_text"),
        ("KeepsABeginning", {"partial_text": "prefix"}, None),
        ("KeepsABeginning", {"partial_text": "yielded"}, "kept_text"),
        ("MakesUpText", {}, "kept_text"),
        ("MakesUpText", {"partial_text": "prefix"}, "kept_text"),
        ("MakesUpATool", {}, "kept_text"),
    ],
)
def test_what_is_kept_of_an_interrupted_turn_is_what_the_policy_says(
    stage: Stage, client: str, policy: dict[str, str], check: str | None
) -> None:
    target = client if ":" in client else f"tests.test_policies:{client}"

    outcome = play(stage, CUT, target, **policy)

    assert sorted(dict(checks_of(outcome))) == ([check] if check else []), outcome.verdict


@pytest.mark.parametrize(
    ("client", "cleared", "passes"),
    [
        (GOOD, "gone", True),
        (GOOD, "back", True),
        ("tests.test_policies:ClearsNothing", "either", False),
        ("tests.test_policies:ComesBack", "gone", False),
        ("tests.test_policies:ComesBack", "back", True),
        ("tests.test_policies:ComesBack", "either", True),
    ],
)
def test_what_was_cleared_is_gone_unless_the_policy_lets_a_resume_bring_it_back(
    stage: Stage, client: str, cleared: str, passes: bool
) -> None:
    outcome = play(stage, CLEARED, client, cleared=cleared)

    assert outcome.verdict.passed == passes, outcome.verdict
    if not passes:
        assert finding_of(outcome, "history").message == "what was cleared is sent again"
        assert "My name is Ada." in finding_of(outcome, "history").seen


class KeepsItsId(MessagesClient):
    """Clears, and goes on under the old id."""

    async def clear_history(self) -> None:
        kept = self._id
        await super().clear_history()
        self._id = kept
        self._save()


class KeepsAnswers(MessagesClient):
    """The user's words are gone, the assistant's are sent again."""

    async def clear_history(self) -> None:
        answers = [one for one in self._messages if one["role"] == "assistant"]
        await super().clear_history()
        self._messages = [{"role": "user", "content": [{"type": "text", "text": "Go on."}]}, *answers]


class RetellsAnswers(MessagesClient):
    """They come back within other words."""

    async def clear_history(self) -> None:
        answers = [one["content"][0]["text"] for one in self._messages if one["role"] == "assistant"]
        await super().clear_history()
        told = f"Earlier you said this: {answers[0]}"
        self._messages = [{"role": "user", "content": [{"type": "text", "text": told}]}]


SAID = "The old lighthouse stands on a rock in the sea."
CLEAR = """
    scenario: clear
    steps:
      - user: Tell me about a lighthouse.
        simulate: {text: The old lighthouse stands on a rock in the sea.}
      - clear: main
      - user: What is 1 + 1?
        simulate: {text: AGAIN}
      - user: What is 2 + 2?
    """


@pytest.mark.parametrize(
    ("client", "policy", "check"),
    [
        (GOOD, {}, None),  # the model may say again what it has said
        (GOOD, {"cleared_id": "new"}, None),
        (GOOD, {"cleared_id": "same"}, "session_id"),
        ("KeepsItsId", {}, None),
        ("KeepsItsId", {"cleared_id": "same"}, None),
        ("KeepsItsId", {"cleared_id": "new"}, "session_id"),
        ("KeepsAnswers", {}, "history"),
        ("RetellsAnswers", {}, "history"),
    ],
)
def test_a_clear_takes_both_sides_words_and_keeps_the_id_as_the_policy_says(
    stage: Stage, client: str, policy: dict[str, str], check: str | None
) -> None:
    target = client if ":" in client else f"tests.test_policies:{client}"

    # In the first case the model says the same again after the clear: that is no coming back.
    text = CLEAR if client == GOOD else CLEAR.replace("AGAIN", "Two")
    outcome = play(stage, text.replace("AGAIN", SAID), target, **policy)

    assert check in dict(checks_of(outcome)) if check else checks_of(outcome) == []
    if check == "history":
        assert finding_of(outcome, "history").message == "what was cleared is sent again"
        assert "The old lighthouse stands" in finding_of(outcome, "history").seen


def test_the_probe_measures_the_id_after_a_clear(stage: Stage) -> None:
    def measured(target: str) -> str | None:
        return probe(stage.config(target), "assistant").policy.get("cleared_id")

    assert [measured(GOOD), measured("tests.test_policies:KeepsItsId")] == ["new", "same"]


class LateId(MessagesClient):
    """Knows its id with the first answer only, after `continue`."""

    @property
    def session_id(self) -> str | None:
        return None if self._opening.continue_ and not self._answered else self._id

    @property
    def _answered(self) -> bool:
        return any(one["role"] == "assistant" for one in self._messages[self._kept :])

    async def connect(self) -> None:
        await super().connect()
        self._kept = len(self._messages)


class AnotherId(LateId):
    async def query(self, text: str) -> None:
        if self._opening.continue_:
            self._id = "another"
        await super().query(text)


@pytest.mark.parametrize(("client", "passes"), [("LateId", True), ("AnotherId", False)])
def test_the_id_after_continue_is_judged_once_it_is_known(stage: Stage, client: str, passes: bool) -> None:
    text = """
        scenario: continue
        steps:
          - user: My name is Ada.
          - continue: main
            expect: {session: same}
          - user: What is 1 + 1?
    """

    outcome = play(stage, text, f"tests.test_policies:{client}")

    assert ("session" not in dict(checks_of(outcome))) == passes


def test_a_prompt_that_the_policy_keeps_is_missed_with_a_word_of_the_policy(stage: Stage) -> None:
    outcome = play(stage, CUT, "tests.test_policies:DropsPrompt", interrupted_prompt="kept")

    assert 'interrupted_prompt = "kept"' in finding_of(outcome, "prompts_once").advice


def test_the_report_says_what_was_kept_and_what_to_do(stage: Stage) -> None:
    found = finding_of(play(stage, CUT, "tests.test_policies:MakesUpText"), "kept_text")

    assert found.message == "the history holds text that the session never yielded"
    assert found.expected == "a beginning of 'Once there was a lighthouse', or nothing"
    assert found.seen == "'Once there was a lighthouse and a sea that nobody saw'"
    assert "convtest probe" in found.advice


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ('{interupted_prompt = "kept"}', "unknown policy 'interupted_prompt'.*did you mean 'interrupted_prompt'"),
        ('{partial_text = "some"}', "policy partial_text: 'some' is not known.*one of yielded, prefix, dropped"),
        ('"kept"', "policy is a table"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(tmp_path: Path, policy: str, message: str) -> None:
    head = "[tool.convtest.clients.assistant]\n"
    (tmp_path / "pyproject.toml").write_text(SECTION.replace(head, f"{head}policy = {policy}\n"))

    with pytest.raises(ConfigError, match=f"(?s){message}"):
        load_config(tmp_path)


def test_the_defaults_bind_a_client_of_ones_own_the_least() -> None:
    assert Policy() == Policy(
        interrupted_prompt="either", partial_text="prefix", cleared="either", restarted_text="once"
    )


class AsksAgain(MessagesClient):
    """After a stream that broke it asks for the whole answer once more and shows all of it."""

    async def receive_response(self) -> Any:
        events = super().receive_response()
        async for event in events:
            if isinstance(event, TurnEnd) and event.ended in {"connection_lost", "error", "overloaded"}:
                while self._messages[-1]["role"] == "assistant":
                    self._messages.pop()
                self._asked = True
                async for other in super().receive_response():
                    yield other
                return
            yield event


class TakesAll(MessagesClient):
    """Any end of a stream is an end of the answer."""

    async def receive_response(self) -> Any:
        async for event in super().receive_response():
            lost = isinstance(event, TurnEnd) and event.ended == "connection_lost"
            yield TurnEnd() if lost else event


class Impatient(MessagesClient):
    """Waits a tenth of a second, whatever it is told."""

    def __init__(self, opening: Opening) -> None:
        class Hasty:
            def __getattr__(self, name: str) -> Any:
                return getattr(opening.clock, name)

            async def sleep(self, ms: float) -> None:
                await opening.clock.sleep(100)

        super().__init__(dataclasses.replace(opening, clock=Hasty()))


FAULT = """
    scenario: faults
    steps:
      - user: Tell me a long story about a lighthouse.
        fault: {fault}
        expect: {{ended: {ended}, conduct: {conduct}}}
    """


@pytest.mark.parametrize(
    ("client", "fault", "ended", "conduct", "said"),
    [
        (GOOD, "{status: 529}", "complete", "{surfaced: complete}", "tried again after 0.5s"),
        (GOOD, "{status: 429, retry_after: 7s}", "complete", "{retry_after: obeyed}", "after 7.0s, retry-after obeyed"),
        ("Impatient", "{status: 429, retry_after: 7s}", "complete", "{retry_after: ignored}", "retry-after ignored"),
        (GOOD, "{do: close, after: 6}", "connection_lost", "{truncated: noticed, surfaced: connection_lost}", ""),
        ("TakesAll", "{do: close, after: 6}", "complete", "{truncated: taken_as_complete}", "taken as complete"),
        ("AsksAgain", "{do: reset, after: 6}", "complete", "{truncated: noticed, text: doubled}", "beginning twice"),
        ("AsksAgain", "{do: malformed, after: 6}", "complete", "{text: doubled}", "beginning twice"),
        ("AsksAgain", "{do: error_event, after: 6}", "complete", "{text: doubled}", "beginning twice"),
        (GOOD, "{status: 400}", "error", "{surfaced: error (bad_request)}", ""),
    ],
)
def test_what_a_client_does_when_the_wire_fails_is_in_the_transcript_and_assertable(
    stage: Stage, client: str, fault: str, ended: str, conduct: str, said: str
) -> None:
    stage.options = {**stage.options, "max_retries": 1}
    target = client if ":" in client else f"tests.test_policies:{client}"
    text = FAULT.format(fault=fault, ended=ended, conduct=conduct)

    outcome = play(stage, text, target, restarted_text="doubled")

    # What no client may do is found by whole_answer, and is in the transcript all the same.
    assert {name for name, _ in checks_of(outcome)} <= {"whole_answer"}, outcome.verdict
    assert outcome.verdict.passed == (client != "TakesAll")
    assert said in "\n".join(conversation_lines(outcome.result(), {1}))


def test_another_conduct_than_expected_fails(stage: Stage) -> None:
    text = FAULT.format(
        fault="{do: close, after: 6}", ended="connection_lost", conduct="{text: once, surfaced: refused}"
    )

    outcome = play(stage, text, GOOD)

    assert [(one.check, one.expected, one.seen) for one in outcome.verdict.findings] == [
        ("conduct", "text: once", "text: nothing showed it in this turn"),
        ("conduct", "surfaced: refused", "surfaced: connection_lost"),
    ]


def test_a_text_said_twice_fails_unless_the_policy_says_so(stage: Stage) -> None:
    text = FAULT.format(fault="{do: reset, after: 6}", ended="complete", conduct="{text: doubled}")
    client = "tests.test_policies:AsksAgain"

    assert play(stage, text, client, restarted_text="doubled").verdict.passed
    found = finding_of(play(stage, text, client), "whole_answer")
    assert found.message == "the beginning of an answer that broke off was said again"


def test_an_answer_that_broke_off_after_its_stop_reason_is_whole(stage: Stage) -> None:
    text = """
        scenario: late
        steps:
          - user: What is 1 + 1?
            fault: {do: close, after: 8}
            expect: {contains: "2"}
        """

    outcome = play(stage, text, "tests.test_policies:TakesAll")

    assert outcome.verdict.passed, outcome.verdict  # a point that is not reached would be found
    sent = outcome.transcript.turns()[0].interactions[0]
    assert (sent.ended, b"message_stop" in sent.body, b"stop_reason" in sent.body) == ("truncated", False, True)
    assert conduct_of(outcome.transcript.turns()[0]).truncated is None


def test_unknown_words_for_a_conduct_are_refused(stage: Stage) -> None:
    with pytest.raises(ScenarioError, match="'thrice' is not one of the words that fit here\n    known: doubled, once"):
        stage.scenarios(FAULT.format(fault="{do: close, after: 6}", ended="complete", conduct="{text: thrice}"))
