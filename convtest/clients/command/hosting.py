"""The other end of `process = "own"`: hosts a `python` client in a child, over the protocol of `command`.

Run as `python -m convtest.clients.command.hosting module:attr`. Whatever the client prints goes to stderr.
"""

import os
import sys
import traceback
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, BinaryIO, cast

import anyio
import anyio.to_thread
import httpx
import msgspec

from convtest.clients.command.client import CRASHED
from convtest.clients.port import CAPABILITIES, Opening, SessionClient, SessionError, Tool, lacks
from convtest.clients.tools import import_target
from convtest.errors import raised_at
from convtest.events import Event, TextDelta, Thinking, ToolResult, ToolUse, TurnEnd, kind_of

ADDRESS, KEY = "CONVTEST_BASE_URL", "CONVTEST_API_KEY"


class Host:
    """One client, told what to do line by line; an interrupt is heard while a turn streams."""

    def __init__(self, target: str, lines: BinaryIO, out: BinaryIO) -> None:
        self._target = target
        self._lines = lines
        self._out = out
        self._stack = AsyncExitStack()
        self._client: SessionClient | None = None
        self._results: dict[str, tuple[anyio.Event, list[Mapping[str, Any]]]] = {}
        self._calls = 0
        self._prompts = 0
        self._busy = False
        self._stop_next = False

    async def run(self) -> None:
        send, receive = anyio.create_memory_object_stream[dict[str, Any]](float("inf"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read, send, name="lines")
            async with receive:
                async for message in receive:
                    await self._obey(message)
                    if message["type"] == "disconnect":
                        break
            tasks.cancel_scope.cancel()

    async def _read(self, send: Any) -> None:
        async with send:
            while line := await anyio.to_thread.run_sync(self._lines.readline, abandon_on_cancel=True):
                message = msgspec.json.decode(line)
                if message["type"] == "interrupt":
                    await self._interrupt()
                elif message["type"] == "call_result":
                    event, found = self._results.pop(message["id"])
                    found.append(message)
                    event.set()
                else:
                    self._prompts += message["type"] == "query"
                    if message["type"] == "disconnect" and self._client is not None and self._busy:
                        await self._client.disconnect()
                    await send.send(message)

    async def _interrupt(self) -> None:
        """One that has overtaken its prompt waits for it."""
        if self._busy and self._client is not None:
            await self._client.interrupt()
        elif self._prompts:
            self._stop_next = True

    async def _obey(self, message: Mapping[str, Any]) -> None:
        try:
            match message["type"]:
                case "connect":
                    await self._connect(message)
                case "query":
                    await self._turn(message["text"])
                case "disconnect":
                    await self._disconnect()
                case "get_messages":
                    self._say({"type": "messages", "messages": await self._capability("get_messages")()})
                case "load_history":
                    await self._capability("load_history")(message["messages"])
                    self._done()
                case "set":
                    await self._capability("set")(message["options"])
                    self._done()
                case name:
                    await self._capability(name)()
                    self._done()
        except SessionError as error:
            self._say({"type": "error", "error": error.code, "message": str(error)})
        except Exception as error:
            traceback.print_exc()
            said = f"{type(error).__name__}: {error} — {raised_at(error)}"
            self._say({"type": "error", "error": CRASHED, "message": said})

    def _capability(self, name: str) -> Any:
        return getattr(self._client, name)

    def _done(self) -> None:
        self._say({"type": "done", "session_id": self._client.session_id if self._client else None})

    async def _connect(self, message: Mapping[str, Any]) -> None:
        factory = import_target(self._target, client=message["session"])
        transport = httpx.AsyncHTTPTransport()
        self._stack.push_async_callback(transport.aclose)
        made = factory(
            Opening(
                session=message["session"],
                client=message["session"],
                options=message["options"],
                base_url=os.environ[ADDRESS],
                api_key=os.environ[KEY],
                transport=transport,
                workspace=Path(message["workspace"]),
                store=Path(message["store"]),
                tools=tuple(self._tool(tool) for tool in message["tools"]),
                resume=message["resume"],
                fork=message["fork"],
                fork_at=message["fork_at"],
                continue_=message["continue"],
                environment=dict(os.environ),
            )
        )
        if hasattr(made, "__aenter__") and not hasattr(made, "receive_response"):
            made = await self._stack.enter_async_context(made)
        self._client = cast("SessionClient", made)
        await self._client.connect()
        missing = set(lacks(self._client))
        has = [name for name in CAPABILITIES if name not in missing]
        self._say({"type": "connected", "session_id": self._client.session_id, "capabilities": has})

    def _tool(self, given: Mapping[str, Any]) -> Tool:
        async def call(arguments: Mapping[str, Any]) -> tuple[str, bool]:
            self._calls += 1
            id, event, found = f"call-{self._calls}", anyio.Event(), list[Mapping[str, Any]]()
            self._results[id] = event, found
            self._say({"type": "call", "id": id, "name": given["name"], "input": dict(arguments)})
            await event.wait()
            return str(found[0]["text"]), bool(found[0]["is_error"])

        return Tool(name=given["name"], description=given["description"], input_schema=given["input_schema"], call=call)

    async def _turn(self, text: str) -> None:
        if self._client is None:
            raise SessionError("not_connected", "query() before connect()")
        self._prompts -= 1
        await self._client.query(text)
        self._busy = True
        if self._stop_next:
            self._stop_next = False
            await self._client.interrupt()
        async for event in self._client.receive_response():
            self._say({**_plain(event), "session_id": self._client.session_id})
        self._busy = False

    async def _disconnect(self) -> None:
        if self._client is not None:
            await self._client.disconnect()
        await self._stack.aclose()
        self._say({"type": "disconnected"})

    def _say(self, message: Mapping[str, Any]) -> None:
        self._out.write(msgspec.json.encode(message) + b"\n")
        self._out.flush()


def _plain(event: Event) -> dict[str, Any]:
    kind = {"type": kind_of(event)}
    match event:
        case TextDelta() | Thinking():
            return {**kind, "text": event.text}
        case ToolUse():
            return {**kind, "id": event.id, "name": event.name, "input": dict(event.input)}
        case ToolResult():
            return {**kind, "id": event.id, "text": event.text, "is_error": event.is_error}
        case TurnEnd():
            return {**kind, **msgspec.to_builtins(event)}


def main() -> None:
    """Serve the client named on the command line until stdin ends."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the client prints is no protocol
    code = 1
    try:
        anyio.run(Host(sys.argv[1], sys.stdin.buffer, out).run)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # a thread still waits for a line that nobody will write


if __name__ == "__main__":
    main()
