"""Tool uses and their results in what is sent: each mistake by its name, and what the APIs take as equal."""

from typing import Any

import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from tests.broken_clients import EditedTransport
from tests.playing import Stage, finding_of
from tests.test_histories import Body, Spoils

ME = "tests.test_tool_use"
TALK = """
scenario: two tools
tools:
  look_up:
    input: {what: string, how: string}
    answers: [{when: {what: cellar}, error: It is locked.}, {return: found it}]
  count: {input: {what: string}, answers: [{return: nine of them}]}
steps:
  - user: Look it up.
    simulate:
      - {text: Let me see., calls: [{look_up: {what: it, how: fast}}, {count: {what: lamps}}]}
      - {calls: [{look_up: {what: attic, how: slow}}]}
      - text: Here it is.
  - {user: Thank you., simulate: {text: Welcome.}}
"""


def _is(message: Body, kind: str) -> bool:
    return any(block["type"] == kind for block in message["content"])


def _results(m: list[Body], edit: Any) -> list[Body]:
    """The first message with results, edited."""
    at = next((i for i, one in enumerate(m) if _is(one, "tool_result")), None)
    return m if at is None else [*m[:at], *edit(m[at]), *m[at + 1 :]]


def _with(message: Body, *content: Body) -> Body:
    return {**message, "content": list(content)}


def _text(role: str, text: str) -> Body:
    return {"role": role, "content": [{"type": "text", "text": text}]}


NO_RESULT, TWO = "the tool use {} has no result", "the tool use look_up has 2 results"
ORPHAN = "a tool result answers no tool use of the message before it"
WRONG: dict[str, tuple[Any, str]] = {
    "no results": (lambda m: _results(m, lambda r: []), NO_RESULT.format("look_up")),
    "the first is missing": (lambda m: _results(m, lambda r: [_with(r, r["content"][1])]), NO_RESULT.format("look_up")),
    "the second is missing": (lambda m: _results(m, lambda r: [_with(r, r["content"][0])]), NO_RESULT.format("count")),
    "twice": (lambda m: _results(m, lambda r: [_with(r, *r["content"], r["content"][0])]), TWO),
    "twice in two messages": (lambda m: _results(m, lambda r: [r, _with(r, r["content"][0])]), TWO),
    "of nobody": (
        lambda m: _results(m, lambda r: [_with(r, *r["content"], {**r["content"][0], "tool_use_id": "toolu_none"})]),
        ORPHAN,
    ),
    "too late": (
        lambda m: _results(m, lambda r: [_text("user", "Wait."), _text("assistant", "I wait."), r]),
        NO_RESULT.format("look_up"),
    ),
    "without its use": (
        lambda m: [_with(one, *(b for b in one["content"] if b["type"] != "tool_use")) if i == 1 else one
                   for i, one in enumerate(m)],
        ORPHAN,
    ),
}  # fmt: skip
RIGHT: dict[str, Any] = {
    "as it is": lambda m: m,
    "in two messages": lambda m: _results(m, lambda r: [_with(r, r["content"][0]), _with(r, r["content"][1])]),
    "in another order": lambda m: _results(m, lambda r: [_with(r, *reversed(r["content"]))]),
    "with a word beside them": lambda m: _results(
        m, lambda r: [_with(r, *r["content"], _text("user", "So?")["content"][0])]
    ),
}


class Edits(MessagesClient):
    """The option `edit` names what is done to the tools of each request."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        named = self._options.pop("edit")
        edit = WRONG[named][0] if named in WRONG else RIGHT[named]
        assert opening.transport is not None
        self._transport = EditedTransport(opening.transport, lambda body: {**body, "messages": edit(body["messages"])})


@pytest.mark.parametrize("edit", WRONG)
def test_a_tool_use_without_its_one_result_is_named(stage: Stage, edit: str) -> None:
    stage.options = {**stage.options, "edit": edit}

    found = finding_of(stage.play(TALK, f"{ME}:Edits"), "tool_pairs")

    assert (found.message, found.layer, found.step) == (WRONG[edit][1], "wire", 1)


@pytest.mark.parametrize("edit", RIGHT)
def test_what_the_api_takes_as_equal_is_right(stage: Stage, edit: str) -> None:
    stage.options = {**stage.options, "edit": edit}

    assert "tool_pairs" not in [one.check for one in stage.play(TALK, f"{ME}:Edits").verdict.findings]


STOPPED = """
scenario: stopped
tools: {look_up: {input: {what: string}, answers: [{return: found it}]}}
steps:
  - user: Look it up.
    simulate: [{calls: [{look_up: {what: it}}]}, {text: Here it is.}]
    interrupt: {at: tool_use}
  - {user: Thank you., simulate: {text: Welcome.}}
