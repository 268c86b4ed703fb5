"""`claude_agent_sdk`: the real ClaudeSDKClient and the CLI it bundles, with the gateway for a model."""

import asyncio
import re
import uuid
import warnings
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

from convtest.clients.claude.ending import end_cli, message_id, tell_cli, written
from convtest.clients.claude.events import Turn
from convtest.clients.claude.leaving import Leaving
from convtest.clients.claude.options import OPTIONS, config_folder, sdk_fields
from convtest.clients.claude.policy import policy_of
from convtest.clients.claude.query import OneShots
from convtest.clients.claude.sdk import installed, options_of, unknown_flag
from convtest.clients.claude.sessions import StoredSessions
from convtest.clients.port import Kind, Opening, SessionError
from convtest.clients.process import ProgramError
from convtest.errors import ClientError
from convtest.events import ErrorCode, Event, TurnEnd
from convtest.wire.messages_api import PUBLIC_URL

TIME_LIMIT = 120.0
"""Seconds that one call of the SDK, or one message of a turn, may take."""
_REFUSALS: tuple[tuple[str, ErrorCode], ...] = (
    (r"No conversation found|is not a UUID|not a valid UUID", "session_not_found"),
    (r"already in use", "session_in_use"),
    (r"Not logged in|Invalid API key|authentication", "not_authenticated"),
)
_LOST = object()


