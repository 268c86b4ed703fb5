"""The real Claude Agent SDK with the CLI it bundles, behind the gateway: simulated, recorded and replayed."""

import mmap
import os
import re
import threading
import time
from pathlib import Path
from textwrap import dedent
from typing import Any

import claude_agent_sdk
import psutil
import pytest

from convtest.cassettes import store
from convtest.checks.habits import is_kept
from convtest.clients.claude.sessions import StoredSessions
from convtest.clients.prices import usd
from convtest.config import Config, Profile
from convtest.errors import ClientError
from convtest.events import Usage
from convtest.play.mode import Mode
from convtest.play.perform import Played, perform
from convtest.play.prepare import prepare
from convtest.reporting.failure import failure_text
from convtest.reporting.snapshot import snapshot_text
from convtest.structs import replace
from convtest.wire.blocks import Block
from tests.playing import Stage, checks_of, finding_of
from tests.project import Project

QUICK = {"CLAUDE_CODE_MAX_RETRIES": "1"}
"""The CLI tries again for three minutes otherwise."""

BUNDLED = Path(claude_agent_sdk.__file__).parent / "_bundled"


def claude(**options: Any) -> Profile:
    given = {"model": "claude-haiku-4-5", "system": "You are terse.", "time_limit": 30, **options}
    return Profile(name="assistant", kind="claude_agent_sdk", upstream="simulator", options=given, env=QUICK)


def play(stage: Stage, text: str, profile: Profile | None = None, mode: Mode | None = None) -> Played:
    (scenario,) = stage.scenarios(dedent(HEAD) + dedent(text))
    config: Config = replace(stage.config(), clients={"assistant": profile or claude()})
    stage.runs += 1
    folder = stage.root / f"run-{stage.runs}"
    folder.mkdir()
    return perform(prepare(config, scenario, mode or Mode()), folder)


def report(played: Played) -> str:
    if played.verdict.passed:
        return ""
    return failure_text(played.result())


HEAD = """\
    scenario: claude
    timeout: 40s
    facts:
      who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
    tools:
      look_up:
        description: Looks something up.
        input: {what: string}
        answers: [{when: {what: it}, return: in the attic}]
    steps:
    - tell: who
    """
