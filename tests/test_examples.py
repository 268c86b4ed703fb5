"""The examples are real: each plays what is recorded, can be recorded anew, and fails when it is told to forget."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.project import Project, Result

REPOSITORY = Path(__file__).parent.parent
EXAMPLES = REPOSITORY / "examples"
NOT_COPIED = shutil.ignore_patterns("node_modules", "dist", "__pycache__")


def copied(name: str, folder: Path) -> Project:
    root = folder / "examples" / name
    shutil.copytree(EXAMPLES / name, root, ignore=NOT_COPIED)
    section = (root / "pyproject.toml").read_text()
    project = Project(root)
    project.write("pyproject.toml", section)
    return project


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Project:
    if shutil.which("npm") is None:
        pytest.skip("npm is not here: the TypeScript example cannot be built")
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(REPOSITORY / "clients", folder / "clients", ignore=NOT_COPIED)
    project = copied("typescript", folder)
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
    ("name", "items", "forgetting"), [("typescript", 6, 4), ("chatbot", 3, 3), ("assistant", 3, 2)]
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

    assert "cut-anywhere: 96 of 96 points hold" in swept.out, swept.text
    assert conforms.counts() == {"passed": 1}, conforms.out


@pytest.mark.parametrize("name", ["typescript", "chatbot", "assistant"])
def test_an_example_can_be_recorded_anew(request: pytest.FixtureRequest, name: str) -> None:
    project: Project = request.getfixturevalue(name)
    project.environment = {}
    items = 6 if name == "typescript" else 3

    recorded = project.convtest("record", "--mode", "all")
    replayed = project.pytest("scenarios", "-m", "not sweep", "--convtest-strict")

    assert recorded.out.endswith(f"{items} recorded\n"), recorded.text
    assert passed(replayed) == items
    assert str(project.root) not in "".join(p.read_text() for p in (project.root / "cassettes").rglob("*.yaml"))


@pytest.mark.slow
def test_the_agent_in_typescript_may_be_cut_anywhere(typescript: Project) -> None:
    typescript.environment = {}

    swept = typescript.convtest("sweep")

    assert swept.code == 0, swept.text
    assert "cut-anywhere: 6 of 6 points hold" in swept.out


def test_an_example_that_lacks_what_it_needs_says_how_to_install_it(tmp_path: Path) -> None:
    """Nothing is installed in a copy; and a finder that finds nothing stands for what is not there in Python."""
    typescript = copied("typescript", tmp_path)

    assert "the agent is not built: run npm install in" in typescript.pytest("scenarios").text
    for name, needs in {"chatbot": "pip install fastapi openai uvicorn", "assistant": "pip install anthropic"}.items():
        project = copied(name, tmp_path)
        conftest = project.read("conftest.py")
        project.write("conftest.py", conftest.replace("find_spec(", "find_spec('no_' + "))
        assert needs in project.pytest("scenarios").text
