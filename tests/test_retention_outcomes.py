"""What a reply to a probe comes to."""

from typing import get_args

from convtest.retention.probes import LETTERS, Letter, Outcome


def test_every_outcome_has_a_letter_of_its_own() -> None:
    assert list(LETTERS) == list(get_args(Outcome))
    assert sorted(LETTERS.values()) == sorted(get_args(Letter))
