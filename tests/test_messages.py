"""What requests share is looked at once: the same canonical form, keys and refusals as if it were looked at anew."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtest.simulator import validation
from convtest.wire import normalising
from convtest.wire.blocks import blocks_of, merged, sealed_of
from convtest.wire.canonical import Canonical, canonical
from convtest.wire.messages import Histories, Message, the_same
from convtest.wire.unread import MAX_DEPTH, decoded

URL = "https://api.anthropic.com/v1/messages"
TEXTS = st.sampled_from(["Hello.", "My name is Ada.", "  two  blanks ", "sk-ant-api03-Zx9Qw8Er7Ty6Ui5Op4As3Df2", ""])
VALUES: st.SearchStrategy[Any] = st.sampled_from([1, 1.0, True, "1", None, [1], {"a": 1}])
IDS = st.sampled_from(["toolu_1", "toolu_2"])
BLOCKS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXTS),
    st.builds(lambda id, value: {"type": "tool_use", "id": id, "name": "look", "input": {"x": value}}, IDS, VALUES),
    st.builds(lambda id, text: {"type": "tool_result", "tool_use_id": id, "content": text}, IDS, TEXTS),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, TEXTS),
    st.just({"type": "image", "source": {"data": "AAAA"}}),
)
MESSAGES = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["user", "assistant", "system"]),
        st.one_of(TEXTS, st.lists(BLOCKS, max_size=3)),
    ),
    max_size=6,
)


def asked(messages: list[Any], user: str = "u1") -> Canonical:
    body = {"model": "claude-haiku-4-5", "metadata": {"user_id": user}, "messages": messages}
    return canonical("POST", URL, json.dumps(body).encode(), claude_code=True)


@given(MESSAGES, MESSAGES, MESSAGES, st.sampled_from(["u1", "toolu_1"]))
@settings(deadline=None)
def test_a_request_reads_the_same_whatever_was_seen_before(
    shared: list[Any], one: list[Any], other: list[Any], user: str
) -> None:
    known = normalising._HISTORIES._known
    for messages in (shared, [*shared, *one], [*shared, *other], [*shared, *one, *other]):
        after_others = asked(messages, user)
        known.clear()
        alone = asked(messages, user)

        assert after_others.key == alone.key
        assert after_others.body == alone.body
        assert after_others.ids == alone.ids
        assert after_others.reminders == alone.reminders
        asked(shared, user)


@pytest.mark.parametrize(("was", "now"), [(1, True), (1, 1.0), (0, False), ("1", 1)])
def test_numbers_that_python_takes_as_equal_are_not(was: Any, now: Any) -> None:
    def used(value: Any) -> list[Any]:
        use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"x": value}}
        return [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": [use]}]

    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]}

    assert asked(used(was)).key != asked(used(now)).key
    assert asked([*used(was), result]).key != asked([*used(now), result]).key


def test_equal_messages_are_one_object_and_others_are_not() -> None:
    first, second = (
        asked([{"role": "user", "content": "Hi."}]),
        asked(
            [{"content": [{"type": "text", "text": "Hi."}], "role": "user"}, {"role": "assistant", "content": "Hi."}]
        ),
    )

    assert first.messages[0] is second.messages[0]
    assert isinstance(first.messages[0], Message)
    assert second.messages[0] is not second.messages[1]
    assert the_same({"role": "user", "content": 1}) is not the_same({"role": "user", "content": True})


def test_a_list_goes_on_from_the_longest_known_one() -> None:
    seen = Histories(keeps=3)
    for count in (1, 2, 3, 4):
        look = seen.look("", list(range(count)))
        assert look.made == (count - 1 or None)
        look.note(count)

    assert seen.look("", [0, 1, 2, 3, 9]).count == 4
    assert seen.look("", [0, 1, 9]).count == 2
    assert seen.look("", [0, 11]).count == 0  # that of one was forgotten, and 1 is no beginning of 11
    assert seen.look("other", [0, 1, 2]).count == 0


def test_no_more_is_kept_than_the_last_kinds() -> None:
    seen = Histories(keeps=3)
    for kind in range(5):
        seen.look(kind, ["said"]).note(kind)

    assert [seen.look(kind, ["said"]).made for kind in range(5)] == [None, None, 2, 3, 4]


def test_what_is_too_long_is_not_kept() -> None:
    seen = Histories(limit=10)
    seen.look("", ["x" * 20]).note("long")

    assert seen.look("", ["x" * 20]).made is None


def test_all_is_forgotten_where_it_has_grown() -> None:
    seen = Histories(limit=25)
    for text in ("one", "two", "three", "four"):
        seen.look("", [text]).note(text)

    assert [seen.look("", [text]).made for text in ("one", "two", "three", "four")] == [None, None, None, "four"]


@given(MESSAGES)
@settings(deadline=None)
def test_seals_stand_where_they_did(messages: list[Any]) -> None:
    """Against the plain way: all blocks before one, merged anew for each."""
    plain, places = [], []
    for message in messages:
        for block in message["content"] if isinstance(message["content"], list) else []:
            plain += blocks_of({"role": message["role"], "content": [block]})
            places += [len(merged(plain))] * len(sealed_of([{"role": "user", "content": [block]}]))

    assert [one.place for one in sealed_of(messages)] == places


@given(MESSAGES, MESSAGES)
@settings(deadline=None)
def test_the_simulator_refuses_as_if_it_had_seen_nothing(shared: list[Any], more: list[Any]) -> None:
    for messages in (shared, [*shared, *more]):
        body = {"model": "m", "max_tokens": 1, "messages": messages}
        with_others = validation.shape_problem(body), validation.problem_of(body)
        validation._WELL_FORMED._known.clear()
        validation._RIGHT._known.clear()

        assert with_others == (validation.shape_problem(body), validation.problem_of(body))


@given(st.integers(1, 3), st.lists(st.sampled_from(['"', "\\", "[", "]", "{", "}", "ü", '\\"', '"]']), max_size=6))
@settings(deadline=None)
def test_depth_is_that_of_the_brackets_outside_of_strings(extra: int, parts: list[str]) -> None:
    text = "".join(parts)

    def nested(depth: int) -> Any:
        value: Any = text
        for level in range(depth):
            value = [text, value, text] if level % 2 else {text: value}
        return value

    assert decoded(json.dumps(nested(MAX_DEPTH)).encode()) == nested(MAX_DEPTH)
    with pytest.raises(ValueError, match="nested too deep"):
        decoded(json.dumps(nested(MAX_DEPTH + extra)).encode())
