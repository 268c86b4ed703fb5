"""`history` of an act or a turn: what the session's next request carries, honest and broken."""

from typing import Any

import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from tests.broken_clients import EditedTransport
from tests.playing import Stage, checks_of, finding_of
from tests.test_unsent import CONDENSED
from tests.test_unsent import play as play_condensed

ME = "tests.test_session_history"


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


THINGS = ["A sea.", "A lake.", "A hill.", "A dale.", "A wood."]
AGAIN = {"": [], **{str(count): THINGS[:count] for count in (1, 2, 4, 5)}}
AGAIN |= {"long": ["x" * 101, "A lake."], "blank": ["", "A lake."]}


class Begins(MessagesClient):
    """Once cleared it puts the texts that the option `again` names before what it sends; in front of all stand the
    texts of `shots`, and what it always begins with if `opens`."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self._again = AGAIN[self._options.pop("again", "")]
        self._shots: list[str] = self._options.pop("shots", [])
        self._says: list[dict[str, str]] = self._options.pop("says", [])
        self._cleared = False
        self._first = ["Be kind.", "I am."] if self._options.pop("opens", False) else []
        assert opening.transport is not None
        self._transport = EditedTransport(opening.transport, self._edited)

    def _edited(self, body: dict[str, Any]) -> dict[str, Any]:
        texts = [*self._first, *self._shots, *(self._again if self._cleared else [])]
        before = [_message("user" if place % 2 == 0 else "assistant", text) for place, text in enumerate(texts)]
        said = body["messages"]
        if self._cleared and self._says:
            said = [_message("user", "Something else altogether.")]
        return {**body, "messages": [*before, *said]}

    async def clear_history(self) -> None:
        await super().clear_history()
        self._cleared = True

    async def compact_history(self) -> None:
        if self._options.pop("forgets", False):
            self._messages, self._turns = self._messages[-2:], [0]


CLEARED = """
scenario: cleared
options: {%s}
steps:
  - {user: My name is Ada.}
  - {clear: main, expect: {history: empty}}
  - {user: Tell me something.}
"""


def found_in(stage: Stage, text: str, client: str = "Begins") -> list[tuple[str, str, str]]:
    """(message, expected, seen) of what the expectation found on the wire."""
    found = stage.play(text, f"{ME}:{client}").verdict.findings
    ours = [one for one in found if one.check == "history" and one.layer == "wire" and one.step_id is None]
    return [(one.message, one.expected, one.seen) for one in ours if "extend" not in one.message]


@pytest.mark.parametrize("options", ["", "shots: [An example., Its answer.]", "opens: true"])
def test_what_every_session_begins_with_is_no_history(stage: Stage, options: str) -> None:
    assert found_in(stage, CLEARED % options) == []


@pytest.mark.parametrize(
    ("again", "count", "seen"),
    [
        ("1", "1 message stands", "A sea."),
        ("2", "2 messages stand", "A sea. | A lake."),
        ("4", "4 messages stand", "A sea. | A lake. | A hill. | A dale."),
        ("5", "5 messages stand", "A sea. | A lake. | A hill. | A dale. | …"),
        ("long", "2 messages stand", f"{'x' * 100} | A lake."),
        ("blank", "2 messages stand", " | A lake."),
    ],
)
def test_what_stands_before_the_prompt_is_shown(stage: Stage, again: str, count: str, seen: str) -> None:
    stage.options = {**stage.options, "again": again}

    assert found_in(stage, CLEARED % "") == [
        (f"the history is not empty: {count} before the prompt", "the prompt alone", seen)
    ]


def test_a_request_without_the_prompt_has_no_history_to_look_at(stage: Stage) -> None:
    stage.options = {**stage.options, "says": [{}]}

    assert [one[0] for one in found_in(stage, CLEARED % "") if "history" in one[0] or "own" in one[0]] == [
        "the turn's own prompt is not in the request"
    ]


DETAILS = """
scenario: details
sessions: {main: {}, other: {}}
steps:
  - {user: My name is Ada.}
  - {user: I like tea.}
  - {resume: main, expect: {history: %s}}
  - {session: other, user: Good morning.}
  - {user: Tell me something.}
