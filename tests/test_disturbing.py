"""Faults on the wire and acts on the client, simulated, recorded and replayed; branches at once."""

import dataclasses
import re
import time
from typing import get_args

import pytest

from convtest.cassettes import store
from convtest.errors import ScenarioError
from convtest.play.disturbing import ACTS
from convtest.play.mode import Mode
from convtest.scenario.disturbances import KINDS, Doing, FaultDoing
from convtest.structs import replace
from convtest.wire.faults import BREAKS
from tests.playing import GOOD, Stage, checks_of, finding_of
from tests.test_sweep_clients import swept

STORY = """
    scenario: disturbed
    facts: {{who: {{tell: My name is Ada., ask: What is my name?, answer: Ada}}}}
    {options}
    steps:
      - tell: who
      - user: Tell me a story about a lighthouse.
        {disturb}
        expect: {expect}
      {then}
      - ask: who
    """


def story(disturb: str, expect: str, then: str = "- user: What is 1 + 1?", options: str = "") -> str:
    return STORY.format(disturb=disturb, expect=expect, then=then, options=options)


FAULTS = [
    ("fault: {do: reset, after: 4}", "{ended: connection_lost, equals: Once there}"),
    ("fault: {do: reset, after: 0}", "{ended: connection_lost, equals: ''}"),
    ("fault: {do: reset, at: first_event}", "{ended: connection_lost, equals: Once}"),
    ("fault: {do: close, after: 4}", "{ended: connection_lost, equals: Once there}"),
    ("fault: {do: eof, after: 4}", "{ended: connection_lost, equals: Once there}"),
    ("disturb: {do: eof, after: 0}", "{ended: connection_lost, equals: ''}"),
    ("fault: {do: stall, after: 4}", "{ended: timeout, equals: Once there}"),
    ("fault: {do: malformed, after: 4}", "{ended: error, equals: Once there}"),
    ("fault: {do: error_event, after: 4}", "{ended: overloaded, equals: Once there}"),
    ("fault: {status: 529}", "{ended: overloaded}"),
    ("fault: {status: 429, retry_after: 3s}", "{ended: rate_limited}"),
    ("fault: {status: 401}", "{ended: error, error: not_authenticated}"),
    ("disturb: {do: interrupt, at: text}", "{ended: interrupted, equals: Once}"),
    ("disturb: {do: status, status: 500}", "{ended: error}"),
]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(("disturb", "expect"), FAULTS, ids=[row[0] for row in FAULTS])
def test_a_fault_comes_where_it_is_asked_for_and_replays_as_it_came(
    stage: Stage, disturb: str, expect: str, backend: str
) -> None:
    text = story(disturb, expect)

    recorded = stage.play(text, mode=Mode(record="all", backend=backend))
    replayed = stage.play(text, mode=Mode(backend=backend))

    assert recorded.verdict.passed, recorded.verdict
    assert replayed.transcript.source == "replayed"
    assert replayed.verdict.passed, replayed.verdict
    first, again = recorded.transcript.turns()[1], replayed.transcript.turns()[1]
    assert first.end
    assert again.end
    assert (again.events[:-1], again.end.ended) == (first.events[:-1], first.end.ended)


def test_a_stream_that_ends_too_soon_ends_cleanly_and_is_no_whole_answer(stage: Stage) -> None:
    text = story("fault: {do: eof, after: 4}", "{ended: complete, equals: Once there}")

    outcome = stage.play(text, "tests.test_policies:TakesAll")

    cut = next(one for one in outcome.transcript.interactions if one.turn == 2)
    assert (cut.status, cut.ended, b"stop_reason" in cut.body.partition(b"text_delta")[2]) == (200, "complete", False)
    assert checks_of(outcome) == [("whole_answer", None)]
    assert "taken for a whole answer" in finding_of(outcome, "whole_answer").message


