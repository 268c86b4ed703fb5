"""A journal loses nothing that was finished, whatever ends the process that writes it."""

import os
import signal
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import pytest

from convtest.errors import RetentionError
from convtest.retention.journal import Finished, Journal
from convtest.structs import replace
from tests.retention_records import ORIGIN, probes_of, run, trunks_of


def every(**more: Any) -> list[Finished]:
    """The trunks of a run, each with its probes."""
    probes = sorted(probes_of(lambda one: "H"), key=lambda one: (one.trunk, one.repeat))
    of_trunk = {key: tuple(group) for key, group in groupby(probes, key=lambda one: (one.trunk, one.repeat))}
    return [
        Finished(
            trunk=trunk, probes=of_trunk[trunk.id, trunk.repeat],
            **{"client": "assistant", "mode": "live", "scenario": "memory", "digest": "aa",
               "policy": {"interrupted_prompt": "kept"}, "settings": "bb", **more},
        )
        for trunk in trunks_of()
    ]  # fmt: skip


def test_what_was_finished_is_a_run(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "journal.jsonl")
    assert journal.run("0.1.0") is None

    for one in reversed(every()):
        journal.add(one)
        journal.add(one)

    made = journal.run("0.1.0")
    assert made is not None
    assert msgspec.structs.replace(made, origin=msgspec.structs.replace(made.origin, settings="bb")) == run()
    assert made.origin.scenarios == ORIGIN.scenarios


def test_a_line_that_was_cut_off_costs_itself_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    first, second, third, *_ = every()
    journal.add(first)
    journal.add(second)
    data = journal.path.read_bytes().rstrip(b"\n")

    for length in range(len(data) - 60, len(data)):
        journal.path.write_bytes(data[:length])
        journal.add(third)
        assert set(journal.finished()) == {first.key, third.key}, length


WRITES = """
import sys
from pathlib import Path
from convtest.retention.journal import Journal
from tests.test_retention_journal import every
journal = Journal(Path(sys.argv[1]))
for one in every():
    journal.add(one)
    print("added", flush=True)
"""


def test_what_is_said_to_be_on_disk_is_there_after_a_kill(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent
    command = [sys.executable, "-c", WRITES, str(tmp_path / "journal.jsonl")]
    said = 0
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}) as child:
        assert child.stdout is not None
        for _ in child.stdout:
            said += 1
            if said == 7:
                os.kill(child.pid, signal.SIGKILL)

    assert said >= 7
    assert len(Journal(tmp_path / "journal.jsonl").finished()) >= said


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"client": "other"}, "another client in memory"),
        ({"mode": "simulated"}, "another mode in memory"),
        ({"policy": {}}, "another policy in memory"),
        ({"digest": "ab"}, "the scenario 'memory' changed"),
        ({"settings": "cc"}, "the settings of 'memory' changed"),
    ],
)
def test_trunks_of_several_runs_are_refused(tmp_path: Path, more: dict[str, Any], what: str) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.add(every()[0])
    journal.add(every(**more)[1])

    with pytest.raises(RetentionError, match=what):
        journal.run("0.1.0")


def test_scenarios_have_settings_of_their_own(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.add(every()[0])
    other = every(scenario="other", digest="xx", settings="cc")[0]
    journal.add(msgspec.structs.replace(other, trunk=replace(other.trunk, id="other[trunk-none]")))

    made = journal.run("0.1.0")
    assert made is not None
    assert made.origin.scenarios == {"memory": "aa", "other": "xx"}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"schema": 2}', "a journal of version 2"),
        ('{"schema": 1}', "this is no journal"),
        ("[1]", "this is no journal"),
    ],
)
def test_what_is_no_journal_is_an_error(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "journal.jsonl").write_text(text)

    with pytest.raises(RetentionError, match=what):
        Journal(tmp_path / "journal.jsonl").finished()
