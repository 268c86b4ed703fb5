"""Every expectation passes where it holds and fails where it does not."""

import sys

import pytest

from convtest.checks.expectations import EXPECTATIONS
from convtest.errors import CheckError, ClientError, MissingCapability, ScenarioError
from convtest.events import Usage
from convtest.scenario.expectations import ExpectShape
from convtest.scenario.expecting import NEVER_DENIED
from convtest.scenario.grammar import NOT_YET
from convtest.transcript import Transcript
from tests.playing import GOOD, Stage, checks_of, finding_of

ONE = """
scenario: one turn
options: {{system: You are terse., temperature: 0.5}}
tools:
  look_up:
    input: {{what: string}}
    answers: [{{return: found}}]
steps:
  - user: My name is Ada.
  - user: What is 15 * 7?
    {more}
    expect:
      {expect}
"""
SCRIPTED = "simulate: [{calls: [{look_up: {what: it, how: fast}}]}, {text: Done with 105.}]"
JSON = 'simulate: {text: \'{"a": {"b": [1, 2]}}\'}'


def finding_or_none(stage: Stage, expect: str, more: str = "") -> tuple[str, str | None] | None:
    outcome = stage.play(ONE.format(expect=expect, more=more))
    return next(iter(checks_of(outcome)), None)


HOLDS = [
    ("contains: '105'", ""),
    ("contains: [The, '105']", ""),
    ("contains: 105", ""),
    ("lacks: Ada", ""),
    ("lacks: '  '", ""),
    ("contains: ' '", ""),
    ("matches: '\\d{3}'", ""),
    ("equals: The result is 105.", ""),
    ("one_of: [The result is 105., none]", ""),
    ("json: {'a.b[1]': 2}", JSON),
    ("json_schema: {required: [a], properties: {a: {properties: {b: {items: {type: integer}}}}}}", JSON),
    ("not: {json_schema: {required: [c]}}", JSON),
    ("calls: [look_up]", SCRIPTED),
    ("calls: [{look_up: {what: it}}]", SCRIPTED),
    ("events: [tool_use, tool_result, text, turn_end]", SCRIPTED),
    ("ended: {one_of: [complete, interrupted]}", ""),
    ("usage: {output_tokens: {min: 1}}", ""),
    ("usage: {output_tokens: 7}", "simulate: {text: x, usage: {output_tokens: 7}}"),
    ("usage: {usd: {min: 0.000001, max: 0.01}}", ""),
    ("budget: {output_tokens: 100, usd: 0.1, first_event: 1s, total: 2s}", ""),
    ("session: same", ""),
    ("retries: {count: 0}", ""),
    ("denied: []", ""),
    ("sent: {system: You are terse., temperature: 0.5, model: claude-haiku-4-5}", ""),
    ("sent: {messages: 3, roles: [user, assistant, user], contains: Ada, lacks: Grace, tools: [look_up]}", ""),
    ("history: intact", ""),
    ("history: {messages: 2, roles: [user, assistant], contains: Ada}", ""),
    ("not: {contains: Grace}", ""),
    ("not: {ended: interrupted}", ""),
    ("sent: {tools: [{look_up: {what: string}}]}", ""),
    ("sent: {tools: [{look_up: {type: object, properties: {what: {type: string}}, required: [what]}}]}", ""),
    ("not: {sent: {contains: Grace}}", ""),
    ("check: tests.test_expectations:has_two_turns", ""),
    ("files: {notes.md: null}", ""),
]


@pytest.mark.parametrize(("expect", "more"), HOLDS)
def test_it_holds(stage: Stage, expect: str, more: str) -> None:
    assert finding_or_none(stage, expect, more) is None


