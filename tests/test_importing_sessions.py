"""Session files of Claude Code: what its CLI writes down, hand-made and made by the real one."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from convtest.config import Profile
from convtest.play.mode import Mode
from convtest.play.perform import ready
from convtest.scenario.loading import load_file
from convtest.structs import replace
from tests.imported import SAID, Json, lines, session
from tests.importing import FORGETFUL, Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def chain(rows: Sequence[Json]) -> str:
    """The rows as one chain."""
    made, before = [], None
    for number, row in enumerate(rows):
        head = {"uuid": f"n{number}", "parentUuid": before, "sessionId": "s", "isSidechain": False}
        made.append({**head, **row})
        before = made[-1]["uuid"]
    return lines(made)


def user(content: object, **more: object) -> Json:
    return {"type": "user", "message": {"role": "user", "content": content}, **more}


def assistant(id: str, *blocks: Json, stop: str | None = "end_turn", **more: object) -> Json:
    message = {"id": id, "role": "assistant", "model": "m", "content": list(blocks), "stop_reason": stop}
    return {"type": "assistant", "message": message, **more}


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def use(id: str, **given: object) -> Json:
    return {"type": "tool_use", "id": id, "name": "mcp__house__look_up", "input": given}


def result(id: str, words: str, **more: object) -> Json:
    return user([{"type": "tool_result", "tool_use_id": id, "content": words, **more}])


def test_pieces_of_one_answer_are_one_and_parallel_tools_keep_their_results(bench: Bench) -> None:
    rows = [
        user("Where are the keys and the hat?"),
        assistant("m1", {"type": "thinking", "thinking": "Two things.", "signature": "x"}, stop=None),
        assistant("m1", text("Let me look."), stop=None),
        assistant("m1", use("t1", what="keys"), stop="tool_use"),
        assistant("m1", use("t2", what="hat"), stop="tool_use"),
        result("t2", "nowhere", is_error=True),
        result("t1", "in the hall"),
        assistant("m2", text("The keys are in the hall.")),
    ]

    (made,) = bench.imports(chain(rows), "s.jsonl").outcomes

    assert made.state == "simulates", made.why
    assert [len(turn.rounds) for turn in made.conversation.turns] == [2]
    assert "thinking: Two things.\n        text: Let me look." in bench.scenario
    assert "- when: {what: hat}\n        error: nowhere" in bench.scenario
    assert made.notes == ["tools of MCP servers are called without their server: mcp__house__look_up"]
    (played,) = bench.plays()
    assert played.verdict.passed


@pytest.mark.parametrize(
    ("rows", "step"),
    [
        (
            [assistant("m1", text("Once there was a"), stop=None), user([text("[Request interrupted by user]")])],
            "interrupt: {after: 4}",
        ),
        ([user([text("[Request interrupted by user]")])], "interrupt: {after: 0}"),
        (
            [
                assistant("m1", text("Let me look."), stop=None),
                assistant("m1", use("t1", what="keys"), stop="tool_use"),
                result("t1", "The user doesn't want to proceed", is_error=True),
                user([text("[Request interrupted by user for tool use]")]),
            ],
            "interrupt: {at: tool_use}",
        ),
    ],
)
def test_an_interrupt_is_one(bench: Bench, rows: list[Json], step: str) -> None:
    said = [user("My name is Ada."), assistant("m0", text("Hello.")), user("Tell me of a lighthouse.")]
    after = [user("What is my name?"), assistant("m9", text("Your name is Ada."))]

    (made,) = bench.imports(chain([*said, *rows, *after]), "s.jsonl").outcomes

    assert made.state == "simulates", made.why
    assert step in bench.scenario
    assert "ended: interrupted" in bench.scenario
    assert [played.verdict.passed for played in bench.plays()] == [True]
    assert [played.verdict.passed for played in bench.plays(kind="python", target=FORGETFUL)] == [False]


def test_what_nobody_said_is_left_out_and_said(bench: Bench) -> None:
    rows = [
        user("<command-name>/clear</command-name>"),
        user("Caveat: these messages were made by a hook.", isMeta=True),
        user([text("<system-reminder>\nToday is Monday.\n</system-reminder>"), text(SAID[0][0])]),
        assistant("m1", text(SAID[0][1])),
        {"type": "attachment", "attachment": {"type": "date"}},
        assistant("m2", text("API Error: 529"), isApiErrorMessage=True),
        user("So far we spoke of Ghent.", isCompactSummary=True),
        user(SAID[2][0]),
        assistant("m3", text(SAID[2][1])),
    ]
    apart = [{**row, "isSidechain": True, "sessionId": "s", "uuid": "x"} for row in (user("Look."), assistant("a"))]

    made = bench.imports(chain(rows) + lines(apart), "s.jsonl")

    assert made.found.left_out == [
        "what sub-agents said and heard: 2 messages",
        "a command that Claude Code carried out by itself",
        "a message that Claude Code wrote in the user's place",
        "an error that Claude Code shows as an answer: 'API Error: 529'",
        "the summary of a compaction: the conversation goes on with all that was said before it",
    ]
    assert [turn.prompt for turn in made.outcomes[0].conversation.turns] == [SAID[0][0], SAID[2][0]]
    assert [one.state for one in made.outcomes] == ["simulates"]


def test_going_back_leaves_a_branch(bench: Bench) -> None:
    rows = session()
    head = {"sessionId": "s1", "isSidechain": False}
    again = [
        {**head, **user("What is my name?"), "uuid": "u9", "parentUuid": "a0"},
        {**head, **assistant("m9", text("Your name is Ada.")), "uuid": "a9", "parentUuid": "u9"},
    ]

    made = bench.imports(lines([*rows, *again]), "s.jsonl")

    (turns,) = [one.conversation.turns for one in made.outcomes]
    assert [turn.prompt for turn in turns] == [SAID[0][0], "What is my name?"]
    assert made.found.left_out == ["branches that were left, as a rewind leaves them: 4 messages"]


def test_several_sessions_in_one_file_are_several_scenarios(bench: Bench) -> None:
    other = [{**row, "sessionId": "s2"} for row in session()]

    made = bench.imports(lines([*session(), *other]), "all.jsonl")

    assert [one.state for one in made.outcomes] == ["simulates", "simulates"]


TALK = """
scenario: talk
client: claude
tools:
  look_up:
    description: Where something is.
    input: {what: string}
    answers:
      - when: {what: keys}
        return: in the hall
      - error: nowhere