"""
ROLES = "[user, assistant, user, assistant]"


@pytest.mark.parametrize("wanted", ["{messages: 4}", f"{{roles: {ROLES}}}", "{contains: [Ada, tea]}", "intact"])
def test_what_the_history_holds_is_as_expected(stage: Stage, wanted: str) -> None:
    assert checks_of(stage.play(DETAILS % wanted)) == []


@pytest.mark.parametrize(
    ("wanted", "message", "expected", "seen"),
    [
        ("{messages: 3}", "another number of messages", "3", "4"),
        ("{roles: [user]}", "other roles", "user", "user, assistant, user, assistant"),
        ("{contains: [Ada, Bob]}", "the history does not contain the text", "Bob", "5 messages"),
    ],
)
def test_what_it_holds_otherwise_is_told(stage: Stage, wanted: str, message: str, expected: str, seen: str) -> None:
    (found,) = stage.play(DETAILS % wanted).verdict.findings

    assert (found.check, found.layer, found.step, found.message) == ("history", "wire", 3, message)
    assert found.expected == expected
    assert found.seen.startswith(seen)


COMPACTED = """
scenario: compacted
options: {%s}
steps:
  - {user: My name is Ada.}
  - {user: "I like tea. "}
  - {user: I like cake.}
  - {compact: main, expect: {history: intact}}
  - {user: Tell me something.}
"""


def test_after_a_boundary_each_prompt_has_to_be_there(stage: Stage) -> None:
    assert found_in(stage, COMPACTED % "") == []
    assert [one[:2] for one in found_in(stage, COMPACTED % "forgets: true")] == [
        ("the history is not intact", "'My name is Ada.'")
    ]


def test_what_was_said_since_a_save_need_not_be_there_after_its_restore(stage: Stage) -> None:
    text = """
        scenario: restored
        steps:
          - {user: My name is Ada.}
          - {save: main}
          - {user: Forget this.}
          - {restore: main, expect: {history: intact}}
          - {user: Tell me something.}
        """

    assert checks_of(stage.play(text)) == []


def test_of_an_act_that_was_refused_nothing_more_is_said(stage: Stage) -> None:
    text = """
        scenario: refused
        steps:
          - {user: My name is Ada.}
          - {resume: main, session_id: nobody, expect: {history: empty}}
        """

    assert checks_of(stage.play(text)) == [("error", None)]


def test_a_client_whose_requests_are_not_seen_is_not_asked_for_one(stage: Stage) -> None:
    text = "scenario: last\nsteps: [{user: Hi.}, {resume: main, expect: {history: intact}}]"

    assert finding_of(stage.play(text), "history").message == ("no request follows in which the history could be seen")
    assert checks_of(stage.play(text, wire="reference")) == []


def test_nor_one_that_never_came_to_it(stage: Stage) -> None:
    text = DETAILS % "intact"
    stage.record(text)
    stage.options = {**stage.options, "spoils": {"Good morning.": ["Good", "Bad"]}}

    found = [one for one, _ in checks_of(stage.play(text, "tests.test_histories:Spoils"))]

    assert "miss" in found
    assert "history" not in found


@pytest.mark.parametrize(("wanted", "fails"), [("intact", False), ("{messages: 99}", True)])
def test_of_a_client_that_condenses_only_what_is_told_of_it_is_judged(stage: Stage, wanted: str, fails: bool) -> None:
    text = CONDENSED.replace("- ask: who", f"- {{ask: who, expect: {{history: {wanted}}}}}")

    outcome = play_condensed(stage, text, "Condenses", memory="condensed")

    assert checks_of(outcome) == ([("history", "wire")] if fails else [])


def test_what_it_leaves_out_of_its_notes_is_for_other_checks(stage: Stage) -> None:
    text = CONDENSED.replace("- ask: who", "- {ask: who, expect: {history: intact}}")
    stage.options = {**stage.options, "bug": "loses"}

    outcome = play_condensed(stage, text, "Condenses", memory="condensed")

    assert [one for one, _ in checks_of(outcome)] == ["knows"]
    assert "history" in [one.check for one in outcome.verdict.not_seen]
