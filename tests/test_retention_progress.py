"""What `convtest retention` says while it plays."""

from pathlib import Path

from convtest.cli.trunks import Playing
from convtest.retention.journal import Finished, Journal
from convtest.retention.probes import Trunk
from convtest.wire.spending import Ledger


def fact(trunk: str, outcome: str, *, cell: bool = True, cells: int = 2, of: int = 4) -> dict[str, object]:
    return {
        "trunk": f"m.yaml::m[trunk-{trunk}]", "outcome": outcome, "cell": cell, "cells": cells, "items": cells + 1,
        "of": of,
    }  # fmt: skip


def test_a_trunk_is_a_line_once_all_of_it_has_ended(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run.jsonl")
    playing = Playing(journal, repeats=2, quiet=False)
    told = playing._finished(1)

    assert told(fact("kill", "passed", cell=False)) is None
    assert told(fact("none", "passed", cell=False)) is None  # of another worker
    assert told(fact("kill", "passed")) is None
    Ledger(journal.ledger).add(0.5)
    line = told(fact("kill", "failed"))

    assert line is not None
    assert line.startswith("failed   m.yaml::m[trunk-kill]: 1 of 2 held, repeat 1 of 2  [2 of 8 probes, ")
    assert line.endswith(" left, 0.5000 USD spent]")
    assert told({"item": "test_other.py::test", "outcome": "passed"}) is None


def test_a_trunk_that_failed_and_is_not_in_the_journal_was_not_played(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run.jsonl")
    trunk = Trunk(id="m[trunk-kill]", disturb="kill", row="", seed=0, repeat=1, model="", prompt_tokens=())
    journal.add(
        Finished(trunk=trunk, probes=(), client="a", mode="live", scenario="m", digest="", policy={}, settings="")
    )
    playing = Playing(journal, repeats=1, quiet=True)
    for disturb in ("kill", "fork"):
        for number in range(3):
            playing._finished(1)(fact(disturb, "error", cell=number > 0))

    playing._look_for_unplayed(1)

    assert playing.unplayed == ["m.yaml::m[trunk-fork]"]


def test_what_was_finished_before_says_nothing_of_the_time_that_is_left(tmp_path: Path) -> None:
    playing = Playing(Journal(tmp_path / "run.jsonl"), repeats=1, quiet=False)
    told = playing._finished(1)

    lines = [told(fact("kill", "skipped", cell=one > 0)) for one in range(3)]

    assert lines == [None, None, "skipped  m.yaml::m[trunk-kill]: 2 not asked  [2 of 4 probes]"]
    quiet = Playing(Journal(tmp_path / "other.jsonl"), repeats=1, quiet=True)._finished(1)
    assert [quiet(fact("kill", "passed", cell=one > 0)) for one in range(3)] == [None, None, None]
