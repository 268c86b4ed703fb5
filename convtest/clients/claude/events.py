"""Messages of the Claude Agent SDK as the events of a turn, and how its result ended.

Source: https://docs.claude.com/en/api/agent-sdk/python, and what version 0.2.186 with CLI 2.1.329 was seen to do.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from convtest.events import Ended, ErrorCode, Event, TextDelta, Thinking, ToolResult, ToolUse, TurnEnd
from convtest.structs import Struct, field
from convtest.wire.messages_api import usage_of

STAND_INS = "convtest"
"""The MCP server of the scenario's tools: their names on the wire are `mcp__convtest__<name>`."""
_ENDED: Mapping[str, Ended] = {
    "aborted_streaming": "interrupted",
    "aborted_tools": "interrupted",
    "max_turns": "max_turns",
    "budget_exhausted": "budget",
    "refusal": "refusal",
    "max_tokens": "max_tokens",
    "429": "rate_limited",
    "529": "overloaded",
}
"""By terminal reason, stop reason or the API's status; the first that is known counts."""
_ERRORS: Mapping[str, ErrorCode] = {
    "authentication_failed": "not_authenticated",
    "401": "not_authenticated",
    "403": "not_authenticated",
    "404": "model_not_found",
    "model_not_found": "model_not_found",
    "prompt_too_long": "context_overflow",
    "400": "bad_request",
    "invalid_request": "bad_request",
}


def own_name(name: str) -> str:
    """A tool's name as the scenario has it."""
    return name.removeprefix(f"mcp__{STAND_INS}__")


class Turn(Struct):
    """Reads one turn's messages; the text that deltas did not bring is owed from the whole message."""

    said: str = ""
    """Of the text block that streams."""
    fault: str = ""
    """What the SDK says went wrong with the API."""
    retries: list[str] = field(default_factory=list)
    """What made the CLI try again, as `529 after 500 ms`."""

    def events(self, message: Any) -> Iterator[Event]:
        """What a session yields for this message; nothing for those of sub-agents."""
        if getattr(message, "parent_tool_use_id", None) is not None:
            return
        match type(message).__name__:
            case "StreamEvent":
                yield from self._delta(message.event)
            case "AssistantMessage" if message.error:
                self.fault = message.error  # its text is the SDK's, not the model's
            case "AssistantMessage" | "UserMessage":
                blocks = message.content if isinstance(message.content, list) else []
                for block in blocks:
                    yield from self._block(block, from_model=type(message).__name__ == "AssistantMessage")
            case "SystemMessage" if message.subtype == "api_retry":
                status = message.data.get("error_status") or "no answer"
                self.retries.append(f"{status} after {message.data.get('retry_delay_ms', 0):.0f} ms")

    def _delta(self, event: Mapping[str, Any]) -> Iterator[Event]:
        if event.get("type") == "content_block_start":
            self.said = ""
        delta = event.get("delta") or {}
        if delta.get("type") == "thinking_delta" and delta.get("thinking"):
            yield Thinking(text=delta["thinking"])
        if delta.get("type") == "text_delta" and delta.get("text"):
            self.said += delta["text"]
            yield TextDelta(text=delta["text"])

    def _block(self, block: Any, *, from_model: bool) -> Iterator[Event]:
        match type(block).__name__:
            case "ToolUseBlock":
                yield ToolUse(id=block.id, name=own_name(block.name), input=block.input)
            case "ToolResultBlock":
                yield ToolResult(id=block.tool_use_id, text=_text(block.content), is_error=bool(block.is_error))
            case "TextBlock" if from_model:
                # After a broken stream the CLI may ask again without streaming: then there are no deltas.
                owed = block.text.removeprefix(self.said) if block.text.startswith(self.said) else block.text
                self.said = ""
                if owed:
                    yield TextDelta(text=owed)

    def end(self, result: Any, spent: float, *, interrupted: bool = False) -> TurnEnd:
        """By everything but `subtype`, which says success also of a turn that the API refused; but versions that say
        nothing else tell by it that an interrupt of ours ended the turn. `spent` is the running total in USD before
        this turn."""
        why, status = (getattr(result, name, None) for name in ("terminal_reason", "api_error_status"))
        cut = interrupted and why is None and result.subtype == "error_during_execution"
        signs = [str(sign) for sign in ("aborted_streaming" if cut else why, result.stop_reason, self.fault, status)]
        complete = not result.is_error and why in {"completed", None}
        error = next((_ERRORS[sign] for sign in signs if sign in _ERRORS), None)
        lost = why == "api_error" and not status and error is None
        otherwise: Ended = "complete" if complete else "connection_lost" if lost else "error"
        ended = next((_ENDED[sign] for sign in signs if sign in _ENDED), otherwise)
        total = result.total_cost_usd
        return TurnEnd(
            ended=ended,
            error=None if complete else error,
            message="" if complete or ended == "interrupted" else self._message(result),
            usage=usage_of({"usage": result.usage}),
            usd=None if total is None else max(0.0, total - spent),
            rounds=result.num_turns,
            reason=" ".join(str(one) for one in (result.stop_reason, why) if one),
            retried=tuple(self.retries),
            denied=tuple(own_name(str(one.get("tool_name"))) for one in result.permission_denials or ()),
        )

    def _message(self, result: Any) -> str:
        why = getattr(result, "terminal_reason", None) or result.subtype
        return str(result.result or "; ".join(result.errors or []) or f"terminal reason {why}")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content or [] if isinstance(part, dict))
