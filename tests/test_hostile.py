"""Hostile inputs: each is one clear error within its limits. `scripts/hostile` plays all, these are every fifth."""

from pathlib import Path

import pytest

from tests.hostile import ALL, Hostile, play


def test_there_are_enough_of_them_and_none_twice() -> None:
    assert len({one.name for one in ALL}) == len(ALL) >= 150


@pytest.mark.parametrize("one", ALL[::5], ids=lambda one: one.name)
def test_it_is_one_clear_error(one: Hostile, tmp_path: Path) -> None:
    outcome = play(one, tmp_path)
    why = outcome.wrong(one)
    assert not why, f"{why}\n{outcome.text}"
