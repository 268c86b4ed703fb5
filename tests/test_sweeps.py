"""Sweeps from outside: items, marks, the grid, what is refused; and that a point is where its name says."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtest.cassettes import store
from convtest.errors import NothingToSweep, ScenarioError
from convtest.play.mode import Mode
from convtest.play.perform import Played, perform
from convtest.play.prepare import prepare
from convtest.play.sweeping import in_pieces, points
from convtest.wire.counting import rounds_of
from convtest.wire.interaction import Chunk
from tests.playing import Stage, checks_of
from tests.project import SECTION, Project
from tests.test_real_recordings import STREAMS, needs_streams

STORY = """\
scenario: a story
id: story
facts:
  who:
    tell: My name is Ada.
    ask: What is my name?
    answer: Ada
tools:
  look:
    input: {what: string}
    answers:
      - return: here
steps:
  - tell: who
  - user: Tell me a story.
    id: swept
    simulate:
      - thinking: Where is it?
        text: I look.
        calls:
          - look: {what: it}
      - text: It is here.
sweep:
  turn: swept
  disturb: [interrupt, kill, reset, 529]
"""
KINDS = ["request", *["thinking"] * 3, *["text"] * 2, "tool_use", "tool_result", *["text"] * 3]
LEAVES_OPEN = """\
from convtest.clients.messages.client import MessagesClient


class Open(MessagesClient):
    def _answer_open(self, calls, why):
        pass
