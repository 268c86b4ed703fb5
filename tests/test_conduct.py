"""Conduct, on turns that are written down: which tries there were, how soon, and what was made of a broken answer."""

import json
from typing import Any, cast

import pytest

from convtest.checks.conduct import conduct_of
from convtest.errors import Place
from convtest.events import Event, TextDelta, TurnEnd
from convtest.scenario.model import Turn
from convtest.transcript import TurnRecord
from convtest.wire.interaction import Chunk, Interaction, Request, StreamEnd
from tests.playing import Stage

URL = "https://api.anthropic.com/v1/messages"
PROMPT = "Tell me a story."
STORY = "Once there was a lamp."
BROKEN = "Once there"


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def answer(
    text: str, *uses: tuple[str, dict[str, Any] | None], stop: str | None = "end_turn", error: bool = False
) -> bytes:
    """The stream of an answer, or of its beginning; `uses` are (name, input) of the tools that it asks for."""
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {}}
    pieces = [
        _event("message_start", message=message),
        _event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        _event("content_block_delta", index=0, delta={"type": "text_delta", "text": text}),
    ]
    for index, (name, given) in enumerate(uses, 1):
        block: dict[str, Any] = {"type": "tool_use", "id": f"toolu_{name}_{index}", "name": name}
        if given is None:
            pieces += [_event("content_block_start", index=index, content_block=block)]
            continue
        block["input"] = {}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(given)}
        pieces += [
            _event("content_block_start", index=index, content_block=block),
            _event("content_block_delta", index=index, delta=delta),
            _event("content_block_stop", index=index),
        ]
    if stop is not None:
        pieces += [
            _event("content_block_stop", index=0),
            _event("message_delta", delta={"stop_reason": stop}, usage={"output_tokens": 3}),
            _event("message_stop"),
        ]
    if error:
        pieces.append(_event("error", error={"type": "overloaded_error", "message": "busy"}))
    return b"".join(pieces)


def said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def asked(
    number: int,
    stream: bytes = b"",
    *messages: dict[str, Any],
    at: float = 0.0,
    took: float | None = None,
    status: int = 200,
    ended: StreamEnd | None = "complete",
    retry_after: str = "",
    header: str = "Retry-After",
) -> Interaction:
    """A request with what answered it; times in milliseconds."""
    body = json.dumps({"model": "m", "messages": list(messages) or [said("user", PROMPT)]}).encode()
    headers = [("content-type", "text/event-stream")] if stream else []
    headers += [("content-length", "5"), (header, retry_after)] if retry_after else []
    return Interaction(
        number=number,
        lane="main",
        turn=1,
        request=Request(method="POST", url=URL, headers=(), body=body),
        sent_at=at,
        status=status,
        headers=tuple(headers),
        chunks=[Chunk(1.0, stream[:9]), Chunk(took or 2.0, stream[9:])] if stream else [],
        first_byte=1.0 if stream else took,
        ended=ended,
    )


WHOLE = TurnEnd()


def turn(
    *sent: Interaction, text: str = "", end: TurnEnd | None = WHOLE, crash: str = "", prompt: str = PROMPT
) -> TurnRecord:
    """A turn in which just this was sent; its place in a scenario is not looked at."""
    nowhere = cast("Any", None)
    here = Place("talk.yaml", 1, 1)
    step = Turn(index=1, session="main", id=None, expect=None, options={}, place=here, node=nowhere, prompt=prompt)
    events: list[Event] = [TextDelta(text=text)] if text else []
    record = TurnRecord(step=step, session="main", interactions=list(sent), events=[*events, *([end] if end else [])])
    record.chosen, record.crash = tuple(sent), crash
    return record


def test_the_wait_begins_where_the_last_answer_ended() -> None:
    first, second = asked(1, answer(BROKEN, stop=None), at=1000, took=500, ended="reset"), asked(2, at=4000)

    assert conduct_of(turn(first, second)).waits == (2.5,)


