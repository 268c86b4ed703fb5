"""`convtest diff --git`: the cassettes and snapshots of a pull request, as conversations."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.project import NAME, Project

CASSETTE = "cassettes/name/remembers-the-name.yaml"
OTHER = "cassettes/name/another.yaml"
SNAPSHOT = "scenarios/__snapshots__/name/remembers-the-name.txt"
TWO = f"{NAME}---\nscenario: another\nsteps:\n  - user: What is 15 * 7?\n"


def git(project: Project, *words: str) -> str:
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.invalid", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *words], cwd=project.root, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def kept(project: Project, made: Project) -> Project:
    shutil.copytree(made.root, project.root, dirs_exist_ok=True)
    return project


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two cassettes and a snapshot, committed."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.write("scenarios/name.yaml", TWO)
    assert project.convtest("record").code == 0
    project.write(SNAPSHOT, "# x\n# source: cassette\n\nsession main\n\n  1. user: Hi.\n     reply: Hello there.\n")
    git(project, "init", "-q", "-b", "main")
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "recorded")
    return project


def edited(project: Project) -> None:
    """What a pull request may do to them: one changed, one renamed and changed, one new, a snapshot changed."""
    text = project.read(CASSETTE)
    project.write(CASSETTE, text.replace('"text":" Ada."', '"text":" Eve."'))
    project.write("cassettes/name/new.yaml", text)
    other = project.read(OTHER)
    (project.root / OTHER).unlink()
    project.write("cassettes/name/renamed.yaml", other.replace("What is 15 * 7?", "What is 15 * 8?"))
    project.write(SNAPSHOT, project.read(SNAPSHOT).replace("Hello there", "Hi there"))


def files(project: Project, *arguments: str) -> dict[str, str]:
    done = project.convtest("diff", "--json", *arguments)
    assert done.code in (0, 1), done.err
    return {one["id"]: f"{one['state']} {one['was']}".strip() for one in json.loads(done.out)["files"]}


def test_nothing_changed_exits_0(kept: Project) -> None:
    done = kept.convtest("diff", "--git", "HEAD")

    assert (done.code, done.out) == (0, "no cassette and no snapshot changed\n")


def test_the_working_tree_against_a_revision(kept: Project) -> None:
    """Files that nobody added yet count, and a rename among them is found; git's own index stays as it was."""
    edited(kept)
    before = git(kept, "status", "--porcelain")

    done = kept.convtest("diff", "--git", "HEAD")

    assert done.code == 1
    assert f"{CASSETTE}  cassette, changed" in done.out
    assert re.search(r"^  - assistant  .*\[Ada\]\.$\n^  \+ assistant  .*\[Eve\]\.$", done.out, re.MULTILINE)
    assert f"cassettes/name/renamed.yaml  cassette, renamed from {OTHER}, changed" in done.out
    assert "What is 15 * [7]?" in done.out
    assert "cassettes/name/new.yaml  cassette, new" in done.out
    assert "  - reply  [Hello] there." in done.out
    assert git(kept, "status", "--porcelain") == before


def test_between_two_revisions_and_since_they_parted(kept: Project) -> None:
    git(kept, "checkout", "-q", "-b", "mine")
    edited(kept)
    git(kept, "add", "-A")
    git(kept, "commit", "-q", "-m", "mine")
    git(kept, "checkout", "-q", "main")
    kept.write("cassettes/name/main-went-on.yaml", "interactions: []\nversion: 1\n")
    git(kept, "add", "-A")
    git(kept, "commit", "-q", "-m", "main")
    mine = {
        CASSETTE: "changed",
        "cassettes/name/new.yaml": "new",
        "cassettes/name/renamed.yaml": f"changed {OTHER}",
        SNAPSHOT: "changed",
    }

    assert files(kept, "--git", "main..mine") == {**mine, "cassettes/name/main-went-on.yaml": "removed"}
    assert files(kept, "--git", "main...mine") == mine
    git(kept, "checkout", "-q", "mine")
    assert files(kept, "--git", "main...") == mine
    assert files(kept, "--git", "HEAD") == {}


def test_it_works_in_a_folder_below_and_of_some_files_alone(kept: Project) -> None:
    edited(kept)
    kept.root /= "scenarios"

    assert set(files(kept, "--git", "HEAD")) >= {CASSETTE, SNAPSHOT}
    assert set(files(kept, "--git", "HEAD", "__snapshots__")) == {SNAPSHOT}


def test_a_project_below_the_repository_s_top(kept: Project) -> None:
    top = kept.root
    subprocess.run("mkdir below && git mv pyproject.toml scenarios cassettes below/", shell=True, cwd=top, check=True)
    git(kept, "commit", "-q", "-m", "moved")
    kept.root = top / "below"
    kept.write(CASSETTE, kept.read(CASSETTE).replace('"text":" Ada."', '"text":" Eve."'))

    assert files(kept, "--git", "HEAD") == {CASSETTE: "changed"}


def test_one_that_differs_in_times_alone_is_the_same_conversation(kept: Project) -> None:
    kept.write(CASSETTE, kept.read(CASSETTE).replace("first_byte: '50'", "first_byte: '51'"))
    assert git(kept, "status", "--porcelain")

    done = kept.convtest("diff", "--git", "HEAD")

    assert done.code == 0
    assert "the same conversation, but for times" in done.out


def test_one_that_cannot_be_read_is_shown_as_such(kept: Project) -> None:
    kept.write(CASSETTE, "<<<<<<< ours\n" + kept.read(CASSETTE))

    done = kept.convtest("diff", "--git", "HEAD")

    assert done.code == 1
    assert "unreadable cassette" in done.out
    assert "Traceback" not in done.text


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        ("nowhere", "there is no revision 'nowhere' here"),
        ("HEAD..nowhere", "there is no revision 'nowhere' here"),
        ("--output=x", "there is no revision '--output=x' here"),
        ("", "there is no revision '' here"),
    ],
)
def test_a_revision_that_is_not_there_is_one_error(kept: Project, revision: str, said: str) -> None:
    before = kept.files()

    done = kept.convtest("diff", f"--git={revision}")

    assert done.code == 2
    assert done.err.startswith(f"error: {said}")
    assert "Traceback" not in done.err
    assert kept.files() == before


def test_outside_of_a_repository_and_without_git_it_is_one_error(project: Project, tmp_path: Path) -> None:
    project.environment["GIT_CEILING_DIRECTORIES"] = str(project.root.parent)
    outside = project.convtest("diff", "--git", "HEAD")
    project.environment["PATH"] = str(tmp_path)
    without = project.convtest("diff", "--git", "HEAD")

    assert (outside.code, without.code) == (2, 2)
    assert f"error: {project.root} is in no git repository" in outside.err
    assert "error: git is not installed" in without.err


def test_a_repository_without_a_commit_has_no_revision(project: Project) -> None:
    git(project, "init", "-q")

    assert "there is no revision 'HEAD' here" in project.convtest("diff", "--git", "HEAD").err


def test_two_files_or_a_revision_have_to_be_named(kept: Project) -> None:
    for arguments in ([], [CASSETTE], [CASSETTE, OTHER, CASSETTE], ["cassettes", OTHER]):
        done = kept.convtest("diff", *arguments)
        assert done.code == 2
        assert "name two cassettes, or a revision: convtest diff --git REV" in done.err


def test_names_with_blanks_and_letters_of_all_kinds(kept: Project) -> None:
    name = "cassettes/name/größe und\tmehr.yaml"
    kept.write(name, kept.read(CASSETTE))

    assert files(kept, "--git", "HEAD") == {name: "new"}
    assert os.path.exists(kept.root / name)
