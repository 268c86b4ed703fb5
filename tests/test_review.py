"""`convtest review`: what changed waits, is shown old beside new, and is accepted, rejected or left."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from convtest.review import kept
from tests.project import NAME, Project

CASSETTE = "cassettes/name/remembers-the-name.yaml"
SNAPPED = NAME + "snapshot: true\n"
SNAPSHOT = "scenarios/__snapshots__/name/remembers-the-name.txt"
ASKED = "[q]uit "


class Terminal:
    """The command on a real terminal of its own: keys are typed when it asks."""

    def __init__(self, project: Project, *arguments: str, columns: int = 80, **environment: str) -> None:
        self.output, (ours, theirs) = "", pty.openpty()
        self._asked = self._shown = 0
        quiet = termios.tcgetattr(theirs)
        quiet[3] &= ~termios.ECHO  # what is shown, the command shows
        termios.tcsetattr(theirs, termios.TCSANOW, quiet)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        hidden = ("CI", "BUILD_NUMBER", "GITHUB_", "NO_COLOR", "COLUMNS", "PYTEST")
        env = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from convtest.cli import main; main()", *arguments],
            cwd=project.root,
            env={**env, "TERM": "xterm-256color", "PYTHONDONTWRITEBYTECODE": "1", **environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._terminal = ours

    def press(self, keys: str) -> "Terminal":
        """Each as soon as it asks."""
        for key in keys:
            self._read(until=lambda: self.output.count(ASKED) > self._asked)
            self._asked, seen = self.output.count(ASKED), len(self.output)
            while len(self.output) == seen and self._process.poll() is None:
                os.write(self._terminal, key.encode())  # what is typed before it reads keys is thrown away
                self._read(until=lambda: len(self.output) > self._shown, patience=1.0)
        return self

    def end(self) -> int:
        """Read to its end; the exit code."""
        self._read(until=lambda: False)
        os.close(self._terminal)
        return self._process.wait(timeout=5)

    def _read(self, until: Callable[[], bool], patience: float = 30.0) -> None:
        end, self._shown = time.monotonic() + patience, len(self.output)
        while not until() and time.monotonic() < end:
            if not select.select([self._terminal], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self._terminal, 65536)
            except OSError:  # how Linux tells that nobody has the other side any more
                return
            if not data:
                return
            self.output += data.decode("utf-8", "replace")

    @property
    def text(self) -> str:
        """Without colours."""
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.output).replace("\r", "")


def copied(made: Project, into: Project) -> Project:
    """Made once: each test has a copy."""
    shutil.copytree(made.root, into.root, dirs_exist_ok=True)
    return into


@pytest.fixture
def rerecorded(project: Project, made_anew: Project) -> Project:
    return copied(made_anew, project)


@pytest.fixture
def changed(project: Project, found_changed: Project) -> Project:
    return copied(found_changed, project)


@pytest.fixture(scope="module")
def made_anew(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A cassette, and beside it what a failed item recorded of it."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.write("scenarios/name.yaml", NAME)
    assert project.convtest("record").code == 0
    project.write(
        "scenarios/name.yaml", NAME.replace("name is Ada", "name is Eve").replace("answer: Ada", "answer: Bob")
    )
    assert project.convtest("record", "--mode", "all").code == 1
    assert (project.root / f"{CASSETTE}.new").is_file()
    return project


@pytest.fixture(scope="module")
def found_changed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A snapshot that a plain run found changed."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.write("scenarios/name.yaml", SNAPPED)
    assert project.pytest("--convtest-record=once", "-q").code == 0
    assert project.pytest("--snapshot-update", "-q").code == 0
    project.write(SNAPSHOT, project.read(SNAPSHOT).replace("Nice to meet", "Nasty to meet"))
    done = project.pytest("-q")
    assert done.code == 1
    assert "look at it, and accept it: convtest review" in done.out
    return project


def test_nothing_to_review_is_said(project: Project) -> None:
    done = project.convtest("review")

    assert (done.code, done.out) == (0, "nothing waits for a review\n")
    assert json.loads(project.convtest("review", "--json").out) == {"waiting": []}


def test_a_changed_cassette_is_shown_as_what_was_asked_and_answered(rerecorded: Project) -> None:
    before = rerecorded.files()

    done = rerecorded.convtest("review")

    assert done.code == 1
    assert f"{CASSETTE}  cassette, changed" in done.out
    assert "  main, requests 1 and 2: the request changed (your client or your scenario)\n" in done.out
    assert "  - user       My name is [Ada]." in done.out
    assert "  + user       My name is [Eve]." in done.out
    assert "  - assistant  Nice to meet you, [Ada]." in done.out
    assert "    user       What is my name?" in done.out
    assert "interactions:" not in done.out
    assert "\x1b" not in done.out
    assert rerecorded.files() == before


def test_an_accepted_cassette_replaces_the_old_one_and_leaves_nothing(rerecorded: Project) -> None:
    new = rerecorded.read(f"{CASSETTE}.new")

    done = rerecorded.convtest("review", "--accept", CASSETTE)

    assert (done.code, done.out) == (0, f"accepted  {CASSETTE}\n")
    assert rerecorded.read(CASSETTE) == new
    assert sorted(path.name for path in (rerecorded.root / CASSETTE).parent.iterdir()) == [Path(CASSETTE).name]
    replayed = rerecorded.pytest("--convtest-strict").out
    assert "convtest: 1 replayed" in replayed
    assert "nothing recorded answers" not in replayed


def test_a_rejected_cassette_leaves_the_old_one_and_nothing_else(rerecorded: Project) -> None:
    old = rerecorded.read(CASSETTE)

    done = rerecorded.convtest("review", "--reject", CASSETTE)

    assert (done.code, done.out) == (0, f"rejected  {CASSETTE}\n")
    assert rerecorded.read(CASSETTE) == old
    assert not (rerecorded.root / f"{CASSETTE}.new").exists()


def test_a_recording_that_passes_leaves_nothing_to_review(rerecorded: Project) -> None:
    rerecorded.write("scenarios/name.yaml", NAME)

    assert rerecorded.convtest("record", "--mode", "all").code == 0
    assert not (rerecorded.root / f"{CASSETTE}.new").exists()


def test_a_changed_snapshot_is_reviewed_after_a_plain_run(changed: Project) -> None:
    done = changed.convtest("review")

    assert done.code == 1
    assert f"{SNAPSHOT}  snapshot, changed  (scenarios/name.yaml::remembers-the-name)" in done.out
    assert re.search(r"^  - reply +\[Nasty\] to meet you, Ada\.$", done.out, re.M)
    assert re.search(r"^  \+ reply +\[Nice\] to meet you, Ada\.$", done.out, re.M)

    assert changed.convtest("review", "--accept", SNAPSHOT).code == 0
    assert changed.pytest("-q").counts() == {"passed": 1}
    assert not (changed.root / kept.FOLDER).exists()


def test_a_rejected_snapshot_stays_and_fails_again(changed: Project) -> None:
    old = changed.read(SNAPSHOT)

    assert changed.convtest("review", "--reject", SNAPSHOT).code == 0

    assert changed.read(SNAPSHOT) == old
    assert not (changed.root / kept.FOLDER).exists()
    assert changed.convtest("review").out == "nothing waits for a review\n"
    assert changed.pytest("-q").code == 1
    assert changed.convtest("review").code == 1


@pytest.mark.parametrize("arguments", [["--snapshot-update"], []], ids=["updated", "mended"])
def test_what_is_as_it_should_be_again_waits_no_more(changed: Project, arguments: list[str]) -> None:
    if not arguments:
        changed.write(SNAPSHOT, changed.read(SNAPSHOT).replace("Nasty to meet", "Nice to meet"))

    assert changed.pytest("-q", *arguments).code == 0

    assert not (changed.root / kept.FOLDER).exists()


def test_a_snapshot_that_was_changed_meanwhile_is_not_overwritten(changed: Project) -> None:
    changed.write(SNAPSHOT, changed.read(SNAPSHOT).replace("Nasty", "Nicest"))

    done = changed.convtest("review", "--json")

    assert (done.code, json.loads(done.out)) == (0, {"waiting": []})
    assert f"{SNAPSHOT} is another one since it was compared: run pytest again" in done.err


def test_a_snapshot_that_is_not_there_yet_is_reviewed_too(project: Project) -> None:
    project.write("scenarios/name.yaml", SNAPPED)
    assert project.pytest("-q").code == 1

    shown = project.convtest("review")
    accepted = project.convtest("review", "--accept", SNAPSHOT)

    assert f"{SNAPSHOT}  snapshot, new" in shown.out
    assert "  + user" in shown.out
    assert accepted.code == 0
    assert project.pytest("-q").code == 0


def test_workers_keep_what_changed_too(project: Project) -> None:
    project.write("scenarios/name.yaml", SNAPPED)
    project.write("scenarios/other.yaml", SNAPPED)

    assert project.pytest("-q", "-n", "2").code == 1

    assert len(json.loads(project.convtest("review", "--json").out)["waiting"]) == 2


def test_results_of_a_run_in_ci_are_reviewed_at_home(changed: Project) -> None:
    """Nothing is kept there: the results hold it."""
    changed.convtest("review", "--reject", SNAPSHOT)
    changed.environment["CI"] = "true"
    done = changed.pytest("-q", "--convtest-results=results.jsonl")
    assert "convtest review" not in done.out
    assert not (changed.root / kept.FOLDER).exists()
    del changed.environment["CI"]

    shown = changed.convtest("review", "results.jsonl")
    accepted = changed.convtest("review", "results.jsonl", "--accept", SNAPSHOT)

    assert "[Nasty] to meet you" in shown.out
    assert accepted.code == 0
    assert changed.pytest("-q").code == 0
    assert changed.convtest("review", "results.jsonl").out == "nothing waits for a review\n"


@pytest.mark.parametrize(
    "place", ["../outside.txt", "pyproject.toml", "scenarios/__snapshots__/../../x.txt", "/etc/x.txt"]
)
def test_results_name_no_other_files_than_snapshots(changed: Project, place: str) -> None:
    changed.pytest("-q", "--convtest-results=results.jsonl")
    lines = changed.read("results.jsonl")
    changed.write("results.jsonl", lines.replace(f'"path":"{SNAPSHOT}"', f'"path":"{place}"'))
    before = changed.files()

    done = changed.convtest("review", "results.jsonl", "--accept", place)

    assert done.code == 2
    assert "is no place of a snapshot of this project" in done.err
    assert changed.files() == before


@pytest.mark.parametrize("name", ["CI", "GITHUB_ACTIONS"])
def test_in_ci_nothing_is_rewritten(rerecorded: Project, name: str) -> None:
    rerecorded.environment[name] = "true"
    before = rerecorded.files()

    shown = rerecorded.convtest("review")
    accepted = rerecorded.convtest("review", "--accept", CASSETTE)
    rejected = rerecorded.convtest("review", "--reject", CASSETTE)

    assert shown.code == 1
    assert (accepted.code, rejected.code) == (2, 2)
    assert "in CI nothing is accepted or rejected" in accepted.err
    assert rerecorded.files() == before


def test_a_misspelt_id_is_one_error(rerecorded: Project) -> None:
    before = rerecorded.files()

    done = rerecorded.convtest("review", "--accept", CASSETTE, "--accept", "cassettes/x.yaml")

    assert done.code == 2
    assert f"nothing waits under the name 'cassettes/x.yaml'\n    what waits: {CASSETTE}" in done.err
    assert rerecorded.files() == before


def test_a_recording_that_cannot_be_read_is_shown_as_such_and_never_accepted(rerecorded: Project) -> None:
    rerecorded.write(f"{CASSETTE}.new", "interactions: [\n")
    old = rerecorded.read(CASSETTE)

    shown = rerecorded.convtest("review")
    accepted = rerecorded.convtest("review", "--accept", CASSETTE)

    assert "unreadable cassette" in shown.out
    assert accepted.code == 2
    assert rerecorded.read(CASSETTE) == old
    assert rerecorded.convtest("review", "--reject", CASSETTE).code == 0


def test_json_has_both_sides_word_by_word(rerecorded: Project) -> None:
    done = rerecorded.convtest("review", "--json")

    (one,) = json.loads(done.out)["waiting"]
    assert done.code == 1
    assert (one["id"], one["kind"], one["state"]) == (CASSETTE, "cassette", "changed")
    assert {change["verdict"] for change in one["changes"]} >= {"request", "answer"}
    (line,) = [line for line in one["conversation"][0]["lines"] if line["label"] == "user"]
    assert line == {"label": "user", "state": "changed", "old": "My name is Ada.", "new": "My name is Eve."}


def test_on_a_terminal_each_change_is_decided_by_a_key(rerecorded: Project) -> None:
    old = rerecorded.read(CASSETTE)
    new = rerecorded.read(f"{CASSETTE}.new")

    skipped = Terminal(rerecorded, "review").press("xs")
    assert skipped.end() == 1
    assert "1 skipped" in skipped.text
    quitted = Terminal(rerecorded, "review").press("q")
    assert quitted.end() == 1
    interrupted = Terminal(rerecorded, "review").press("\x03")
    assert interrupted.end() == 1
    assert "Traceback" not in interrupted.text
    assert (rerecorded.read(CASSETTE), rerecorded.read(f"{CASSETTE}.new")) == (old, new)

    accepted = Terminal(rerecorded, "review").press("a")
    assert accepted.end() == 0
    assert "1 accepted" in accepted.text
    assert rerecorded.read(CASSETTE) == new
    assert not (rerecorded.root / f"{CASSETTE}.new").exists()


def test_a_wide_terminal_has_both_beside_each_other_and_a_narrow_one_above(rerecorded: Project) -> None:
    wide = Terminal(rerecorded, "review", columns=140).press("q")
    wide.end()
    narrow = Terminal(rerecorded, "review", columns=60).press("q")
    narrow.end()

    assert re.search(r"- user +My name is Ada\. +\+ user +My name is Eve\.", wide.text)
    assert not re.search(r"Ada\..*Eve\.", narrow.text)
    assert re.search(r"- user +My name is Ada\.\n +\+ user +My name is Eve\.", narrow.text)
    assert re.search(r"\x1b\[[0-9;]*7[0-9;]*mAda\x1b", wide.output)  # reversed, as in a failure


def test_without_colours_words_that_differ_stand_in_brackets(rerecorded: Project) -> None:
    plain = Terminal(rerecorded, "review", columns=140, NO_COLOR="1").press("q")
    plain.end()

    assert "My name is [Ada]." in plain.text


def test_on_a_terminal_in_ci_nobody_is_asked(rerecorded: Project) -> None:
    shown = Terminal(rerecorded, "review", CI="true")

    assert shown.end() == 1
    assert ASKED not in shown.text


def test_whole_shows_what_is_left_out(project: Project) -> None:
    many = NAME + "".join(f"  - user: What is {n} + 1?\n" for n in range(8))
    project.write("scenarios/name.yaml", many)
    assert project.convtest("record").code == 0
    project.write(
        "scenarios/name.yaml",
        many.replace("tell: My name is Ada", "tell: Hi, my name is Ada").replace("answer: Ada", "answer: Bob"),
    )
    project.convtest("record", "--mode", "all")

    shown = Terminal(project, "review").press("wq")
    shown.end()

    short, _, whole = shown.text.partition(ASKED)
    assert re.search(r"… \d exchanges the same", short)
    assert "What is 7 + 1?" not in short
    assert "What is 7 + 1?" in whole
