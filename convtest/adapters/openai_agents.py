"""The OpenAI Agents SDK, over the Responses API or Chat Completions; sessions are rows of its SQLiteSession.

Source: https://openai.github.io/openai-agents-python.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from agents import FunctionTool, RunConfig, Runner, SQLiteSession
from agents.models.openai_provider import OpenAIProvider
from openai import AsyncOpenAI

from convtest.adapters.base import Adapter
from convtest.clients.port import Tool
from convtest.errors import ConfigError
from convtest.events import Event, TextDelta, Thinking, ToolResult, ToolUse, Usage

_APIS = ("responses", "chat")
_HISTORIES = ("session", "server")


class OpenAIAgents(Adapter):
    """Options: `api` (`responses` or `chat`), `history` (`session`: a SQLiteSession; `server`: the last answer's id),
    `max_retries` of the openai package. The target returns the agent, or the agent and its RunConfig; an agent that
    brings a model of its own keeps it."""

    async def open(self, id: str) -> None:
        options = self.opening.options
        api, self._kept_by = self._choice("api", _APIS), self._choice("history", _HISTORIES)
        made = await self.agent()
        agent, config = made if isinstance(made, tuple) else (made, RunConfig())
        named = {tool.name for tool in self.opening.tools}
        own = [tool for tool in agent.tools if getattr(tool, "name", "") not in named]
        self._failed: set[str] = set()
        self._agent = agent.clone(tools=[*own, *(self._stand_in(tool) for tool in self.opening.tools)])
        self._session = SQLiteSession(id, self._database)
        self._last = self._note(id)
        self._client = AsyncOpenAI(
            base_url=self.opening.base_url,
            api_key=self.opening.api_key,
            max_retries=int(options.get("max_retries", 0)),
        )
        provider = OpenAIProvider(openai_client=self._client, use_responses=api == "responses")
        self._config = replace(config, model_provider=provider, tracing_disabled=True)

    def _choice(self, name: str, known: tuple[str, ...]) -> str:
        value = str(self.opening.options.get(name, known[0]))
        if value not in known:
            what = f"{name} is {' or '.join(map(repr, known))}, and not {value!r}"
            raise ConfigError(what, where="[tool.convtest.clients]")
        return value

    @property
    def _database(self) -> Path:
        return self.opening.store / "openai-agents.db"

    def _note(self, id: str) -> Path:
        """The file with the id of the session's last answer."""
        return self.opening.store / f"{id}.last"

    async def close(self) -> None:
        self._session.close()
        await self._client.close()

    async def copy(self, old: str, new: str) -> None:
        source, target = SQLiteSession(old, self._database), SQLiteSession(new, self._database)
        await target.add_items(await source.get_items())
        source.close()
        target.close()
        if self._note(old).is_file():
            self._note(new).write_text(self._note(old).read_text())

    async def say(self, text: str) -> AsyncIterator[Event]:
        on_the_server = self._kept_by == "server"
        previous = self._last.read_text() if on_the_server and self._last.is_file() else None
        result = Runner.run_streamed(
            self._agent,
            text,
            run_config=self._config,
            session=None if on_the_server else self._session,
            previous_response_id=previous,
            auto_previous_response_id=on_the_server,
        )
        try:
            async for event in result.stream_events():
                for made in self._events(event):
                    yield made
            if on_the_server and result.last_response_id:
                self._last.write_text(result.last_response_id)
        finally:
            result.cancel()
            used = result.context_wrapper.usage
            self.usage = Usage(input_tokens=used.input_tokens, output_tokens=used.output_tokens)

    def _events(self, event: Any) -> list[Event]:
        if event.type == "raw_response_event":
            match event.data.type:
                case "response.output_text.delta" if event.data.delta:
                    return [TextDelta(text=event.data.delta)]
                case "response.reasoning_summary_text.delta" if event.data.delta:
                    return [Thinking(text=event.data.delta)]
        elif event.type == "run_item_stream_event" and event.name == "tool_called":
            call = event.item.raw_item
            if getattr(call, "type", "") == "function_call":
                given = msgspec.json.decode(call.arguments or "{}")
                return [ToolUse(id=call.call_id, name=call.name, input=given if isinstance(given, dict) else {})]
        elif event.type == "run_item_stream_event" and event.name == "tool_output":
            id = event.item.raw_item["call_id"]
            return [ToolResult(id=id, text=str(event.item.output), is_error=id in self._failed)]
        return []

    def _stand_in(self, tool: Tool) -> FunctionTool:
        async def call(context: Any, arguments: str) -> str:
            text, failed = await tool.call(msgspec.json.decode(arguments or "{}"))
            if failed:
                self._failed.add(context.tool_call_id)
            return text

        return FunctionTool(tool.name, tool.description, dict(tool.input_schema), call, strict_json_schema=False)
