"""Users' own clients on the Claude Agent SDK, each with a mistake."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

from convtest.clients.claude import ClaudeClient
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

        from convtest.clients.claude_options import sdk_fields

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
