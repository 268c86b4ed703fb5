"""An assistant on the anthropic package. It streams, uses tools, can be stopped, and keeps its conversations in files.

Nothing in it knows of convtest.
"""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anthropic import AsyncAnthropic

STOPPED = "The user stopped this before it was done."


@dataclass(frozen=True)
class Tool:
    description: str
    schema: Mapping[str, Any]
    run: Callable[[Mapping[str, Any]], Awaitable[tuple[str, bool]]]
    """Returns what the model is to read, and whether it is an error."""


@dataclass(frozen=True)
class Words:
    text: str


@dataclass(frozen=True)
class Call:
    id: str
    name: str
    input: Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    id: str
    text: str
    failed: bool


class BrokenOff(Exception):
    """The answer ended before the model had come to its end."""


class Conversation:
    """Its history is valid at every moment: each call has a result, a cut answer is there as it was shown."""

    def __init__(
        self, model: AsyncAnthropic, path: Path, tools: Mapping[str, Tool], options: Mapping[str, Any]
    ) -> None:
        self._model = model
        self._path = path
        self._tools = tools
        self._options = options
        self._stopped = False
        self.messages: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
        self.tokens = (0, 0)
        """Of the last turn: read, written."""

    def stop(self) -> None:
        self._stopped = True

    async def say(self, text: str) -> AsyncIterator[Words | Call | Result]:
        """One turn. Raises the package's errors, those of its transport, and BrokenOff."""
        self._stopped = False
        self.tokens = (0, 0)
        self._add("user", text)
        calls: list[Call] = []
        while calls or self.messages[-1]["content"] == text:
            calls = []
            async for piece in self._answer(calls):
                yield piece
            async for result in self._carry_out(calls):
                yield result
            if self._stopped:
                return

    async def _answer(self, calls: list[Call]) -> AsyncIterator[Words | Call]:
        said = ""
        try:
            async with self._model.messages.stream(**self._request()) as stream:
                async for event in stream:
                    if self._stopped:
                        return
                    if event.type == "text":
                        said += event.text
                        yield Words(event.text)
                    elif event.type == "content_block_stop" and event.content_block.type == "tool_use":
                        block = event.content_block
                        calls.append(Call(block.id, block.name, block.input))
                        yield calls[-1]
                answer = stream.current_message_snapshot
            self.tokens = (self.tokens[0] + answer.usage.input_tokens, self.tokens[1] + answer.usage.output_tokens)
            if answer.stop_reason is None:
                raise BrokenOff("the stream ended before the answer did")
        finally:
            self._keep(said, calls)

    async def _carry_out(self, calls: list[Call]) -> AsyncIterator[Result]:
        for call in calls:
            if self._stopped:
                return
            tool = self._tools.get(call.name)
            text, failed = await tool.run(call.input) if tool else (f"There is no tool {call.name}.", True)
            self._settle(call, text, failed)
            yield Result(call.id, text, failed)

    def _keep(self, said: str, calls: list[Call]) -> None:
        """What was shown joins the history, each call with a result for now: whatever happens next, it is valid."""
        content: list[dict[str, Any]] = [{"type": "text", "text": said}] if said.strip() else []
        content += [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.input} for call in calls]
        if content:
            self._add("assistant", content)
        if calls:
            self._add("user", [_result(call, STOPPED, True) for call in calls])

    def _settle(self, call: Call, text: str, failed: bool) -> None:
        results = self.messages[-1]["content"]
        results[[one["tool_use_id"] for one in results].index(call.id)] = _result(call, text, failed)
        self.save()

    def _add(self, role: str, content: Any) -> None:
        self.messages.append({"role": role, "content": content})
        self.save()

    def save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(self.messages))
        fresh.replace(self._path)

    def _request(self) -> dict[str, Any]:
        tools = [
            {"name": name, "description": tool.description, "input_schema": tool.schema}
            for name, tool in self._tools.items()
        ]
        return {"max_tokens": 1024, **self._options, "messages": self.messages, **({"tools": tools} if tools else {})}


def _result(call: Call, text: str, failed: bool) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call.id, "content": text, "is_error": failed}
