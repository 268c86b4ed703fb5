"""How a turn of the Messages API ended, and what its history may hold."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import httpx
import msgspec

from convtest.clients.port import Opening, Tool
from convtest.clients.tools import python_tool
from convtest.events import Ended, ErrorCode, Event, TextDelta, ToolUse, TurnEnd
from convtest.structs import Struct, field
from convtest.wire.messages_api import ReplyStream

_ERRORS: Mapping[int, tuple[Ended, ErrorCode | None]] = {
    400: ("error", "bad_request"),
    401: ("error", "not_authenticated"),
    403: ("error", "not_authenticated"),
    404: ("error", "model_not_found"),
    413: ("error", "context_overflow"),
    429: ("rate_limited", None),
    529: ("overloaded", None),
}
_STOPS: Mapping[str, Ended] = {"max_tokens": "max_tokens", "refusal": "refusal"}


def all_tools(opening: Opening) -> list[Tool]:
    targets = opening.options.get("python_tools") or []
    return [*opening.tools, *(python_tool(target, client=opening.client) for target in targets)]


def offered(tools: Iterable[Tool]) -> list[dict[str, Any]]:
    """The tools as the API is told of them."""
    return [{"name": one.name, "description": one.description, "input_schema": one.input_schema} for one in tools]


def unsendable(block: Mapping[str, Any]) -> bool:
    """Blocks that the API streams but does not take back: blank text, tool input and thinking that were cut off."""
    blank = block.get("type") == "text" and not str(block.get("text", "")).strip()
    return "incomplete" in block or blank or (block.get("type") == "thinking" and not block.get("signature"))


def starts_turn(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    return message.get("role") == "user" and not any(block.get("type") == "tool_result" for block in blocks)


def tool_result(id: str, text: str, is_error: bool) -> dict[str, Any]:
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": id, "content": text}
    return {**result, "is_error": True} if is_error else result


async def called(tools: Mapping[str, Tool], call: ToolUse) -> tuple[str, bool]:
    """What the tool answers, and whether that is an error."""
    tool = tools.get(call.name)
    return await tool.call(call.input) if tool else (f"there is no tool {call.name!r}", True)


def end_of(stream: ReplyStream, calls: Sequence[ToolUse]) -> TurnEnd | None:
    """How the turn ended, or None where tools are to be run and it goes on."""
    if stream.error is not None:
        ended: Ended = "overloaded" if stream.error.get("type") == "overloaded_error" else "error"
        return TurnEnd(ended=ended, message=str(stream.error.get("message", "")))
    if not stream.complete:
        return TurnEnd(ended="connection_lost", message="the stream ended before message_stop")
    stop = stream.message.get("stop_reason") or "end_turn"
    return None if stop == "tool_use" and calls else TurnEnd(ended=_STOPS.get(stop, "complete"))


def refused(status: int, body: bytes) -> TurnEnd:
    try:
        error = msgspec.json.decode(body)["error"]
        message = f"{error.get('type', status)}: {error.get('message', '')}"
    except (msgspec.DecodeError, KeyError, TypeError):
        message = body.decode("utf-8", "replace")[:500]
    return ended_by_status(status, f"HTTP {status}: {message}")


def ended_by_status(status: int, message: str) -> TurnEnd:
    """How a turn ends whose request was refused with this status."""
    ended, code = _ERRORS.get(status, ("error", None))
    if code == "bad_request" and "prompt is too long" in message:
        code = "context_overflow"
    return TurnEnd(ended=ended, error=code, message=message)


def lost(error: httpx.TransportError) -> Ended:
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return "refused"
        case httpx.TimeoutException():
            return "timeout"
        case _:
            return "connection_lost"


class Round(Struct):
    """One request of a turn, and what the session yielded of its answer."""

    stream: ReplyStream
    text: str = ""
    calls: list[ToolUse] = field(default_factory=list)
    end: TurnEnd | None = None

    def note(self, event: Event) -> None:
        """The event is about to be yielded."""
        if isinstance(event, TextDelta):
            self.text += event.text
        elif isinstance(event, ToolUse):
            self.calls.append(event)