FAILS = [
    ("contains: '106'", "", "contains", "reply"),
    ("contains: the", "", "contains", "reply"),
    ("lacks: '105'", "", "lacks", "reply"),
    ("matches: '\\d{4}'", "", "matches", "reply"),
    ("equals: '105'", "", "equals", "reply"),
    ("one_of: ['105', none]", "", "one_of", "reply"),
    ("json: {'a.b[1]': 3}", JSON, "json", "reply"),
    ("json: {a: 1}", "", "json", "reply"),
    ("json_schema: {required: [c]}", JSON, "json_schema", "reply"),
    ("json_schema: {type: object}", "", "json_schema", "reply"),
    ("not: {json_schema: {required: [a]}}", JSON, "not", None),
    ("calls: [other]", SCRIPTED, "calls", None),
    ("calls: [look_up, look_up]", SCRIPTED, "calls", None),
    ("calls: []", SCRIPTED, "calls", None),
    ("calls: [{look_up: {what: that}}]", SCRIPTED, "calls", None),
    ("events: [text]", "", "events", None),
    ("ended: interrupted", "", "ended", None),
    ("error: bad_request", "", "error", None),
    ("usage: {output_tokens: {max: 1}}", "", "usage", None),
    ("usage: {usd: {min: 0.01}}", "", "usage", None),
    ("budget: {output_tokens: 1}", "", "budget", None),
    ("budget: {usd: 0.000001}", "", "budget", None),
    ("budget: {first_event: 1ms}", "", "budget", None),
    ("session: new", "", "session", None),
    ("retries: {count: 1}", "", "retries", None),
    ("denied: [look_up]", "", "denied", None),
    ("sent: {system: You are kind.}", "", "sent", "wire"),
    ("sent: {temperature: 0.6}", "", "sent", "wire"),
    ("sent: {tools: [{look_up: {what: integer}}]}", "", "sent", "wire"),
    ("sent: {tools: [{look_up: {type: object}}]}", "", "sent", "wire"),
    ("sent: {tools: [look_up, look_up]}", "", "sent", "wire"),
    ("sent: {contains: Grace}", "", "sent", "wire"),
    ("sent: {lacks: Ada}", "", "sent", "wire"),
    ("sent: {messages: 1}", "", "sent", "wire"),
    ("history: empty", "", "history", "wire"),
    ("history: {contains: Grace}", "", "history", "wire"),
    ("not: {contains: '105'}", "", "not", None),
    ("not: {sent: {contains: Ada}}", "", "not", "wire"),
    ("check: tests.test_expectations:has_nine_turns", "", "check", None),
    ("files: {notes.md: hello}", "", "files", None),
]


@pytest.mark.parametrize(("expect", "more", "check", "layer"), FAILS)
def test_it_fails(stage: Stage, expect: str, more: str, check: str, layer: str | None) -> None:
    assert finding_or_none(stage, expect, more) == (check, layer)


@pytest.mark.parametrize(("expect", "more"), [one for one in HOLDS if not one[0].startswith("not")])
def test_what_holds_may_not_be_so(stage: Stage, expect: str, more: str) -> None:
    found = finding_or_none(stage, f"not: {{{expect}}}", more)

    assert found is not None
    assert found[0] == "not"


@pytest.mark.parametrize(
    ("expect", "more"), [(one[0], one[1]) for one in FAILS if not one[0].startswith(("not", "error"))]
)
def test_what_fails_is_not_so(stage: Stage, expect: str, more: str) -> None:
    assert finding_or_none(stage, f"not: {{{expect}}}", more) is None


def test_of_a_list_under_not_each_must_not_be_so(stage: Stage) -> None:
    assert finding_or_none(stage, "not: {contains: [Grace, '105']}") == ("not", None)
    assert finding_or_none(stage, "not: {contains: [Grace, Bob]}") is None


@pytest.mark.parametrize("key", ["error: bad_request", "snapshot: true", "not: {contains: a}", "proposed: [contains]"])
def test_what_means_nothing_under_not_is_refused(stage: Stage, key: str) -> None:
    with pytest.raises(ScenarioError, match=f"{key.partition(':')[0]!r} does not go under not"):
        stage.play(ONE.format(expect=f"not: {{{key}}}", more=""))


ELSEWHERE = {"error", "knows", "conduct", "not"}
"""Expectations whose tests are those of facts, policies and disturbances, and of what they hold."""


def test_every_expectation_is_judged_holds_somewhere_and_fails_somewhere() -> None:
    keys = {name for name in ExpectShape.__struct_encode_fields__ if name not in NOT_YET.get(ExpectShape, ())}

    assert keys == {*EXPECTATIONS, "snapshot", "proposed"}
    assert {one[0].partition(":")[0] for one in HOLDS} >= {*EXPECTATIONS} - ELSEWHERE
    assert {one[0].partition(":")[0] for one in FAILS} >= {*EXPECTATIONS} - ELSEWHERE
    assert {name for name, one in EXPECTATIONS.items() if not one.negatable} == {*NEVER_DENIED} - {
        "snapshot",
        "proposed",
    }


