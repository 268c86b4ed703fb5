"""What a session's next request has to hold, after each act: a client that loses it there, and an honest one."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from convtest.play.mode import Mode
from convtest.play.perform import Played, ready
from convtest.structs import replace
from tests.broken_clients import EditedTransport
from tests.playing import Stage, checks_of, finding_of

Body = dict[str, Any]


def _said(role: str, text: str) -> Body:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def _worded(body: Body, was: str, now: str) -> Body:
    found: Body = msgspec.json.decode(msgspec.json.encode(body).decode().replace(was, now))
    return found


EDITS: dict[str, Callable[[list[Body]], list[Body]]] = {
    "keep the last": lambda m: m[-1:],
    "drop the first": lambda m: m[2:],
    "drop the last answer": lambda m: m[:-2] + m[-1:],
    "bring back": lambda m: [_said("user", "My name is Ada."), _said("assistant", "Hello Ada."), *m],
    "swap": lambda m: [*m[2:4], *m[0:2], *m[4:]],
    "keep the prompts": lambda m: [one for one in m if one["role"] == "user"],
    "fill up": lambda m: [_said("user", "Hear me."), _said("assistant", "Yes."), *m],
}


class Spoils(MessagesClient):
    """The option `spoils` names an edit of what is sent for each prompt that it gives, or a pair of words, the second
    of which takes the place of the first; all else that it sends is right."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self._spoils: dict[str, Any] = self._options.pop("spoils", {})
        assert opening.transport is not None
        self._transport = EditedTransport(opening.transport, self._edited)

    def _edited(self, body: Body) -> Body:
        texts = [block.get("text") for one in body["messages"] if one["role"] == "user" for block in one["content"]]
        edit = next((self._spoils[text] for text in reversed(texts) if text in self._spoils), None)
        if isinstance(edit, list):
            return _worded(body, *edit)
        if edit == "drop the system prompt":
            return {**body, "system": ""}
        return {**body, "messages": EDITS[edit](body["messages"])} if edit else body

    async def compact_history(self) -> None:
        self._messages, self._turns = self._messages[-2:], [0]


def play(stage: Stage, text: str, spoils: dict[str, Any] | None = None, **policy: str) -> Played:
    """The outcome; the policy is that of the client `messages`, but for what is given."""
    declared = {"interrupted_prompt": "kept", "partial_text": "yielded", "cleared": "gone", "said": "exact", **policy}
    config = stage.config("tests.test_histories:Spoils")
    profile = replace(config.profile("assistant"), policy=declared)
    profile = replace(profile, options={**profile.options, "spoils": spoils or {}})
    (scenario,) = stage.scenarios(text)
    stage.runs += 1
    folder = stage.root / f"run-{stage.runs}"
    folder.mkdir()
    return ready(replace(config, clients={"assistant": profile}), scenario, Mode()).play(folder)


def on_the_wire(outcome: Played) -> set[str]:
    """The checks that found the client's requests wrong."""
    return {check for check, layer in checks_of(outcome) if layer == "wire"}


TALK = """
scenario: a talk
sessions: {main: {}}
steps:
  - {user: My name is Ada.}
  - {id: second, user: I like green tea.}
  %s
  - {user: Tell me something.}
  - {user: And once more.}
"""
NEXT = "Tell me something."
GOES_ON = {
    "nothing": "- {user: I am well.}",
    "resume": "- {resume: main}",
    "continue": "- {continue: main}",
    "disconnect": "- {disconnect: main}\n  - {resume: main}",
    "kill": "- {kill: main}\n  - {resume: main}",
    "save and restore": "- {save: main}\n  - {clear: main}\n  - {restore: main}",
    "restore over what was said since": "- {save: main}\n  - {user: Forget this.}\n  - {restore: main}",
    "set": "- {set: main, options: {temperature: 0.5}}",
}
"""Acts after which all of the conversation has to be there."""


@pytest.mark.parametrize("act", GOES_ON)
def test_an_honest_client_holds_its_history(stage: Stage, act: str) -> None:
    outcome = play(stage, TALK % GOES_ON[act])

    assert outcome.verdict.passed, outcome.verdict