steps:
  - user: I live in Ghent.
  - user: Where are my keys?
    simulate:
      - text: Let me look.
        calls: [{look_up: {what: keys}}]
      - text: They are in the hall.
  - user: Tell me a long story about a lighthouse.
    interrupt: {after: 4}
    expect: {ended: interrupted}
  - user: And my hat?
    simulate:
      - calls: [{look_up: {what: hat}}]
      - text: I could not find it.
  - user: Which city do I live in?
"""


@pytest.mark.skipif(find_spec("claude_agent_sdk") is None, reason="the extra claude is not installed")
def test_what_the_real_cli_writes_down(bench: Bench) -> None:
    """A conversation with the real SDK and its CLI; its session file, imported; and that played by them again."""
    profile = Profile(
        name="claude", kind="claude_agent_sdk", upstream="simulator", options={"model": "claude-haiku-4-5"}
    )
    bench.config = replace(bench.config, clients={**bench.config.clients, "claude": profile})
    path = bench.put("talk.yaml", TALK)
    (scenario,) = load_file(path, bench.config)
    folder = bench.config.root / "first"
    folder.mkdir()
    played = ready(bench.config, scenario, Mode()).play(folder)
    assert played.verdict.passed, played.verdict
    (written,) = folder.glob("home/.claude/projects/*/*.jsonl")

    made = bench.takes(written)

    (outcome,) = made.outcomes
    assert outcome.state == "simulates", outcome.why
    assert [turn.prompt for turn in outcome.conversation.turns] == [
        turn.turn.prompt for turn in played.transcript.turns()
    ]
    assert [turn.interrupted for turn in outcome.conversation.turns] == [False, False, True, False, False]
    assert "description: Where something is.\n    input: {what: string}" in bench.scenario
    assert "text: Once there was a (and so on" in bench.scenario
    assert "- ask: city" in bench.scenario
    assert str(bench.config.root) not in bench.scenario
    assert [one.verdict.passed for one in bench.plays(kind="python", target=FORGETFUL)] == [False]
    bench.config = replace(bench.config, client="claude")
    (again,) = bench.plays()
    assert again.verdict.passed, again.verdict
    assert [bool(turn.calls) for turn in again.transcript.turns()] == [False, True, False, True, False]