class ClaudeClient:
    """One session of the Claude Agent SDK.

    Options are the fields of ClaudeAgentOptions that YAML can say, with `system` for the system prompt; `hooks`
    ({event: [module:attr]}), `can_use_tool`, `mcp_servers` ({name: configuration or module:attr}) and `python_tools`
    name Python by `module:attr`; `env` adds variables; `time_limit` (seconds) bounds every wait. Without `tools` the
    agent has only the scenario's.

    One background task reads whatever the SDK yields into a queue without a limit: a reader that stops at a turn's end
    would be a turn behind for ever, and one that waits for `interrupt` in its own loop would wait for itself.
    """

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._options = dict(opening.options)
        self._limit = float(self._options.get("time_limit", TIME_LIMIT))
        self._stored = StoredSessions(config_folder(opening))
        self._sdk: Any = None
        self._reader: asyncio.Task[None] | None = None
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._stderr: deque[str] = deque(maxlen=5)
        self._asked: list[str] = []
        self._said: list[str] = []
        """The ids of the messages of the turn so far."""
        self._spent = 0.0
        self._leaving = Leaving()
        self._id: str | None = None
        self._interrupted = False
        """The turn so far."""
        self._last = "connect"

    @property
    def session_id(self) -> str | None:
        return self._id

    async def connect(self) -> None:
        sdk = installed(self._opening.client)
        opening = self._opening
        if opening.fork and opening.fork_at is not None and opening.resume is not None:
            at = self._stored.fork_at(opening.resume, opening.fork_at)
            self._opening = replace(opening, resume=at, fork=False, fork_at=None)
        self._queue = asyncio.Queue()
        fields = options_of(sdk, sdk_fields(self._opening, self._options), opening.client)
        self._sdk = sdk.ClaudeSDKClient(sdk.ClaudeAgentOptions(**fields, stderr=self._stderr.append))
        try:
            with warnings.catch_warnings():
                # The scenario's own tools are always allowed: that no callback is asked about them is meant.
                warnings.simplefilter("ignore", getattr(sdk, "CanUseToolShadowedWarning", UserWarning))
                await self._within("connect", self._sdk.connect())
        except sdk.CLINotFoundError as error:
            help = "the extra brings one: pip install 'convtest[claude]'; or name yours as cli_path"
            raise ClientError(f"no Claude Code CLI: {error}", client=self._opening.client, help=help) from None
        except Exception as error:
            await self._abandon()
            raise self._refusal(error) from error
        self._id = None if self._opening.fork or self._opening.continue_ else self._opening.resume
        self._reader = asyncio.create_task(self._read(), name="convtest-claude-reader")

    def _refusal(self, error: Exception) -> Exception:
        """The SDK's several ways of saying no, by the words of its error and of the CLI's stderr."""
        said = f"{error} {' '.join(self._stderr)}"
        if (unknown := unknown_flag(said)) is not None:
            return ClientError(unknown[0], client=self._opening.client, help=unknown[1])
        code = next((code for pattern, code in _REFUSALS if re.search(pattern, said)), None)
        if code is not None:
            return SessionError(code, said.strip())
        return ProgramError(f"{type(error).__name__}: {error}; its last words: {' | '.join(self._stderr) or 'none'}")

    async def _read(self) -> None:
        try:
            async for message in self._sdk.receive_messages():
                self._queue.put_nowait(message)
            self._queue.put_nowait(_LOST)
        except Exception as error:
            self._queue.put_nowait(error)

    async def disconnect(self) -> None:
        sdk, reader = self._sdk, self._reader
        self._sdk = self._reader = None
        if sdk is None:
            return
        await self._leaving.told()
        if self._asked:
            # In mid-turn the CLI does not see that its input has ended: the SDK would wait five seconds for it.
            with suppress(Exception):
                await self._within("interrupt", sdk.interrupt())
        try:
            await self._within("disconnect", sdk.disconnect())
        except TimeoutError as error:
            self._opening.leftovers.append(f"{error}; it has been ended")
            self.kill()
            with suppress(Exception):
                await self._within("disconnect", sdk.disconnect())
        finally:
            if reader is not None:
                reader.cancel()
                with suppress(asyncio.CancelledError):
                    await reader

    async def _abandon(self) -> None:
        sdk, self._sdk = self._sdk, None
        with suppress(Exception):
            await self._within("disconnect", sdk.disconnect())

    def kill(self) -> None:
        """SIGKILL to the CLI and all that it started, once it has written down what it was asked and has said."""
        end_cli(self._opening, self._stored, dict.fromkeys(map(written, [*self._asked[:1], *self._said]), 1))

    def send_signal(self, number: int) -> None:
        """To the CLI and all that it started."""
        tell_cli(self._opening, number)

    async def query(self, text: str) -> None:
        if self._sdk is None:
            raise SessionError("not_connected", "query() before connect()")
        await self._leaving.taken_off(self._message, self._ends)
        prompt = str(uuid.uuid4())
        self._asked.append(prompt)
        message = {"type": "user", "uuid": prompt, "message": {"role": "user", "content": text}}

        async def stream() -> AsyncIterator[dict[str, Any]]:
            yield {**message, "parent_tool_use_id": None}

        try:
            await self._within("query", self._sdk.query(stream()))
        except Exception as error:
            self._asked.remove(prompt)
            raise SessionError("not_connected", f"{type(error).__name__}: {error}") from error

    async def interrupt(self) -> None:
        if self._sdk is not None and self._asked:
            self._interrupted = True
            await self._within("interrupt", self._sdk.interrupt())

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        mine, self._said = (self._asked[0] if self._asked else ""), []
        self._interrupted = False
        try:
            async with aclosing(self._turn(mine)) as events:
                async for event in events:
                    yield event
        except (GeneratorExit, asyncio.CancelledError):
            if mine in self._asked and self._sdk is not None:
                self._asked.remove(mine)
                self._leaving.leave(self._sdk.interrupt)
            raise

    async def _message(self) -> Any:
        return await self._within(f"a message after {self._last}", self._queue.get())

    def _ends(self, message: Any) -> bool:
        """It is the last of a turn that was left."""
        if message is _LOST or isinstance(message, Exception):
            self._queue.put_nowait(message)
            return True
        return type(message).__name__ == "ResultMessage"

    async def _turn(self, mine: str) -> AsyncGenerator[Event, None]:
        turn = Turn()
        while True:
            message = await self._message()
            if message is _LOST or isinstance(message, Exception):
                self._asked.clear()
                said = f"{type(message).__name__}: {message}" if isinstance(message, Exception) else "the CLI ended"
                yield TurnEnd(ended="connection_lost", message=" ".join([said, *self._stderr]))
                return
            self._last = type(message).__name__
            self._said += message_id(message)
            self._note_id(message)
            for event in turn.events(message):
                yield event
            if self._last == "ResultMessage" and (getattr(message, "user_message_uuid", None) or mine) == mine:
                # A result that names another prompt is a stale one: an interrupted turn's, or a background task's.
                # Older versions name none: there results come in the order of the prompts.
                if mine:
                    self._asked.remove(mine)
                end = turn.end(message, self._spent, interrupted=self._interrupted)
                self._spent = message.total_cost_usd or self._spent
                yield end
                return

    def _note_id(self, message: Any) -> None:
        match type(message).__name__:
            case "SystemMessage" if message.subtype == "init":
                self._id = message.data.get("session_id") or self._id
            case "ResultMessage":
                self._id = message.session_id or self._id
            case "ConversationResetMessage":
                self._id = message.new_conversation_id

    async def _within(self, what: str, waiting: Any) -> Any:
        """What is awaited; TimeoutError that names it after the time limit."""
        try:
            async with asyncio.timeout(self._limit):
                return await waiting
        except TimeoutError:
            raise TimeoutError(f"the SDK did not come back within {self._limit:g} s from: {what}") from None

    async def get_messages(self) -> list[dict[str, Any]]:
        """The stored session, by the SDK's own function."""
        return self._stored.messages(self._id) if self._id is not None else []

    async def load_history(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Go on, in a new CLI, with a new session that has just these messages of a saved one."""
        forked = self._stored.fork(messages)
        await self.disconnect()
        self._opening = replace(self._opening, resume=forked, fork=False, continue_=False)
        await self.connect()

    async def delete(self) -> None:
        """Remove the session from disk."""
        if self._id is not None:
            self._stored.delete(self._id)
        self._id = None

    async def clear_history(self) -> None:
        """`/clear`: the CLI goes on under a new session id."""
        await self.query("/clear")
        async for _ in self.receive_response():
            pass

    async def compact_history(self) -> None:
        """`/compact`: the CLI has the model condense the history, and goes on with the summary."""
        await self.query("/compact")
        async for _ in self.receive_response():
            pass

    async def set(self, options: Mapping[str, Any]) -> None:
        """`model` and `permission_mode`, which the SDK can change in a running session."""
        calls: dict[str, Callable[[Any], Any]] = {
            "model": self._sdk.set_model,
            "permission_mode": self._sdk.set_permission_mode,
        }
        for name, value in options.items():
            if name not in calls:
                raise SessionError("bad_request", f"the SDK cannot change {name} in a running session")
            try:
                await self._within(f"set {name}", calls[name](value))
            except TimeoutError:
                raise
            except Exception as error:
                raise SessionError("bad_request", f"the CLI refused {name} = {value!r}: {error}") from error
        self._options.update(options)


def session_of(opening: Opening) -> "ClaudeClient | OneShots":
    """The session in the way that `mode` names: `client` (ClaudeSDKClient, the default) or `query`."""
    mode = opening.options.get("mode", "client")
    if mode not in {"client", "query"}:
        raise ClientError(f"mode is client or query, not {mode!r}", client=opening.client)
    return OneShots(opening) if mode == "query" else ClaudeClient(opening)


KIND = Kind(
    name="claude_agent_sdk",
    factory_of=lambda profile, root: session_of,
    options=OPTIONS,
    base_url=PUBLIC_URL,
    gateway=True,
    needs="claude_agent_sdk",
    extra="claude",
    policy=policy_of,
)
