"""`command`: any program that speaks one JSON object per line; the protocol is written down in docs/command.md."""

from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import anyio

from convtest.clients.command.words import plain, turn_end
from convtest.clients.port import CAPABILITIES, Factory, Kind, Opening, SessionError
from convtest.clients.process import Program, ProgramError
from convtest.config import Profile
from convtest.errors import ConfigError
from convtest.events import Event, TextDelta, Thinking, ToolResult, ToolUse, TurnEnd
from convtest.scenario.names import safe_name
from convtest.wire.messages_api import PUBLIC_URL

CRASHED = "crashed"
"""The code of an exception that a hosted client let out: no refusal, but a bug."""
SETTLING = 2.0
"""Seconds that a kill waits, at most, for a program to say that its session is on disk."""
AFTERWARDS = 0.01
"""Seconds after a turn end in which what else is said is seen to belong to it."""
_LOOK = 0.01
"""Seconds between two looks at whether somebody still reads."""


class CommandClient:
    """One session in a process of its own; a new process for each opening, so that resume is a restart."""

    def __init__(
        self, opening: Opening, argv: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._opening = opening
        self._tools = {tool.name: tool for tool in opening.tools}
        log = opening.store.parent / f"{safe_name(opening.session)}.stderr"
        whole = {**opening.environment, **(environment or {})}
        self._program = Program(argv, cwd=cwd, environment=whole, log=log, limits=opening.limits)
        self._id: str | None = None
        self._connected = False
        self._asked = 0
        self._left = 0
        """Turns that nobody read to their end."""
        self._settles = False
        self._settled = anyio.Event()
        self._hearing = False
        self._left = False
        """It said that it is disconnected."""
        self._kept: deque[dict[str, Any]] = deque()
        """What was said while it was to say that its session is on disk."""

    @property
    def session_id(self) -> str | None:
        return self._id

    async def connect(self) -> None:
        opening = self._opening
        await self._program.start(client=opening.client)
        try:
            await self._open()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._end()
            raise

    async def _open(self) -> None:
        opening = self._opening
        tools = [{"name": t.name, "description": t.description, "input_schema": t.input_schema} for t in opening.tools]
        await self._program.say(
            {
                "type": "connect", "session": opening.session, "options": plain(opening.options),
                "resume": opening.resume, "fork": opening.fork, "fork_at": opening.fork_at,
                "continue": opening.continue_, "workspace": str(opening.workspace), "store": str(opening.store),
                "tools": tools,
            }
        )  # fmt: skip
        answer = await self._answer("connected")
        self._connected = True
        self._settles = "settle" in (answer.get("capabilities") or ())
        for name in answer.get("capabilities") or ():
            if name in CAPABILITIES:
                setattr(self, name, getattr(self, f"_{name}"))

    async def disconnect(self) -> None:
        if self._connected and self._program.running:
            self._connected = False
            with suppress(ProgramError):  # it may just end
                await self._program.say({"type": "disconnect"})
                while not self._left:
                    if self._hearing:
                        await anyio.sleep(_LOOK)  # whoever reads the turn hears it
                    else:
                        await self._said()
        self._connected = False
        await self._end()

    async def _end(self) -> None:
        stayed = await self._program.end()
        if stayed:
            self._opening.leftovers.append(stayed)

    async def settle(self) -> None:
        """Before a kill: wait, for the seconds of the option `settle` at most, until the program says that all that it
        was asked and has said is on disk. One that does not know how is not asked."""
        given = self._opening.options.get("settle")
        limit = float(given) if isinstance(given, int | float) else SETTLING
        if not self._settles or limit <= 0 or not self._program.running:
            return
        self._settled = anyio.Event()
        with anyio.move_on_after(limit), suppress(ProgramError):
            await self._program.say({"type": "settle"})
            while not self._settled.is_set():
                if self._hearing:
                    await self._settled.wait()
                elif (message := await self._said()) is not None and message["type"] != "turn_end":
                    self._kept.append(message)  # an end comes too late: the kill is in mid-turn

    async def _hear(self) -> dict[str, Any]:
        """The next message but `settled`."""
        while True:
            if self._kept:
                return self._kept.popleft()
            if (message := await self._said()) is not None:
                return message

    async def _said(self) -> dict[str, Any] | None:
        """The next message, None for `settled`."""
        self._hearing = True
        try:
            message = await self._program.hear()
        finally:
            self._hearing = False
        if message["type"] == "settled":
            self._settled.set()
            return None
        self._left = self._left or message["type"] == "disconnected"
        return message

    def kill(self) -> None:
        """SIGKILL, to all that it started as well."""
        self._program.kill()

    def send_signal(self, number: int) -> None:
        """To the program, and all of its process group."""
        self._program.send_signal(number)

    async def query(self, text: str) -> None:
        if not self._connected:
            raise SessionError("not_connected", "query() before connect()")
        if self._program.killed:
            # Its pipe may take a line for a while yet.
            raise SessionError("not_connected", "the program was killed")
        while self._left:
            message = await self._hear()
            if message["type"] == "call":
                await self._call(message)
            elif isinstance(self._event(message), TurnEnd):
                self._asked, self._left = self._asked - 1, self._left - 1
        late = await self._late()
        if late:
            raise ProgramError(f"the program went on after its turn had ended: {late[0]}")
        try:
            await self._program.say({"type": "query", "text": text})
        except ProgramError as error:
            raise SessionError("not_connected", str(error)) from None
        self._asked += 1

    async def interrupt(self) -> None:
        if self._connected:
            await self._program.say({"type": "interrupt"})

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        try:
            async with aclosing(self._turn()) as events:
                async for event in events:
                    yield event
        except (GeneratorExit, anyio.get_cancelled_exc_class()):
            self._left += self._asked > 0  # the program is told, and what it still says of the turn is taken off
            with anyio.CancelScope(shield=True), suppress(ProgramError):
                await self.interrupt()
            raise

    async def _turn(self) -> AsyncGenerator[Event, None]:
        while True:
            try:
                message = await self._hear()
            except ProgramError as error:
                if self._program.running:
                    raise
                self._connected = False
                yield TurnEnd(ended="connection_lost", message=str(error))
                return
            if message["type"] == "call":
                await self._call(message)
                continue
            if message["type"] == "disconnected" and not self._connected:
                yield TurnEnd(ended="connection_lost", message="disconnected in mid-turn")
                return
            event = self._event(message)
            if event is not None:
                yield event
            if isinstance(event, TurnEnd):
                self._asked -= 1
                for late in await self._late():
                    yield late
                return

    async def _late(self) -> list[Event]:
        """What is said after a turn end, and to no other prompt: it belongs to that turn, and should not be there."""
        found: list[Event] = []
        if self._asked > 0:
            return found
        with anyio.move_on_after(AFTERWARDS), suppress(ProgramError):
            while True:
                event = self._event(await self._hear())
                found += [event] if event is not None else []
        return found

    async def _call(self, message: Mapping[str, Any]) -> None:
        """The program has a stand-in answer for it: only the scenario knows what it says."""
        tool = self._tools.get(str(message.get("name")))
        text, is_error = await tool.call(message.get("input") or {}) if tool else ("there is no such tool", True)
        await self._program.say({"type": "call_result", "id": message.get("id"), "text": text, "is_error": is_error})

    def _event(self, message: Mapping[str, Any]) -> Event | None:
        self._note_id(message)
        match message:
            case {"type": "text", "text": str(text)}:
                return TextDelta(text=text)
            case {"type": "thinking", "text": str(text)}:
                return Thinking(text=text)
            case {"type": "tool_use", "id": str(id), "name": str(name)}:
                return ToolUse(id=id, name=name, input=message.get("input") or {})
            case {"type": "tool_result", "id": str(id), "text": str(text)}:
                return ToolResult(id=id, text=text, is_error=bool(message.get("is_error")))
            case {"type": "turn_end"}:
                return turn_end(message)
            case {"type": "error", "error": "crashed"}:
                raise ProgramError(str(message.get("message", "")))
            case {"type": "error", "error": str(code)}:
                raise SessionError(code, str(message.get("message", "")))  # type: ignore[arg-type]
            case {"type": "session_id"}:
                return None
        raise ProgramError(f"the program sent what the protocol does not know here: {dict(message)!r:.300}")

    async def _answer(self, wanted: str) -> dict[str, Any]:
        """The answer to what was just said. Raises SessionError for one that refuses."""
        while True:
            message = await self._hear()
            if message["type"] == wanted:
                self._note_id(message)
                return message
            self._event(message)

    def _note_id(self, message: Mapping[str, Any]) -> None:
        if isinstance(message.get("session_id"), str):
            self._id = message["session_id"]

    async def _ask(self, message: Mapping[str, Any], wanted: str = "done") -> dict[str, Any]:
        await self._program.say(message)
        return await self._answer(wanted)

    async def _get_messages(self) -> list[dict[str, Any]]:
        return list((await self._ask({"type": "get_messages"}, "messages"))["messages"])

    async def _load_history(self, messages: Sequence[Mapping[str, Any]]) -> None:
        await self._ask({"type": "load_history", "messages": [dict(message) for message in messages]})

    async def _clear_history(self) -> None:
        await self._ask({"type": "clear_history"})

    async def _compact_history(self) -> None:
        await self._ask({"type": "compact_history"})

    async def _delete(self) -> None:
        await self._ask({"type": "delete"})

    async def _set(self, options: Mapping[str, Any]) -> None:
        await self._ask({"type": "set", "options": plain(options)})


def program(argv: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None) -> Factory:
    """Opens sessions by starting this program in this folder; `environment` is laid over the session's."""
    return lambda opening: CommandClient(opening, argv, cwd, environment)


def _factory_of(profile: Profile, root: Path) -> Factory:
    if not profile.command:
        help = 'such as command = ["node", "agent.js"]'
        raise ConfigError("command is missing", where=profile.where, help=help)
    return program(profile.command, root)


KIND = Kind(name="command", factory_of=_factory_of, options=None, base_url=PUBLIC_URL, gateway=True)
