"""LangGraph, and LangChain's agents with it: a compiled graph whose checkpointer keeps the threads.

Source: https://docs.langchain.com/oss/python/langgraph/streaming and .../persistence.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from langchain_core.messages import AIMessage, RemoveMessage, ToolMessage
from langchain_core.tools import StructuredTool, ToolException

from convtest.adapters.base import Adapter
from convtest.clients.port import Opening, Tool
from convtest.errors import ClientError
from convtest.events import Event, TextDelta, Thinking, ToolResult, ToolUse, Usage


class LangGraph(Adapter):
    """Each session is a thread. The graph's state has `messages`; its input is one of the user."""

    async def open(self, id: str) -> None:
        self._graph = await self.agent("astream", "aget_state")
        if not getattr(self._graph, "checkpointer", None):
            what, help = "the graph has no checkpointer: it forgets each turn", "compile it with one: checkpointer=…"
            raise ClientError(what, client=self.opening.client, help=help)
        self._config = _thread(id)

    async def copy(self, old: str, new: str) -> None:
        graph = await self.agent("aget_state", "aupdate_state")
        state = await graph.aget_state(_thread(old))
        await graph.aupdate_state(_thread(new), dict(state.values), as_node="__start__")

    async def say(self, text: str) -> AsyncIterator[Event]:
        given, streamed = {"messages": [{"role": "user", "content": text}]}, set[str | None]()
        async for mode, data in self._graph.astream(given, self._config, stream_mode=["messages", "updates"]):
            if mode == "messages":
                streamed.add(data[0].id)
            for event in _pieces(data[0]) if mode == "messages" else self._done(data, streamed):
                yield event

    def _done(self, updates: Mapping[str, Any], streamed: set[str | None]) -> Iterable[Event]:
        """What the nodes of a step have put into the state; what they only put anew was said before."""
        for message in (one for update in updates.values() for one in _added(update)):
            if isinstance(message, AIMessage) and message.id in streamed:
                self.usage += _usage(message)
                for call in message.tool_calls:
                    yield ToolUse(id=str(call["id"]), name=call["name"], input=call["args"])
            elif isinstance(message, ToolMessage):
                failed = message.status == "error"
                yield ToolResult(id=message.tool_call_id, text=str(message.text), is_error=failed)


def tools(opening: Opening, *own: Any) -> list[Any]:
    """The application's tools for a graph that is to be tested: those that the scenario stands in for are replaced, and
    its other stand-ins are added."""
    named = {tool.name for tool in opening.tools}
    kept = [one for one in own if (getattr(one, "name", None) or getattr(one, "__name__", "")) not in named]
    return [*kept, *(_stand_in(tool) for tool in opening.tools)]


def _stand_in(tool: Tool) -> StructuredTool:
    async def call(**given: Any) -> str:
        text, failed = await tool.call(given)
        if failed:
            raise ToolException(text)
        return text

    schema = dict(tool.input_schema)
    description = tool.description or tool.name
    return StructuredTool(
        name=tool.name, description=description, args_schema=schema, coroutine=call, handle_tool_error=True
    )


def _thread(id: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": id}}


def _pieces(message: Any) -> Iterable[Event]:
    if not isinstance(message, AIMessage):
        return
    for block in [message.content] if isinstance(message.content, str) else message.content:
        if isinstance(block, str):
            if block:
                yield TextDelta(text=block)
        elif block.get("type") == "text" and block.get("text"):
            yield TextDelta(text=block["text"])
        elif block.get("type") == "thinking" and block.get("thinking"):
            yield Thinking(text=block["thinking"])


def _added(update: Any) -> list[Any]:
    """The messages of an update that does not write the whole history anew."""
    found = _messages(update)
    return [] if any(isinstance(one, RemoveMessage) for one in found) else found


def _messages(update: Any) -> list[Any]:
    """A node's update is a part of the state, or several; other parts than the messages are the application's."""
    parts = update if isinstance(update, list) else [update]
    found = [part.get("messages") or [] for part in parts if isinstance(part, Mapping)]
    return [one for given in found for one in (given if isinstance(given, list) else [given])]


def _usage(message: AIMessage) -> Usage:
    told: Any = message.usage_metadata or {}
    details = told.get("input_token_details") or {}
    read, wrote = details.get("cache_read") or 0, details.get("cache_creation") or 0
    return Usage(
        input_tokens=max(0, (told.get("input_tokens") or 0) - read - wrote),
        output_tokens=told.get("output_tokens") or 0,
        cache_read_tokens=read,
        cache_write_tokens=wrote,
    )
