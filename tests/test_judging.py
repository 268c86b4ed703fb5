"""The verdict as a whole: what is judged after a miss, what is not seen, the order of findings, and xfail."""

import pytest

from convtest.checks.result import Finding
from convtest.play.perform import Played
from tests.playing import Stage, checks_of, finding_of
from tests.test_histories import Spoils

SPOILS = f"{Spoils.__module__}:{Spoils.__name__}"
TALK = """
scenario: a talk
facts:
  who: {tell: My name is Bartholomew., ask: What is my name?, answer: Bartholomew}
  city: {tell: I live in Salzburg., ask: Where do I live?, answer: Salzburg}
steps:
  - {tell: who}
  - {user: I like green tea.}
  - ask: who
    expect: {%s}
  - {user: And once more.}
"""


def spoilt(stage: Stage, expect: str, edit: object) -> Played:
    """Recorded by a client that is right, and replayed by one that sends something else in the third turn."""
    stage.record(TALK % "contains: Bartholomew")
    stage.options = {**stage.options, "spoils": {"What is my name?": edit}}
    return stage.play(TALK % expect, SPOILS)


def of_step(outcome: Played, step: int) -> list[Finding]:
    return [one for one in outcome.verdict.findings if one.step == step]


def test_after_a_miss_nothing_is_said_of_a_reply_that_is_ours(stage: Stage) -> None:
    outcome = spoilt(stage, "contains: nobody says this, ended: interrupted", ["Bartholomew", "Maximilian"])

    assert "miss" in [one.check for one in of_step(outcome, 3)]
    assert not {"contains", "ended", "one_end", "said"} & {one.check for one in outcome.verdict.findings}
    assert [step.index for step in outcome.transcript.not_run] == [4]
    assert "unplayed" not in [one.check for one in outcome.verdict.findings]


def test_after_a_miss_the_wire_half_of_knows_is_judged(stage: Stage) -> None:
    outcome = spoilt(stage, "contains: Bartholomew", ["Bartholomew", "Maximilian"])

    (found,) = [one for one in of_step(outcome, 3) if one.check == "knows"]
    assert (found.layer, found.expected) == ("wire", "'Bartholomew' in the request")


def test_what_the_request_of_a_miss_holds_is_known(stage: Stage) -> None:
    outcome = spoilt(stage, "contains: Bartholomew", ["I like green tea.", "I like black tea."])

    assert "miss" in [one.check for one in of_step(outcome, 3)]
    assert "knows" not in [one.check for one in of_step(outcome, 3)]


@pytest.mark.parametrize(("expect", "fails"), [("sent: {contains: Maximilian}", False), ("sent: {messages: 9}", True)])
def test_after_a_miss_what_was_sent_is_judged(stage: Stage, expect: str, fails: bool) -> None:
    outcome = spoilt(stage, expect, ["Bartholomew", "Maximilian"])

    assert ("sent" in [one.check for one in of_step(outcome, 3)]) == fails


def test_a_miss_says_what_was_sent_and_what_is_recorded(stage: Stage) -> None:
    outcome = spoilt(stage, "contains: Bartholomew", "keep the last")

    found = finding_of(outcome, "miss")
    assert found.message == "no recorded interaction answers this request"
    assert found.seen == "1 message (user), the last: 'What is my name?'"
    assert found.expected.startswith("5 messages (user, assistant, user, assistant, user), the last: ")
    assert (found.layer, found.session, found.step, found.place.line) == ("wire", "main", 3, 9)


def test_findings_come_in_the_order_of_the_conversation(stage: Stage) -> None:
    text = """
        scenario: ordered
        budget: {output_tokens: 1}
        steps:
          - {user: What is 1 + 1?, expect: {contains: "3"}}
          - {user: Tell me something., expect: {contains: nothing of it}}
          - {user: What is 2 + 2?, expect: {contains: "5"}}
        """
    stage.options = {**stage.options, "spoils": {"Tell me something.": "keep the last"}}

    found = [(one.step, one.check) for one in stage.play(text, SPOILS).verdict.findings]

    assert [step for step, _ in found] == [*sorted(step for step, _ in found if step), 0]
    assert (2, "history") in found
    assert found[-1] == (0, "budget")


XFAIL = """
scenario: known to fail
xfail: {%s, because: it cannot count}
steps:
  - {user: What is 1 + 1?, id: first}
  - {user: What is 2 + 2?, id: second, expect: {contains: "5"}}
"""


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        ("check: contains", True),
        ("check: contains, layer: reply", True),
        ("check: contains, at: second", True),
        ("check: contains, layer: reply, at: second", True),
        ("check: contains, layer: wire", False),
        ("check: contains, at: first", False),
        ("check: equals", False),
    ],
)
def test_only_what_was_expected_to_fail_may(stage: Stage, wanted: str, passes: bool) -> None:
    outcome = stage.play(XFAIL % wanted)

    assert checks_of(outcome) == ([] if passes else [("contains", "reply"), ("xfail", None)])
    if not passes and "at" in wanted:
        assert finding_of(outcome, "xfail").expected == "contains fails at first, because it cannot count"