def test_without_a_body_it_begins_at_the_head_and_without_a_head_at_the_request() -> None:
    head, nothing = asked(1, at=1000, took=500, status=529), asked(2, at=4000, status=599)

    assert conduct_of(turn(head, nothing, asked(3, at=9000))).waits == (2.5, 5.0)


def test_each_try_counts_from_the_one_before_it_and_other_requests_count_for_nothing() -> None:
    other = asked(2, answer("A title"), said("user", "A title, please."), at=100)
    tries = [asked(1, at=0, status=529), other, asked(3, at=200, status=529), asked(4, at=500)]

    assert conduct_of(turn(*tries)).waits == (0.2, 0.3)


@pytest.mark.parametrize(
    ("at", "found"), [(2949.9, "ignored"), (2950, "obeyed"), (3000, "obeyed"), (60000, "obeyed"), (None, None)]
)
def test_a_try_may_come_a_little_early(at: float | None, found: str | None) -> None:
    later = [] if at is None else [asked(2, answer(STORY), at=at)]

    assert conduct_of(turn(asked(1, status=429, retry_after="3"), *later)).retry_after == found


@pytest.mark.parametrize("header", ["retry-after", "Retry-After", "RETRY-AFTER"])
def test_the_header_is_read_however_it_is_spelt(header: str) -> None:
    sent = [asked(1, status=429, retry_after="3", header=header), asked(2, at=100)]

    assert conduct_of(turn(*sent)).retry_after == "ignored"


