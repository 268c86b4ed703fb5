"""The model is told of each tool use what that use came to."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening, Tool
from convtest.events import Event, Thinking, ToolResult
from convtest.play.mode import Mode
from tests.playing import GOOD, Stage, checks_of, finding_of
from tests.test_other_apis import chat
from tests.test_processes import play

TALK = """
scenario: two at once
tools:
  weather:
    input: {city: string}
    answers:
      - {when: {city: Ghent}, return: 18 degrees in Ghent}
      - {when: {city: Oslo}, return: snow in Oslo}
      - error: the service is down
steps:
  - user: What is the weather?
    simulate:
      - calls: [{weather: {city: Ghent}}, {weather: {city: Oslo}}, {weather: {city: Rome}}]
      - text: Mixed.
  - user: Thank you.
"""


class Tells(MessagesClient):
    """Changes the results in what it sends."""

    def told(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return results

    def _body(self) -> bytes:
        body: dict[str, Any] = msgspec.json.decode(super()._body())
        for message in body["messages"]:
            if any(block["type"] == "tool_result" for block in message["content"]):
                message["content"] = self.told(message["content"])
        return msgspec.json.encode(body)


class SwapsResults(Tells):
    def told(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first, second, *rest = results
        return [{**first, "content": second["content"]}, {**second, "content": first["content"]}, *rest]


class SwapsIds(Tells):
    def told(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first, second, *rest = results
        ids = first["tool_use_id"], second["tool_use_id"]
        return [{**first, "tool_use_id": ids[1]}, {**second, "tool_use_id": ids[0]}, *rest]


class HidesErrors(Tells):
    def told(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{key: value for key, value in one.items() if key != "is_error"} for one in results]


class CutsShort(Tells):
    def told(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**one, "content": one["content"][:6]} for one in results]


class LosesTheBeginning(Tells):
    def told(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**one, "content": one["content"][3:]} for one in results]


class Decorates(Tells):
    """Honest: puts a hint behind each result, and takes white space out."""

    def told(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**one, "content": f"{one['content'].replace(' ', '')} (fetched just now)"} for one in results]


class AnotherOrder(Tells):
    """Honest: results that came at once may stand in any order."""

    def told(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return list(reversed(results))


class Quiet(Tells):
    """Honest: shows nobody its tools."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async for event in super().receive_response():
            if type(event).__name__ not in {"ToolUse", "ToolResult"}:
                yield event


@pytest.mark.parametrize(
    ("client", "says"),
    [
        (SwapsResults, "told another result of the tool weather"),
        (SwapsIds, "told another result of the tool weather"),
        (CutsShort, "told a part of what the tool weather came to"),
        (LosesTheBeginning, "told a part of what the tool weather came to"),
        (HidesErrors, "told that the tool weather had worked, and it had failed"),
    ],
)
def test_what_the_model_is_told_wrong_is_found(stage: Stage, client: type[MessagesClient], says: str) -> None:
    outcome = stage.play(TALK, f"tests.test_tool_results:{client.__name__}")

    assert {check for check, _ in checks_of(outcome)} == {"tool_pairs"}
    assert says in finding_of(outcome, "tool_pairs").message


HONEST = ["AnotherOrder", "Quiet", "Decorates"]


@pytest.mark.parametrize("target", [GOOD, *(f"tests.test_tool_results:{name}" for name in HONEST)])
def test_an_honest_client_passes(stage: Stage, target: str) -> None:
    assert checks_of(stage.play(TALK, target)) == []


def test_results_in_another_order_replay(stage: Stage) -> None:
    stage.record(TALK)

    assert checks_of(stage.play(TALK, "tests.test_tool_results:AnotherOrder")) == []


@pytest.mark.parametrize("client", ["SwapsResults", "SwapsIds"])
def test_results_of_other_uses_miss(stage: Stage, client: str) -> None:
    stage.record(TALK)

    assert ("miss", "wire") in checks_of(stage.play(TALK, f"tests.test_tool_results:{client}"))


def test_an_api_without_a_flag_for_errors_tells_them_by_their_text_alone(stage: Stage) -> None:
    assert checks_of(play(stage, TALK, chat(), Mode())) == []


def test_a_tool_that_the_limit_of_turns_kept_from_running_is_not_made_up(stage: Stage) -> None:
    limited = TALK.replace("tools:", "options: {max_turns: 1}\ntools:").replace(
        "  - user: Thank you.", "    expect: {ended: max_turns}\n  - user: Thank you."
    )

    assert checks_of(play(stage, limited, chat(), Mode())) == []


