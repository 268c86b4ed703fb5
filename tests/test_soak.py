"""scripts/soak: it goes round, and tells a flat curve from one that grows."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.models import Behaviour, model
from tests.soaking import Sample, Soak, grown, table

FLAT = [
    Sample(minute=n / 2, rounds=n, memory=100 + n % 3, descriptors=9, threads=3, children=0, files=2) for n in range(60)
]


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    (folder / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder / "tmp"))
    yield folder
    shutil.rmtree(folder)


def test_a_round_leaves_nothing_behind(room: Path) -> None:
    soak = Soak(room)
    with model(Behaviour(pause=0)) as (url, does):
        for _ in range(2):
            soak.round(url)

    assert len(does.requests) == 2 * (3 + 3), "one recording and what was served; replays and points cost nothing"
    assert not list((room / "tmp").iterdir())


def test_what_is_flat_is_called_flat() -> None:
    assert grown(FLAT) == []
    assert grown([replace(one, memory=one.memory + 30 * (one.minute > 3)) for one in FLAT]) == [], "caches fill"


@pytest.mark.parametrize("what", ["memory", "descriptors", "threads", "children", "files"])
def test_what_grows_is_named(what: str) -> None:
    growing = [replace(one, **{what: getattr(one, what) + one.rounds // 4}) for one in FLAT]

    assert [problem.split()[0] for problem in grown(growing)] == [what]


def test_the_curve_is_a_table() -> None:
    lines = list(table(FLAT, most=10))

    assert len(lines) == 11
    assert lines[0].split()[:3] == ["minute", "rounds", "memory"]
    assert lines[1].endswith("#" * 30)