def test_a_date_is_of_another_clock() -> None:
    sent = [asked(1, status=429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"), asked(2, at=100)]

    assert conduct_of(turn(*sent)).retry_after is None


def test_one_wait_that_was_too_short_is_enough() -> None:
    sent = [asked(1, status=429, retry_after="1"), asked(2, at=1500, status=429, retry_after="1"), asked(3, at=1600)]

    assert conduct_of(turn(*sent)).retry_after == "ignored"
    plain = asked(9, answer("Yes."), said("user", "Before."))
    assert conduct_of(turn(plain, *sent)).retry_after == "ignored"
    assert conduct_of(turn(*sent[:2])).retry_after == "obeyed"


def test_another_request_is_no_try_that_came_too_soon() -> None:
    other = asked(2, answer("A title"), said("user", "A title, please."), at=100)

    assert conduct_of(turn(asked(1, status=429, retry_after="3"), other, asked(3, at=3000))).retry_after == "obeyed"


BREAKS: list[StreamEnd] = ["reset", "truncated", "complete"]


@pytest.mark.parametrize("ended", BREAKS)
def test_a_broken_stream_is_noticed_or_taken_as_complete(ended: StreamEnd) -> None:
    broken = asked(1, answer(BROKEN, stop=None), ended=ended)

    lost = turn(broken, text=BROKEN, end=TurnEnd(ended="connection_lost"))
    assert (conduct_of(lost).truncated, conduct_of(lost).surfaced) == ("noticed", "connection_lost")
    taken = turn(broken, text=BROKEN)
    assert (conduct_of(taken).truncated, conduct_of(taken).surfaced) == ("taken_as_complete", "complete")
    again = turn(broken, asked(2, answer(STORY)), text=STORY)
    assert (conduct_of(again).truncated, conduct_of(again).text) == ("noticed", "once")


def test_two_broken_streams_are_noticed_where_the_second_is() -> None:
    first, second = (asked(number, answer(BROKEN, stop=None), ended="reset") for number in (1, 2))

    assert conduct_of(turn(first, second, text=BROKEN)).truncated == "taken_as_complete"
    assert conduct_of(turn(first, second, asked(3, answer(STORY)), text=STORY)).truncated == "noticed"


def test_without_a_turn_end_nothing_was_made_of_it() -> None:
    found = conduct_of(turn(asked(1, answer(BROKEN, stop=None), ended="reset"), end=None))

    assert (found.truncated, found.text, found.surfaced) == (None, None, "nothing")


@pytest.mark.parametrize(("error", "truncated"), [(False, None), (True, "taken_as_complete")])
def test_what_the_client_closed_did_not_break_but_after_an_error_in_it(error: bool, truncated: str | None) -> None:
    cut = asked(1, answer(BROKEN, stop=None, error=error), ended="closed_by_client")

    assert conduct_of(turn(cut, text=BROKEN)).truncated == truncated


def test_a_stream_that_is_still_open_is_not_broken() -> None:
    assert conduct_of(turn(asked(1, answer(BROKEN, stop=None), ended=None), text=BROKEN)).truncated is None


def test_what_was_refused_did_not_break_off() -> None:
    found = conduct_of(turn(asked(1, status=529), asked(2, answer(STORY), at=500), text=STORY))

    assert (found.truncated, found.text, found.surfaced) == (None, None, "complete")


@pytest.mark.parametrize("status", [199, 300, 400, 599])
def test_only_a_two_hundred_is_an_answer(status: int) -> None:
    assert conduct_of(turn(asked(1, status=status))).surfaced == "complete"
    broken = asked(1, answer(BROKEN, stop=None), status=status, ended="reset")
    assert conduct_of(turn(broken, text=BROKEN)).truncated is None


@pytest.mark.parametrize("status", [200, 299])
def test_where_nothing_failed_nothing_surfaced(status: int) -> None:
    found = conduct_of(turn(asked(1, answer(STORY), status=status), text=STORY))

    assert (found.surfaced, str(found)) == ("", "")


@pytest.mark.parametrize(
    ("yielded", "text"),
    [
        (STORY, "once"),
        (f"{BROKEN}{STORY}", "doubled"),
        (f"{BROKEN}\n\n {STORY} ", "doubled"),
        (f"{BROKEN} {STORY} And so on.", "once"),
        (BROKEN, "once"),
    ],
)
def test_the_beginning_is_said_once_or_twice(yielded: str, text: str) -> None:
    sent = [asked(1, answer(BROKEN, stop=None), ended="reset"), asked(2, answer(STORY))]

    assert conduct_of(turn(*sent, text=yielded)).text == text


def test_a_model_may_go_on_with_its_own_broken_answer() -> None:
    kept = [said("user", "Before."), said("assistant", "An old tale."), said("user", PROMPT), said("assistant", BROKEN)]
    sent = [asked(1, answer(BROKEN, stop=None), ended="reset"), asked(2, answer(" was a lamp."), *kept)]

    assert conduct_of(turn(*sent, text=f"{BROKEN} was a lamp.")).text == "once"
    assert conduct_of(turn(*sent, text=f"{BROKEN}{BROKEN} was a lamp.")).text == "doubled"


def test_of_a_turn_that_did_not_end_complete_no_text_is_compared() -> None:
    sent = [asked(1, answer(BROKEN, stop=None), ended="reset"), asked(2, answer(STORY))]

    assert conduct_of(turn(*sent, text=BROKEN + STORY, end=TurnEnd(ended="interrupted"))).text is None


def test_nor_where_the_last_answer_broke_too() -> None:
    sent = [asked(1, answer(BROKEN, stop=None), ended="reset"), asked(2, answer(STORY, stop=None), ended="reset")]

    assert conduct_of(turn(*sent, text=BROKEN + STORY)).text is None


OTHERS: dict[str, dict[str, Any]] = {
    "nothing": {"role": "assistant"},
    "a tool": {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "t", "name": "n", "input": {}, "text": "x"}],
    },
    "no prompt": said("user", "Go on."),
    "a prompt with others": {
        "role": "user",
        "content": [*said("user", "Well:")["content"], *said("user", PROMPT)["content"]],
    },
}


@pytest.mark.parametrize("other", OTHERS)
def test_only_its_own_words_since_the_prompt_count_for_the_answer(other: str) -> None:
    kept = [said("user", PROMPT), said("assistant", BROKEN), OTHERS[other]]
    if other == "a prompt with others":
        kept = [said("user", "Before."), said("assistant", "An old tale."), OTHERS[other], said("assistant", BROKEN)]
    sent = [asked(1, answer(BROKEN, stop=None), ended="reset"), asked(2, answer(" was a lamp."), *kept)]

    assert conduct_of(turn(*sent, text=f"{BROKEN} was a lamp.")).text == "once"
    assert conduct_of(turn(*sent, text=f"{BROKEN} x was a lamp.")).text == "doubled"


