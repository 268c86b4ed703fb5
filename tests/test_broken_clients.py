"""Each mistake a client can make is caught, by the right check, on the right layer, simulated and replayed."""

import re
import shutil
from pathlib import Path

import pytest

from convtest.config import load_config
from convtest.play.mode import Mode
from convtest.play.perform import Played, perform
from convtest.play.prepare import prepare
from convtest.reporting.failure import failure_text
from convtest.scenario.loader import load
from convtest.scenario.model import Scenario
from tests.playing import Stage, checks_of, finding_of

REPOSITORY = Path(__file__).parent.parent
SOURCES = ["simulated", "replayed"]

TALK = """
    scenario: a talk
    facts:
      who:
        tell: My name is Ada.
        ask: What is my name?
        answer: Ada
    steps:
      - tell: who
      - user: I am fond of hiking.
      - ask: who
    """
SHORT = TALK.replace("      - user: I am fond of hiking.\n", "")
RESUMED = """
    scenario: a talk with a resume
    options:
      system: You are terse and kind.
    steps:
      - user: My name is Ada.
      - resume: main
      - user: What is my name?
        expect:
          sent:
            system: You are terse and kind.
    """
TOOLS = """
    scenario: a talk with a tool
    tools:
      look_up:
        input: {what: string}
        answers:
          - return: found
    steps:
      - user: Look it up.
        simulate:
          - calls:
              - look_up: {what: it}
          - text: Here it is.
      - user: Thank you for that.
    """
USERS = """
    scenario: two users
    sessions:
      alice: {}
      bob: {}
    steps:
      - session: alice
        user: My name is Alessandra.
      - session: bob
        user: I like winter gardening.
    """


def outcome_of(stage: Stage, text: str, client: str, source: str) -> Played:
    if source == "replayed":
        stage.record(text)
    outcome = stage.play(text, f"tests.broken_clients:{client}")
    assert outcome.transcript.source == source
    return outcome


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("client", "text", "check"),
    [
        ("forgetful", SHORT, "knows"),
        ("forgetful", TALK, "history"),
        ("sends_twice", TALK, "prompts_once"),
        ("leaves_tools_open", TOOLS, "tool_pairs"),
        ("loses_system", RESUMED, "sent"),
        ("loses_system", RESUMED, "history"),
        ("reorders", TALK, "history"),
        ("answers_from_another", USERS, "isolation"),
    ],
)
def test_a_broken_client_is_caught_on_the_wire(stage: Stage, client: str, text: str, check: str, source: str) -> None:
    outcome = outcome_of(stage, text, client, source)

    assert (check, "wire") in checks_of(outcome)
    if source == "replayed":
        assert ("miss", "wire") in checks_of(outcome)


def test_forgetting_shrinks_the_prompt(stage: Stage) -> None:
    long = TALK.replace("I am fond of hiking.", "I am fond of hiking " + "and of walking " * 20)

    outcome = stage.play(long, "tests.broken_clients:forgetful")

    assert ("mass", "mass") in checks_of(outcome)


def test_a_model_that_is_told_another_result_than_the_user_was_shown(stage: Stage) -> None:
    found = finding_of(stage.play(TOOLS, "tests.broken_clients:tells_other_results"), "tool_pairs")

    assert found.message == "the model was told another result of the tool look_up than it had"
    assert (found.expected, found.seen, found.layer, found.step) == ("found", "nothing", "wire", 1)


def test_a_result_that_is_sent_as_a_document_is_the_same_result(stage: Stage) -> None:
    assert checks_of(stage.play(TOOLS, "tests.broken_clients:sends_documents")) == []


def test_a_client_that_never_gives_up_is_told_to(stage: Stage) -> None:
    text = """
        scenario: overload
        timeout: 3s
        steps:
          - user: Hello.
            fault: {status: 529, times: 100000}
            expect: {ended: overloaded}
        """

    found = finding_of(stage.play(text, "tests.broken_clients:NeverGivesUp"), "timeout")

    assert re.search(r"it asked for the same [\d,]+ times more", found.seen)
    assert found.advice == "have the client give up"


def test_what_was_sent_wrong_is_told_before_what_came_of_it(stage: Stage) -> None:
    text = """
        scenario: tools
        tools:
          look_up: {input: {what: string}, answers: [{return: in the attic}]}
        steps:
          - user: Where is it?
            simulate: [{calls: [{look_up: {what: it}}]}, {text: In the attic.}]
            expect: {contains: attic}
        """

    outcome = stage.play(text, "tests.broken_clients:leaves_tools_open")
    lines = failure_text(outcome.result()).splitlines()

    assert lines[1] == "  the client sent something else than it should (layer wire)"
    found = [line.split()[0] for line in lines if re.match(r"  \w+  .*talk.yaml", line)]
    assert found[0] == "tool_pairs"
    assert {"ended", "contains"} <= set(found[1:])


def memory_scenarios() -> list[Scenario]:
    config = load_config(REPOSITORY)
    assert config is not None
    return [
        scenario
        for path in sorted((REPOSITORY / "scenarios").glob("*.yaml"))
        for scenario in load(path, shown=path.name, default_client="assistant", clients=tuple(config.clients))
        if "memory" in scenario.tags and scenario.client != "claude"
    ]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("scenario", memory_scenarios(), ids=lambda scenario: scenario.name)
