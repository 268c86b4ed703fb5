"""The outcome of a probe, with the replies that fool plain substring checks."""

import pytest

from convtest.retention.outcomes import Values, outcome
from tests.playing import Stage, checks_of, finding_of

CODE = Values(current="8856", older=("4402",), known_words=frozenset({"code"}))
NAME = Values(current="Ada", others=("Ghent",), foreign=("Bartholomew",), known_words=frozenset({"name"}))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("It is 8856.", "hit"),
        ("The code is 8,856.", "hit"),
        ("８８５６", "hit"),
        ("It was 4402 but you changed it to 8856.", "hit"),
        ("You changed it from 4402 to 8856.", "hit"),
        ("8856. The old one, 4402, no longer holds.", "hit"),
        ("8856; the old code 4402 no longer holds.", "hit"),
        ("The code was 4402.", "stale"),
        ("4402 no longer holds.", "miss"),
        ("I don't think it is 8856.", "miss"),
        ("It is not 8856.", "miss"),
        ("I do not have 4402, it is 8856.", "hit"),
        ("Possible codes: 4402, 7319, 8856", "hedged"),
        ("Possible codes: 7319, 8856", "hedged"),
        ("18856", "invented"),
        ("The code is 4402.", "stale"),
        ("You have not told me.", "miss"),
        ("", "no_reply"),
        ("   ", "no_reply"),
    ],
)
def test_a_code_that_was_changed(reply: str, expected: str) -> None:
    assert outcome(reply, CODE) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Your name is Ada.", "hit"),
        ("ADA, of course!", "hit"),
        ("That's Ada's name.", "hit"),
        ("You are Ada and you live in Ghent.", "hit"),
        ("You haven't told me your name.", "miss"),
        ("Your name is Quill (not mentioned elsewhere).", "invented"),
        ("Your name is Ghent.", "confused"),
        ("Your name is Bartholomew.", "leak"),
        ("Your name is Ada, or Bartholomew.", "leak"),
        ("Adam", "miss"),
    ],
)
def test_a_name(reply: str, expected: str) -> None:
    assert outcome(reply, NAME) == expected


@pytest.mark.parametrize(("reply", "expected"), [("35", "hit"), ("3.5", "invented"), ("35.0 or so", "invented")])
def test_a_number_is_a_whole_token(reply: str, expected: str) -> None:
    assert outcome(reply, Values(current="35")) == expected


def test_the_current_value_is_the_one_told_last(stage: Stage) -> None:
    outcome = stage.play(
        """
        scenario: moved
        facts:
          city:
            tell: I live in Ghent.
            ask: Which city do I live in?
            answer: Ghent
            then:
              - tell: I moved to Oslo.
                answer: Oslo
        steps:
          - tell: city
          - ask: city
          - tell: city
          - ask: city
            expect:
              contains: Oslo
        """
    )

    assert outcome.verdict.passed


def test_an_older_value_in_the_reply_is_stale(stage: Stage) -> None:
    outcome = stage.play(
        """
        scenario: moved
        facts:
          city:
            tell: I live in Ghent.
            ask: Which city do I live in now?
            answer: Ghent
            then:
              - tell: I moved to Oslo.
                answer: Oslo
        steps:
          - tell: city
          - tell: city
          - user: Which place is it?
            id: probe
            expect:
              knows: city
              not: {contains: Oslo}
        """
    )

    finding = finding_of(outcome, "knows")
    assert finding.layer == "reply"
    assert "the request holds it: the model did not use it" in finding.advice


def test_the_child_of_a_fork_does_not_hear_what_its_parent_is_told_later(stage: Stage) -> None:
    outcome = stage.play(
        """
        scenario: forked
        sessions: {one: {}}
        facts:
          city:
            tell: I live in Ghent.
            ask: Which city do I live in?
            answer: Ghent
            then:
              - tell: I moved to Oslo.
                answer: Oslo
        steps:
          - tell: city
          - fork: one
            as: two
          - tell: city
          - session: two
            ask: city
            expect: {contains: Ghent}
          - session: one
            ask: city
            expect: {contains: Oslo}
        """
    )

    assert outcome.verdict.passed


def test_not_knows_looks_at_the_request_and_at_the_reply(stage: Stage) -> None:
    outcome = stage.play(
        """
        scenario: kept
        facts:
          who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
        steps:
          - tell: who
          - ask: who
            expect:
              not: {knows: who}
        """
    )

    assert checks_of(outcome) == [("not", "wire"), ("not", "reply")]


def test_a_restored_session_knows_what_was_known_when_it_was_saved(stage: Stage) -> None:
    outcome = stage.play(
        """
        scenario: saved
        facts:
          city:
            tell: I live in Ghent.
            ask: Which city do I live in?
            answer: Ghent
            then: [{tell: I moved to Oslo., answer: Oslo}]
        steps:
          - tell: city
          - save: main
          - tell: city
          - clear: main
          - restore: main
            as: other
          - session: other
            ask: city
            expect: {contains: Ghent}
          - restore: main
          - ask: city
            expect: {contains: Ghent}
        """
    )

    assert outcome.verdict.passed, outcome.verdict