STORY = "- user: Tell me a long story about a lighthouse."
CONVERSATIONS = {
    "turns": """
    - ask: who
      expect: {sent: {contains: You are terse., messages: 3}}
    - ask: who
    """,
    "interrupt before the first byte": f"""
    {STORY}
      interrupt: {{after: 0}}
      expect: {{ended: interrupted}}
    - ask: who
    """,
    "interrupt at the first event": f"""
    {STORY}
      interrupt: {{at: first_event}}
      expect: {{ended: interrupted}}
    - ask: who
    """,
    "interrupt after seven events": f"""
    {STORY}
      interrupt: {{after: 7}}
      expect: {{ended: interrupted, history: {{contains: lighthouse}}}}
    - ask: who
    """,
    "interrupt twice": f"""
    {STORY}
      disturb: [{{do: interrupt, after: 3}}, {{do: interrupt, after: 3}}]
      expect: {{ended: interrupted}}
    - ask: who
    """,
    "interrupt in thinking": """
    - user: Think about it.
      simulate: {thinking: well that is a long thought about many things, text: Done.}
      interrupt: {at: thinking}
      expect: {ended: interrupted}
    - ask: who
    """,
    "a tool": """
    - user: Look it up.
      simulate: [{calls: [{look_up: {what: it}}]}, {text: Here it is.}]
      expect: {calls: [{look_up: {what: it}}], sent: {contains: in the attic}, contains: Here it is.}
    - ask: who
    """,
    "two tools at once": """
    - user: Look both up.
      simulate: [{calls: [{look_up: {what: it}}, {look_up: {what: that}}]}, {text: One of them.}]
      expect: {sent: {contains: [in the attic, the scenario has no answer]}, contains: One of them.}
    - ask: who
    """,
    "interrupt at a tool use": """
    - user: Look it up.
      simulate: [{calls: [{look_up: {what: it}}]}, {text: Here it is.}]
      interrupt: {at: tool_use}
      expect: {ended: {one_of: [interrupted, complete]}}
    - ask: who
    """,
    "interrupt at the turn's end": """
    - user: What is 1 + 1?
      interrupt: {at: turn_end}
      expect: {contains: "2"}
    - ask: who
    """,
    "interrupt with a second prompt queued": f"""
    {STORY}
      during:
        after: 3
        steps:
          - ask: who
      interrupt: {{after: 4}}
      expect: {{ended: interrupted}}
    - ask: who
    """,
    "a fork with an id of its own": """
    - fork: main
      as: other
      options: {session_id: 22222222-3333-4444-8555-666666666666}
    - session: other
      ask: who
    """,
    "resume while the first goes on": """
    - resume: main
      as: two
    - session: two
      user: I live in Ghent.
    - ask: who
      expect: {sent: {lacks: Ghent}}
    """,
    "two that resume one session at once": """
    - resume: main
      as: two
    - resume: main
      as: three
    - session: two
      user: I live in Ghent.
    - session: three
      ask: who
      expect: {sent: {lacks: Ghent}}
    """,
    "resume": """
    - resume: main
      expect: {session: same, history: intact}
    - ask: who
    """,
    "resume after an interrupt": f"""
    {STORY}
      interrupt: {{after: 4}}
      expect: {{ended: interrupted}}
    - resume: main
      expect: {{session: same}}
    - ask: who
    """,
    "resume of an unknown id": """
    - resume: lost
      session_id: 00000000-0000-4000-8000-000000000000
      expect: {error: session_not_found}
    - ask: who
    """,
    "resume of what is no id": """
    - resume: lost
      session_id: not-an-id
      expect: {error: session_not_found}
    - ask: who
    """,
    "fork leaves the original untouched": """
    - fork: main
      as: other
    - session: other
      user: Call me Grace from now on.
    - session: other
      user: What did I say first?
      expect: {sent: {contains: Grace}}
    - ask: who
      expect: {sent: {lacks: Grace}}
    """,
    "a fork of a fork": """
    - fork: main
      as: second
    - session: second
      ask: who
    - fork: second
      as: third
    - session: third
      ask: who
      expect: {sent: {messages: 5}}
    """,
    "continue": """
    - continue: main
    - ask: who
    """,
    "kill in mid-text": f"""
    {STORY}
      disturb: {{do: kill, after: 3}}
      expect: {{ended: connection_lost}}
    - resume: main
    - ask: who
    """,
    "kill between turns": """
    - ask: who
    - kill: main
    - resume: main
      expect: {session: same}
    - ask: who
    """,
    "disconnect in mid-text": f"""
    {STORY}
      disturb: {{do: disconnect, after: 3}}
      expect: {{ended: connection_lost}}
    - resume: main
    - ask: who
    """,
    "save and restore": """
    - save: main
    - user: Call me Grace from now on.
    - restore: main
      as: other
    - session: other
      ask: who
      expect: {sent: {lacks: Grace}}
    """,
    "fork at a turn": """
    - user: I live in Ghent.
      id: city
    - user: Call me Grace from now on.
    - fork: main
      as: other
      at: city
    - session: other
      ask: who
      expect: {sent: {contains: Ghent, lacks: Grace}}
    """,
    "delete": """
    - save: main
    - delete: main
    - restore: main
      as: other
      expect: {error: session_not_found}
    """,
    "clear": """
    - clear: main
    - ask: who
      expect: {not: {knows: who}}
    """,
    "compact": """
    - user: I live in Ghent.
    - compact: main
    - user: What is 2 + 3?
      expect: {contains: "5"}
    """,
    "many clients at once": """
    - together:
        - - {session: main, ask: who}
        - - {resume: main, as: two}
          - {session: two, ask: who}
    """,
    "another session in mid-turn": f"""
    - fork: main
      as: other
    {STORY}
      during:
        after: 3
        steps:
          - {{session: other, ask: who}}
    - ask: who
    """,
    "a second prompt in mid-turn": f"""
    {STORY}
      during:
        after: 3
        steps:
          - ask: who
    - ask: who
    """,
    "permission mode set": """
    - set: main
      options: {permission_mode: acceptEdits}
    - user: Look it up.
      simulate: [{calls: [{look_up: {what: it}}]}, {text: Here it is.}]
      expect: {contains: Here it is.}
    """,
}