@pytest.mark.parametrize("edit", ["keep the last", "drop the first", "drop the last answer", "swap", "fill up"])
@pytest.mark.parametrize("act", GOES_ON)
def test_what_is_lost_after_an_act_is_missed(stage: Stage, act: str, edit: str) -> None:
    found = finding_of(play(stage, TALK % GOES_ON[act], {NEXT: edit}), "history")

    assert found.layer == "wire"
    assert found.step == len([line for line in (TALK % GOES_ON[act]).splitlines() if line.startswith("  - ")]) - 1


OTHER = TALK.replace("{user: Tell", "{session: other, user: Tell").replace("{user: And", "{session: other, user: And")
BEGINS_AS = {
    "fork": "- {fork: main, as: other}",
    "fork at the second": "- {user: I am well.}\n  - {fork: main, as: other, at: second}",
    "resume as": "- {resume: main, as: other}",
    "restore as": "- {save: main}\n  - {user: Forget this.}\n  - {restore: main, as: other}",
    "fork of a fork": "- {fork: main, as: one}\n  - {fork: one, as: other}",
}


@pytest.mark.parametrize("act", BEGINS_AS)
def test_another_session_begins_with_the_history_of_its_origin(stage: Stage, act: str) -> None:
    outcome = play(stage, OTHER % BEGINS_AS[act])

    assert outcome.verdict.passed, outcome.verdict


@pytest.mark.parametrize("edit", ["keep the last", "drop the first", "drop the last answer", "fill up"])
@pytest.mark.parametrize("act", BEGINS_AS)
def test_and_what_it_lost_is_missed(stage: Stage, act: str, edit: str) -> None:
    found = finding_of(play(stage, OTHER % BEGINS_AS[act], {NEXT: edit}), "history")

    assert (found.layer, found.session) == ("wire", "other")


@pytest.mark.parametrize(("at", "messages"), [(", at: second", 5), ("", 7)])
def test_a_fork_at_an_earlier_turn_holds_nothing_later(stage: Stage, at: str, messages: int) -> None:
    outcome = play(stage, OTHER % f"- {{user: I am well.}}\n  - {{fork: main, as: other{at}}}")

    assert outcome.verdict.passed
    found = outcome.transcript.turns("other")[0].sent()
    assert found is not None
    assert len(found.messages) == messages


FORGETS = {"clear": "- {clear: main}", "delete": "- {delete: main}"}


@pytest.mark.parametrize("act", FORGETS)
def test_after_it_the_history_is_empty(stage: Stage, act: str) -> None:
    outcome = play(stage, TALK % FORGETS[act])

    assert outcome.verdict.passed, outcome.verdict
    assert [len(turn.sent().messages) for turn in outcome.transcript.turns()] == [1, 3, 1, 3]  # type: ignore[union-attr]


def test_what_was_cleared_must_not_come_back(stage: Stage) -> None:
    found = finding_of(play(stage, TALK % FORGETS["clear"], {NEXT: "bring back"}), "history")

    assert found.message == "what was cleared is sent again"
    assert found.seen == "'My name is Ada.'"


def test_what_is_said_again_after_a_clear_has_not_come_back(stage: Stage) -> None:
    outcome = play(stage, TALK.replace("Tell me something.", "My name is Ada.") % FORGETS["clear"])

    assert outcome.verdict.passed, outcome.verdict


@pytest.mark.parametrize("cleared", ["gone", "resumable"])
def test_whether_what_was_cleared_is_there_after_a_resume_is_policy(stage: Stage, cleared: str) -> None:
    text = TALK % "- {clear: main}\n  - {resume: main}"

    outcome = play(stage, text, {NEXT: "bring back"}, cleared=cleared)

    assert ("history" in on_the_wire(outcome)) == (cleared == "gone")
    assert "prompts_once" not in on_the_wire(outcome)


def test_after_a_clear_the_history_binds_anew(stage: Stage) -> None:
    outcome = play(stage, TALK % FORGETS["clear"], {"And once more.": "keep the last"})

    assert "history" in on_the_wire(outcome)


BOUNDARIES = {
    "compact": "- {compact: main}",
    "boundary": "- {user: I am well., boundary: compact}",
}


