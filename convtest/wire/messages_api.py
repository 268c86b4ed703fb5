"""The Anthropic Messages API: its streams become events and a whole message.

Source: https://docs.anthropic.com/en/api/messages and https://docs.anthropic.com/en/api/messages-streaming.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import msgspec

from convtest.events import Event, TextDelta, Thinking, ToolUse, Usage
from convtest.wire.sse import ServerEvent

PUBLIC_URL = "https://api.anthropic.com"
PATH = "/v1/messages"

_APPENDED = {"text_delta": "text", "thinking_delta": "thinking", "compaction_delta": "content"}


class MalformedStream(ValueError):
    """The stream is not what the API sends."""


_MALFORMED = (msgspec.DecodeError, KeyError, TypeError, AttributeError, ValueError, RecursionError)


class ReplyStream(Protocol):
    """Reads one streamed answer, of whichever API, into a message in the shape of the Messages API."""

    error: dict[str, Any] | None
    """The body of an error event."""

    @property
    def complete(self) -> bool:
        """Whether it has come to its end."""
        ...

    @property
    def message(self) -> dict[str, Any]:
        """As far as it has arrived."""
        ...

    def feed(self, event: ServerEvent) -> list[Event]:
        """What a session yields for this server event. Raises MalformedStream."""
        ...


class MessageStream:
    """Accumulates one streamed message.

    `message` is what the API would have answered without streaming, as far as it has arrived; `complete` is true once
    `message_stop` came; `error` holds the body of an error event.
    """

    def __init__(self) -> None:
        self.message: dict[str, Any] = {}
        self.complete = False
        self.error: dict[str, Any] | None = None
        self._json: dict[int, str] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        """As the events number them: those that the message began with have no number."""

    def feed(self, event: ServerEvent) -> list[Event]:
        """What a session yields for this server event. Raises MalformedStream."""
        try:
            return self._take(msgspec.json.decode(event.data))
        except _MALFORMED as error:
            raise MalformedStream(f"event {event.event!r}: {error}: {event.data[:200]}") from None

    def read(self, events: Sequence[ServerEvent]) -> None:
        """All events of an answer that has come, up to one that is malformed."""
        try:
            # One call of the decoder is several times cheaper than many.
            data = msgspec.json.decode(f"[{','.join(event.data for event in events)}]")
        except (msgspec.DecodeError, RecursionError):
            data = []
        with suppress(MalformedStream, *_MALFORMED):
            if len(data) == len(events):
                for one in data:
                    self._take(one)
                return
            for event in events:
                self.feed(event)

    def _take(self, data: dict[str, Any]) -> list[Event]:
        handler = getattr(self, f"_{data['type']}", None)
        return list(handler(data)) if handler else []

    def _message_start(self, data: dict[str, Any]) -> Iterable[Event]:
        # An answer that goes on after tools were called from code begins with what it holds already.
        held = [dict(block) for block in data["message"].get("content") or []]
        self.message = {**data["message"], "content": held}
        return [event for block in held for event in (*_pieces(block), *_use(block))]

    def _content_block_start(self, data: dict[str, Any]) -> Iterable[Event]:
        block = dict(data["content_block"])
        self.message["content"].append(block)
        self._blocks[data["index"]] = block
        self._json[data["index"]] = ""
        return _pieces(block)

    def _content_block_delta(self, data: dict[str, Any]) -> Iterable[Event]:
        block, delta = self._blocks[data["index"]], data["delta"]
        kind = delta["type"]
        if kind in _APPENDED:
            name = _APPENDED[kind]
            block[name] = (block.get(name) or "") + (delta.get(name) or "")
            return _pieces({"type": block["type"], name: delta.get(name)})
        if kind == "input_json_delta":
            self._json[data["index"]] += delta["partial_json"]
        elif kind == "signature_delta":
            block["signature"] = delta["signature"]
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or []), delta["citation"]]
        return ()

    def _content_block_stop(self, data: dict[str, Any]) -> Iterable[Event]:
        block = self._blocks[data["index"]]
        if self._json.get(data["index"]):
            try:
                block["input"] = msgspec.json.decode(self._json[data["index"]])
            except msgspec.DecodeError:
                # A reply that ran into max_tokens stops in the middle of a tool's arguments.
                block["incomplete"] = self._json[data["index"]]
        return _use(block)

    def _message_delta(self, data: dict[str, Any]) -> Iterable[Event]:
        self.message.update({key: value for key, value in data["delta"].items() if value is not None})
        self.message["usage"] = {**(self.message.get("usage") or {}), **(data.get("usage") or {})}
        return ()

    def _message_stop(self, data: dict[str, Any]) -> Iterable[Event]:
        self.complete = True
        return ()

    def _error(self, data: dict[str, Any]) -> Iterable[Event]:
        self.error = data["error"]
        return ()


def _pieces(block: dict[str, Any]) -> Iterable[Event]:
    if block["type"] == "text" and block.get("text"):
        return (TextDelta(text=_text(block["text"])),)
    if block["type"] == "thinking" and block.get("thinking"):
        return (Thinking(text=_text(block["thinking"])),)
    return ()


def _use(block: dict[str, Any]) -> Iterable[Event]:
    """The tool use that has come whole."""
    if block["type"] != "tool_use" or "incomplete" in block:
        return ()
    return (ToolUse(id=_text(block["id"]), name=_text(block["name"]), input=block.get("input") or {}),)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text was expected, not {type(value).__name__}")
    return value


def usage_of(message: dict[str, Any]) -> Usage:
    """Tokens as the message reports them."""
    usage = message.get("usage") or {}
    return Usage(
        input_tokens=usage.get("input_tokens") or 0,
        output_tokens=usage.get("output_tokens") or 0,
        cache_read_tokens=usage.get("cache_read_input_tokens") or 0,
        cache_write_tokens=usage.get("cache_creation_input_tokens") or 0,
    )


def text_of_content(content: Any) -> str:
    """The text of a message's or tool result's content, string or blocks."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    texts = [block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))
