"""What people who tried convtest ran into: false greens, and blame on the wrong side."""

import time
from collections.abc import AsyncGenerator
from typing import ClassVar

import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from convtest.errors import ClientError
from convtest.events import Event, TextDelta, TurnEnd
from convtest.play.mode import Mode
from convtest.reporting.failure import failure_text
from convtest.results.ranking import side
from tests.broken_clients import edited
from tests.playing import Stage, checks_of, finding_of
from tests.project import NAME, SECTION, Project

USERS = """
    scenario: two users
    sessions:
      alice: {}
      bob: {}
    steps:
      - session: alice
        user: My name is Alessandra.
      - session: bob
        user: What is 15 * 7?
    """
ME = "tests.test_trials"


class SendsNothing(MessagesClient):
    async def receive_response(self) -> AsyncGenerator[Event, None]:
        yield TextDelta(text="The result is 105.")
        yield TurnEnd()


def test_a_client_that_sends_nothing_is_not_taken_for_seen(stage: Stage) -> None:
    outcome = stage.play(USERS, f"{ME}:SendsNothing")

    assert {"history", "isolation"} <= {one.check for one in outcome.verdict.not_seen}
    assert "sent nothing through its transport" in outcome.verdict.not_seen[0].why


def test_recording_a_client_that_sends_nothing_is_an_error(stage: Stage) -> None:
    with pytest.raises(ClientError, match="sent nothing through its transport"):
        stage.play(USERS, f"{ME}:SendsNothing", Mode(record="once"))


def leaks_in_system(opening: Opening) -> MessagesClient:
    return edited(opening, lambda body: {**body, "system": "You know this. My name is Alessandra."})


def leaks_in_a_tool(opening: Opening) -> MessagesClient:
    tool = {"name": "f", "description": "My name is Alessandra.", "input_schema": {"type": "object"}}
    return edited(opening, lambda body: {**body, "tools": [tool]})


class LeaksReplies(MessagesClient):
    """Shows bob what alice was answered."""

    last: ClassVar[list[str]] = []

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        events = [event async for event in super().receive_response()]
        if self._opening.session == "bob" and self.last:
            yield TextDelta(text=self.last[-1])
            yield events[-1]
            return
        self.last.append("".join(event.text for event in events if isinstance(event, TextDelta)))
        for event in events:
            yield event


@pytest.mark.parametrize(
    ("client", "layer"), [("leaks_in_system", "wire"), ("leaks_in_a_tool", "wire"), ("LeaksReplies", "reply")]
)
def test_leaks_outside_the_messages_are_leaks(stage: Stage, client: str, layer: str) -> None:
    text = USERS.replace("What is 15 * 7?", "What is the weather like over there?")

    outcome = stage.play(text, f"{ME}:{client}")

    assert ("isolation", layer) in checks_of(outcome)


def test_the_system_prompt_of_another_session_is_a_leak(stage: Stage) -> None:
    text = USERS.replace("alice: {}", "alice: {options: {system: You speak to the owner of the house.}}")

    outcome = stage.play(text, f"{ME}:always_the_owner")

    assert ("isolation", "wire") in checks_of(outcome)


def always_the_owner(opening: Opening) -> MessagesClient:
    return edited(opening, lambda body: {**body, "system": "You speak to the owner of the house."})


class Blocks(MessagesClient):
    async def query(self, text: str) -> None:
        await super().query(text)
        time.sleep(0.9)  # noqa: ASYNC251  the mistake under test


def test_the_time_limit_counts_for_code_that_blocks(stage: Stage) -> None:
    outcome = stage.play(USERS.replace("sessions:", "timeout: 100ms\n    sessions:"), f"{ME}:Blocks")

    assert finding_of(outcome, "timeout").message == "the step did not end in time"


def test_a_cleared_history_is_not_intact(stage: Stage) -> None:
    outcome = stage.play(
        """
        scenario: cleared
        steps:
          - user: I like tea and long walks.
          - clear: main
            expect: {history: intact}
          - user: What is 1 + 1?
        """
    )

    assert ("history", "wire") in checks_of(outcome)


def test_each_part_of_not_sent_must_be_false(stage: Stage) -> None:
    outcome = stage.play(
        """
        scenario: parts
        steps:
          - user: I like tea.
            expect:
              not: {sent: {messages: 1, contains: coffee}}
        """
    )

    assert finding_of(outcome, "not").expected == "not sent: messages: 1"


def test_asking_what_nobody_told_is_the_scenarios_fault(stage: Stage) -> None:
    outcome = stage.play(
        """
        scenario: never told
        facts: {who: {tell: My name is Ada., ask: What is my name?, answer: Ada}}
        steps: [{ask: who}]
        """
    )

    finding = finding_of(outcome, "knows")
    assert (finding.layer, finding.advice) == (None, "put tell: who before it")