def test_a_sweep_ends_the_stream_after_every_event(stage: Stage) -> None:
    text = """
        scenario: swept
        steps:
          - user: Tell me a story.
            id: x
            simulate: {words: 3}
        sweep: {turn: x, disturb: [eof]}
    """

    noticed = dict(swept(stage, text, GOOD))
    taken = {label: checks_of(one) for label, one in swept(stage, text, "tests.test_policies:TakesAll")}

    assert [label for label, one in noticed.items() if not one.verdict.passed] == []
    assert list(taken) == list(noticed)
    # After the message_delta, which has the stop reason, nothing is missing that matters.
    assert taken.pop("eof@7-message_delta") == []
    assert set(map(tuple, taken.values())) == {(("whole_answer", None),)}


@pytest.mark.parametrize("do", ["kill", "disconnect"])
def test_the_transport_is_dropped_in_mid_answer_and_the_session_resumed(stage: Stage, do: str) -> None:
    text = story(f"disturb: {{do: {do}, after: 2}}", "{ended: connection_lost, equals: Once there}", "- resume: main")

    assert stage.record(text).verdict.passed
    assert stage.play(text).verdict.passed


def test_a_retry_obeys_retry_after_on_the_injected_clock(stage: Stage) -> None:
    text = story(
        "fault: {status: 529, times: 2, retry_after: 40s}",
        "{contains: lighthouse, retries: {count: 2, after: 40s}, budget: {total: 85s}}",
        options="options: {max_retries: 2}",
    )
    started = time.monotonic()

    assert stage.record(text).verdict.passed
    assert stage.play(text).verdict.passed

    assert time.monotonic() - started < 20
    assert [one.status for one in store.load(stage.cassette(), shown="c")][1:4] == [529, 529, 200]


def test_two_statuses_of_one_turn_count_for_themselves(stage: Stage) -> None:
    faults = "disturb: [{do: status, status: 529, times: 2}, {do: status, status: 500, times: 1}]"
    text = story(faults, "{contains: lighthouse, retries: {count: 3}}", options="options: {max_retries: 4}")

    outcome = stage.play(text)

    assert outcome.verdict.passed, outcome.verdict
    assert [one.status for one in outcome.transcript.interactions if one.turn == 2] == [529, 529, 500, 200]


@pytest.mark.parametrize("client", ["SdkClient", "SyncSdkClient"])
@pytest.mark.parametrize("step", ["kill: main", "disconnect: main"])
def test_a_kill_reaches_the_transports_that_are_not_ours(stage: Stage, client: str, step: str) -> None:
    """An SDK has its own transport and takes its lane from the context: what is gone is the session's way out."""
    if step.startswith("disconnect"):
        step = "user: Count to ten.\n            disturb: {do: disconnect, after: 0}"
    text = f"""
        scenario: gone
        timeout: 20s
        steps:
          - user: What is 1 + 1?
          - {step}
          - user: What is 2 + 2?
    """

    outcome = stage.play(text, f"tests.test_sdks:{client}")

    assert not outcome.verdict.passed
    in_mid_stream = client == "SdkClient" and not step.startswith("kill")
    said = "ReadError: the transport was dropped" if in_mid_stream else "APIConnectionError: Connection error"
    assert said in finding_of(outcome, "client").seen
    assert [one.turn for one in outcome.transcript.interactions if one.ended == "complete"] == [1]


def test_a_client_that_comes_back_too_soon_fails(stage: Stage) -> None:
    text = story("fault: {status: 500}", "{retries: {after: 5s}}", options="options: {max_retries: 1}")

    assert "too soon" in finding_of(stage.play(text), "retries").message


def test_a_retry_that_no_longer_happens_is_caught_on_replay(stage: Stage) -> None:
    stage.record(story("fault: {status: 500}", "{contains: lighthouse}", options="options: {max_retries: 1}"))

    outcome = stage.play(
        story("fault: {status: 500}", "{contains: lighthouse}", options="options: {max_retries: 1}"),
        "tests.test_disturbing:gives_up",
    )

    assert ("unplayed", "wire") in checks_of(outcome)
    assert "Tell me a story about a lighthouse." in finding_of(outcome, "unplayed").message
    assert finding_of(outcome, "unplayed").advice == "the client no longer tries again"


def gives_up(opening: object) -> object:
    from convtest.clients.messages.client import MessagesClient
    from convtest.clients.port import Opening

    assert isinstance(opening, Opening)
    return MessagesClient(dataclasses.replace(opening, options={**opening.options, "max_retries": 0}))