def test_its_own_words_may_stand_in_several_messages_in_their_order() -> None:
    kept = [said("user", PROMPT), said("assistant", "Once "), said("user", "Go on."), said("assistant", "there")]
    sent = [asked(1, answer(BROKEN, stop=None), ended="reset"), asked(2, answer(" was a lamp."), *kept)]

    assert conduct_of(turn(*sent, text=f"{BROKEN} was a lamp.")).text == "once"


def test_the_prompt_is_found_whatever_white_space_is_around_it() -> None:
    kept = [said("user", "Before."), said("assistant", "An old tale."), said("user", PROMPT), said("assistant", BROKEN)]
    sent = [asked(1, answer(BROKEN, stop=None), ended="reset"), asked(2, answer(" was a lamp."), *kept)]

    assert conduct_of(turn(*sent, text=f"{BROKEN}{BROKEN} was a lamp.", prompt=f" {PROMPT} ")).text == "doubled"


def test_it_is_the_last_answer_that_is_compared() -> None:
    tries = [asked(number, answer(BROKEN, stop=None), ended="reset") for number in (1, 2)]

    sent = [*tries, asked(3, answer("Another."), said("user", PROMPT), said("assistant", BROKEN))]
    assert conduct_of(turn(*sent, text=f"{BROKEN} Another.")).text == "once"
    assert conduct_of(turn(*sent, text=f"{BROKEN} {BROKEN} Another.")).text == "doubled"


def results(*told: tuple[str, dict[str, Any], str, bool]) -> list[dict[str, Any]]:
    """The messages with these (name, input, result, is_error) of tools."""
    uses = [
        {"type": "tool_use", "id": f"r{i}", "name": name, "input": given} for i, (name, given, *_) in enumerate(told)
    ]
    answers = [
        {"type": "tool_result", "tool_use_id": f"r{i}", "content": text, "is_error": error}
        for i, (_, _, text, error) in enumerate(told)
    ]
    return [said("user", PROMPT), {"role": "assistant", "content": uses}, {"role": "user", "content": answers}]


BUSY = ("look_up", {"what": "it"})


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([(*BUSY, "in the attic", False)], "taken_as_complete"),
        ([("mcp__house__look_up", {"what": "it"}, "in the attic", False)], "taken_as_complete"),
        ([("look_up", {"what": "it", "how": "fast"}, "in the attic", False)], "taken_as_complete"),
        ([("look_up", {"what": "other"}, "in the attic", False)], "noticed"),
        ([("count", {"what": "it"}, "nine", False)], "noticed"),
        ([(*BUSY, "not run", True)], "noticed"),
        ([], "noticed"),
    ],
)
def test_tools_of_an_answer_that_broke_off_are_not_told_as_done(told: list[Any], found: str) -> None:
    broken = asked(1, answer(BROKEN, BUSY, stop=None), ended="reset")

    assert conduct_of(turn(broken, asked(2, answer(STORY), *results(*told)), text=STORY)).truncated == found


def test_a_tool_may_be_asked_for_with_no_input_at_all() -> None:
    broken = asked(1, answer(BROKEN, ("look", None), stop=None), ended="reset")
    goes_on = asked(2, answer(STORY), *results(("look", {}, "seen", False)))

    assert conduct_of(turn(broken, goes_on, text=STORY)).truncated == "taken_as_complete"


def test_one_of_several_broken_answers_is_enough() -> None:
    done = results((*BUSY, "in the attic", False))
    sent = [
        asked(1, answer(BROKEN, BUSY, stop=None), ended="reset"),
        asked(2, answer(BROKEN, stop=None), *done, ended="reset"),
        asked(3, answer(STORY), *done),
    ]

    assert conduct_of(turn(*sent, text=STORY)).truncated == "taken_as_complete"


