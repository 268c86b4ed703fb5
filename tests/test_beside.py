"""Two conversations beside each other: nothing is lost, and what is marked is what differs."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from convtest.reporting.beside import beside, words
from convtest.reporting.exchanges import Exchange, Line, exchanges_in

TEXTS = st.one_of(
    st.text(max_size=20),
    st.lists(st.sampled_from(["the", "sea", "is", "blue", ",", "wide", "\n", "שלום", "🙂"]), max_size=12).map(" ".join),
)
LINES = st.builds(Line, st.sampled_from(["user", "assistant", "model"]), TEXTS, st.booleans())
EXCHANGES = st.builds(
    Exchange,
    st.sampled_from(["alice", "bob"]),
    st.sampled_from(["step 1", "step 2", "step 3"]),
    st.lists(LINES, max_size=4).map(tuple),
)
TALKS = st.lists(EXCHANGES, max_size=6)


@settings(max_examples=300, deadline=None)
@given(TALKS, TALKS)
def test_law_each_side_has_its_own_lines_all_of_them_in_their_order(old: list[Exchange], new: list[Exchange]) -> None:
    for session in ("alice", "bob"):
        found = [one for one in beside(old, new) if one.session == session]
        for side, exchanges in (("old", old), ("new", new)):
            told = [line for one in found for pair in one.pairs if (line := getattr(pair, side)) is not None]
            assert told == [line for one in exchanges if one.session == session for line in one.lines]


@settings(max_examples=200, deadline=None)
@given(TALKS)
def test_law_what_is_the_same_is_called_so_and_nothing_else_is(talk: list[Exchange]) -> None:
    assert {one.state for one in beside(talk, talk)} <= {"same"}
    assert {one.state for one in beside([], talk)} <= {"new"}
    assert {one.state for one in beside(talk, [])} <= {"gone"}


@settings(max_examples=500, deadline=None)
@given(TEXTS, TEXTS)
def test_law_marking_words_changes_none_and_leaves_the_same_ones_alone(old: str, new: str) -> None:
    before, after = words(old, new)

    assert ("".join(text for text, _ in before), "".join(text for text, _ in after)) == (old, new)
    same = [[w for t, differs in side if not differs for w in re.findall(r"\w+", t)] for side in (before, after)]
    if any(differs for _, differs in [*before, *after]):
        assert same[0] == same[1]


def test_the_words_that_differ_are_marked_and_no_others() -> None:
    assert words("My name is Ada.", "My name is Eve.") == (
        [("My name is ", False), ("Ada", True), (".", False)],
        [("My name is ", False), ("Eve", True), (".", False)],
    )
    assert words("yes", "no") == ([("yes", False)], [("no", False)])  # nothing in common: nothing to point at


def test_a_million_characters_that_are_all_unlike_are_compared_only_where_they_begin_and_end() -> None:
    one, other = (" ".join(f"{letter}{n % 1000}" for n in range(200_000)) for letter in "ab")

    before, after = words(f"begins {one} 7 ends", f"begins {other} 7 ends")

    assert [differs for _, differs in before] == [differs for _, differs in after] == [False, True, False]
    assert (before[1][0], after[2][0]) == (one, " 7 ends")


def test_an_exchange_that_is_put_in_between_changes_no_other() -> None:
    def asked(number: int, prompt: str) -> Exchange:
        return Exchange("main", f"step {number}", (Line("user", prompt), Line("assistant", f"{prompt}!")))

    old = [asked(n, f"question {n}") for n in range(1, 5)]
    new = [old[0], asked(2, "something new"), *(asked(n + 1, f"question {n}") for n in range(2, 5))]

    assert [one.state for one in beside(old, new)] == ["same", "new", "same", "same", "same"]


def test_a_snapshot_is_read_as_a_conversation_whatever_somebody_wrote_into_it() -> None:
    text = (
        "# title\n# source: cassette\n\nsession main\n\n  1. user: My name: Ada.\n     sent: 1 message (user)\n"
        "       + user: My name: Ada.\n     reply: Hello: you.\n\n  2. user: And?\n       + assistant: Hello: you.\n"
        "       + user: And?\n       - tool_result: 3\n     reply: (no text)\nsomebody's own line\n"
    )

    head, one, two = exchanges_in(text)

    assert [line.text for line in head.lines] == ["title", "cassette"]
    assert (one.session, one.title, one.prompt) == ("main", "step 1", "My name: Ada.")
    assert [(line.label, line.text) for line in two.lines] == [
        ("user", "And?"),
        ("not sent again tool_result", "3"),
        ("reply", "(no text)"),
        ("", "somebody's own line"),
    ]


@given(st.text(max_size=200))
def test_law_any_text_is_read_as_a_snapshot(text: str) -> None:
    said = "".join(line.text for one in exchanges_in(text) for line in one.lines)

    assert not said or len(said) <= len(text)
