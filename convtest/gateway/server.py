"""The gateway's socket: uvicorn's protocol with limits on what a peer may do, and ways to end a connection."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

MAX_HEAD = 64 * 1024
"""Bytes of request line and headers; more is refused."""
MAX_HEADERS = 256
HEAD_SECONDS = 5.0
"""A request whose head is not whole after this is given up."""
IDLE_SECONDS = 75
"""A connection on which nothing is asked, or nothing more, is closed after this; clients open some in advance."""
CONNECTION = "convtest.connection"
"""Where the application finds its connection in the ASGI scope's extensions."""
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain\r\ncontent-length: 29\r\n"
    b"connection: close\r\n\r\nthe request's head is too big"
)
_REFUSED = b"HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"


class Connection(HttpToolsProtocol):
    """One connection. It refuses to be a proxy, and heads that are too big or never end."""

    refused: Callable[[str], None] = staticmethod(lambda host: None)
    """Told the host of each attempt to use the gateway as a proxy."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._over = False
        self._await_head(IDLE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def _await_head(self, seconds: float) -> None:
        self._head: int | None = 0
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        super().data_received(data)
        if self._head is not None and not self._over:
            self._head += len(data)
            if self._head > MAX_HEAD:
                self._end_with(_TOO_LARGE)

    def on_headers_complete(self) -> None:
        self._timer.cancel()
        self._head = None
        if len(self.headers) > MAX_HEADERS or sum(len(n) + len(v) for n, v in self.headers) > MAX_HEAD:
            self._end_with(_TOO_LARGE)
        elif self.parser.get_method() == b"CONNECT" or not (self.url.startswith(b"/") or self._is_for_us()):
            self._refuse_to_be_a_proxy()
        else:
            extensions: dict[str, Any] = {CONNECTION: self}
            self.scope["extensions"] = extensions
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._over:
            super().on_message_complete()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._timer.cancel()
        self._await_head(HEAD_SECONDS)

    def _is_for_us(self) -> bool:
        """There are clients that ask a proxy for the gateway itself, whatever NO_PROXY says (CLI 2.1.32 does)."""
        port = self.transport.get_extra_info("sockname")[1]
        return any(self.url.startswith(f"http://{host}:{port}/".encode()) for host in ("127.0.0.1", "localhost"))

    def _refuse_to_be_a_proxy(self) -> None:
        target = self.url.decode("ascii", "replace")
        host = urlsplit(target if "//" in target else f"//{target}").hostname or target
        self.refused(host)
        text = f"convtest: {host} is not to be reached from here".encode()
        self._end_with(_REFUSED % (len(text), text))

    def _end_with(self, answer: bytes) -> None:
        self._over = True
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()

    def close(self) -> None:
        """End it in mid-answer: the peer sees a body that stops."""
        self.transport.close()

    def reset(self) -> None:
        """End it with a TCP reset."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Server:
    """Serves one ASGI application on one socket, in the running asyncio loop."""

    def __init__(self, app: Any, listening: socket.socket, refused: Callable[[str], None]) -> None:
        self._listening = listening
        self._stopping = False
        self._app = app
        self._config = uvicorn.Config(
            self._answer, interface="asgi3", lifespan="off",
            access_log=False, log_config=None, ws="none", server_header=False, date_header=False,
            timeout_keep_alive=IDLE_SECONDS,
        )  # fmt: skip
        self._state = ServerState()
        self._protocol = type("Connection", (Connection,), {"refused": staticmethod(refused)})
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._state.connections)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not self._stopping:  # else uvicorn would log a traceback of what is meant
                raise

    async def start(self) -> None:
        self._config.load()

        def connection() -> Any:
            return self._protocol(config=self._config, server_state=self._state, app_state={})

        self._server = await asyncio.get_running_loop().create_server(connection, sock=self._listening, backlog=2048)

    async def stop(self) -> None:
        """No new connections, and the end of those that are open: at once, also in mid-stream."""
        self._stopping = True
        if self._server is not None:
            self._server.close()
        for one in list(self._state.connections):
            transport = getattr(one, "transport", None)
            if transport is not None:
                transport.abort()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
