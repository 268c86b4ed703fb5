"""`mode: query`: each turn is one call of the SDK's one-shot `query()`, as stateless applications make them."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

import msgspec

from convtest.clients.claude.ending import end_cli, message_id, tell_cli, written
from convtest.clients.claude.events import Turn
from convtest.clients.claude.options import config_folder, sdk_fields
from convtest.clients.claude.sdk import installed, options_of, unknown_flag
from convtest.clients.claude.sessions import StoredSessions
from convtest.clients.port import Opening, SessionError
from convtest.errors import ClientError
from convtest.events import Event, TurnEnd

STDERR_LINES = 1000
"""How many lines of the CLI's stderr are kept: the one that refuses need not be the last."""


class OneShots:
    """A session that lives in its id alone: the first call begins it, each further one resumes it."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._options = dict(opening.options)
        self._id = opening.resume
        self._prompt: str | None = None
        self._connected = False
        self._stored = StoredSessions(config_folder(opening))
        self._wanted: dict[str, int] = {}
        self._said: list[str] = []
        self._waiting: asyncio.Task[Any] | None = None
        self._interrupted = False

    @property
    def session_id(self) -> str | None:
        return self._id if not self._opening.fork else None

    async def connect(self) -> None:
        installed(self._opening.client)
        self._connected = True

    async def disconnect(self) -> None:
        self._connected = False

    def kill(self) -> None:
        """SIGKILL to the CLI of a call in progress, once it has written down what it was asked and has said."""
        end_cli(self._opening, self._stored, {**self._wanted, **dict.fromkeys(map(written, self._said), 1)})

    def send_signal(self, number: int) -> None:
        """To the CLI of a call in progress, and all that it started."""
        tell_cli(self._opening, number)

    async def query(self, text: str) -> None:
        if not self._connected:
            raise SessionError("not_connected", "query() before connect()")
        self._prompt, self._interrupted, self._said = text, False, []
        mark = f'"message":{{"role":"user","content":{msgspec.json.encode(text).decode()}}}'
        self._wanted = {mark: self._stored.holds(mark) + 1}

    async def interrupt(self) -> None:
        """There is nobody to ask: the call is given up."""
        if self._prompt is not None:
            self._interrupted = True
            if self._waiting is not None:
                self._waiting.cancel()

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        sdk = installed(self._opening.client)
        stderr: deque[str] = deque(maxlen=STDERR_LINES)
        opening = replace(self._opening, resume=self._id) if self._id else self._opening
        fields = options_of(sdk, sdk_fields(opening, self._options), opening.client)
        options = sdk.ClaudeAgentOptions(**fields, stderr=stderr.append)
        turn, end = Turn(), None
        stream: Any = sdk.query(prompt=self._prompt or "", options=options)
        try:
            async with aclosing(stream):
                while (message := await self._next(stream)) is not None:
                    self._said += message_id(message)
                    if type(message).__name__ == "ResultMessage":
                        end = turn.end(message, 0.0, interrupted=self._interrupted)
                        self._id = message.session_id or self._id
                        self._opening = replace(self._opening, fork=False, continue_=False)
                    for event in turn.events(message):
                        yield event
        except GeneratorExit:
            self.kill()
            raise
        except Exception as error:
            # query() raises once more for a result that was an error: that one has been told.
            if end is None and (unknown := unknown_flag(" ".join(stderr))) is not None:
                raise ClientError(unknown[0], client=opening.client, help=unknown[1]) from None
            if end is None and "No conversation found" in f"{error} {stderr}":
                raise SessionError("session_not_found", str(error)) from error
            end = end or TurnEnd(
                ended="connection_lost", message=" ".join([f"{type(error).__name__}: {error}", *list(stderr)[-3:]])
            )
        self._prompt = None
        yield TurnEnd(ended="interrupted") if self._interrupted else end or TurnEnd(ended="connection_lost")

    async def _next(self, stream: Any) -> Any:
        """The next message; None at the end, and as soon as the turn is interrupted."""
        if self._interrupted:
            self.kill()
            return None
        self._waiting = asyncio.ensure_future(anext(stream, None))
        try:
            return await asyncio.shield(self._waiting)
        except asyncio.CancelledError:
            self.kill()  # else it goes on, and writes into the session what nobody has read
            self._waiting.cancel()
            while not self._waiting.done():
                with suppress(asyncio.CancelledError):  # whoever is cancelled may be cancelled again
                    await asyncio.wait([self._waiting])
            if not self._interrupted:
                raise
            return None
        finally:
            self._waiting = None

    async def set(self, options: Mapping[str, Any]) -> None:
        """Change options from the next call on."""
        self._options.update(options)