def test_a_refused_connection_is_not_the_models_fault(stage: Stage) -> None:
    text = """
        scenario: nobody there
        facts: {who: {tell: My name is Ada., ask: What is my name?, answer: Ada}}
        steps: [{tell: who}, {ask: who}]
        """

    outcome = stage.play(text, mode=Mode(record="all"), upstream="http://127.0.0.1:9")

    assert side(outcome.result().found).startswith("ended: the turn ended refused")
    assert {check for check, _ in checks_of(outcome)} == {"ended"}
    assert "model did not use it" not in failure_text(outcome.result())


def test_the_public_api_without_a_key_is_an_error_that_names_the_variable(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)

    with pytest.raises(ClientError, match="ANTHROPIC_API_KEY is not set"):
        stage.prepare(USERS, mode=Mode(record="once"), upstream="https://api.anthropic.com")


@pytest.mark.parametrize("change", ["options: {systm: x}", "client: shared"])
def test_an_error_of_the_set_up_shows_no_source_of_ours(project: Project, change: str) -> None:
    section = SECTION + '[tool.convtest.clients.shared]\nkind = "python"\ntarget = "nowhere:x"\n'
    project.write("pyproject.toml", section)
    project.write("scenarios/name.yaml", NAME + f"{change}\n")

    done = project.pytest()

    assert done.counts() == {"error": 1}
    assert "convtest/play.py" not in done.out
    assert "def setup" not in done.out
    assert project.convtest("check").code == 2


def test_recording_writes_the_snapshot_of_the_simulator_anew(project: Project) -> None:
    project.write("scenarios/name.yaml", NAME + "snapshot: true\n")
    project.pytest("--snapshot-update")
    project.convtest("record")

    assert project.pytest().counts() == {"passed": 1}
    assert "# source: cassette" in project.read("scenarios/__snapshots__/name/remembers-the-name.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: [{user: a}, {set: main, options: {modl: x}}]", "takes no option 'modl'"),
        ("options: {max_turns: many}\nsteps: [{user: a}]", "max_turns is a whole number, 0 or more, and not 'many'"),
        ("steps: [{user: a}, {set: main, options: {model: [x]}}]", "model is a text, and not ['x']"),
        ("steps:\n  - user: What is ticket #5 about?", "a # after a space starts a comment"),
        ("steps:\n  - user: @bob is here", "text that starts with @, ` or % needs quotes"),
        ("steps:\n  - user: *bold* words", "text that starts with * or & needs quotes"),
        ("steps: [{resume: main}]", "the session 'main' was not used yet"),
        ("steps: [{user: a, expect: {contains: ''}}]", "'contains' is empty and always holds"),
        ("steps: [{user: a, expect: {contains: []}}]", "'contains' is empty and always holds"),
        ("steps: [{user: a, expect: {}}]", "nothing is expected here"),
        ("steps: [{user: a, expect: {contains: a, proposed: [contians]}}]", "'contians' is proposed and not expected"),
        ("steps: [{user: a, expect: {contains: a, proposed: [proposed]}}]", "'proposed' is proposed and not expected"),
        ("steps: [{user: a, expect: {contains: a, proposed: []}}]", "'proposed' is empty"),
        ("steps: [{user: a, expect: {sent: {}}}]", "'sent' is empty and always holds"),
        ("steps: [{user: a, expect: {not: {}}}]", "nothing is expected here"),
        ("steps: [{user: a, expect: {budget: {usd: -1}}}]", "usd cannot be -1"),
        ("steps: [{user: a, expect: {usage: {output_tokens: {min: 5, max: 2}}}}]", "no number is at least 5"),
        ("steps: [{user: a, expect: {sent: {messages: -1}}}]", "messages cannot be -1"),
        ("steps: [{user: a, expect: {events: [texxt]}}]", "'texxt' is no kind of event"),
        (
            "steps: [{user: a, fault: {do: reset}, expect: {conduct: {surfaced: connection_los}}}]",
            "'connection_los' is no way in which a turn ends",
        ),
        (
            "steps: [{user: a, fault: {do: reset}, expect: {conduct: {surfaced: error (bad_requests)}}}]",
            "'error (bad_requests)' is no way in which a turn ends",
        ),
        ("timeout: 0\nsteps: [{user: a}]", "timeout is more than 0"),
        ("tools: {f: {input: {a: strng}, answers: []}}\nsteps: [{user: a}]", "'strng' is no type of a tool's input"),
    ],
)
def test_the_linter_refuses_what_means_nothing(project: Project, text: str, message: str) -> None:
    project.write("scenarios/x.yaml", f"scenario: x\n{text}\n")

    done = project.convtest("check")

    assert done.code == 2
    assert message in done.err


def test_the_linter_warns_of_answers_that_no_request_could_hold(project: Project) -> None:
    project.write("scenarios/name.yaml", NAME.replace("answer: Ada", "answer: Bob"))

    assert "the answer 'Bob' does not stand in 'My name is Ada.'" in project.convtest("check").err