@pytest.mark.parametrize(("act", "prompt"), [("compact", NEXT), ("boundary", "I am well.")])
@pytest.mark.parametrize("edit", ["keep the last", "drop the first", "swap"])
def test_at_a_boundary_anything_before_it_may_go(stage: Stage, act: str, prompt: str, edit: str) -> None:
    outcome = play(stage, TALK % BOUNDARIES[act], {prompt: edit})

    assert not {"history", "prompts_once", "mass"} & set(dict(checks_of(play(stage, TALK % BOUNDARIES[act])))), "honest"
    at_it = [one for one in outcome.verdict.findings if one.step == 3 + (act == "compact")]
    assert not [one.check for one in at_it if one.check in {"history", "mass"}]


@pytest.mark.parametrize("act", BOUNDARIES)
def test_after_a_boundary_the_history_binds_again(stage: Stage, act: str) -> None:
    outcome = play(stage, TALK % BOUNDARIES[act], {"And once more.": "keep the last"})

    assert {"history", "prompts_once"} <= on_the_wire(outcome)


def test_a_prompt_that_is_not_there_is_missed_at_a_boundary_too(stage: Stage) -> None:
    outcome = play(stage, TALK % BOUNDARIES["boundary"], {"I am well.": ["I am well.", "I am ill."]})

    assert "prompts_once" in on_the_wire(outcome)


DECLARED = """
scenario: declared
sessions:
  main:
    history:
      - {user: My name is Bartholomew.}
      - {assistant: Hello Bartholomew.}
      - {user: I like tea.}
      - {assistant: So do I.}
steps:
  - {user: Tell me something.}
  - {user: And once more.}
"""


def test_a_declared_history_is_sent(stage: Stage) -> None:
    outcome = play(stage, DECLARED)

    assert outcome.verdict.passed, outcome.verdict
    assert [len(turn.sent().messages) for turn in outcome.transcript.turns()] == [5, 7]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "edit", ["keep the last", "drop the first", "drop the last answer", "swap", "keep the prompts"]
)
def test_a_declared_history_that_is_not_all_there_is_missed(stage: Stage, edit: str) -> None:
    found = [one for one in play(stage, DECLARED, {NEXT: edit}).verdict.findings if one.step == 1]

    assert "history" in [one.check for one in found]
    assert ("prompts_once" in [one.check for one in found]) == (edit in {"keep the last", "drop the first", "swap"})


def test_the_answers_of_a_declared_history_are_no_prompts(stage: Stage) -> None:
    outcome = play(stage, DECLARED, {NEXT: ["So do I.", "So do you."]})

    assert on_the_wire(outcome) == {"history"}


CUT = """
scenario: cut
steps:
  - {user: My name is Ada.}
  - user: Tell me a long story about a lighthouse.
    interrupt: {after: 3}
    expect: {ended: interrupted}
  - {user: Tell me something.}
  - {user: And once more.}
"""


@pytest.mark.parametrize(
    ("edit", "missed"),
    [
        (None, False),
        ("keep the last", True),
        ("drop the first", True),
        (["Once there was", "Once"], False),
    ],
)
def test_a_turn_that_was_cut_short_binds_what_was_before_it(stage: Stage, edit: Any, missed: bool) -> None:
    outcome = play(stage, CUT, {NEXT: edit} if edit else {}, partial_text="prefix")

    at_it = {one.check for one in outcome.verdict.findings if one.step == 3}
    assert ("history" in at_it) == missed


@pytest.mark.parametrize("policy", ["kept", "dropped"])
def test_whether_its_prompt_stays_is_policy(stage: Stage, policy: str) -> None:
    outcome = play(stage, CUT, {NEXT: "drop the last turn"}, interrupted_prompt=policy)

    at_it = {one.check for one in outcome.verdict.findings if one.step == 3}
    assert ("prompts_once" in at_it) == (policy == "kept")


EDITS["drop the last turn"] = lambda m: m[:2] + m[-1:]

THINKS = """
scenario: mass
options: {max_tokens: 2000}
steps:
  - user: My name is Ada.
    simulate: {text: "%s"}
  - user: What now?
    %s
  - {user: Tell me something.}
  - {user: And once more.}
"""
LONG = "It was a long way home and nobody knew it. " * 12