def test_a_fault_that_is_never_reached_fails(stage: Stage) -> None:
    outcome = stage.play(story("fault: {do: reset, after: 400}", "{ended: complete}"))

    assert finding_of(outcome, "disturb").expected == "reset after 400"


@pytest.mark.parametrize(
    ("disturb", "message"),
    [
        ("fault: {after: 2}", "fault needs do: or status:"),
        ("fault: {status: 200}", "200 is no status of a failure"),
        ("fault: {status: 529, at: text}", "at: says nothing"),
        ("fault: {do: reset}", "fault needs either after: or at:"),
        ("fault: {do: reset, after: 1, status: 500}", "status: does not go with do: reset"),
        ("fault: {status: 529, times: -1}", "times: is at least 1"),
    ],
)
def test_faults_that_make_no_sense_are_refused(stage: Stage, disturb: str, message: str) -> None:
    with pytest.raises(Exception, match=message):
        stage.scenarios(story(disturb, "{ended: complete}"))


TOGETHER = """
    scenario: at once
    sessions: {alice: {}, bob: {}, carol: {}}
    facts:
      a: {tell: My name is Alessandra., ask: What is my name?, answer: Alessandra}
      b: {tell: My name is Bartholomew., ask: What is my name?, answer: Bartholomew}
    steps:
      - together:
          - - session: alice
              tell: a
            - session: alice
              ask: a
          - - session: bob
              tell: b
            - session: bob
              ask: b
          - - session: carol
              user: Tell me a story about a lighthouse.
      - session: alice
        ask: a
    """


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_branches_play_at_once_and_stay_apart(stage: Stage, backend: str) -> None:
    recorded = stage.play(TOGETHER, mode=Mode(record="all", backend=backend))

    assert recorded.verdict.passed, recorded.verdict
    assert [record.step.index for record in recorded.transcript.records] == [1, 2, 3, 4, 5, 6]
    lanes = [one.lane for one in recorded.transcript.interactions[:3]]
    assert sorted(str(lane) for lane in lanes) == ["alice", "bob", "carol"]
    assert stage.play(TOGETHER, mode=Mode(backend=backend)).verdict.passed


def test_branches_may_come_in_another_order(stage: Stage) -> None:
    stage.record(TOGETHER)
    loaded = store.load(stage.cassette(), shown="c")
    for number, one in zip([5, 4, 3, 2, 1, 6], loaded, strict=True):
        one.number = number
    store.save(stage.cassette(), sorted(loaded, key=lambda one: one.number))

    outcome = stage.play(TOGETHER)

    # Within a lane the history orders the turns; between lanes no order is asked for.
    assert outcome.verdict.passed, outcome.verdict


def test_two_branches_on_one_session_are_refused(stage: Stage) -> None:
    with pytest.raises(Exception, match="two branches use the session 'bob' at once"):
        stage.scenarios(TOGETHER.replace("session: alice", "session: bob"))


PRESET = """
    scenario: preset
    sessions:
      main:
        history:
          - user: My name is Steve
          - assistant: Hello Steve, how can I help you today?
    facts: {who: {tell: My name is Steve, ask: What is my name?, answer: Steve}}
    steps:
      - ask: who
        expect: {sent: {messages: 3}}
    """


def test_a_session_may_start_with_a_history(stage: Stage) -> None:
    assert stage.record(PRESET).verdict.passed
    assert stage.play(PRESET).verdict.passed
    assert ("history", "wire") in checks_of(stage.play(PRESET, "tests.broken_clients:forgetful"))


def test_a_cassette_named_by_the_scenario_is_played_and_never_written(stage: Stage) -> None:
    stage.record(PRESET)
    moved = stage.root / "elsewhere.yaml"
    stage.cassette().rename(moved)
    before = moved.read_bytes()
    named = PRESET.replace("scenario: preset", "scenario: preset\n    cassette: ../elsewhere.yaml")

    for mode in (Mode(), Mode(record="once"), Mode(record="all")):
        outcome = stage.play(named, mode=mode)
        assert outcome.transcript.source == "replayed"
        assert outcome.verdict.passed, outcome.verdict
    assert moved.read_bytes() == before
    assert not list(stage.root.glob("cassettes/**/*.yaml"))