@pytest.mark.parametrize("text", CONVERSATIONS.values(), ids=list(CONVERSATIONS))
def test_it_is_the_same_simulated_recorded_and_replayed(stage: Stage, text: str) -> None:
    simulated = play(stage, text)
    recorded = play(stage, text, mode=Mode(record="all"))
    replayed = play(stage, text)

    assert [report(one) for one in (simulated, recorded, replayed)] == ["", "", ""]
    assert replayed.transcript.source == "replayed"
    shown = [snapshot_text(one.result()).splitlines()[2:] for one in (recorded, replayed)]
    assert shown[0] == shown[1]


def test_max_turns_a_denied_tool_and_a_budget_have_their_names(stage: Stage) -> None:
    text = """
    - user: Look it up.
      simulate: [{calls: [{look_up: {what: it}}]}, {text: Here it is.}]
      expect: {ended: max_turns}
    """
    denied = """
    - user: Write it down.
      simulate: [{calls: [{Write: {file_path: notes.md, content: no}}]}, {text: I may not.}]
      expect: {denied: [Write], files: {notes.md: null}, contains: I may not.}
    - ask: who
    """
    budget = "- user: What is 1 + 1?\n  expect: {ended: budget}\n"

    assert report(play(stage, text, claude(max_turns=1))) == ""
    assert report(play(stage, denied, claude(tools=["Write"], permission_mode="dontAsk"))) == ""
    assert report(play(stage, budget, claude(max_budget_usd=0.0002))) == ""


def test_a_session_id_of_ones_own_is_kept_and_refused_the_second_time(stage: Stage) -> None:
    text = """
    - ask: who
    - connect: main
      expect: {error: session_in_use}
    """
    id = "11111111-2222-4333-8444-555555555555"

    outcome = play(stage, text, claude(session_id=id))

    assert report(outcome) == ""
    assert outcome.transcript.turns()[0].session_id == id


BUSY = """
    - user: Do it.
      simulate: [{calls: [{%s}]}, {text: Done.}]
      disturb: {do: %s, at: tool_use}
      expect: {ended: {one_of: [%s]}}
    %s
    - ask: who
    """
SLOW: dict[str, tuple[str, dict[str, Any]]] = {
    "mcp tool": ("dawdle: {}", {"python_tools": ["tests.claude_clients:dawdle"]}),
    "bash": ("Bash: {command: sleep 30}", {"tools": ["Bash"], "allowed_tools": ["Bash"]}),
    "permission": (
        "Write: {file_path: a.md, content: a}",
        {"tools": ["Write"], "can_use_tool": "tests.claude_clients:never_decides"},
    ),
}


@pytest.mark.parametrize(("call", "options"), SLOW.values(), ids=list(SLOW))
@pytest.mark.parametrize(
    ("do", "ended", "then"),
    [
        ("interrupt", "interrupted", ""),
        ("kill", "connection_lost", "- resume: main"),
        ("disconnect", "connection_lost, interrupted", "- resume: main"),
    ],
)
def test_what_runs_is_given_up_and_leaves_nothing(
    stage: Stage, call: str, options: dict[str, Any], do: str, ended: str, then: str
) -> None:
    started = time.monotonic()

    outcome = play(stage, BUSY % (call, do, ended, then), claude(**options))

    assert report(outcome) == ""
    assert time.monotonic() - started < 25
    assert [process for process in psutil.process_iter() if _is_of(process, stage.root)] == []


