"""What a run hands out of its process: every item's outcome as a line of JSON, passing ones included."""

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtest.errors import ResultsError
from convtest.events import Usage
from convtest.reporting.failure import failure_text
from convtest.results.lines import append, read_results
from convtest.results.model import SCHEMA, About, Found, Part, Request, Result, Said, Step
from convtest.results.ranking import headline, layer_of, ranked, side
from tests.project import NAME, SECTION, Project

ITEMS = """\
scenario: holds
steps: [{user: My name is Ada.}, {user: What is my name?, expect: {contains: Ada}}]
---
scenario: fails
steps: [{user: Hello., expect: {contains: nonsense}}]
---
scenario: skipped
skip: not today
steps: [{user: Hello.}]
---
scenario: wrong
client: nowhere
steps: [{user: Hello.}]
---
scenario: swept
steps: [{user: Tell me a story., id: story, simulate: {words: 3}}]
sweep: {turn: story}
"""
NOWHERE = """
[tool.convtest.clients.nowhere]
kind = "python"
target = "not.there:Client"
"""
KEY = "sk-ant-api03-" + "k" * 24


def results(project: Project, *arguments: str) -> dict[str, Result]:
    project.write("pyproject.toml", project.read("pyproject.toml") + NOWHERE)
    project.write("scenarios/talk.yaml", ITEMS)
    project.pytest("-q", "--convtest-results=out/results.jsonl", *arguments)
    found = list(read_results(project.root / "out/results.jsonl"))
    assert len({one.about.item for one in found}) == len(found)
    return {one.about.item.partition("::")[2]: one for one in found}


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "two workers"])
def test_every_item_leaves_a_line(project: Project, workers: list[str]) -> None:
    found = results(project, *workers)

    points = {name for name in found if name.startswith("swept[")}
    assert len(points) == 5
    assert {name: one.outcome for name, one in found.items() if name not in points} == {
        "holds": "passed", "fails": "failed", "skipped": "skipped", "wrong": "error", "swept": "passed",
    }  # fmt: skip
    holds = found["holds"]
    assert [step.prompt for step in holds.steps] == ["My name is Ada.", "What is my name?"]
    assert [part.text for part in holds.steps[1].requests[0].added] == ["Nice to meet you, Ada.", "What is my name?"]
    assert holds.steps[1].requests[0].kept == 1
    assert (holds.source, holds.layer, holds.headline, holds.found) == ("simulated", None, "", [])
    assert holds.usage.output_tokens > 0
    assert holds.usd is not None
    assert holds.seconds > 0
    assert found["fails"].headline.startswith("contains (layer reply): ")
    assert found["fails"].layer == "reply"
    assert found["skipped"].message == "Skipped: not today"
    assert "not.there" in found["wrong"].headline
    assert found[min(points)].about.point is not None


def test_the_report_is_made_of_the_line_alone(project: Project) -> None:
    project.write("pyproject.toml", project.read("pyproject.toml") + NOWHERE)
    project.write("scenarios/talk.yaml", ITEMS)

    shown = project.pytest("-q", "-k", "fails", "--convtest-results=r.jsonl").out

    (result,) = read_results(project.root / "r.jsonl")
    assert all(line in shown for line in failure_text(result).splitlines() if line.strip())


def test_a_run_begins_a_file_of_its_own_and_needs_no_option_to_do_without(project: Project) -> None:
    project.write("scenarios/name.yaml", NAME)
    project.pytest("--convtest-results=r.jsonl")
    project.pytest("--convtest-results=r.jsonl")

    assert len(list(read_results(project.root / "r.jsonl"))) == 1
    project.write("r.jsonl", "kept")
    assert project.pytest().code == 0
    assert project.read("r.jsonl") == "kept"


def test_a_place_that_cannot_be_written_is_told_before_anything_is_played(project: Project) -> None:
    project.write("scenarios/name.yaml", NAME)
    (project.root / "folder").mkdir()

    done = project.pytest("--convtest-results=folder")

    assert done.code == 4
    assert "--convtest-results: cannot write" in done.text