def test_what_was_not_seen_is_said_of_an_expected_failure_too(stage: Stage) -> None:
    outcome = stage.play(XFAIL % "check: contains", wire="none")

    assert outcome.verdict.passed
    assert "history" in [one.check for one in outcome.verdict.not_seen]


BLIND = """
scenario: blind
facts: {who: {tell: My name is Ada., ask: What is my name?, answer: Ada}}
steps:
  - {tell: who}
  - {user: What is 1 + 1?, expect: {%s}}
"""


@pytest.mark.parametrize(("expect", "named"), [("contains: Ada", False), ("lacks: x", False), ("knows: who", True)])
def test_only_what_looks_at_the_wire_is_not_seen(stage: Stage, expect: str, named: bool) -> None:
    asked = BLIND.replace("What is 1 + 1?", "What is my name?") % expect

    outcome = stage.play(asked, wire="reference")

    assert outcome.verdict.passed
    assert ("knows" in [one.check for one in outcome.verdict.not_seen]) == named
    assert {one.why for one in outcome.verdict.not_seen} == {"client 'assistant' declares wire: reference"}


def test_a_client_that_sends_nothing_is_not_seen(stage: Stage) -> None:
    found = stage.play(BLIND % "contains: '2'", "tests.broken_clients:AsksNobody").verdict.not_seen

    assert "history" in [one.check for one in found]
    assert {one.why for one in found} == {"client 'assistant' answered a turn and sent nothing through its transport"}


def test_one_that_sends_is_seen(stage: Stage) -> None:
    assert stage.play(BLIND % "contains: '2'").verdict.not_seen == ()


def test_a_skipped_invariant_is_neither_judged_nor_not_seen(stage: Stage) -> None:
    skipped = BLIND.replace("facts:", "invariants: {skip: [history, said], because: it is blind}\nfacts:")

    found = {one.check for one in stage.play(skipped % "contains: '2'", wire="none").verdict.not_seen}

    assert "isolation" in found
    assert not {"history", "said"} & found


REFUSED = """
scenario: refused
steps:
  - {user: What is 1 + 1?}
  - {resume: main, session_id: nobody, expect: {%s}}
  - {user: What is 2 + 2?}
"""


@pytest.mark.parametrize(
    ("expect", "checks", "not_run"),
    [
        ("error: session_not_found", [], 0),
        ("error: session_in_use", ["error"], 1),
        ("session: new", ["error"], 1),
        ("history: empty", ["error"], 1),
    ],
)
def test_after_an_act_that_was_refused_nothing_more_is_played_but_where_that_was_expected(
    stage: Stage, expect: str, checks: list[str], not_run: int
) -> None:
    outcome = stage.play(REFUSED % expect)

    assert [one.check for one in outcome.verdict.findings if one.step == 2] == checks
    assert len(outcome.transcript.not_run) == not_run


def test_a_step_that_was_refused_needs_no_expectation_to_fail(stage: Stage) -> None:
    outcome = stage.play(REFUSED.replace(", expect: {%s}", ""))

    found = finding_of(outcome, "error")
    assert (found.message, found.expected) == ("the client refused: session_not_found", "no error")
    assert len(outcome.transcript.not_run) == 1


def test_what_was_recorded_and_is_not_asked_for_fails_what_passed(stage: Stage) -> None:
    text = "scenario: titles\nsteps: [{user: I am fond of hiking.}, {user: What is 1 + 1?}]\n"
    stage.record(text, "tests.broken_clients:TwoRequests")

    outcome = stage.play(text)

    assert checks_of(outcome) == [("unplayed", "wire")] * 2
    found = finding_of(outcome, "unplayed")
    assert found.message == (
        "recorded and not asked for: 1 message (user), the last: 'Write a title for: I am fond of'"
    )
    assert (found.session, found.advice, found.step) == ("main", "", 0)


def test_a_retry_that_no_longer_comes_is_named_even_where_the_next_request_misses(stage: Stage) -> None:
    text = """
        scenario: retried
        options: {max_retries: 1}
        steps:
          - {user: What is 1 + 1?, fault: {status: 529}}
          - {user: What is 2 + 2?}
        """
    stage.record(text)

    outcome = stage.play(text, "tests.test_false_greens:no_retry")

    found = [one for one in outcome.verdict.findings if one.check == "unplayed"]
    assert [one.advice for one in found] == ["the client no longer tries again"]