def test_a_transport_that_keeps_the_last_message_fails_every_memory_scenario(
    tmp_path: Path, scenario: Scenario, source: str
) -> None:
    shutil.copytree(REPOSITORY / "scenarios", tmp_path / "scenarios")
    if source == "replayed":
        shutil.copytree(REPOSITORY / "cassettes", tmp_path / "cassettes")
    (tmp_path / "pyproject.toml").write_text(
        """
        [tool.convtest]
        client = "assistant"
        [tool.convtest.clients.assistant]
        kind = "python"
        target = "tests.broken_clients:forgetful"
        model = "claude-haiku-4-5"
        upstream = "simulator"
        [tool.convtest.clients.shared]
        kind = "python"
        target = "tests.broken_clients:forgetful"
        upstream = "simulator"
        [tool.convtest.clients.pictures]
        kind = "python"
        target = "tests.broken_clients:forgetful"
        model = "claude-haiku-4-5"
        upstream = "simulator"
        """
    )
    config = load_config(tmp_path)
    assert config is not None
    path = tmp_path / "scenarios" / scenario.file.name
    clients = (*config.clients, "claude", "few-pictures")
    loaded = load(path, shown=path.name, default_client="assistant", clients=clients)
    same = next(one for one in loaded if one.name == scenario.name)

    outcome = perform(prepare(config, same, Mode()), tmp_path / "run")

    assert outcome.transcript.source == source
    assert not outcome.verdict.passed
    assert "wire" in [finding.layer for finding in outcome.verdict.findings]


def test_there_are_memory_scenarios() -> None:
    assert len(memory_scenarios()) >= 15


def test_a_turn_behind_is_named_as_such(stage: Stage) -> None:
    outcome = stage.play(TALK, "tests.broken_clients:TurnBehind")

    finding = finding_of(outcome, "one_end")
    assert "belongs to an earlier turn" in finding.message
    assert "read each turn to its end" in finding.advice


def test_events_after_the_turn_end_fail(stage: Stage) -> None:
    outcome = stage.play(TALK, "tests.broken_clients:TalksAfterTheEnd")

    assert "1 events came after the turn end" in finding_of(outcome, "one_end").message


def test_a_turn_without_an_end_fails(stage: Stage) -> None:
    outcome = stage.play(TALK, "tests.broken_clients:NeverEnds")

    assert "has no end" in finding_of(outcome, "one_end").message


def test_a_session_that_changes_its_id_fails(stage: Stage) -> None:
    outcome = stage.play(TALK, "tests.broken_clients:ChangesItsId")

    assert finding_of(outcome, "session_id").message == "the session's id changed"


def test_a_crash_is_reported_with_its_place_and_the_rest_is_not_run(stage: Stage) -> None:
    outcome = stage.play(TALK, "tests.broken_clients:Crashes")

    seen = finding_of(outcome, "client").seen
    assert "ZeroDivisionError: a bug in the client" in seen
    assert "broken_clients.py" in seen
    assert len(outcome.transcript.not_run) == 2


def test_a_hang_fails_and_names_the_last_event(stage: Stage) -> None:
    outcome = stage.play(TALK.replace("facts:", "timeout: 200ms\n    facts:"), "tests.broken_clients:Hangs")

    assert finding_of(outcome, "timeout").seen == (
        "the last thing seen: text 'one moment'; it sent no request and yielded 1 event"
    )
    assert len(outcome.transcript.not_run) == 2


def test_a_client_that_swallows_its_cancellation_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convtest.play.perform._GRACE", 0.2)

    outcome = stage.play(
        TALK.replace("facts:", "timeout: 200ms\n    facts:"), "tests.broken_clients:SwallowsCancellation"
    )

    assert "does not let itself be cancelled" in finding_of(outcome, "timeout").seen


def test_what_is_raised_on_leaving_the_clients_context_is_reported(stage: Stage) -> None:
    outcome = stage.play(TALK, "tests.broken_clients:falls_on_leaving")

    assert "OSError: the session file could not be written" in finding_of(outcome, "client").seen


def test_connect_on_an_open_session_leaves_the_old_client_first(stage: Stage) -> None:
    text = """
        scenario: again
        timeout: 5s
        steps:
          - user: What is 1 + 1?
          - disconnect: main
          - connect: main
          - user: What is 2 + 1?
            expect: {equals: The result is 3.}
    """

    outcome = stage.play(text)

    assert outcome.verdict.passed, outcome.verdict


def test_a_client_may_hold_a_task_group_from_connect_to_disconnect(stage: Stage) -> None:
    outcome = stage.play(TALK, "tests.broken_clients:OpensATaskGroup")

    assert outcome.verdict.passed


def test_side_requests_are_left_out_of_what_is_judged(stage: Stage) -> None:
    outcome = stage.record(TALK, "tests.broken_clients:TwoRequests")

    turn = outcome.transcript.turns()[0]
    assert len(turn.side()) == 1
    assert len(turn.main()) == 1
    assert stage.play(TALK, "tests.broken_clients:TwoRequests").verdict.passed
