"""Bodies that go on from one another are read as if each was the first, and kept as they were sent."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtest.wire import growing
from convtest.wire.growing import Bodies, decoded_request
from convtest.wire.interaction import Request
from convtest.wire.messages import Histories, History, digest_of, going_on, size_of
from convtest.wire.unread import decoded

LONG = "x" * 5_000
TEXTS = st.sampled_from(["Hello.", '"messages"', '"messages":[', "]", ",", "ü\\", LONG, ""])
MESSAGES = st.lists(st.builds(lambda text, n: {"role": "user", "content": text, "n": n}, TEXTS, st.integers(0, 2)))
BEFORE = st.sampled_from([{}, {"model": "m"}, {"metadata": {"messages": [1]}}, {"system": '{"messages": [{}]}'}])
AFTER = st.sampled_from([{}, {"stream": True}, {"tools": [{"messages": [[]]}]}, {"more": '], "messages": []'}])
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")])


def body_of(before: Any, messages: Any, after: Any, separators: tuple[str, str] = (",", ":")) -> bytes:
    return json.dumps({**before, "messages": messages, **after}, separators=separators, ensure_ascii=False).encode()


@given(MESSAGES, MESSAGES, MESSAGES, BEFORE, AFTER, AFTER, SEPARATORS)
@settings(deadline=None)
def test_a_body_is_read_as_if_nothing_had_been_read_before(
    shared: Any, one: Any, other: Any, before: Any, after: Any, changed: Any, separators: Any
) -> None:
    for messages in (shared, [*shared, *one], [*shared, *other], [*shared, *one, *other]):
        for rest in (after, changed):
            body = body_of(before, [LONG, *messages], rest, separators)
            assert decoded_request(body) == decoded(body)
            assert list(decoded_request(body)) == list(decoded(body))


@pytest.mark.parametrize(
    "more",
    [
        b',{"a":1}],"messages":[2]}',  # the last one counts
        b',{"a":1}],"messages":null}',
        b',{"a":1}',
        b",]}",
        b',1],"deep":' + b"[" * 300 + b"]" * 300 + b"}",
        b",\xff]}",
        b',1]}{"messages":[]}',
    ],
)
def test_what_is_odd_behind_known_messages_is_read_whole(more: bytes) -> None:
    head = b'{"messages":["' + LONG.encode() + b'"'
    decoded_request(head + b"]}")

    def read(by: Any) -> Any:
        try:
            return by(head + more)
        except ValueError as error:
            return str(error)

    assert read(decoded_request) == read(decoded)


def test_known_messages_are_the_same_objects_and_are_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [{"role": "user", "content": LONG}, {"role": "assistant", "content": "Hi."}]
    first = decoded_request(body_of({"model": "a"}, said, {"stream": True}))
    lengths: list[int] = []

    def noted(body: bytes) -> Any:
        lengths.append(len(body))
        return decoded(body)

    monkeypatch.setattr(growing, "decoded", noted)

    second = decoded_request(body_of({"model": "a"}, [*said, {"role": "user", "content": "And?"}], {"stream": True}))

    assert [one is other for one, other in zip(first["messages"], second["messages"], strict=False)] == [True, True]
    assert second["messages"][2]["content"] == "And?"
    assert sum(lengths) < 200


def test_no_more_is_known_than_the_last_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "_LIMIT", 12_000)
    for text in "abcd":
        decoded_request(body_of({}, [text, LONG], {}))

    assert len(growing._READ) == 2


@given(st.lists(st.tuples(st.sampled_from(["a", None]), st.binary(max_size=40), st.integers(0, 30)), max_size=12))
@settings(deadline=None)
def test_a_body_is_kept_as_it_was(parts: list[tuple[str | None, bytes, int]]) -> None:
    bodies, said, kept = Bodies(), LONG.encode(), []
    for lane, more, cut in parts:
        said = said[: len(said) - cut] + more
        body = said + b"]}"
        kept.append((bodies.keep(lane, body), body))

    assert [one.whole() == body for one, body in kept] == [True] * len(kept)


def test_what_bodies_share_is_kept_once() -> None:
    bodies, said, kept = Bodies(), LONG * 2, []
    for number in range(100):
        said += f",{number}"
        main = Request(method="POST", url="http://x", headers=(), body=f"{said}],true".encode())
        side = Request(method="POST", url="http://x", headers=(), body=b"a title, please")
        for one in (main, side):
            one.keep_with(bodies, "main")
            kept.append(one)

    held = {id(part): len(part) for one in kept for part in one.__dict__["_kept"]._parts if not isinstance(part, int)}
    assert sum(held.values()) < 4 * len(said)
    assert kept[0].body == f"{LONG * 2},0],true".encode()
    assert kept[0] == Request(method="POST", url="http://x", headers=(), body=kept[0].body)


@given(MESSAGES, MESSAGES)
@settings(deadline=None)
def test_what_follows_from_messages_is_the_same_whatever_they_go_on_from(one: Any, other: Any) -> None:
    before = History(one)
    digest_of(before), size_of(before)
    whole = going_on(before, *other)

    assert whole == [*one, *other]
    assert digest_of(whole) == digest_of([*one, *other])
    assert size_of(whole) == len(json.dumps([*one, *other], separators=(",", ":"), ensure_ascii=False).encode())


def test_only_what_is_new_is_looked_at() -> None:
    looked: list[Any] = []

    def count(before: int, messages: list[Any]) -> int:
        looked.extend(messages)
        return before + len(messages)

    first = History([1, 2])
    second = going_on(first, 3)
    third = going_on(second, 4)

    assert (first.so_far("count", 0, count), third.so_far("count", 0, count), looked) == (2, 4, [1, 2, 3, 4])
    assert second.so_far("count", 0, count) == 3
    assert looked == [1, 2, 3, 4]


def test_a_list_of_the_same_objects_is_known_without_their_json(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, said = Histories(), [{"a": LONG}, {"b": LONG}]
    seen.look("", said).note("two")
    monkeypatch.delattr("convtest.wire.messages.msgspec.json.encode")

    assert seen.look("", [*said]).made == "two"