def test_a_snapshot_that_differs_is_a_failure_with_its_difference(project: Project) -> None:
    project.write("scenarios/name.yaml", NAME.replace("steps:", "snapshot: true\nsteps:"))
    project.pytest("--snapshot-update")
    (kept,) = (project.root / "scenarios/__snapshots__").rglob("*.txt")
    kept.write_text(kept.read_text().replace("Nice to meet you", "Hello"))

    project.pytest("--convtest-results=r.jsonl")

    (result,) = read_results(project.root / "r.jsonl")
    assert result.outcome == "failed"
    assert re.search(r"^ +\+ +reply: Nice to meet you, Ada\.$", result.message, re.MULTILINE)
    assert result.headline


def test_no_secret_leaves_in_a_result(project: Project) -> None:
    project.environment["ANTHROPIC_API_KEY"] = KEY
    told = f'model = "claude-haiku-4-5"\nsystem = "My key is {KEY}."'
    project.write("pyproject.toml", SECTION.replace('model = "claude-haiku-4-5"', told))
    project.write("scenarios/key.yaml", "scenario: key\nsteps: [{user: Hello., expect: {sent: {system: x}}}]")

    project.pytest("--convtest-results=r.jsonl")

    assert KEY not in project.read("r.jsonl")
    assert "SCRUBBED" in project.read("r.jsonl")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"schema": 99, "about": {"item": "x"}, "outcome": "passed"}', f"results of version 99, and not {SCHEMA}"),
        (b'{"about": {"item": "x"}, "outcome": "passed"}', "this is no result: "),
        (b'{"schema": 1, "about": {"item": "x"}, "outcome": "pas', "this is no result: "),
        (b'{"schema": 1, "about": {"item": "x"}, "outcome": "fine"}', "this is no result: "),
        (b"hello", "this is no result: "),
    ],
    ids=["another version", "no version", "cut off", "another word", "text"],
)
def test_what_is_no_result_is_refused_with_its_line(tmp_path: Path, line: bytes, said: str) -> None:
    path = tmp_path / "r.jsonl"
    append(path, Result(schema=SCHEMA, about=About(item="a"), outcome="passed"))
    path.write_bytes(path.read_bytes() + line + b"\n")

    with pytest.raises(ResultsError) as caught:
        list(read_results(path))

    assert str(caught.value).startswith(said)
    assert f"{path}:2" in str(caught.value)


texts = st.text(max_size=20)
found = st.builds(Found, check=texts, layer=st.sampled_from(["wire", "mass", "reply", None]), step=st.integers(0, 9))
requests = st.builds(
    Request,
    number=st.integers(1, 99),
    settings=st.dictionaries(texts, st.none() | texts, max_size=3),
    added=st.lists(st.builds(Part, role=texts, text=texts), max_size=3),
    chunks_ms=st.lists(st.floats(0, 1e6), max_size=3),
)
steps = st.builds(
    Step,
    index=st.integers(1, 99),
    said=st.lists(st.builds(Said, kind=st.sampled_from(["text", "tool_use"]), input=st.dictionaries(texts, texts))),
    requests=st.lists(requests, max_size=2),
    usage=st.builds(Usage, input_tokens=st.integers(0, 999)),
    branch=st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
made = st.builds(
    Result,
    schema=st.just(SCHEMA),
    about=st.builds(About, item=texts, tags=st.lists(texts, max_size=2)),
    outcome=st.sampled_from(["passed", "failed", "error", "skipped"]),
    steps=st.lists(steps, max_size=3),
    found=st.lists(found, max_size=3),
)


@given(made)
def test_law_a_result_is_the_same_after_its_line(result: Result) -> None:
    line = msgspec.json.encode(result)

    assert b"\n" not in line
    assert msgspec.json.decode(line, type=Result) == result


@given(st.lists(found, max_size=6))
def test_law_a_consequence_is_never_the_headline_beside_a_cause(findings: list[Found]) -> None:
    causes = [one for one in findings if one.check not in {"miss", "unplayed"}]
    findings = ranked(findings)

    assert bool(headline(findings)) == bool(findings)
    assert bool(side(findings)) == bool(findings)
    assert layer_of(findings) in {None, *(one.layer for one in findings)}
    if causes and len(causes) < len(findings):
        assert not headline(findings).startswith(("miss", "unplayed"))
