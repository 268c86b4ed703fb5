"""What a reply to a probe comes to."""

from typing import get_args

import pytest

from convtest.retention.outcomes import Values, outcome
from convtest.retention.probes import LETTERS, Letter, Outcome


def test_every_outcome_has_a_letter_of_its_own() -> None:
    assert list(LETTERS) == list(get_args(Outcome))
    assert sorted(LETTERS.values()) == sorted(get_args(Letter))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("서울이에요.", "hit"),
        ("서울에 사신다고 하셨어요.", "hit"),
        ("예전에는 부산이었고 지금은 서울입니다.", "hit"),
        ("부산에서 서울로 바뀌었습니다.", "hit"),
        ("부산입니다.", "stale"),
        ("서울이 아닙니다.", "miss"),
        ("서울은 아니에요.", "miss"),
        ("서울대입니다.", "miss"),
        ("모르겠습니다.", "miss"),
    ],
)
def test_outcomes_in_korean(reply: str, expected: str) -> None:
    assert outcome(reply, Values(current="서울", older=("부산",))) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("東京です。", "hit"),
        ("東京ではありません。", "miss"),
        ("東京じゃないです。", "miss"),
        ("東京ではどうですか。", "hit"),
    ],
)
def test_a_denial_that_comes_last(reply: str, expected: str) -> None:
    assert outcome(reply, Values(current="東京")) == expected
