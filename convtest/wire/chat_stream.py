"""Streamed answers of Chat Completions: events, and a message in the shape of the Messages API.

Sources: https://platform.openai.com/docs/api-reference/chat-streaming; content as a list of parts:
https://docs.mistral.ai/capabilities/reasoning.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from convtest.events import Event, TextDelta, Thinking, ToolUse
from convtest.wire.messages_api import MalformedStream
from convtest.wire.openai_apis import message_of, parts, tool_use
from convtest.wire.sse import ServerEvent


class ChatStream:
    """Accumulates one streamed answer; `message` has the shape of the Messages API.

    Of several choices (`n`) the first is the answer: events are its own, the others stand apart.
    """

    def __init__(self) -> None:
        self.error: dict[str, Any] | None = None
        self._last: dict[str, Any] = {}
        self._usage: Any = None
        self._choices: dict[int, _Choice] = {0: _Choice()}

    @property
    def complete(self) -> bool:
        return self._choices[0].finish is not None

    @property
    def message(self) -> dict[str, Any]:
        if not self._last:
            return {}
        first, *others = [(one.content, one.finish) for _, one in sorted(self._choices.items())]
        return message_of({**self._last, "usage": self._usage}, *first, others)

    def feed(self, event: ServerEvent) -> list[Event]:
        """What a session yields for this server event. Raises MalformedStream."""
        if event.data.strip() == "[DONE]":
            return self._done()
        try:
            return self._feed(msgspec.json.decode(event.data))
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise MalformedStream(f"event {event.event!r}: {error}: {event.data[:200]}") from None

    def _done(self) -> list[Event]:
        """Some providers give no reason, and say that this was all."""
        if not self._last or self.error is not None:
            return []
        return [event for number, one in self._choices.items() for event in one.over() if number == 0]

    def _feed(self, data: dict[str, Any]) -> list[Event]:
        if data.get("error"):
            self.error = data["error"]
            return []
        self._last, self._usage = {**self._last, **data}, data.get("usage") or self._usage
        found: list[Event] = []
        for given in data.get("choices") or []:
            number = given.get("index") or 0
            if not isinstance(number, int):
                raise TypeError("a choice has a number")
            events = list(self._choices.setdefault(number, _Choice()).feed(given))
            found += events if number == 0 else []
        return found


class _Choice:
    """One of the answers that were asked for."""

    def __init__(self) -> None:
        self.finish: str | None = None
        self._blocks: list[dict[str, Any]] = []
        self._calls: dict[int, dict[str, Any]] = {}

    @property
    def content(self) -> list[dict[str, Any]]:
        return [*self._blocks, *self._uses()]

    def feed(self, given: dict[str, Any]) -> Iterator[Event]:
        delta = given.get("delta") or {}
        if delta.get("content"):
            yield from self._say(delta["content"])
        for call in delta.get("tool_calls") or []:
            self._call(call)
        if given.get("finish_reason"):
            yield from self._ended(given["finish_reason"])

    def over(self) -> Iterable[Event]:
        """Nothing more comes."""
        return self._ended("tool_calls" if self._calls else "stop")

    def _ended(self, reason: str) -> list[Event]:
        if self.finish is not None:
            return []
        self.finish = reason
        return [ToolUse(id=use["id"], name=use["name"], input=use["input"]) for use in self._uses()]

    def _say(self, content: Any) -> Iterator[Event]:
        if not isinstance(content, str | list):
            raise TypeError(f"a text or parts were expected, not {type(content).__name__}")
        for part in parts(content):
            kind = part.get("type")
            words = part.get(kind) if kind in ("text", "thinking") else None
            if not isinstance(words, str):
                self._blocks.append(part)
            elif words:
                self._grow(kind, part, words)
                yield TextDelta(text=words) if kind == "text" else Thinking(text=words)

    def _grow(self, kind: Any, part: dict[str, Any], words: str) -> None:
        last = self._blocks[-1] if self._blocks else {}
        if last.get("type") == kind and isinstance(last.get(kind), str):
            last[kind] += words
        else:
            self._blocks.append(part)

    def _uses(self) -> list[dict[str, Any]]:
        return [tool_use(call["id"], call["name"], call["arguments"]) for call in self._calls.values()]

    def _call(self, call: dict[str, Any]) -> None:
        known = self._calls.setdefault(call.get("index", 0), {"id": None, "name": None, "arguments": ""})
        function = call.get("function") or {}
        known["id"] = call.get("id") or known["id"]
        known["name"] = function.get("name") or known["name"]
        known["arguments"] += function.get("arguments") or ""


def chat_stream(events: Iterable[ServerEvent]) -> dict[str, Any]:
    """A streamed Chat Completions answer as a message, as far as it came."""
    stream = ChatStream()
    for event in events:
        try:
            stream.feed(event)
        except MalformedStream:
            break
    return stream.message