def test_a_reply_that_does_not_fit_its_schema_is_told_where(stage: Stage) -> None:
    expect = "json_schema: {properties: {a: {properties: {b: {items: {type: string}}}}}, required: [c]}"

    found = stage.play(ONE.format(expect=expect, more=JSON)).verdict.findings

    assert [(one.expected, one.seen) for one in found] == [
        ("required: ['c']", "$: 'c' is a required property"),
        ("type: string", "$.a.b[0]: 1 is not of type 'string'"),
        ("type: string", "$.a.b[1]: 2 is not of type 'string'"),
    ]
    assert {one.place.line for one in found} == {13}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("{type: objekt}", r"talk.yaml:13:.*: json_schema is no JSON Schema: \$\.type"),
        ("{$ref: 'http://example.com/it.json'}", r"talk.yaml:13:.*: json_schema: .*example.com"),
    ],
)
def test_a_schema_that_cannot_be_used_is_an_error(stage: Stage, schema: str, message: str) -> None:
    with pytest.raises(CheckError, match=message):
        finding_or_none(stage, f"json_schema: {schema}", JSON)


def test_without_its_package_a_schema_says_what_to_install(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)

    with pytest.raises(CheckError, match=r"pip install 'convtest\[schema\]'"):
        finding_or_none(stage, "json_schema: {type: object}", JSON)


def has_two_turns(transcript: Transcript) -> None:
    assert len(transcript.turns()) == 2


def has_nine_turns(transcript: Transcript) -> None:
    assert len(transcript.turns()) == 9, "not nine"


def breaks(transcript: Transcript) -> None:
    raise KeyError("a bug in the check")


@pytest.mark.parametrize(
    ("target", "message"),
    [("tests.test_expectations:breaks", "raised KeyError"), ("tests.nowhere:x", "cannot import the check")],
)
def test_a_check_that_cannot_be_run_is_an_error(stage: Stage, target: str, message: str) -> None:
    with pytest.raises(CheckError, match=message):
        finding_or_none(stage, f"check: {target}")


def test_a_finding_names_the_line_of_its_expectation(stage: Stage) -> None:
    outcome = stage.play(ONE.format(expect="sent: {lacks: Ada}", more=""))

    assert finding_of(outcome, "sent").place.line == 13


def test_a_failed_expectation_does_not_stop_the_play(stage: Stage) -> None:
    outcome = stage.play(
        """
        scenario: two
        steps:
          - user: What is 1 + 1?
            expect: {contains: "3"}
          - user: What is 2 + 2?
            expect: {contains: "5"}
        """
    )

    assert checks_of(outcome) == [("contains", "reply"), ("contains", "reply")]


def test_a_point_that_is_never_reached_fails(stage: Stage) -> None:
    outcome = stage.play(
        """
        scenario: too late
        steps:
          - user: What is 1 + 1?
            interrupt: {after: 40}
        """
    )

    finding = finding_of(outcome, "disturb")
    assert finding.message == "point not reached: the turn ended complete after 4 events"


@pytest.mark.parametrize("point", ["before_request", "first_event", "thinking", "text", "tool_use"])
def test_interrupts_come_at_every_kind_of_point(stage: Stage, point: str) -> None:
    outcome = stage.play(
        f"""
        scenario: points
        tools:
          look_up: {{input: {{what: string}}, answers: [{{return: found}}]}}
        steps:
          - user: Look it up.
            interrupt: {{at: {point}}}
            simulate: {{thinking: Let me think., text: I will look., calls: [{{look_up: {{what: it}}}}]}}
            expect: {{ended: interrupted}}
          - user: What is 1 + 1?
            expect: {{contains: "2"}}
        """
    )

    assert outcome.verdict.passed, outcome.verdict


def test_the_budget_of_a_scenario_is_over_all_turns(stage: Stage) -> None:
    text = """
        scenario: two
        budget: {output_tokens: %d}
        steps:
          - user: What is 1 + 1?
          - user: What is 2 + 2?
        """

    assert stage.play(text % 100).verdict.passed
    assert checks_of(stage.play(text % 5)) == [("budget", None)]


def test_a_cost_without_a_price_is_over_budget_and_says_so(stage: Stage) -> None:
    outcome = stage.play(
        """
        scenario: unknown price
        options: {model: somebody-elses-model}
        budget: {usd: 1}
        steps:
          - user: What is 1 + 1?
        """
    )

    assert "no price is known for 'somebody-elses-model'" in finding_of(outcome, "budget").seen


