"""The values that a matrix tells: unique, found in any text, none within another, the same for the same seed."""

import pytest

from convtest.retention.outcomes import Values, outcome
from convtest.retention.pools import LANGUAGES, Pool, words_of, wrong_values
from convtest.textmatch import contains_value, folded

IN_WORDS = {"en": "It is {}.", "de": "Es ist {}.", "zh": "我的代号是{}。", "ja": "合言葉は{}です。", "ar": "هو {}."}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_value_of_a_shipped_pool_is_within_another(language: str) -> None:
    words = words_of(language)

    assert len({folded(word) for word in words}) == len(words) == 400
    text = {word: folded(word) for word in words}
    assert not [(a, b) for a in words for b in words if a != b and text[a] in text[b] and contains_value(b, a)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_value_is_found_in_words_and_no_other_is(language: str) -> None:
    for value, other in zip(words_of(language), words_of(language)[1:], strict=False):
        said = IN_WORDS[language].format(value)
        assert outcome(said, Values(current=value)) == "hit"
        assert outcome(said, Values(current=other, older=(value,))) == "stale"


def test_a_value_is_one_session_s_slot_s_and_version_s_own() -> None:
    pool = Pool("en", 3)
    asked = [(session, slot, version) for session in "ab" for slot in ("x", "y") for version in range(3)]

    values = [pool.value(*key) for key in asked]

    assert len(set(values)) == len(values)
    assert [pool.value(*key) for key in asked] == values
    again = Pool("en", 3)
    assert [again.value(*key) for key in asked] == values
    assert [Pool("en", 4).value(*key) for key in asked[:1]] != values[:1]
    assert not set(pool.left(5)) & set(values)


def test_a_sum_of_numbers_is_none_of_them() -> None:
    pool = Pool("en", 0)
    numbers = [pool.number("main", "box", version) for version in range(40)]

    assert len(set(numbers)) == 40
    assert not {a + b for a in numbers for b in numbers} & set(numbers)


def test_a_pool_that_is_used_up_says_so() -> None:
    pool = Pool("en", 0, own=("one fox", "two owls"))
    pool.value("main", "a"), pool.value("main", "b")

    with pytest.raises(LookupError, match="only 2 values, and c needs one more"):
        pool.value("main", "c")


def test_what_is_wrong_with_a_pool_is_named() -> None:
    assert list(wrong_values(["fox", "Fox", "red fox", "琥珀", "琥珀猎鹰", "owl"])) == [
        ("Fox", "stands there twice"),
        ("fox", "stands within 'red fox'"),
        ("琥珀", "stands within '琥珀猎鹰'"),
    ]
