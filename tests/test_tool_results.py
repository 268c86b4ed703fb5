"""The model is told of each tool use what that use came to."""

from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.events import Event
from tests.playing import GOOD, Stage, checks_of, finding_of

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
        (HidesErrors, "told that the tool weather had worked, and it had failed"),
    ],
)
def test_what_the_model_is_told_wrong_is_found(stage: Stage, client: type[MessagesClient], says: str) -> None:
    outcome = stage.play(TALK, f"tests.test_tool_results:{client.__name__}")

    assert {check for check, _ in checks_of(outcome)} == {"tool_pairs"}
    assert says in finding_of(outcome, "tool_pairs").message


@pytest.mark.parametrize("target", [GOOD, *(f"tests.test_tool_results:{name}" for name in ("AnotherOrder", "Quiet"))])
def test_an_honest_client_passes(stage: Stage, target: str) -> None:
    assert checks_of(stage.play(TALK, target)) == []