COUNTED = """
    scenario: counted
    budget: {input_tokens: %d, output_tokens: %d, usd: %g}
    steps:
      - user: What is 1 + 1?
      - user: What is 2 + 2?
    """


@pytest.mark.parametrize("target", [GOOD, "tests.broken_clients:CountsNothing"])
def test_what_a_client_does_not_report_is_read_on_its_wire(stage: Stage, target: str) -> None:
    generous = stage.play(COUNTED % (1000, 1000, 1), target)
    mean = stage.play(COUNTED % (2, 2, 1e-6), target)
    plain = stage.play(COUNTED % (1000, 1000, 1))

    assert checks_of(generous) == []
    assert [one.message.split()[-1] for one in mean.verdict.findings] == ["input_tokens", "output_tokens", "usd"]
    assert generous.transcript.usage() == plain.transcript.usage() != Usage()
    assert generous.transcript.usd() == pytest.approx(plain.transcript.usd())


def test_a_budget_of_what_nobody_tells_is_not_kept(stage: Stage) -> None:
    text = COUNTED.replace("1?", "1?\n        expect: {usage: {output_tokens: {max: 50}}}")
    outcome = stage.play(text % (1000, 1000, 1), "tests.broken_clients:AsksNobody", wire="none")

    seen = "unknown: the client reports no usage, and none is seen on its wire"
    assert [(one.check, one.seen) for one in outcome.verdict.findings] == [("usage", seen), *[("budget", seen)] * 3]


XFAIL = """
    scenario: known to fail
    xfail: {check: contains, layer: reply, at: sum, because: it cannot count}
    steps:
      - user: What is 1 + 1?
        id: sum
        expect: %s
    """


def test_xfail_passes_if_just_that_check_fails(stage: Stage) -> None:
    assert stage.play(XFAIL % '{contains: "3"}').verdict.passed


def test_xfail_fails_if_the_check_holds(stage: Stage) -> None:
    outcome = stage.play(XFAIL % '{contains: "2"}')

    assert "expected to fail and did not" in finding_of(outcome, "xfail").message


def test_xfail_fails_if_something_else_fails_too(stage: Stage) -> None:
    outcome = stage.play(XFAIL % '{contains: "3", lacks: "2"}')

    assert checks_of(outcome) == [("lacks", "reply")]


def test_files_are_made_in_the_workspace_and_compared(stage: Stage) -> None:
    outcome = stage.play(
        """
        scenario: files
        files:
          notes.md: "# Notes"
        steps:
          - user: What is 1 + 1?
            expect:
              files: {notes.md: "# Notes", other.md: null}
        """
    )

    assert outcome.verdict.passed


def test_a_missing_capability_is_an_error_that_names_client_and_capability(stage: Stage) -> None:
    text = """
        scenario: clear
        steps:
          - user: What is 1 + 1?
          - clear: main
        """

    with pytest.raises(MissingCapability, match=r"talk.yaml:5:5: .*clear_history\(\).*'assistant'"):
        stage.play(text, "tests.broken_clients:OpensATaskGroup")


def test_sent_is_refused_for_a_client_whose_wire_is_not_seen(stage: Stage) -> None:
    with pytest.raises(ClientError, match="sent cannot be looked at"):
        stage.play(ONE.format(expect="sent: {lacks: Grace}", more=""), wire="none")


def test_what_cannot_be_seen_is_said_and_never_taken_for_intact(stage: Stage) -> None:
    text = """
        scenario: blind
        facts:
          who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
        steps:
          - tell: who
          - ask: who
        """

    outcome = stage.play(text, wire="none")

    assert outcome.verdict.passed
    assert {one.check for one in outcome.verdict.not_seen} == {
        "history",
        "tool_pairs",
        "prompts_once",
        "isolation",
        "mass",
        "kept_text",
        "whole_answer",
        "said",
        "fresh",
        "settings",
        "knows",
    }


def test_invariants_can_be_skipped_with_a_reason(stage: Stage) -> None:
    text = """
        scenario: skipping
        invariants: {skip: [history, prompts_once, mass], because: this client keeps no history}
        steps:
          - user: My name is Ada.
          - user: What is 1 + 1?
        """

    assert stage.play(text, "tests.broken_clients:forgetful").verdict.passed
