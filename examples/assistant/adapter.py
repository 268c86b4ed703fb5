"""What convtest drives: the assistant as a session client."""

import os
import uuid
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx2
from assistant import BrokenOff, Call, Conversation, Result, Tool, Words

from convtest import Event, Opening, SessionError, TextDelta, ToolResult, ToolUse, TurnEnd, Usage

OPTIONS = ("model", "system", "max_tokens")


class Client:
    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._model: anthropic.AsyncAnthropic | None = None
        self._conversation: Conversation | None = None
        self._prompt = ""
        self._interrupted = False

    @property
    def session_id(self) -> str | None:
        return self._conversation.id if self._conversation else None

    async def connect(self) -> None:
        opening = self._opening
        path = opening.store / f"{opening.resume or uuid.uuid4()}.json"
        if opening.resume and not path.exists():
            raise SessionError("session_not_found", f"no conversation {opening.resume}")
        self._model = anthropic.AsyncAnthropic(base_url=opening.base_url, api_key=opening.api_key, max_retries=0)
        options = {key: opening.options[key] for key in OPTIONS if key in opening.options}
        tools = {tool.name: Tool(tool.description, tool.input_schema, tool.call) for tool in opening.tools}
        conversation = Conversation(self._model, path, tools, options)
        self._conversation = conversation.forked() if opening.fork else conversation

    async def disconnect(self) -> None:
        model, self._model = self._model, None
        if model is not None:
            await model.close()

    async def query(self, text: str) -> None:
        if self._model is None:
            raise SessionError("not_connected", "connect first")
        self._prompt, self._interrupted = text, False
        if "FORGET" in os.environ and self._conversation is not None:
            self._conversation.messages.clear()

    async def interrupt(self) -> None:
        self._interrupted = True
        if self._conversation is not None:
            self._conversation.stop()

    async def receive_response(self) -> AsyncIterator[Event]:
        assert self._conversation is not None
        ended = {}
        try:
            async for piece in self._conversation.say(self._prompt):
                yield _event(piece)
        except (anthropic.APIError, httpx2.TransportError, BrokenOff, ValueError) as error:
            ended = _ended(error)
        if self._interrupted:
            ended = {"ended": "interrupted"}
        read, written = self._conversation.tokens
        yield TurnEnd(**ended, usage=Usage(input_tokens=read, output_tokens=written))


def _event(piece: Words | Call | Result) -> Event:
    match piece:
        case Words(text):
            return TextDelta(text=text)
        case Call(id, name, input):
            return ToolUse(id=id, name=name, input=input)
        case Result(id, text, failed):
            return ToolResult(id=id, text=text, is_error=failed)


def _ended(error: Exception) -> dict[str, Any]:
    """How the turn ended, in convtest's words."""
    match error:
        case anthropic.APITimeoutError() | httpx2.TimeoutException():
            ended = "timeout"
        case anthropic.APIConnectionError() | httpx2.TransportError() | BrokenOff():
            ended = "connection_lost"
        case anthropic.APIStatusError(status_code=429):
            ended = "rate_limited"
        case anthropic.APIStatusError(status_code=529):
            ended = "overloaded"
        case _:
            ended = "error"
    return {"ended": ended, "message": str(error)}