def test_an_answer_that_broke_off_before_its_first_event_asked_for_nothing() -> None:
    sent = [asked(1, ended="reset"), asked(2, answer(STORY))]

    assert conduct_of(turn(*sent, text=STORY)).truncated == "noticed"


def test_what_was_told_before_is_not_told_because_of_it() -> None:
    earlier = results((*BUSY, "in the attic", False))
    broken = asked(1, answer(BROKEN, BUSY, stop=None), *earlier, ended="reset")

    assert conduct_of(turn(broken, asked(2, answer(STORY), *earlier), text=STORY)).truncated == "noticed"


def test_one_of_two_tools_is_enough_and_a_later_request_is_not_meant() -> None:
    broken = asked(1, answer(BROKEN, ("count", {}), BUSY, stop=None), ended="reset")
    done = results((*BUSY, "in the attic", False))

    assert conduct_of(turn(broken, asked(2, answer(STORY), *done), text=STORY)).truncated == "taken_as_complete"
    again = asked(2, answer("Let me see.", BUSY, stop="tool_use"))
    assert conduct_of(turn(broken, again, asked(3, answer(STORY), *done), text=STORY)).truncated == "noticed"
    before = asked(1, answer("Well.", stop="tool_use"), *done)
    broken = asked(2, answer(BROKEN, BUSY, stop=None), ended="reset")
    assert conduct_of(turn(before, broken, asked(3, answer(STORY)), text=STORY)).truncated == "noticed"


def test_requests_in_another_sessions_name_are_its_own_where_it_sent_none() -> None:
    record = turn(asked(1, status=429, retry_after="3"), asked(2, answer(STORY), at=100), text=STORY)
    record.borrowed, record.interactions = record.interactions, []

    assert (conduct_of(record).waits, conduct_of(record).retry_after) == ((0.1,), "ignored")


def test_it_is_told_in_words() -> None:
    broken = answer(BROKEN, stop=None)
    hasty = [asked(1, status=429, retry_after="3"), asked(2, answer(STORY), at=100)]
    assert str(conduct_of(turn(*hasty, text=STORY))) == "tried again after 0.1s, retry-after ignored"
    assert str(conduct_of(turn(asked(1, broken, ended="reset"), text=BROKEN))) == "a truncated stream taken as complete"
    doubled = [asked(1, broken, ended="reset", took=0), asked(2, answer(STORY), at=1002)]
    said_twice = str(conduct_of(turn(*doubled, text=BROKEN + STORY)))
    assert said_twice == "tried again after 1.0s, said the beginning twice"


def test_an_exception_and_an_errors_name_are_what_surfaced() -> None:
    refused = asked(1, status=404)

    assert conduct_of(turn(refused, crash="ValueError")).surfaced == "an exception"
    assert conduct_of(turn(refused, end=TurnEnd(ended="error", error="model_not_found"))).surfaced == (
        "error (model_not_found)"
    )


@pytest.mark.parametrize(
    ("wanted", "count", "message"),
    [
        ("{count: 1}", 1, ""),
        ("{count: 2}", 1, "another number of times"),
        ("{count: {min: 1}, after: 3s}", 1, ""),
        ("{count: {max: 0}}", 1, "another number of times"),
        ("{after: 3040ms}", 1, ""),
        ("{after: 3100ms}", 1, "too soon"),
        ("{after: 1h}", 0, ""),
    ],
)
def test_retries_count_and_wait(stage: Stage, wanted: str, count: int, message: str) -> None:
    fault = "fault: {status: 429, retry_after: 3s}" if count else "id: quiet"
    text = f"""
        scenario: retried
        options: {{max_retries: 1}}
        steps:
          - user: What is 1 + 1?
            {fault}
            expect: {{retries: {wanted}}}
        """

    found = stage.play(text).verdict.findings

    assert [one.check for one in found] == (["retries"] if message else [])
    assert all(message in one.message for one in found)
