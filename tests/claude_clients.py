"""Users' own clients on the Claude Agent SDK, each with a mistake."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from convtest.clients import family
from convtest.clients.claude.client import ClaudeClient
from convtest.clients.port import Opening
from convtest.events import Event, TextDelta, TurnEnd


def doctored(opening: Opening) -> ClaudeClient:
    """On resume the session file has lost what was said before."""
    if opening.resume is not None:
        for path in Path(opening.environment["CLAUDE_CONFIG_DIR"]).rglob(f"{opening.resume}.jsonl"):
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            for line in lines:
                if line.get("type") == "user":
                    line["message"]["content"] = "Hello."
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return ClaudeClient(opening)


class BreaksEarly:
    """Stops reading at the first text, as `break` in a loop over `receive_response()` does."""

    def __init__(self, opening: Opening) -> None:
        from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient

        from convtest.clients.claude.options import sdk_fields

        self._sdk = ClaudeSDKClient(ClaudeAgentOptions(**sdk_fields(opening, opening.options)))
        self._asked = 0

    session_id = None

    async def connect(self) -> None:
        await self._sdk.connect()

    async def disconnect(self) -> None:
        await self._sdk.disconnect()

    async def interrupt(self) -> None:
        await self._sdk.interrupt()

    async def query(self, text: str) -> None:
        self._asked += 1
        await self._sdk.query(text)

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        from claude_agent_sdk import AssistantMessage, TextBlock

        async for message in self._sdk.receive_response():
            for block in message.content if isinstance(message, AssistantMessage) else []:
                if isinstance(block, TextBlock):
                    yield TextDelta(text=block.text)
            if isinstance(message, AssistantMessage) and self._asked == 2:
                break
        yield TurnEnd()


def breaks_early(opening: Opening) -> BreaksEarly:
    return BreaksEarly(opening)


class Idle(ClaudeClient):
    """Interrupts before each prompt, when there is nothing to interrupt."""

    async def query(self, text: str) -> None:
        await self._sdk.interrupt()
        await self._sdk.interrupt()
        await super().query(text)


def idle(opening: Opening) -> Idle:
    return Idle(opening)


def library() -> Any:
    """An MCP server in this process."""
    from claude_agent_sdk import SdkMcpTool, create_sdk_mcp_server

    async def shelf(given: dict[str, Any]) -> dict[str, Any]:
        return {"content": [{"type": "text", "text": f"{given['title']} stands on shelf 7"}]}

    return create_sdk_mcp_server(
        "library", "1.0.0", [SdkMcpTool("shelf", "Where a book stands.", {"title": str}, shelf)]
    )


async def dawdle() -> str:
    """Takes its time."""
    await asyncio.sleep(30)
    return "done at last"


async def briefly() -> str:
    """Takes a moment."""
    await asyncio.sleep(1)
    return "done"


async def never_decides(name: str, given: dict[str, Any], context: Any) -> Any:
    """A permission callback that waits for somebody who has gone home."""
    await asyncio.sleep(30)


class NotReading(ClaudeClient):
    """Reads nothing until some hundred messages have come, and interrupts before it does."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        while self._queue.qsize() < 5 or (self._queue.qsize() < 150 and self._first()):  # noqa: ASYNC110  nobody sets an event
            await asyncio.sleep(0.01)
        if self._first():
            await asyncio.wait_for(self.interrupt(), 5)
        async for event in super().receive_response():
            yield event

    def _first(self) -> bool:
        self._turns = getattr(self, "_turns", set()) | set(self._asked)
        return len(self._turns) == 2


class CancelsItsReader(ClaudeClient):
    """Gives each message a moment, and goes on reading after it has given up."""

    async def _within(self, what: str, waiting: Any) -> Any:
        if not what.startswith("a message"):
            return await super()._within(what, waiting)
        waiting.close()
        while True:
            try:
                return await asyncio.wait_for(self._queue.get(), 0.002)
            except TimeoutError:
                continue


class ReconnectsItself(ClaudeClient):
    """Leaves and connects again with the same object, under the same id, before each prompt."""

    async def query(self, text: str) -> None:
        if self._id is not None:
            await self.disconnect()
            self._opening = replace(self._opening, resume=self._id, fork=False)
            await self.connect()
        await super().query(text)


class ElsewhereOnResume(ClaudeClient):
    """Resumes in another folder than the one it began in."""

    def __init__(self, opening: Opening) -> None:
        if opening.resume is not None:
            elsewhere = opening.workspace / "elsewhere"
            elsewhere.mkdir()
            opening = replace(opening, workspace=elsewhere)
        super().__init__(opening)


class Stopped(ClaudeClient):
    """Its CLI is stopped, not ended, before the second prompt."""

    async def query(self, text: str) -> None:
        if self._id is not None:
            for process in family.family(self._opening.environment[family.MARK], self._opening.session):
                process.suspend()
        await super().query(text)


class SameUuid(ClaudeClient):
    """Sends every prompt under one uuid: the CLI drops the second without a word."""

    async def query(self, text: str) -> None:
        with patch("convtest.clients.claude.client.uuid.uuid4", lambda: "99999999-8888-4777-8666-555555555555"):
            await super().query(text)


class BreaksAndInterrupts(BreaksEarly):
    """Breaks, interrupts, and asks on without reading what is left."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async for event in super().receive_response():
            if isinstance(event, TurnEnd) and self._asked == 2:
                await self._sdk.interrupt()
            yield event


class TellsNobody(ClaudeClient):
    """Where nobody reads on the CLI is not told, and the next reader gets what it still says."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        mine = self._asked[0]
        async with aclosing(self._turn(mine)) as events:
            async for event in events:
                yield event
