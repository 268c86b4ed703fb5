"""What an application's stream says: described by a profile, or one of the formats that many applications speak."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import msgspec

from convtest.events import Ended, Event, TextDelta, Thinking, ToolResult, ToolUse, TurnEnd
from convtest.wire.sse import ServerEvent

DONE = "[DONE]"


class Format(Protocol):
    """Reads one turn."""

    @property
    def done(self) -> str | None:
        """The data that ends a turn before the connection ends."""
        ...

    def read(self, event: ServerEvent) -> Iterator[Event]:
        """What this event of the stream, or a whole JSON answer, says; a TurnEnd where it ends the turn."""
        ...

    def end(self) -> TurnEnd:
        """The end of a turn that came to its end."""
        ...


def at(data: Any, path: str | None) -> Any:
    """What stands at `a.0.b`, or None."""
    if path is None:
        return None
    for part in path.split("."):
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data


def decoded(text: str) -> Any:
    """JSON, or None."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


class Described:
    """By the options `event`, `where`, `text`, `error` and `done`."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self.done = options.get("done")

    def read(self, event: ServerEvent) -> Iterator[Event]:
        wanted, path = self._options.get("event"), self._options.get("text")
        if wanted is not None and event.event != wanted:
            return
        data = decoded(event.data)
        if problem := at(data, self._options.get("error")):
            yield TurnEnd(ended="error", message=str(problem))
        elif all(str(at(data, field)) == value for field, value in (self._options.get("where") or {}).items()):
            text = event.data if path is None else at(data, path)
            if isinstance(text, str) and text:
                yield TextDelta(text=text)

    def end(self) -> TurnEnd:
        return TurnEnd()


_REASONS: Mapping[str, Ended] = {
    "length": "max_tokens",
    "content-filter": "refusal",
    "content_filter": "refusal",
    "error": "error",
}


class UIMessages:
    """The AI SDK's UI message stream (https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol)."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.done = DONE
        self._reason = ""

    def read(self, event: ServerEvent) -> Iterator[Event]:
        data = decoded(event.data)
        if not isinstance(data, dict):
            return
        id, name = str(data.get("toolCallId", "")), str(data.get("toolName", ""))
        match data.get("type"):
            case "text-delta":
                yield TextDelta(text=str(data.get("delta", "")))
            case "reasoning-delta":
                yield Thinking(text=str(data.get("delta", "")))
            case "tool-input-available":
                yield ToolUse(id=id, name=name, input=_table(data.get("input")))
            case "tool-input-error":
                yield ToolUse(id=id, name=name, input=_table(data.get("input")))
                yield ToolResult(id=id, text=str(data.get("errorText", "")), is_error=True)
            case "tool-output-available" if not data.get("preliminary"):
                yield ToolResult(id=id, text=_text(data.get("output")))
            case "tool-output-error":
                yield ToolResult(id=id, text=str(data.get("errorText", "")), is_error=True)
            case "tool-output-denied":
                yield ToolResult(id=id, text="denied", is_error=True)
            case "error":
                yield TurnEnd(ended="error", message=str(data.get("errorText", "")))
            case "abort":
                yield TurnEnd(ended="interrupted", reason=str(data.get("reason", "")))
            case "finish":
                self._reason = str(data.get("finishReason") or "")

    def end(self) -> TurnEnd:
        return TurnEnd(ended=_REASONS.get(self._reason, "complete"), reason=self._reason)


class ChatCompletions:
    """The stream of an OpenAI-compatible chat endpoint, and its whole answer; of several choices the first."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.done = DONE
        self._reason = ""
        self._calls: dict[int, dict[str, str]] = {}

    def read(self, event: ServerEvent) -> Iterator[Event]:
        data = decoded(event.data)
        if problem := at(data, "error"):
            yield TurnEnd(ended="error", message=str(at(problem, "message") or problem))
            return
        choice = at(data, "choices.0")
        if not isinstance(choice, dict):
            return
        said = choice.get("delta") or choice.get("message") or {}
        thought = said.get("reasoning_content") or said.get("reasoning")
        if isinstance(thought, str) and thought:
            yield Thinking(text=thought)
        if isinstance(said.get("content"), str) and said["content"]:
            yield TextDelta(text=said["content"])
        for position, piece in enumerate(said.get("tool_calls") or []):
            self._note(position, piece)
        if choice.get("finish_reason"):
            self._reason = str(choice["finish_reason"])
            yield from self._whole()

    def _note(self, position: int, piece: Any) -> None:
        """Arguments come in pieces, told apart by their index."""
        call = self._calls.setdefault(int(piece.get("index", position)), {"id": "", "name": "", "arguments": ""})
        function = piece.get("function") or {}
        call["id"] = str(piece.get("id") or call["id"])
        call["name"] = str(function.get("name") or call["name"])
        call["arguments"] += str(function.get("arguments") or "")

    def _whole(self) -> Iterator[Event]:
        for call in self._calls.values():
            yield ToolUse(id=call["id"], name=call["name"], input=_table(decoded(call["arguments"])))
        self._calls = {}

    def end(self) -> TurnEnd:
        return TurnEnd(ended=_REASONS.get(self._reason, "complete"), reason=self._reason)


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    """As the model reads it."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


FORMATS: Mapping[str, type[UIMessages] | type[ChatCompletions]] = {
    "ai_sdk": UIMessages,
    "chat_completions": ChatCompletions,
}
DESCRIBED = ("text", "event", "where", "error", "done")
"""Options that say what a format says by itself."""


def format_of(options: Mapping[str, Any]) -> Format:
    """For one turn."""
    name = str(options.get("format"))
    return FORMATS[name](options) if name in FORMATS else Described(options)
