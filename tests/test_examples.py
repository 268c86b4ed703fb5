"""The examples are real: each plays what is recorded, can be recorded anew, and fails when it is told to forget."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.project import Project, Result

EXAMPLES = Path(__file__).parent.parent / "examples"
NOT_COPIED = shutil.ignore_patterns("node_modules", "dist", "__pycache__")


def copied(name: str, folder: Path) -> Project:
    shutil.copytree(EXAMPLES / name, folder / name, ignore=NOT_COPIED)
    section = (folder / name / "pyproject.toml").read_text()
    project = Project(folder / name)
    project.write("pyproject.toml", section)
    return project


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Project:
    if shutil.which("npm") is None:
        pytest.skip("npm is not here: the TypeScript example cannot be built")
    project = copied("typescript", tmp_path_factory.mktemp("examples"))
    subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=project.root, check=True, timeout=300)
    return project


@pytest.fixture(scope="module")
def chatbot(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return copied("chatbot", tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return copied("assistant", tmp_path_factory.mktemp("examples"))


def passed(run: Result) -> int:
    counts = run.counts()
    counts.pop("deselected", 0)
    assert set(counts) <= {"passed"}, run.out
    return counts.get("passed", 0)


@pytest.mark.parametrize(
    ("name", "items", "forgetting"), [("typescript", 3, 2), ("chatbot", 3, 3), ("assistant", 3, 2)]
)
def test_an_example_passes_and_fails_when_it_is_told_to_forget(
    request: pytest.FixtureRequest, name: str, items: int, forgetting: int
) -> None:
    project: Project = request.getfixturevalue(name)
    project.environment = {}

    replayed = project.pytest("scenarios", "-m", "not sweep", "--convtest-strict")
    simulated = project.pytest("scenarios", "-m", "not sweep", "--convtest-live")
    project.environment = {"FORGET": "1"}
    forgot = project.pytest("scenarios", "-m", "not sweep", "--convtest-strict")
    forgot_live = project.pytest("scenarios", "-m", "not sweep", "--convtest-live")

    assert passed(replayed) == items
    assert f"convtest: {items} replayed" in replayed.out
    assert passed(simulated) == items
    assert f"convtest: {items} simulated" in simulated.out
    assert forgot.counts()["failed"] == forgetting, forgot.out
    assert forgot_live.counts()["failed"] >= min(forgetting, 2), forgot_live.out
    assert "history  layer wire" in forgot.out
    assert "knows  layer wire" in forgot_live.out


def test_a_client_on_the_anthropic_package_may_be_cut_anywhere(assistant: Project) -> None:
    assistant.environment = {}

    swept = assistant.convtest("sweep")
    conforms = assistant.pytest("test_conformance.py")

    assert "cut-anywhere: 92 of 92 points hold" in swept.out, swept.text
    assert conforms.counts() == {"passed": 1}, conforms.out


@pytest.mark.parametrize("name", ["typescript", "chatbot", "assistant"])
def test_an_example_can_be_recorded_anew(request: pytest.FixtureRequest, name: str) -> None:
    project: Project = request.getfixturevalue(name)
    project.environment = {}

    recorded = project.convtest("record", "--mode", "all")
    replayed = project.pytest("scenarios", "-m", "not sweep", "--convtest-strict")

    assert recorded.out.endswith("3 recorded\n"), recorded.text
    assert passed(replayed) == 3
    assert str(project.root) not in "".join(p.read_text() for p in (project.root / "cassettes").rglob("*.yaml"))