def test_an_interrupt_ends_a_back_off(stage: Stage) -> None:
    text = """
    - user: What is 1 + 1?
      disturb: [{do: status, status: 529, times: 50}, {do: interrupt, after: 0}]
      expect: {ended: interrupted}
    - ask: who
    """
    patient = replace(claude(), env={"CLAUDE_CODE_MAX_RETRIES": "10"})

    assert report(play(stage, text, patient)) == ""


@pytest.mark.parametrize("client", ["NotReading", "CancelsItsReader", "ReconnectsItself", "ElsewhereOnResume"])
def test_habits_of_users_that_the_client_stands(stage: Stage, client: str) -> None:
    # Whether an interrupt comes before the end of what nobody has read yet is luck.
    text = f"""
    - user: Tell me everything.
      simulate: {{words: 300}}
      expect: {{ended: {"{one_of: [complete, interrupted]}" if client == "NotReading" else "complete"}}}
    - ask: who
    - resume: main
    - ask: who
    """

    outcome = play(stage, text, user(client))

    assert report(outcome) == ""


def user(client: str) -> Profile:
    return replace(claude(), kind="python", target=f"tests.claude_clients:{client}", gateway=True)


@pytest.mark.parametrize(
    ("client", "check", "says"),
    [
        ("SameUuid", "client", "TimeoutError: the SDK did not come back within 5 s from: a message after"),
        ("BreaksAndInterrupts", "prompts_once", "the turn's own prompt is not in the request"),
    ],
)
def test_mistakes_of_users_are_named(stage: Stage, client: str, check: str, says: str) -> None:
    text = "- user: Tell me everything.\n  simulate: {words: 300}\n- user: What is 1 + 1?\n- user: What is 2 + 3?\n"
    hasty = replace(user(client), options={**claude().options, "time_limit": 5})

    outcome = play(stage, text, hasty)

    found = [one for one in outcome.verdict.findings if one.check == check]
    assert [one for one in found if says in one.message + one.seen], report(outcome)


def test_what_the_result_says_stands_in_the_transcript(stage: Stage) -> None:
    text = """
    - user: Look it up.
      simulate: [{calls: [{look_up: {what: it}}]}, {text: Here it is.}]
      fault: {status: 529}
      expect: {contains: Here it is.}
    """

    end = play(stage, text).transcript.turns()[1].end

    assert end is not None
    assert (end.rounds, end.reason, len(end.retried)) == (2, "end_turn completed", 1)
    assert end.retried[0].startswith("529 after ")
    assert end.usage.output_tokens > 0
    assert end.usd is not None


def test_an_mcp_server_of_ones_own_is_asked(stage: Stage) -> None:
    text = """
    - user: Ask the library.
      simulate: [{calls: [{shelf: {title: Emma}}]}, {text: It stands there.}]
      expect: {sent: {contains: Emma stands on shelf 7}}
    """
    servers = {"library": "tests.claude_clients:library"}

    outcome = play(stage, text, claude(mcp_servers=servers, allowed_tools=["mcp__library__shelf"]))

    assert report(outcome) == ""


def test_a_stopped_cli_is_named_and_ended(stage: Stage) -> None:
    outcome = play(stage, "- ask: who\n", replace(user("Stopped"), options={**claude().options, "time_limit": 3}))

    assert "did not come back within 3 s" in finding_of(outcome, "client").seen
    assert [process for process in psutil.process_iter() if _is_of(process, stage.root)] == []


def test_an_older_cli_is_started_without_a_word(stage: Stage) -> None:
    """The SDK asks it for its version and goes on: docs/claude-agent-sdk.md says so."""
    bundled = Path(claude_agent_sdk.__file__).parent / "_bundled" / "claude"
    old = stage.root / "claude"
    old.write_text(f"#!/bin/sh\n[ $1 = -v ] && echo '1.0.0 (Claude Code)' && exit 0\nexec {bundled} \"$@\"\n")
    old.chmod(0o755)

    assert report(play(stage, "- ask: who\n", claude(cli_path=str(old)))) == ""


