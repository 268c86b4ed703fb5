"""`convtest retention`: from cells to a baseline, a verdict, pictures and files for other programs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from convtest.wire.spending import Ledger
from tests.project import WITHOUT, Project
from tests.test_retention_import import bfcl

CELLS = """
import os
import time
from pathlib import Path
import pytest
from convtest.retention.journal import Finished, Journal
from convtest.retention.probes import Probe, Trunk
from convtest.wire.spending import Ledger

LOST = os.environ.get("LOST", "").split()

@pytest.mark.retention
@pytest.mark.parametrize("disturb", ["none", "kill", "fork", "compact"])
def test_trunk(pytestconfig, disturb):
    journal = Journal(Path(pytestconfig.getoption("--convtest-retention")))
    repeat = pytestconfig.getoption("--convtest-repeat")
    live = pytestconfig.getoption("--convtest-live")
    trunk = Trunk(id=f"memory[trunk-{disturb}]", disturb=disturb, row="", seed=0, repeat=repeat, model="m",
                  prompt_tokens=(10, 20, 30))
    probes = tuple(
        Probe(id=f"memory[recall.f{n}-told@1-after@1-{disturb}]", family="recall", slot=f"f{n}", session="main",
              told_at=1, after=1, disturb=disturb, row="", seed=0, repeat=repeat, trunk=trunk.id,
              outcome="M" if disturb in LOST else "H", wire="P")
        for n in range(8)
    )
    finished = Finished(trunk=trunk, probes=probes, client="assistant", mode="live" if live else "simulated",
                        scenario="memory", digest="aa", policy={}, settings=os.environ.get("SETTINGS", "bb"))
    if finished.key in journal.finished():
        return
    Ledger(journal.ledger).add(0.25)
    if disturb == os.environ.get("SLOW") and repeat == 2:
        Path("waits").touch()
        time.sleep(60)
    journal.add(finished)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.write("test_cells.py", CELLS)
    made.environment = {"PYTEST_ADDOPTS": f"{WITHOUT} -p no:xdist"}
    return made


def test_a_baseline_is_saved_and_a_regression_is_found_in_another_process(project: Project, tmp_path: Path) -> None:
    again = "retention", "test_cells.py", "--live", "--repeats=2"
    saved = project.convtest(*again, "--save", "base.json")
    assert saved.code == 0, saved.text
    assert "kill: 16 of 16 held" in saved.out

    same = project.convtest(*again, "--against", "base.json")
    assert (same.code, "? underpowered" in same.out) == (0, True), same.text
    assert "warning: underpowered: 20 trunks a side would do: --repeats 5 with 4 templates" in same.err

    project.environment["LOST"] = "kill fork compact"
    worse = project.convtest(
        *again, "--against", "base.json", "--pictures", "drawn", "--summary", "s.md", "--junit", "j.xml"
    )
    assert worse.code == 1
    assert "✗ regressed" in worse.out
    assert "most is lost under compact: 0% held, 100% undisturbed" in worse.out
    assert "kill     recall.f7 told@1  MM  after 1" in worse.out
    assert sorted(one.name for one in (tmp_path / "drawn").iterdir()) == [
        "distance-tokens.svg", "distance-turns.svg", "families.svg", "leaks.svg", "matrix.svg", "prompt-tokens.svg",
    ]  # fmt: skip
    assert project.read("s.md").startswith("### Retention of assistant: regressed")
    assert ElementTree.fromstring(project.read("j.xml")).get("failures") == "1"


def test_simulated_runs_are_exact_and_json_is_one_object(project: Project) -> None:
    project.convtest("retention", "test_cells.py", "--save", "base.json")
    project.environment |= {"LOST": "fork", "SETTINGS": "cc"}

    ran = project.convtest("retention", "test_cells.py", "--against", "base.json", "--json")

    assert ran.code == 1
    data = json.loads(ran.out)
    assert data["verdict"]["word"] == "regressed"
    assert data["verdict"]["why"][0] == "memory[recall.f0-told@1-after@1-fork]: H was M is, wire P was P is"
    assert "warning: other settings are sent than then" in ran.err


def test_what_cannot_be_compared_is_an_error_before_anything_is_played(project: Project) -> None:
    project.write("base.json", "{")

    ran = project.convtest("retention", "test_cells.py", "--live", "--against", "base.json")

    assert (ran.code, "this baseline is cut off" in ran.err) == (2, True)
    assert ".convtest_cache/retention.jsonl" not in project.files()


def test_no_cell_is_an_error(project: Project) -> None:
    ran = project.convtest("retention", "test_cells.py", "-k", "nothing")

    assert (ran.code, "no cell was played" in ran.err) == (2, True)


def test_after_a_kill_it_goes_on_and_counts_what_was_in_flight(project: Project, tmp_path: Path) -> None:
    project.environment["SLOW"] = "fork"
    command = [sys.executable, "-c", "from convtest.cli import main; main()", "retention", "test_cells.py", "--live"]

    child = subprocess.Popen(
        [*command, "--repeats=2"], cwd=tmp_path, env={**os.environ, **project.environment}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (tmp_path / "waits").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    del project.environment["SLOW"]

    ran = project.convtest("retention", "test_cells.py", "--live", "--repeats=2", "--json")

    assert ran.code == 0, ran.text
    assert "going on: 6 trunks were finished before" in ran.err
    assert (json.loads(ran.out)["asked"], json.loads(ran.out)["usd"]) == (4 * 8 * 2, 9 * 0.25)
    assert not [name for name in project.files() if name.startswith(".convtest_cache")]


def test_a_ledger_counts_what_all_have_spent(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "run.usd")
    assert ledger.total() == 0.0

    for cost in (0.1, 0.2, 1e-7):
        ledger.add(cost)
    ledger.path.write_text(ledger.path.read_text() + "0.0")

    assert ledger.total() == pytest.approx(0.3000001)


def test_published_questions_become_scenarios_that_check_finds_nothing_in(project: Project, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    bfcl(tmp_path / "data")
    (tmp_path / "scenarios").mkdir()

    first = project.convtest("retention", "--import", "bfcl-memory", "data")
    again = project.convtest("retention", "--import", "bfcl-memory", "data")

    assert first.code == 0, first.text
    assert "written  scenarios/bfcl-memory-shop.yaml: 2 questions; left out 1" in first.out
    assert "Apache-2.0" in first.out
    assert (again.code, "there is such a file already" in again.err) == (2, True)
    assert "items: 2, errors: 0, warnings: 0" in project.convtest("check").out
