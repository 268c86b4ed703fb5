"""Streamed answers of the Responses API: events, and a message in the shape of the Messages API.

Source: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from convtest.events import Event, TextDelta, Thinking, ToolUse
from convtest.wire.messages_api import MalformedStream
from convtest.wire.openai_apis import message_of
from convtest.wire.responses_api import blocks_of_item, responses_reply
from convtest.wire.sse import ServerEvent, parse

_ENDS = ("response.completed", "response.incomplete")
_FAILED = ("response.failed", "error")
_THOUGHT = ("response.reasoning_summary_text.delta", "response.reasoning_text.delta")


class ResponsesStream:
    """Accumulates one streamed answer; `message` has the shape of the Messages API: the whole one once it has come,
    until then what came of it."""

    def __init__(self) -> None:
        self.error: dict[str, Any] | None = None
        self.response: dict[str, Any] | None = None
        """The whole one, as the API sent it."""
        self._first: dict[str, Any] = {}
        self._done: dict[int, dict[str, Any]] = {}
        """Items that have come whole, by their place."""
        self._texts: dict[int, str] = {}
        self._seals: dict[str, list[str]] = {}

    @property
    def complete(self) -> bool:
        return self.response is not None

    @property
    def message(self) -> dict[str, Any]:
        if self.response is not None:
            return _sealed_anew(responses_reply(self.response), self._seals)
        if not self._first and not self._texts and not self._done:
            return {}
        return message_of(self._first, [block for at in self._places() for block in self._blocks(at)], None)

    def feed(self, event: ServerEvent) -> list[Event]:
        """What a session yields for this server event. Raises MalformedStream."""
        if event.data.strip() == "[DONE]":
            return []
        try:
            return list(self._feed(msgspec.json.decode(event.data, type=dict[str, Any])))
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise MalformedStream(f"event {event.event!r}: {error}: {event.data[:200]}") from None

    def _feed(self, data: dict[str, Any]) -> Iterator[Event]:
        kind = data.get("type")
        item = data.get("item")
        if isinstance(item, dict) and item.get("encrypted_content"):
            self._seals.setdefault(str(item.get("id")), []).append(str(item["encrypted_content"]))
        if kind in _ENDS:
            self.response = {"status": str(kind).removeprefix("response."), **(data.get("response") or {})}
        elif kind in _FAILED:
            self.error = data
        elif kind == "response.output_text.delta" and isinstance(data.get("delta"), str):
            at = data.get("output_index") or 0
            self._texts[at] = self._texts.get(at, "") + data["delta"]
            yield TextDelta(text=data["delta"])
        elif kind in _THOUGHT and data.get("delta"):
            yield Thinking(text=str(data["delta"]))
        elif kind == "response.output_item.done" and isinstance(item, dict):
            self._done[data.get("output_index") or 0] = item
            yield from _uses(item)
        self._first = self._first or data.get("response") or {}

    def _places(self) -> list[int]:
        return sorted({*self._texts, *self._done})

    def _blocks(self, at: int) -> list[dict[str, Any]]:
        if at in self._done:
            return blocks_of_item(self._done[at])
        return [{"type": "text", "text": self._texts[at]}]


def _uses(item: Mapping[str, Any]) -> Iterator[ToolUse]:
    for block in blocks_of_item(item):
        if block.get("type") == "tool_use":
            given = block["input"] if isinstance(block["input"], dict) else {}
            yield ToolUse(id=str(block["id"]), name=str(block["name"]), input=given)


def _sealed_anew(reply: dict[str, Any], seals: Mapping[str, list[str]]) -> dict[str, Any]:
    """Each event of a stream has an item encrypted anew: a client may send back any of them."""
    for block in reply.get("content") or []:
        if block.get("encrypted_content") and (others := seals.get(str(block.get("id")))):
            block["also_encrypted_as"] = others
    return reply


def responses_stream(events: Iterable[ServerEvent]) -> dict[str, Any]:
    """A streamed Responses answer as a message: the completed one, else what came of it."""
    return _read(events).message


def output_items(body: bytes, *, is_stream: bool) -> list[dict[str, Any]] | None:
    """The items of a whole answer as they were sent; None for one that did not come whole."""
    if is_stream:
        response: Any = _read(parse([body])).response
    else:
        try:
            response = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
    items = response.get("output") if isinstance(response, dict) else None
    return [one for one in items if isinstance(one, dict)] if isinstance(items, list) else None


def _read(events: Iterable[ServerEvent]) -> ResponsesStream:
    stream = ResponsesStream()
    for event in events:
        try:
            stream.feed(event)
        except MalformedStream:
            break
        if stream.complete:
            break
    return stream
