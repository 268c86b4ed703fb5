"""Pydantic AI: an agent whose message history is kept in a file for each session.

Source: https://ai.pydantic.dev/message-history and .../agents#streaming-events-and-final-output.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic_ai import ModelRetry, Tool
from pydantic_ai.messages import ModelMessagesTypeAdapter, repair_messages
from pydantic_ai.toolsets import FunctionToolset

from convtest.adapters.base import Adapter
from convtest.clients.port import Tool as StandIn
from convtest.events import Event, TextDelta, Thinking, ToolResult, ToolUse, Usage


class PydanticAI(Adapter):
    """After each turn the history is what the run says that its messages are, repaired where it was stopped."""

    async def open(self, id: str) -> None:
        self._agent = await self.agent("run_stream_events", "toolsets")
        self._path = self._file(id)
        self._messages: list[Any] = []
        if self._path.is_file():
            self._messages = ModelMessagesTypeAdapter.validate_json(self._path.read_bytes())
        parts: list[Any] = [part for one in self._messages for part in one.parts]
        self._calls = {part.tool_call_id for part in parts if part.part_kind == "tool-call"}
        """Ids of all that have been yielded."""
        self._tools = [_stand_in(tool) for tool in self.opening.tools]

    def _file(self, id: str) -> Path:
        return self.opening.store / f"{id}.json"

    async def copy(self, old: str, new: str) -> None:
        if self._file(old).is_file():
            self._file(new).write_bytes(self._file(old).read_bytes())

    async def say(self, text: str) -> AsyncIterator[Event]:
        named = {tool.name for tool in self._tools}
        own = [one.filtered(lambda context, tool: tool.name not in named) for one in self._agent.toolsets]
        with self._agent.override(tools=[], toolsets=[*own, FunctionToolset(self._tools)]):
            async with self._agent.run_stream_events(text, message_history=self._messages) as events:
                try:
                    async for event in events:
                        for made in _events(event):
                            if isinstance(made, ToolUse):
                                self._calls.add(made.id)
                            yield made
                finally:
                    self._keep(events)

    def _shown(self, message: Any) -> Any:
        """Without the calls that were never yielded."""
        if message.kind != "response" or all(self._was_shown(part) for part in message.parts):
            return message
        return replace(message, parts=[part for part in message.parts if self._was_shown(part)])

    def _was_shown(self, part: Any) -> bool:
        return part.part_kind != "tool-call" or part.tool_call_id in self._calls

    def _keep(self, events: Any) -> None:
        # What broke off may have left calls that nobody saw, or without a result: no prompt is taken after those.
        self._messages = repair_messages([self._shown(one) for one in events.all_messages()])
        self._path.write_bytes(ModelMessagesTypeAdapter.dump_json(self._messages))
        used = events.usage
        self.usage = Usage(
            input_tokens=max(0, used.input_tokens - used.cache_read_tokens - used.cache_write_tokens),
            output_tokens=used.output_tokens,
            cache_read_tokens=used.cache_read_tokens,
            cache_write_tokens=used.cache_write_tokens,
        )


def _events(event: Any) -> Iterable[Event]:
    match event.event_kind:
        case "part_start":
            yield from _piece(event.part.part_kind, getattr(event.part, "content", None))
        case "part_delta":
            yield from _piece(event.delta.part_delta_kind, getattr(event.delta, "content_delta", None))
        case "function_tool_call":
            call = event.part
            yield ToolUse(id=call.tool_call_id, name=call.tool_name, input=call.args_as_dict())
        case "function_tool_result":
            part = event.part
            failed = part.part_kind == "retry-prompt"
            text = part.model_response() if failed else part.model_response_str()
            yield ToolResult(id=part.tool_call_id, text=text, is_error=failed)


def _piece(kind: str, words: Any) -> Iterable[Event]:
    if words and kind in ("text", "thinking"):
        yield TextDelta(text=words) if kind == "text" else Thinking(text=words)


def _stand_in(tool: StandIn) -> Tool[Any]:
    async def call(**given: Any) -> str:
        text, failed = await tool.call(given)
        if failed:
            raise ModelRetry(text)
        return text

    return Tool.from_schema(call, tool.name, tool.description, dict(tool.input_schema))