"""


@pytest.mark.parametrize(("text", "advised"), [(STOPPED, True), (TALK, False)])
def test_a_call_that_a_stopped_turn_left_is_advised_to_be_answered(stage: Stage, text: str, advised: bool) -> None:
    stage.options = {**stage.options, "edit": "no results"}

    found = finding_of(stage.play(text, f"{ME}:Edits"), "tool_pairs")

    assert ("answer it with an error result before the next prompt" in found.advice) is advised


def test_what_is_sent_is_shown_by_its_kinds(stage: Stage) -> None:
    stage.options = {**stage.options, "edit": "twice"}

    seen = finding_of(stage.play(TALK, f"{ME}:Edits"), "tool_pairs").seen

    assert seen == "user[text] assistant[text, tool_use, tool_use] user[tool_result, tool_result, tool_result]"


def told(stage: Stage, was: str, now: str) -> list[tuple[str, str, str]]:
    """(message, expected, seen) of tool_pairs, where one word in all requests is another."""
    stage.options = {**stage.options, "spoils": {"Look it up.": [was, now]}}
    found = stage.play(TALK, f"{Spoils.__module__}:Spoils").verdict.findings
    return [(one.message, one.expected, one.seen) for one in found if one.check == "tool_pairs"]


@pytest.mark.parametrize(
    ("now", "message"),
    [
        ("found it, and more", ""),
        ("  found   it ", ""),
        ("found", "the model was told a part of what the tool look_up came to"),
        ("lost it", "the model was told another result of the tool look_up than it had"),
        ("nine of them", "the model was told another result of the tool look_up than it had"),
    ],
)
def test_a_result_may_be_added_to_but_is_neither_cut_nor_another(stage: Stage, now: str, message: str) -> None:
    found = told(stage, "found it", now)

    assert {one[0] for one in found} == ({message} if message else set())
    assert all(one[1] == "found it" for one in found)


def test_a_long_result_that_was_cut_and_closed_with_a_word_is_the_same(stage: Stage) -> None:
    long = "The lamp stands in the attic behind the old blue door, and nobody has lit it for years."
    text = TALK.replace("found it", f'"{long}"')
    for cut, fails in [(f"{long[:60]} … [cut]", False), (f"{long[:30]} … [cut]", True)]:
        stage.options = {**stage.options, "spoils": {"Look it up.": [long, cut]}}
        found = stage.play(text, f"{Spoils.__module__}:Spoils").verdict.findings
        assert ("tool_pairs" in [one.check for one in found]) == fails, cut


def test_an_error_that_is_told_as_a_success_is_named(stage: Stage) -> None:
    stage.options = {**stage.options, "spoils": {"Look it up.": ['"is_error":true', '"is_error":false']}}

    text = TALK.replace("what: attic", "what: cellar")
    found = finding_of(stage.play(text, f"{Spoils.__module__}:Spoils"), "tool_pairs")

    assert found.message == "the model was told that the tool look_up had worked, and it had failed"
    assert (found.expected, found.seen) == ("an error: It is locked.", "no error: It is locked.")
    stage.options = {"model": "claude-haiku-4-5"}
    assert stage.play(text).verdict.passed


class RunsTwice(MessagesClient):
    """Runs each tool once more than it was asked for."""

    async def _run_tools(self, calls: Any) -> Any:
        for call in calls:
            await self._tools[call.name].call(call.input)
        async for event in super()._run_tools(calls):
            yield event


def test_a_tool_that_runs_more_often_than_it_was_asked_for_is_named(stage: Stage) -> None:
    found = [one for one in stage.play(TALK, f"{ME}:RunsTwice").verdict.findings if one.check == "tool_pairs"]

    assert [one.message for one in found] == [
        "the tool look_up was carried out 2 times for 1 tool use",
        "the tool count was carried out 2 times for 1 tool use",
        "the tool look_up was carried out 2 times for 1 tool use",
    ]
    assert found[1].seen == 'count({"what":"lamps"}) again'


def test_a_stand_in_may_have_the_name_of_a_server_before_its_own(stage: Stage) -> None:
    text = TALK.replace("look_up", "mcp__house__look_up")

    assert stage.play(text).verdict.passed
    found = [one for one in stage.play(text, f"{ME}:RunsTwice").verdict.findings if one.check == "tool_pairs"]
    assert found[0].message == "the tool mcp__house__look_up was carried out 2 times for 1 tool use"


def test_a_tool_may_be_asked_for_twice(stage: Stage) -> None:
    text = TALK.replace("what: attic, how: slow", "what: it, how: fast")

    assert stage.play(text).verdict.passed
    assert len([one for one in stage.play(text, f"{ME}:RunsTwice").verdict.findings if one.check == "tool_pairs"]) == 3


@pytest.mark.parametrize("wire", ["reference", "none"])
def test_where_the_wire_is_not_seen_nothing_is_said_of_tools(stage: Stage, wire: str) -> None:
    found = stage.play(TALK, f"{ME}:RunsTwice", wire=wire).verdict.findings

    assert "tool_pairs" not in [one.check for one in found]