def test_without_the_extra_items_are_skipped_and_strict_refuses_them(project: Project) -> None:
    profile = 'kind = "claude_agent_sdk"\nmodel = "claude-haiku-4-5"\nupstream = "simulator"\n'
    project.write("pyproject.toml", f"[tool.convtest]\n[tool.convtest.clients.claude]\n{profile}")
    project.write("scenarios/talk.yaml", "scenario: talk\nsteps: [{user: Hello.}]\n")
    project.write("conftest.py", "from convtest.clients import registry\nregistry.find_spec = lambda name: None\n")

    skipped = project.pytest("-rs", "-p", "no:cacheprovider")
    strict = project.pytest("--convtest-strict", "-p", "no:cacheprovider")

    assert skipped.counts() == {"skipped": 1}
    assert "client 'claude' needs: pip install 'convtest[claude]'" in skipped.out
    assert strict.counts() == {"error": 1}
    assert "it cannot be used — client 'claude'\n    pip install 'convtest[claude]'" in strict.out


def test_a_run_leaves_no_temporary_folder(project: Project, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    project.environment = {"TMPDIR": str(temporary)}
    profile = 'kind = "claude_agent_sdk"\nmodel = "claude-haiku-4-5"\nupstream = "simulator"\n'
    project.write("pyproject.toml", f"[tool.convtest]\n[tool.convtest.clients.claude]\n{profile}")
    project.write(
        "scenarios/talk.yaml", "scenario: talk\nsteps: [{user: Hello.}, {resume: main}, {user: What is 1 + 1?}]\n"
    )

    done = project.pytest("-p", "no:cacheprovider")

    assert done.counts() == {"passed": 1}, done.text
    assert list(temporary.iterdir()) == []


def test_a_prompt_while_a_tool_runs_is_folded_into_the_turn_and_its_own_never_ends(stage: Stage) -> None:
    text = """
    - user: Do it.
      simulate: [{calls: [{dawdle: {}}]}, {text: Done.}]
      during:
        at: tool_use
        steps:
          - user: And what is 1 + 1?
    """
    hasty = claude(python_tools=["tests.claude_clients:briefly"], time_limit=5)

    outcome = play(stage, text.replace("dawdle", "briefly"), hasty)

    assert "did not come back within 5 s" in finding_of(outcome, "client").seen


def test_continue_with_nothing_to_continue_begins(stage: Stage) -> None:
    (scenario,) = stage.scenarios("scenario: new\nsteps: [{continue: main}, {user: What is 1 + 1?}]\n")
    config: Config = replace(stage.config(), clients={"assistant": claude()})
    folder = stage.root / "run"
    folder.mkdir()

    assert report(perform(prepare(config, scenario, Mode()), folder)) == ""


def test_a_stall_ends_by_the_clis_own_limit(stage: Stage) -> None:
    text = "- user: Tell me a story.\n  fault: {do: stall, after: 5}\n- ask: who\n"
    env = {**QUICK, "CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS": "10000"}

    assert report(play(stage, text, replace(claude(), env=env))) == ""


def test_after_an_answer_of_blanks_the_cli_asks_on_and_both_are_what_was_streamed(stage: Stage) -> None:
    played = play(stage, '      - {user: Say something., simulate: {text: "   "}}\n')

    asked = played.transcript.turns()[-1].interactions
    assert report(played) == ""
    assert [bool(one.reply()["content"][0]["text"].strip()) for one in asked] == [False, True]


def test_hooks_run(stage: Stage) -> None:
    HOOKED.clear()
    hooks = {"UserPromptSubmit": ["tests.test_claude:hook"], "Stop": ["tests.test_claude:hook"]}

    outcome = play(stage, "- ask: who\n", claude(hooks=hooks))

    assert report(outcome) == ""
    assert HOOKED == ["UserPromptSubmit", "Stop"] * 2


HOOKED: list[str] = []


async def hook(given: Any, tool_use_id: str | None, context: Any) -> dict[str, Any]:
    HOOKED.append(given["hook_event_name"])
    return {}


def test_an_interrupt_of_an_idle_session_changes_nothing(stage: Stage) -> None:
    outcome = play(
        stage,
        "- ask: who\n- ask: who\n",
        replace(claude(), kind="python", target="tests.claude_clients:idle", gateway=True),
    )

    assert report(outcome) == ""


def test_a_line_that_is_too_long_ends_the_session_by_name_and_not_the_next_item(stage: Stage) -> None:
    text = "- user: Tell me everything.\n  simulate: {words: 8000}\n  expect: {ended: connection_lost}\n"

    assert report(play(stage, text, claude(max_buffer_size=30_000))) == ""
    assert report(play(stage, "- ask: who\n")) == ""


def test_a_kill_waits_until_the_prompt_is_written_down(stage: Stage) -> None:
    """The CLI writes its session file ten times a second: without the wait luck decides what a recording holds."""
    text = f"""
    {STORY}
      disturb: {{do: kill, after: 0}}
      expect: {{ended: connection_lost}}
    - resume: main
    - user: What did I say?
      expect: {{sent: {{contains: lighthouse}}}}
    """

    for mode in (Mode(), Mode(record="all"), Mode(), Mode()):
        assert report(play(stage, text, mode=mode)) == ""


def test_a_kill_that_waits_for_nothing_may_lose_the_prompt_and_nothing_else(stage: Stage) -> None:
    text = f"""
    {STORY}
      disturb: {{do: kill, after: 0}}
      expect: {{ended: connection_lost}}
    - resume: main
    - ask: who
    """

    for _ in range(3):
        assert report(play(stage, text, claude(settle=0))) == ""


def test_a_kill_waits_for_what_the_prompt_goes_on_from_too(tmp_path: Path) -> None:
    """The CLI does not write in order: a prompt may be on disk before the answer that it follows."""
    stored, sessions = tmp_path / "session.jsonl", StoredSessions(tmp_path)
    stored.write_text(
        '{"parentUuid":null,"uuid":"a"}\n{"parentUuid":"b","uuid":"c","text":"\\"parentUuid\\":\\"z\\""}\n'
    )

    def write() -> None:
        with stored.open("a") as file:
            file.write('{"parentUuid":"a","uuid":"b"}\n')

    later = threading.Timer(0.1, write)
    later.start()
    sessions.settle({'"uuid":"c"': 1}, 5)
    found = sessions.holds('"uuid":"b"')
    later.join()

    assert found == 1
    sessions.settle({'"uuid":"c"': 1}, 600)  # all of it is there


def test_a_kill_waits_for_nothing_that_never_comes(tmp_path: Path) -> None:
    (tmp_path / "session.jsonl").write_text('{"parentUuid":"b","uuid":"c"}\n')

    StoredSessions(tmp_path).settle({'"uuid":"c"': 1}, 0.05)


def test_what_the_cli_takes_away_while_its_sessions_are_read_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = tmp_path / "projects" / "here" / "session.jsonl"
    stored.parent.mkdir(parents=True)
    stored.write_text('{"uuid":"a"}\n')
    (stored.parent / "gone.jsonl").symlink_to(tmp_path / "nowhere")
    lock = tmp_path / ".claude.json.lock"
    lock.mkdir()
    listed = os.scandir

    def take_the_lock_away(path: Any) -> Any:
        if Path(path) == lock:
            lock.rmdir()
        return listed(path)

    monkeypatch.setattr(os, "scandir", take_the_lock_away)

    assert StoredSessions(tmp_path).holds('"uuid":"a"') == 1
    assert not lock.exists()


ONE_SHOTS = f"""
    - ask: who
      expect: {{sent: {{messages: 3}}}}
    - user: Look it up.
      simulate: [{{calls: [{{look_up: {{what: it}}}}]}}, {{text: Here it is.}}]
      expect: {{contains: Here it is., sent: {{contains: in the attic}}}}
    {STORY}
      interrupt: {{after: 3}}
      expect: {{ended: interrupted}}
    - ask: who
    - resume: main
      expect: {{session: same}}
    - ask: who
    - fork: main
      as: other
    - session: other
      ask: who
    - {{session: other, user: Call me Grace from now on.}}
    - ask: who
      expect: {{sent: {{lacks: Grace}}}}
    """


def test_one_shots_resume_their_session(stage: Stage) -> None:
    found = [play(stage, ONE_SHOTS, claude(mode="query"), mode) for mode in (Mode(), Mode(record="all"), Mode())]

    assert [report(one) for one in found] == ["", "", ""]
    assert found[2].transcript.source == "replayed"


def test_one_shots_of_an_unknown_session_are_refused(stage: Stage) -> None:
    text = """
    - resume: lost
      session_id: 00000000-0000-4000-8000-000000000000
    - session: lost
      user: Hello.
      expect: {error: session_not_found}
    - ask: who
    """

    assert report(play(stage, text, claude(mode="query"))) == ""


FAULTS: dict[str, tuple[str, str]] = {
    "529": ("{status: 529, times: 9}", "overloaded"),
    "429": ("{status: 429, times: 9}", "rate_limited"),
    "500": ("{status: 500, times: 9}", "error"),
    "401": ("{status: 401, times: 9}", "error, error: not_authenticated"),
    "404": ("{status: 404, times: 9}", "error, error: model_not_found"),
    "400": ("{status: 400, times: 9}", "error, error: bad_request"),
    "529 once": ("{status: 529, times: 1}", "complete"),
    "reset": ("{do: reset, after: 5}", "{one_of: [complete, connection_lost, error]}"),
    "close": ("{do: close, after: 5}", "{one_of: [complete, connection_lost, error]}"),
    "malformed": ("{do: malformed, after: 5}", "{one_of: [complete, error]}"),
    "error event": ("{do: error_event, after: 5}", "{one_of: [complete, overloaded, error]}"),
}


@pytest.mark.parametrize(("fault", "ended"), FAULTS.values(), ids=list(FAULTS))
def test_a_fault_ends_in_a_named_error_and_the_next_turn_is_unharmed(stage: Stage, fault: str, ended: str) -> None:
    text = f"""
    - user: Tell me a story about a lighthouse.
      fault: {fault}
      expect: {{ended: {ended}}}
    - ask: who
    """

    outcome = play(stage, text)

    assert report(outcome) == ""


WRITES = """
    - user: Write it down, then look at it.
      simulate:
        - calls: [{Write: {file_path: notes.md, content: it}}]
        - calls: [{Read: {file_path: notes.md}}]
        - calls: [{Glob: {pattern: "*.md"}}]
        - text: It is written down.
      expect: {files: {notes.md: it}, contains: It is written down.}
"""


@pytest.mark.parametrize(
    ("text", "options"),
    [(CONVERSATIONS["a tool"], {}), (WRITES, {"tools": ["Write", "Read", "Glob"], "permission_mode": "acceptEdits"})],
    ids=["simple", "all tools"],
)
def test_two_recordings_in_two_folders_replay_each_other(tmp_path: Path, text: str, options: dict[str, Any]) -> None:
    text = text.rstrip() + "\n    - resume: main\n    - ask: who\n"
    stages = [Stage(tmp_path / name) for name in ("one", "two")]
    for stage in stages:
        stage.root.mkdir()
        assert report(play(stage, text, claude(**options), Mode(record="all"))) == ""
    one, two = (stage.cassette() for stage in stages)
    first, second = one.read_bytes(), two.read_bytes()

    one.write_bytes(second)
    two.write_bytes(first)

    assert first != second
    assert [report(play(stage, text, claude(**options))) for stage in stages] == ["", ""]
    keys = [[i.canonical.key for i in store.load(path, shown="c")] for path in (one, two)]
    assert keys[0] == keys[1]
    assert str(tmp_path) not in first.decode() + second.decode()


def test_a_session_file_that_lost_its_history_is_caught_on_the_wire(stage: Stage) -> None:
    text = CONVERSATIONS["resume"]
    assert report(play(stage, text, mode=Mode(record="all"))) == ""

    outcome = play(stage, text, replace(claude(), kind="python", target="tests.claude_clients:doctored", gateway=True))

    assert ("history", "wire") in checks_of(outcome)


def test_a_reader_that_breaks_early_is_a_turn_behind_and_told_so(stage: Stage) -> None:
    text = """
    - user: What is 1 + 1?
    - user: What is 2 + 3?
    - user: What is 3 + 4?
    """

    outcome = play(
        stage, text, replace(claude(), kind="python", target="tests.claude_clients:breaks_early", gateway=True)
    )

    found = finding_of(outcome, "one_end")
    assert "the reply belongs to an earlier turn" in found.message
    assert "read each turn to its end" in found.advice


def test_no_cli_says_what_to_install(stage: Stage) -> None:
    with pytest.raises(
        ClientError, match=r"no Claude Code CLI: .*\n    the extra brings one: pip install 'convtest\[claude\]'"
    ):
        play(stage, "- ask: who\n", claude(cli_path="/nowhere/claude"))


def test_a_cli_that_dies_at_start_is_named(stage: Stage) -> None:
    dying = stage.root / "claude"
    dying.write_text("#!/bin/sh\necho 'no licence' >&2\nexit 3\n")
    dying.chmod(0o755)

    outcome = play(stage, "- ask: who\n", claude(cli_path=str(dying)))

    assert "its last words: no licence" in finding_of(outcome, "client").seen


def test_nothing_is_left(stage: Stage) -> None:
    play(stage, CONVERSATIONS["kill in mid-text"])

    assert [process for process in psutil.process_iter() if _is_of(process, stage.root)] == []


def _is_of(process: psutil.Process, root: Path) -> bool:
    try:
        lives = process.status() != psutil.STATUS_ZOMBIE
        return lives and process.environ().get("HOME", "").startswith(str(root))
    except psutil.Error:
        return False


@pytest.mark.parametrize(
    ("given", "kept", "same"),
    [
        ('{"path":"a"}', '{"path":"a","replace_all":false}', True),
        ('{"path":"a"}', '{"path":"a"}', True),
        ('{"path":"a"}', '{"path":"b","replace_all":false}', False),
        ('{"path":"a","old":"x"}', '{"path":"a","replace_all":false}', False),
        ('{"path":"a"}', '{"replace_all":false}', False),
    ],
)
def test_arguments_that_the_cli_fills_in_are_its_habit_and_lost_ones_are_not(given: str, kept: str, same: bool) -> None:
    before, found = (Block("assistant", "tool_use", f"Edit {arguments}") for arguments in (given, kept))

    assert is_kept(before, found) == same
    assert not is_kept(before, Block("assistant", "tool_use", f"Read {kept}"))


def test_every_model_that_the_bundled_cli_knows_has_its_price() -> None:
    """Its catalogue stands in it as text: `{id:"claude-…",family:…}`, and the models that its aliases mean."""
    (binary,) = (path for path in BUNDLED.iterdir() if path.stat().st_size > 1_000_000)
    with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        known = {found[1].decode() for found in re.finditer(rb'\{id:"(claude-[a-z0-9-]+)",family:', data)}
        aliases = {
            found[1].decode() for found in re.finditer(rb'[{,](?:opus|sonnet|haiku):\{default:"(claude-[^"]+)"', data)
        }

    assert len(known) > 10
    assert len(aliases) >= 3
    assert sorted(name for name in known | aliases if usd(name, Usage()) is None) == []
