"""What convtest drives: the assistant as a session client."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import anthropic
from assistant import BrokenOff, Call, Conversation, Result, Tool, Words

from convtest import Event, TextDelta, ToolResult, ToolUse, TurnEnd, Usage
from convtest.adapters import Adapter

OPTIONS = ("model", "system", "max_tokens")


class Client(Adapter):
    async def open(self, id: str) -> None:
        opening = self.opening
        self._model = anthropic.AsyncAnthropic(base_url=opening.base_url, api_key=opening.api_key, max_retries=0)
        options = {key: opening.options[key] for key in OPTIONS if key in opening.options}
        tools = {tool.name: Tool(tool.description, tool.input_schema, tool.call) for tool in opening.tools}
        self._conversation = Conversation(self._model, self._file(id), tools, options)

    def _file(self, id: str) -> Path:
        return self.opening.store / f"{id}.json"

    async def copy(self, old: str, new: str) -> None:
        if self._file(old).exists():
            shutil.copyfile(self._file(old), self._file(new))

    async def close(self) -> None:
        await self._model.close()

    async def say(self, text: str) -> AsyncIterator[Event]:
        if "FORGET" in os.environ:
            self._conversation.messages.clear()
        pieces = self._conversation.say(text)
        try:
            async for piece in pieces:
                yield _event(piece)
        finally:
            self._conversation.stop()
            with suppress(Exception):
                async for _ in pieces:  # to the end that it has of its own
                    pass
            read, written = self._conversation.tokens
            self.usage = Usage(input_tokens=read, output_tokens=written)

    def ended(self, error: Exception) -> TurnEnd | None:
        if isinstance(error, BrokenOff):
            return TurnEnd(ended="connection_lost", message=str(error))
        return super().ended(error)


def _event(piece: Words | Call | Result) -> Event:
    match piece:
        case Words(text):
            return TextDelta(text=text)
        case Call(id, name, input):
            return ToolUse(id=id, name=name, input=input)
        case Result(id, text, failed):
            return ToolResult(id=id, text=text, is_error=failed)