@pytest.mark.parametrize(
    ("more", "falls"),
    [
        ("simulate: {text: Go on.}", True),
        ("simulate: {thinking: Let me see., text: Go on.}", False),
        ("interrupt: {after: 1}\n    expect: {ended: interrupted}", False),
    ],
)
def test_the_prompt_shrinks_unseen_where_its_size_says_nothing(stage: Stage, more: str, falls: bool) -> None:
    outcome = play(stage, THINKS % (LONG, more), {NEXT: [LONG.strip(), "Short."]})

    assert (("mass", "mass") in checks_of(outcome)) == falls


@pytest.mark.parametrize(
    ("act", "falls"),
    [
        ("{set: main, options: {temperature: 0.5}}", False),
        ("{set: main, options: {system: Be kind.}}", False),
        ("{resume: main}", True),
        ("{save: main}", True),
    ],
)
def test_mass_is_silent_where_settings_changed(stage: Stage, act: str, falls: bool) -> None:
    text = (THINKS % (LONG, "simulate: {text: Go on.}")).replace("  - {user: Tell", f"  - {act}\n  - {{user: Tell")

    outcome = play(stage, text, {NEXT: [LONG.strip(), "Short."]})

    assert (("mass", "mass") in checks_of(outcome)) == falls
    assert "history" in on_the_wire(outcome)


def test_mass_is_silent_after_a_restore(stage: Stage) -> None:
    text = TALK % "- {save: main}\n  - {clear: main}\n  - {restore: main}"

    assert ("mass", "mass") not in checks_of(play(stage, text, {NEXT: "drop the first"}))


def test_the_system_prompt_must_stay(stage: Stage) -> None:
    text = TALK.replace("sessions:", "options: {system: You are kind.}\nsessions:") % "- {resume: main}"

    found = finding_of(play(stage, text, {NEXT: "drop the system prompt"}), "history")

    assert (found.message, found.expected) == ("the system prompt is gone", "'You are kind.'")
    assert play(stage, text).verdict.passed


def test_a_prompt_of_a_turn_that_never_left_need_not_be_there(stage: Stage) -> None:
    text = """
        scenario: never left
        steps:
          - {user: My name is Ada.}
          - user: I like green tea.
            interrupt: {at: before_request}
            expect: {ended: interrupted}
          - {user: Tell me something.}
        """

    assert play(stage, text, {NEXT: "drop the last turn"}, interrupted_prompt="dropped").verdict.passed


def test_a_restore_of_what_was_never_saved_binds_nothing_else(stage: Stage) -> None:
    text = TALK % "- {save: main}\n  - {user: Forget this.}\n  - {restore: main}"

    outcome = play(stage, text, {NEXT: [NEXT, f"Forget this. {NEXT}"]})

    assert "prompts_once" not in on_the_wire(outcome)


@pytest.mark.parametrize("expect", ["intact", "empty", "{messages: 2}", "{roles: [user]}", "{contains: Grace}"])
@pytest.mark.parametrize("act", ["- {resume: main, expect: {history: %s}}", "- {clear: main, expect: {history: %s}}"])
def test_history_of_an_act_is_judged_on_the_next_request(stage: Stage, act: str, expect: str) -> None:
    holds = {("resume", "intact"), ("clear", "empty")}

    found = [one.check for one in play(stage, TALK % (act % expect)).verdict.findings]

    assert (not found) == (("resume" if "resume" in act else "clear", expect) in holds)
    assert set(found) <= {"history"}


def test_history_after_the_last_turn_cannot_be_seen(stage: Stage) -> None:
    text = (TALK % "- {resume: main}") + "  - {resume: main, expect: {history: intact}}\n"

    found = finding_of(play(stage, text), "history")

    assert found.message == "no request follows in which the history could be seen"
    assert found.advice == "add a turn of this session after it"


@pytest.mark.parametrize("edit", ["keep the last", "drop the first", "drop the last answer", "swap"])
def test_history_intact_names_what_is_lost(stage: Stage, edit: str) -> None:
    text = (TALK % "- {resume: main}").replace("Tell me something.", "Tell me something., expect: {history: intact}")

    found = [one for one in play(stage, text, {NEXT: edit}).verdict.findings if one.check == "history"]

    assert [one.message for one in found if one.message == "the history is not intact"]
    wanted = next(one.expected for one in found if one.message == "the history is not intact")
    lost = {"drop the last answer": "assistant: ", "swap": "the same order"}.get(edit, "user: 'My name is Ada.'")
    assert wanted.startswith(lost)