"""
OPEN = SECTION.replace('kind = "messages"', 'kind = "python"\ntarget = "client:Open"')


@pytest.fixture
def story(project: Project) -> Project:
    project.write("scenarios/story.yaml", STORY)
    return project


def collected(project: Project) -> list[str]:
    lines = project.pytest("--collect-only", "-q").out.splitlines()
    return [line.partition("::")[2] for line in lines if "::" in line]


def test_points_are_items_named_by_what_they_do_and_where(story: Project) -> None:
    names = collected(story)

    assert names[0] == "story"
    assert [name for name in names if "interrupt" in name] == [
        "story[interrupt@before_request]",
        *(f"story[interrupt@{after}-{kind}]" for after, kind in enumerate(KINDS)),
    ]
    assert "story[reset@1-message_start]" in names
    assert names[-2:] == ["story[529@0-request]", "story[529@1-tool_result]"]


def test_a_sweep_is_a_mark_and_its_grid_is_shown(story: Project) -> None:
    alone, without, one = (
        story.pytest("-m", "sweep"),
        story.pytest("-m", "not sweep"),
        story.pytest("-k", "interrupt and tool_use"),
    )

    assert "sweep of swept in scenarios/story.yaml::story: 51 of 51 points hold" in alone.out
    assert "  interrupt             1/1      1/1       3/3   5/5       1/1          1/1\n" in alone.out
    assert "after it" not in alone.out, "in process it is one point"
    assert alone.counts() == {"passed": 51, "deselected": 1}
    assert without.counts() == {"passed": 1, "deselected": 51}
    assert "sweep of" not in without.out
    assert one.counts() == {"passed": 1, "deselected": 51}


def test_points_are_counted_from_the_cassette_and_nothing_is_written(story: Project) -> None:
    simulated = collected(story)
    assert story.convtest("record").code == 0
    # Without its script only the cassette tells what the turn is made of.
    before, _, after = STORY.partition("    simulate:\n")
    story.write("scenarios/story.yaml", before + after[after.index("sweep:") :])
    files = story.files()

    done = story.pytest("--convtest-strict", "-n", "2")

    assert collected(story) == simulated
    assert done.counts() == {"passed": 52}
    assert "convtest: 1 replayed, 51 swept" in done.out
    assert story.files() == files


def test_with_neither_cassette_nor_script_one_error_says_what_to_do(project: Project) -> None:
    project.write("pyproject.toml", SECTION.replace('upstream = "simulator"', 'upstream = "http://127.0.0.1:9"'))
    project.write(
        "scenarios/story.yaml", STORY.replace("    simulate:\n", "    expect:\n").partition("      - thin")[0]
    )
    text = STORY.partition("    simulate:\n")[0] + "sweep: {turn: swept, disturb: [interrupt, kill]}\n"
    project.write("scenarios/story.yaml", text)

    done = project.pytest("-m", "sweep")

    assert done.counts() == {"error": 1, "deselected": 1}
    assert "scenarios/story.yaml:15: of which events this turn is made is not known" in done.out
    assert "record the base first: convtest record scenarios/story.yaml::story" in done.out


def test_a_scenario_that_changed_since_it_was_recorded_is_not_swept(story: Project) -> None:
    story.convtest("record")
    story.write("scenarios/story.yaml", STORY.replace("Tell me a story.", "Tell me another."))

    done = story.pytest("-m", "sweep")

    assert done.counts() == {"error": 1, "deselected": 1}
    assert "the scenario changed since it was recorded" in done.out
    assert "convtest record --mode all scenarios/story.yaml::story" in done.out


def test_sweeps_are_left_out_where_something_is_recorded_or_live(story: Project) -> None:
    assert story.pytest("--convtest-record=all").counts() == {"passed": 1}
    assert story.pytest("--convtest-live").counts() == {"passed": 1}


@pytest.mark.parametrize("more", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_failures_are_grouped_by_cause_and_the_first_is_shown_in_full(story: Project, more: tuple[str, ...]) -> None:
    story.write("client.py", LEAVES_OPEN)
    story.write("pyproject.toml", OPEN)

    done = story.pytest("-m", "sweep", *more)

    assert done.code == 1
    assert "sweep of swept in scenarios/story.yaml::story: 47 of 51 points hold" in done.out
    assert (
        "    tool_pairs (layer wire): the tool use look has no result\n      4 points: interrupt@6-tool_use" in done.out
    )
    assert done.out.count("the tool use look has no result\n      expected  one tool_result") == 1
    assert done.out.count("as at ") == 3


def test_what_is_asked_before_the_point_must_be_as_recorded(story: Project) -> None:
    story.convtest("record")
    story.write(
        "client.py",
        """
        from dataclasses import replace
        from convtest.clients.messages.client import MessagesClient

        def forgets(opening):
            client = MessagesClient(opening)
            body = client._body
            def shorter():
                client._messages, kept = client._messages[-1:], client._messages
                made = body()
                client._messages = kept
                return made
            client._body = shorter
            return client
        """,
    )
    story.write("pyproject.toml", SECTION.replace('"messages"', '"python"\ntarget = "client:forgets"'))

    done = story.pytest("-k", "interrupt and 0-request")

    assert done.code == 1
    assert "no recorded interaction answers this request" in done.out


@needs_streams
def test_a_real_recorded_stream_with_tools_is_swept_whole(project: Project) -> None:
    recording = STREAMS / "chatlas__test_provider_anthropic__test_anthropic_tool_variations_parallel.yaml"
    project.write(
        "pyproject.toml",
        SECTION.replace('upstream = "simulator"', "max_tokens = 4096").replace("haiku-4-5", "haiku-4-5-20251001"),
    )
    question = (
        "\\n        What are Joe and Hadley's favourite colours?\\n        Answer like name1: colour1, name2: colour2"
    )
    project.write(
        "scenarios/colours.yaml",
        f"""\
        scenario: a real answer with two tools
        id: colours
        cassette: {recording}
        options: {{system: "Be very terse, not even punctuation."}}
        tools:
          favorite_color:
            description: Returns a person's favourite colour
            input: {{type: object, properties: {{_person: {{type: string}}}}, required: [_person],
              additionalProperties: false}}
            answers:
              - when: {{_person: Joe}}
                return: sage green
              - when: {{_person: Hadley}}
                return: red
        steps:
          - user: "{question}\\n    "
            id: asked
            expect: {{contains: sage green}}
        sweep:
          turn: asked
          disturb: [interrupt, kill, disconnect, resume, fork, restart, reset, close, stall, malformed,
            error_event, 529]
        """,
    )

    done = project.pytest("-m", "sweep", "-n", "2")

    assert done.counts() == {"passed": 186}
    assert "sweep of asked in scenarios/colours.yaml::colours: 186 of 186 points hold" in done.out
    assert "  interrupt              1/1      1/1       2/2          2/2   4/4\n" in done.out
    assert "convtest: 186 swept" in done.out


def test_the_command_sweeps_what_is_named(story: Project) -> None:
    done = story.convtest("sweep", "scenarios/story.yaml", "--disturb", "interrupt", "--at", "every change")
    other = story.convtest("sweep", "scenarios/story.yaml::story", "--disturb", "resume", "--at", "tool_use")

    assert (done.code, other.code) == (0, 0)
    assert "7 of 7 points hold" in done.out
    assert "2 of 2 points hold" in other.out
    assert "tool_use  end\n  resume       1/1  1/1" in other.out


def test_the_command_prints_no_escapes_where_colours_are_forced(story: Project) -> None:
    story.environment |= {"PY_COLORS": "1"}

    done = story.convtest("sweep", "--disturb", "interrupt", "--at", "tool_use")

    assert done.out.startswith("sweep of swept in scenarios/story.yaml::story: 1 of 1 points hold")
    assert "\\u001b" not in done.out


def test_the_command_sweeps_a_scenario_that_says_nothing_of_it(story: Project) -> None:
    story.write("scenarios/story.yaml", STORY.partition("sweep:")[0])

    nothing, named = story.convtest("sweep"), story.convtest("sweep", "--turn", "swept", "--json")

    assert (nothing.code, named.code) == (2, 0)
    assert "nothing to sweep: name a turn (--turn ID)" in nothing.err
    assert json.loads(named.out)["held"] == len(json.loads(named.out)["points"]) == 12


def test_the_command_tells_failures_from_errors(story: Project) -> None:
    story.write("client.py", LEAVES_OPEN)
    story.write("pyproject.toml", OPEN)

    failed, misspelt = story.convtest("sweep"), story.convtest("sweep", "--disturb", "interupt")

    one = story.convtest("sweep", "-k", "interrupt@6-tool_use or kill@6-tool_use")

    assert (failed.code, misspelt.code, one.code) == (1, 2, 1)
    assert "0 of 2 points hold" in one.out
    assert failed.out.count("story[interrupt@6-tool_use]") == 2  # the head of its report, and how to run it
    assert "4 points: interrupt@6-tool_use, kill@6-tool_use, reset@15-content_block_stop" in failed.out
    assert "as at" not in failed.out
    assert "Traceback" not in failed.text
    assert "unknown disturbance 'interupt'" in misspelt.err


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("{turn: swepd}", "14:.*no turn has the id 'swepd'\n.*did you mean 'swept'"),
        ("{turn: swept, disturb: kil}", "unknown disturbance 'kil'\n.*did you mean 'kill'"),
        ("{turn: swept, disturb: 200}", "unknown disturbance '200'"),
        ("{turn: swept, at: noon}", "at"),
        ("{turn: swept, disturb: []}", "disturb names nothing"),
        ("{turn: swept, then: []}", "then names no step"),
        ("{turn: swept, then: [{ask: whom}]}", "unknown fact 'whom'\n.*did you mean 'who'"),
        ("{turn: swept, then: [{user: a, expect: {contain: b}}]}", "unknown key 'contain'"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(stage: Stage, sweep: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=f"(?s)scenarios/talk.yaml:.*{message.replace('14:.*', '')}"):
        stage.scenarios(STORY.partition("sweep:")[0] + f"sweep: {sweep}\n")


def test_an_ask_may_be_swept_like_any_other_turn(stage: Stage) -> None:
    text = """
        scenario: asked
        facts:
          who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
        steps:
          - tell: who
          - ask: who
            id: asked
        sweep: {turn: asked, disturb: [interrupt, reset, restart]}
        """
    stage.record(text)

    found = plays(stage, text)

    assert len(found) > 10
    assert all(outcome.verdict.passed for _, outcome in found), [(label, checks_of(one)) for label, one in found]


def test_workers_leave_no_headings_of_points_that_failed_as_an_earlier_one(story: Project) -> None:
    story.write("client.py", LEAVES_OPEN)
    story.write("pyproject.toml", OPEN)

    done = story.convtest("sweep", "--workers", "2", "--disturb", "interrupt", "--disturb", "kill")

    headings = [line for line in done.out.splitlines() if line.startswith("____")]
    assert done.out.count("as at") == 0
    assert 1 <= len(headings) == done.out.count("run just this item") < 4
    assert "[gw" not in done.out


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--disturb=interupt", "unknown disturbance 'interupt': did you mean 'interrupt'? (a status"),
        ("--disturb=52", "unknown disturbance '52'"),
        ("--at=noon", "'noon' is not one of 'every event', 'every change', 'text'"),
        ("--turn=boat", "no turn of steps itself (in no repeat or together) has the id 'boat'"),
        ("-k=nothing", "no point matches -k 'nothing'"),
    ],
)
def test_what_the_command_line_misspells_is_named_there(story: Project, option: str, message: str) -> None:
    done = story.convtest("sweep", *option.split("=", 1))

    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert done.out == ""


@pytest.mark.parametrize("option", ["--convtest-sweep-disturb=interupt", "--convtest-sweep-at=noon"])
def test_pytest_names_a_misspelt_option_before_any_file(story: Project, option: str) -> None:
    done = story.pytest(option)

    assert done.code == 4
    assert option.partition("=")[0] in done.err
    assert "story.yaml" not in done.text


def test_points_that_failed_are_known_again(story: Project) -> None:
    story.write("client.py", LEAVES_OPEN)
    story.write("pyproject.toml", OPEN.replace('"-p", "no:cacheprovider"', ""))

    first, again = story.pytest(), story.pytest("--lf")

    assert first.counts() == {"failed": 4, "passed": 48}
    assert again.counts() == {"failed": 4}


@pytest.mark.parametrize("at", ["thinking", "tool_use"])
def test_a_sweep_without_a_point_is_an_error(project: Project, at: str) -> None:
    plain = "scenario: a\nsteps:\n  - user: Hello.\n    id: a\n    simulate: {text: Hello you.}\n"
    project.write("scenarios/a.yaml", plain + f"sweep: {{turn: a, at: {at}}}\n")

    done = project.pytest()

    assert done.counts() == {"passed": 1, "error": 1}
    assert f"no event at which the sweep would disturb it (at: {at}); it has text" in done.out


def test_a_real_model_is_not_swept_by_what_is_simulated(project: Project) -> None:
    project.write("pyproject.toml", SECTION.replace('upstream = "simulator"', 'upstream = "http://127.0.0.1:9"'))
    project.write("scenarios/story.yaml", STORY)

    done = project.pytest("-m", "sweep")

    assert done.counts() == {"error": 1, "deselected": 1}
    assert "record the base first: convtest record scenarios/story.yaml::story" in done.out


def test_the_causes_are_there_for_machines_too(story: Project) -> None:
    story.write("client.py", LEAVES_OPEN)
    story.write("pyproject.toml", OPEN)

    found = json.loads(story.convtest("sweep", "--json").out)

    causes = {point["cause"] for point in found["points"] if point["outcome"] == "failed"}
    assert causes == {"tool_pairs (layer wire): the tool use look has no result"}
    assert all(point["cause"] is None for point in found["points"] if point["outcome"] == "passed")


@pytest.mark.parametrize(
    "step",
    [
        "{user: a, disturb: {do: fork, after: 3, as: main}, expect: {ended: complete}}",
        "{fork: main, as: main}",
    ],
)
def test_a_fork_begins_a_session_of_its_own(stage: Stage, step: str) -> None:
    with pytest.raises(ScenarioError, match="there is a session 'main' already"):
        stage.scenarios(f"scenario: x\nsteps: [{{user: b}}, {step}]")


def test_rows_and_clients_are_swept_each(project: Project) -> None:
    project.write(
        "scenarios/greets.yaml",
        """\
        scenario: greets
        params: {who: [Ada, Bo]}
        steps:
          - user: My name is ${who}.
            id: told
            simulate: {text: "Hello, ${who}."}
            expect: {contains: "${who}"}
        sweep: {turn: told, disturb: restart}
        """,
    )

    out = project.pytest("-q", "--collect-only").out

    assert "greets[Ada-restart@end]" in out
    assert "greets[Bo-restart@end]" in out


def test_a_file_with_a_broken_base_still_plays_its_other_scenarios(project: Project) -> None:
    text = STORY.partition("    simulate:\n")[0] + "sweep: {turn: swept}\n"
    project.write("scenarios/two.yaml", text + "---\nscenario: other\nsteps:\n  - user: What is 1 + 1?\n"
                  "    expect: {contains: '2'}\n")  # fmt: skip

    assert project.pytest().counts() == {"passed": 2, "error": 1}


def plays(
    stage: Stage, text: str, target: str = "convtest.clients.messages.client:MessagesClient"
) -> list[tuple[str, Played]]:
    (base,) = stage.scenarios(text)
    config = stage.config(target)
    found = []
    for scenario in points(config, base):
        assert scenario.point is not None
        stage.runs += 1
        folder = stage.root / f"run-{stage.runs}"
        folder.mkdir()
        found.append((scenario.point.label, perform(prepare(config, scenario, Mode()), folder)))
    return found


@pytest.mark.parametrize("recorded", [False, True], ids=["simulated", "recorded"])
def test_a_point_is_where_its_name_says(stage: Stage, recorded: bool) -> None:
    text = STORY.replace("[interrupt, kill, reset, 529]", "[interrupt, kill]")
    if recorded:
        stage.record(text)

    for label, outcome in plays(stage, text):
        turn = outcome.transcript.turns()[1]
        where = label.partition("@")[2]
        yielded = 0 if where == "before_request" else int(where.partition("-")[0])
        assert len(turn.events) - 1 == yielded, label
        assert outcome.verdict.passed, (label, outcome.verdict)
        sources = [one.origin for one in turn.interactions]
        assert set(sources) <= {"replayed" if recorded else "simulated"}


def test_a_turn_that_is_asked_again_after_a_fault_gets_the_recorded_answer(stage: Stage) -> None:
    stage.options = {**stage.options, "max_retries": 1}
    text = STORY.replace("[interrupt, kill, reset, 529]", "529")
    stage.record(text)

    for _, outcome in plays(stage, text):
        assert outcome.verdict.passed
        turn = outcome.transcript.turns()[1]
        assert turn.end is not None
        assert turn.end.ended == "complete"
        assert turn.text == "I look.It is here."
        assert [one.origin for one in turn.interactions].count("replayed") == 2


def test_a_fork_in_mid_turn_is_asked_on_both_sides(stage: Stage) -> None:
    found = plays(stage, STORY.replace("[interrupt, kill, reset, 529]", "fork"))

    for label, outcome in found:
        assert outcome.verdict.passed, (label, outcome.verdict)
        assert [turn.session for turn in outcome.transcript.turns()][2:] == ["main-fork", "main"]


def test_a_session_may_be_resumed_and_forked_in_mid_turn(stage: Stage) -> None:
    text = """
        scenario: two ways
        facts:
          who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
        steps:
          - tell: who
          - user: Tell me a long story about a lighthouse.
            disturb: {do: fork, after: 3, as: other}
          - {session: other, user: Call me Grace from now on.}
          - ask: who
            expect: {sent: {lacks: Grace}}
          - user: Tell me another long story about a lighthouse.
            disturb: {do: resume, after: 2}
            expect: {ended: connection_lost}
          - ask: who
        """
    for mode in (Mode(), Mode(record="all"), Mode()):
        outcome = stage.play(text, mode=mode)

        assert outcome.verdict.passed, outcome.verdict
        assert [record.step.label for record in outcome.transcript.records if not hasattr(record, "events")] == [
            "fork: main as other",
            "resume: main",
        ]


def test_as_names_only_a_fork(stage: Stage) -> None:
    with pytest.raises(ScenarioError, match="as: names the new session of a fork"):
        stage.scenarios(
            "scenario: x\nsteps:\n  - {user: a, disturb: {do: kill, after: 1, as: b}, expect: {ended: error}}"
        )


def test_clients_of_other_apis_and_other_processes_are_swept(project: Project) -> None:
    project.write("scenarios/story.yaml", STORY.replace("thinking: Where is it?\n        ", ""))
    more = """
    [tool.convtest.clients.openai]
    kind = "chat_completions"
    model = "gpt-5-mini"
    upstream = "simulator"

    [tool.convtest.clients.own]
    kind = "python"
    target = "convtest.clients.messages.client:MessagesClient"
    process = "own"
    model = "claude-haiku-4-5"
    upstream = "simulator"
    """
    project.write("pyproject.toml", SECTION.replace("[tool.pytest", more.replace("    ", "") + "\n[tool.pytest"))

    openai = project.pytest("-m", "sweep", "--convtest-client=openai")
    own = project.pytest(
        "-n", "2", "-m", "sweep", "--convtest-client=own", "-k", "tool_use or tool_result or 3-content"
    )

    assert openai.code == 0, openai.out
    assert "points hold" in openai.out
    assert own.code == 0, own.out
    assert set(own.counts()) == {"passed"}


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(1, 3000), max_size=12), after=st.integers(0, 9), do=st.sampled_from(["kill", "reset"]))
def test_pieces_are_the_recorded_bytes_however_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], after: int, do: str
) -> None:
    stage = Stage(tmp_path_factory.mktemp("pieces"))
    (base,) = stage.scenarios(STORY)
    stage.record(STORY)
    config = stage.config()
    found = [one for one in points(config, base) if one.point and (one.point.do, one.point.after) == (do, after)]
    prepared = prepare(config, found[0], Mode())
    recorded = [replace(one, chunks=_cut(one.body, cuts)) for one in prepared.recorded]

    pieces = in_pieces(found[0], recorded, exact=False)

    for one in recorded:
        assert b"".join(chunk.data for chunk in pieces(one)) == one.body


def _cut(body: bytes, cuts: list[int]) -> list[Chunk]:
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    return [Chunk(float(start), body[start:end]) for start, end in pairwise(edges)]


def test_a_cassette_without_the_swept_turn_is_no_base(stage: Stage) -> None:
    stage.record(STORY)
    other = stage.root / "scenarios" / "other.yaml"
    other.write_text(stage.cassette().read_text())
    text = STORY.replace("id: story\n", "id: story\ncassette: other.yaml\n")
    (base,) = stage.scenarios(text.replace("steps:\n", "steps:\n  - tell: who\n"))

    with pytest.raises(NothingToSweep):
        points(stage.config(), base)


@pytest.mark.parametrize("first", ["Go on.", "Go on. Now."])
def test_where_no_turns_are_kept_the_second_of_two_equal_prompts_is_swept_by_itself(stage: Stage, first: str) -> None:
    text = f"""
        scenario: twice
        facts:
          who: {{tell: My name is Ada., ask: What is my name?, answer: Ada}}
        steps:
          - tell: who
          - {{user: {first}, simulate: {{words: 3}}}}
          - {{user: Go on., id: second, simulate: {{words: 40}}}}
          - ask: who
        """
    stage.record(text)
    recorded = store.load(stage.cassette(), shown="c")
    plain = [replace(one, lane=None, turn=None, digest="") for one in recorded]
    store.save(stage.root / "scenarios" / "plain.yaml", plain)
    swept = text.replace("scenario: twice", "scenario: twice\n        cassette: plain.yaml")

    found = plays(stage, dedent(swept) + "sweep: {turn: second, disturb: [interrupt]}\n")

    kinds = [kind for one in rounds_of([recorded[2]]) for kind in one.kinds]
    assert len(found) == 2 + len(kinds) > 10
    assert [checks_of(outcome) for _, outcome in found if not outcome.verdict.passed] == []


def test_hundreds_of_points_read_one_cassette_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.record(STORY)
    read: list[Path] = []
    load = store.load

    def counted(path: Path, **more: Any) -> Any:
        read.append(path)
        return load(path, **more)

    monkeypatch.setattr(store, "load", counted)

    plays(stage, STORY)

    assert len(read) <= 1


def test_a_stall_ends_by_the_clients_own_limit_and_takes_no_time(stage: Stage) -> None:
    text = STORY.replace("id: story\n", "id: story\ntimeout: 20s\n").replace("[interrupt, kill, reset, 529]", "stall")
    stage.options = {**stage.options, "read_timeout": 30}

    found = plays(stage, text)

    assert all(outcome.verdict.passed for _, outcome in found), [(label, checks_of(one)) for label, one in found]


def test_before_the_request_of_a_client_elsewhere_is_a_stretch_of_time(story: Project) -> None:
    story.write("client.py", "from convtest.clients.messages.client import MessagesClient as Open\n")
    story.write("pyproject.toml", OPEN.replace('"client:Open"', '"client:Open"\nprocess = "own"'))
    story.write("scenarios/story.yaml", STORY.replace("[interrupt, kill, reset, 529]", "[interrupt, kill]"))
    times = ["", "+1ms", "+5ms", "+20ms", "+50ms", "+100ms"]

    named = [name for name in collected(story) if "before_request" in name]
    done = story.pytest("-k", "before_request", "-n", "2")

    assert named == [f"story[{do}@before_request{ms}]" for do in ("interrupt", "kill") for ms in times]
    assert done.counts() == {"passed": 12}, done.out
    assert "before_request: with the prompt and 1, 5, 20, 50 and 100 ms after it;" in done.out
    assert "  interrupt             6/6\n" in done.out


def test_every_change_takes_the_first_of_the_stretch_alone(story: Project) -> None:
    story.write("client.py", "from convtest.clients.messages.client import MessagesClient as Open\n")
    story.write("pyproject.toml", OPEN.replace('"client:Open"', '"client:Open"\nprocess = "own"'))
    story.write("scenarios/story.yaml", STORY.replace("[interrupt, kill, reset, 529]", "[kill]\n  at: every change"))

    named = collected(story)

    assert [name for name in named if "before_request" in name] == ["story[kill@before_request]"]
    assert "story[kill@0-request]" in named