class Shows(MessagesClient):
    """Changes what it shows of its tools and its thinking."""

    def shown(self, event: Event) -> list[Event]:
        return [event]

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async for event in super().receive_response():
            for one in self.shown(event):
                yield one


class ShowsHalf(Shows):
    def shown(self, event: Event) -> list[Event]:
        return [replace(event, text=event.text[:8])] if isinstance(event, ToolResult) else [event]


class TellsBeginning(Tells):
    """Honest: of a very long result it tells the beginning."""

    def told(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**one, "content": one["content"][:500]} for one in results]


class ShowsTwice(Shows):
    def shown(self, event: Event) -> list[Event]:
        return [event, event] if isinstance(event, ToolResult) else [event]


class LosesOne(Shows):
    def shown(self, event: Event) -> list[Event]:
        return [] if isinstance(event, ToolResult) and "Oslo" in event.text else [event]


class ShowsSuccess(Shows):
    def shown(self, event: Event) -> list[Event]:
        return [replace(event, is_error=False)] if isinstance(event, ToolResult) else [event]


class LosesThoughts(Shows):
    def shown(self, event: Event) -> list[Event]:
        return [] if isinstance(event, Thinking) and "so" in event.text else [event]


class NeverThinks(Shows):
    """Honest: shows no thinking at all."""

    def shown(self, event: Event) -> list[Event]:
        return [] if isinstance(event, Thinking) else [event]


class TellsFailure(Tells):
    def told(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**one, "is_error": True} for one in results]


class PlainText(MessagesClient):
    """A tool's error is a text to it like any other, for the user and the model."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(replace(opening, tools=tuple(map(self.plain, opening.tools))))

    def plain(self, tool: Tool) -> Tool:
        async def call(given: Any) -> tuple[str, bool]:
            text, failed = await tool.call(given)
            return (self.words(text) if failed else text), False

        return replace(tool, call=call)

    def words(self, text: str) -> str:
        return text


class SaysError(PlainText):
    """Honest: the model is told in words."""

    def words(self, text: str) -> str:
        return f"Error: {text}"


class ShowsBeginning(Shows):
    """Honest: of a long result it shows the beginning."""

    def shown(self, event: Event) -> list[Event]:
        return [replace(event, text=event.text[:120])] if isinstance(event, ToolResult) else [event]


THOUGHTFUL = TALK.replace("- calls:", "- thinking: Three cities, so three questions.\n        calls:")


@pytest.mark.parametrize(
    ("client", "check", "says"),
    [
        (ShowsHalf, "said", "the session yielded a part of what the tool weather came to"),
        (ShowsTwice, "said", "the session yielded 2 results of one use of the tool weather"),
        (LosesOne, "said", "the session yielded no results of one use of the tool weather"),
        (ShowsSuccess, "said", "the session yielded that the tool weather had worked, and told the model"),
        (LosesThoughts, "said", "the session yielded other thinking than the model streamed"),
        (TellsFailure, "said", "the session yielded that the tool weather had worked, and told the model"),
        (PlainText, "tool_pairs", "the model was told that the tool weather had worked, and it had failed"),
    ],
)
def test_what_is_shown_wrong_is_found(stage: Stage, client: type[MessagesClient], check: str, says: str) -> None:
    outcome = stage.play(THOUGHTFUL, f"tests.test_tool_results:{client.__name__}")

    assert {found for found, _ in checks_of(outcome)} == {check}
    assert says in finding_of(outcome, check).message


@pytest.mark.parametrize("client", ["Shows", "NeverThinks", "Quiet", "SaysError"])
def test_who_shows_all_or_nothing_passes(stage: Stage, client: str) -> None:
    assert checks_of(stage.play(THOUGHTFUL, f"tests.test_tool_results:{client}")) == []


def test_the_beginning_of_a_long_result_may_be_all_that_is_shown(stage: Stage) -> None:
    long = TALK.replace("18 degrees in Ghent", "18 degrees in Ghent" + " and then some wind" * 20)

    assert checks_of(stage.play(long, "tests.test_tool_results:ShowsBeginning")) == []


def test_the_beginning_of_a_very_long_result_may_be_all_that_is_told(stage: Stage) -> None:
    long = TALK.replace("18 degrees in Ghent", "18 degrees in Ghent" + " and then some wind" * 80)

    assert checks_of(stage.play(long, "tests.test_tool_results:TellsBeginning")) == []
