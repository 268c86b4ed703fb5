"""What applications do to a client: they end it by a signal, have it work elsewhere, ask nothing."""

from collections.abc import Mapping
from typing import Any

import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening, SessionError
from convtest.config import Profile
from convtest.errors import MissingCapability, ScenarioError
from convtest.play.mode import Mode
from convtest.play.perform import Played
from convtest.structs import replace
from tests.playing import Stage, checks_of, finding_of

STORY = """
scenario: ended by a signal
timeout: 6s
steps:
  - user: My name is Ada.
  - user: Tell me a long story about a lighthouse.
    disturb: {do: %s, after: 3}
    expect: {ended: connection_lost}
  - resume: main
  - user: What is my name?
    expect: {contains: Ada}
"""


def own(stage: Stage, text: str, mode: Mode | None = None) -> Played:
    """With a client in a process of its own, which keeps its sessions on disk."""
    profile = Profile(
        name="assistant", kind="python", target="convtest.clients.messages.client:MessagesClient", own_process=True,
        upstream="simulator", options={"model": "claude-haiku-4-5"},
    )  # fmt: skip
    return stage.play_with(replace(stage.config(), clients={"assistant": profile}), text, mode)


def test_a_program_that_is_terminated_is_lost_and_resumed(stage: Stage) -> None:
    assert checks_of(own(stage, STORY % "terminate", Mode(record="once"))) == []
    assert checks_of(own(stage, STORY % "terminate")) == []


def test_a_program_that_is_stopped_says_nothing_more(stage: Stage) -> None:
    found = finding_of(own(stage, STORY % "stop"), "timeout")

    assert found.step == 2
    assert "3 events yielded" in found.seen


def test_a_client_without_a_process_gets_no_signal(stage: Stage) -> None:
    with pytest.raises(MissingCapability, match=r"this step needs send_signal\(\), which the client does not have"):
        stage.play(STORY % "terminate")


FOLDERS: list[str] = []


class Notes(MessagesClient):
    """It notes the folder that it is to work in."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        assert opening.workspace.is_dir()
        FOLDERS.append(opening.workspace.name)


def test_a_session_works_in_the_folder_that_it_declares(stage: Stage) -> None:
    FOLDERS.clear()
    text = """
        scenario: elsewhere
        sessions: {main: {}, elsewhere: {cwd: app/src}, long: {cwd: %s}}
        steps:
          - user: What is 1 + 1?
          - {session: elsewhere, user: What is 1 + 2?}
          - {fork: elsewhere, as: forked}
          - {session: forked, user: What is 1 + 3?}
          - {session: long, user: What is 1 + 4?}
    """
    assert checks_of(stage.play(text % ("a" * 200), "tests.test_applications:Notes")) == []
    assert FOLDERS == ["workspace", "src", "src", "a" * 200]


@pytest.mark.parametrize(
    ("cwd", "says"),
    [
        ("../x", "lies outside the workspace"),
        ("/tmp", "lies outside the workspace"),
        ("a" * 256, "more than 255 bytes"),
    ],
)
def test_a_folder_that_cannot_be_is_an_error_of_the_scenario(stage: Stage, cwd: str, says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        stage.scenarios(f"scenario: x\nsessions: {{main: {{cwd: {cwd}}}}}\nsteps: [{{user: Hello.}}]\n")


class RefusesToSet(MessagesClient):
    async def set(self, options: Mapping[str, Any]) -> None:
        raise SessionError("bad_request", f"not {options!r}")


def test_what_was_refused_is_not_set_when_the_session_is_opened_again(stage: Stage) -> None:
    text = """
        scenario: refused
        steps:
          - user: What is 1 + 1?
          - {set: main, options: {model: claude-opus-4-5}, expect: {error: bad_request}}
          - {resume: main}
          - {user: What is 1 + 2?, expect: {sent: {model: claude-haiku-4-5}}}
    """
    assert checks_of(stage.play(text, "tests.test_applications:RefusesToSet")) == []


@pytest.mark.parametrize("prompt", ["''", '" \\n"'])
def test_a_blank_prompt_is_warned_of_and_its_answer_is_the_clients(stage: Stage, prompt: str) -> None:
    text = f"scenario: x\nsteps: [{{user: {prompt}, expect: {{error: bad_request}}}}, {{user: What is 1 + 1?}}]\n"

    (scenario,) = stage.scenarios(text)
    assert [line for line in scenario.warnings if "the prompt is blank" in line]
    assert finding_of(stage.play(text.replace("expect: {error: bad_request}", "expect: {ended: complete}")), "ended")


def test_no_other_prompt_is_warned_of(stage: Stage) -> None:
    (scenario,) = stage.scenarios("scenario: x\nsteps: [{user: ., expect: {ended: complete}}]\n")

    assert scenario.warnings == ()