def test_leftovers_may_be_permitted(stage: Stage) -> None:
    two = "scenario: two\nsteps: [{user: What is 1 + 1?}, {user: What is 2 + 2?}]\n"
    stage.record(two)
    one = two.replace(", {user: What is 2 + 2?}", "")

    assert checks_of(stage.play(one)) == [("unplayed", "wire")]
    assert stage.play(one + "unplayed: {allow: 1, because: the rest is for another test}\n").verdict.passed


def test_there_is_one_mechanism(stage: Stage) -> None:
    disturb = stage.scenarios(story("disturb: {do: reset, after: 2}", "{ended: error}"))[0]
    fault = stage.scenarios(story("fault: {do: reset, after: 2}", "{ended: error}"))[0]

    assert getattr(disturb.steps[1], "disturbances", 1) == getattr(fault.steps[1], "disturbances", 2)


def test_every_disturbance_of_the_language_is_done_somewhere() -> None:
    words = set(get_args(Doing))
    on_the_wire = {word for word in words if KINDS[word].on_the_wire}

    assert words == set(KINDS) - {"restart"}
    assert set(BREAKS) == on_the_wire - {"status"} == set(get_args(FaultDoing))
    of_the_reader = {"cancel", "leave", "slow"}  # tests/test_left.py
    assert set(ACTS) == words - on_the_wire - of_the_reader | {"during"}


STALLED = "disturb: [{do: stall, after: 4}, {do: interrupt, after: 100ms}]"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_point_in_time_comes_where_an_answer_stands_still_and_replays(stage: Stage, backend: str) -> None:
    text = story(STALLED, "{ended: interrupted, equals: Once there}")

    started = time.monotonic()
    recorded = stage.play(text, mode=Mode(record="all", backend=backend))
    took = time.monotonic() - started
    replayed = stage.play(text, mode=Mode(backend=backend))

    assert checks_of(recorded) == []
    assert checks_of(replayed) == []
    assert took >= 0.1


@pytest.mark.parametrize("disturb", [STALLED, "interrupt: {at: before_request, after: 100ms}"], ids=["stalled", "held"])
@pytest.mark.parametrize("process", ["", "own"], ids=["in process", "behind the gateway"])
def test_a_point_in_time_holds_for_a_client_here_and_behind_the_gateway(
    stage: Stage, process: str, disturb: str
) -> None:
    config = stage.config()
    profile = replace(config.clients["assistant"], own_process=bool(process))
    config = replace(config, clients={"assistant": profile})
    said = "Once there" if disturb == STALLED else ""
    text = story(disturb, f"{{ended: interrupted, equals: '{said}'}}")

    started = time.monotonic()
    recorded = stage.play_with(config, text, Mode(record="all"))
    took = time.monotonic() - started
    replayed = stage.play_with(config, text)

    assert checks_of(recorded) == []
    assert checks_of(replayed) == []
    assert took >= 0.1


def test_a_point_in_time_that_the_turn_does_not_last_to_is_not_reached(stage: Stage) -> None:
    played = stage.play(story("interrupt: {after: 1m}", "{ended: interrupted}"))

    finding = finding_of(played, "disturb")
    assert finding.expected == "interrupt after 60s"
    assert finding.message.startswith("point not reached: the turn ended complete after ")


@pytest.mark.parametrize(
    ("disturb", "says"),
    [
        ("interrupt: {after: 2x}", "'2x' is neither a number of events nor a time with its unit, such as 2s"),
        ("interrupt: {after: '2'}", "'2' is neither a number of events nor a time with its unit, such as 2s"),
        ("disturb: {do: reset, after: 2s}", "reset counts events"),
        ("interrupt: {at: text, after: 20ms}", "interrupt needs either after: or at:"),
        ("interrupt: {at: before_request, after: 2}", "interrupt needs either after: or at:"),
    ],
)
def test_a_time_that_is_none_or_that_the_wire_would_meet_is_refused(stage: Stage, disturb: str, says: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(says)):
        stage.play(story(disturb, "{ended: interrupted}"))
