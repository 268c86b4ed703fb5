"""No name of a session, a scenario or a row leads out of its folder, and no token stands in the list of processes."""

import json
from pathlib import Path

import psutil
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from convtest.errors import ScenarioError
from convtest.play.mode import Mode
from convtest.scenario.names import MAX_NAME_BYTES, safe_name
from tests.gateways import TOKEN, serving
from tests.playing import Stage, checks_of
from tests.project import SECTION, Project
from tests.test_processes import own, play

HOSTILE = [
    *"../x /etc/x a/../../b a\\\\b CON nul.txt ．．／x a?b*c|d -rf %2e%2e%2f".split(), "x" * 199, "é" * 150,
]  # fmt: skip


@given(st.text(max_size=120))
def test_law_a_safe_name_is_one_part_of_a_path(text: str) -> None:
    safe = safe_name(text)

    assert Path(safe).name == safe
    assert safe not in {"", ".", ".."}
    assert not set(safe) & set('/\\:*?"<>|\0')
    assert len(safe.encode()) <= MAX_NAME_BYTES
    assert safe.partition(".")[0].lower() not in {"con", "prn", "aux", "nul", "com1", "lpt9"}
    assert safe_name(safe) == safe


def test_a_sessions_name_cannot_leave_the_items_folder(stage: Stage) -> None:
    """All of them in one item: a file for each that its program says on stderr."""
    steps = [{"session": name, "user": "What is 15 * 7?"} for name in HOSTILE]
    text = yaml.safe_dump({"scenario": "names", "sessions": {name: {} for name in HOSTILE}, "steps": steps})
    outside = _files(stage.root.parent)

    played = play(stage, text, own(), Mode(record="all"))
    replayed = play(stage, text, own())

    assert checks_of(played) == checks_of(replayed) == []
    assert {path for path in _files(stage.root.parent) - outside if not path.is_relative_to(stage.root)} == set()
    runs = [path for path in stage.root.iterdir() if path.name.startswith("run-")]
    logs = [path for run in runs for path in _files(run) if path.suffix == ".stderr"]
    assert len(logs) == len(HOSTILE) * len(runs)
    assert {log.parent.name for log in logs} <= {run.name for run in runs}


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "\x1b[31mred", "abc\u202edef", " ", "..", "x" * 201])
def test_a_name_that_cannot_be_shown_is_an_error(project: Project, name: str) -> None:
    project.write("pyproject.toml", SECTION)
    text = json.dumps({"scenario": "names", "sessions": {name: {}}, "steps": [{"user": "Hello"}]})
    project.write("scenarios/talk.yaml", text)

    said = project.convtest("check")

    assert said.code == 2
    assert "cannot name a session" in said.err
    assert "scenarios/talk.yaml:1" in said.err
    assert "\x1b" not in said.text
    assert "\u202e" not in said.text


@pytest.mark.parametrize("title", ["../../x", "/etc/passwd", "con", "a/b/c", "x" * 400, "．．／．．／x", "...", "é\0"])
def test_cassettes_and_snapshots_stay_in_their_folders(stage: Stage, title: str) -> None:
    text = json.dumps({"scenario": title, "params": {"p": [title[:300], "other"]}, "steps": [{"user": "Hello ${p}"}]})

    made = stage.scenarios(text)

    for scenario in made:
        name = f"{scenario.recording}.yaml"
        assert Path(name).name == name
        assert len(name.encode()) < 230
        assert not name.lower().startswith(("con.", "con["))
    assert len({one.recording.casefold() for one in made}) == 2


@pytest.mark.parametrize("id", ["../x", "a/b", "/x", "con", "x" * 300, "."])
def test_an_id_that_cannot_name_a_file_is_an_error(stage: Stage, id: str) -> None:
    with pytest.raises(ScenarioError, match="cannot name a file"):
        stage.scenarios(json.dumps({"scenario": "x", "id": id, "steps": [{"user": "Hello"}]}))


def test_the_token_of_serve_is_not_in_the_list_of_processes(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        command = psutil.Process(served.process.pid).cmdline()

    assert not any(TOKEN in part for part in command)


def test_a_token_on_the_command_line_is_refused(project: Project) -> None:
    said = project.convtest("serve", "--token", "t0ken")

    assert said.code == 2
    assert "list of processes" in said.err
    assert "CONVTEST_TOKEN" in said.err
    assert "t0ken" not in said.text


def test_a_token_in_a_file(project: Project) -> None:
    project.write("token", "\n")

    empty = project.convtest("serve", "--token-file", "token")

    assert empty.code == 2
    assert "no first line" in empty.err
