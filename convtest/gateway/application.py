"""The gateway: a loopback model endpoint for clients in other processes; what it is asked goes through the tap.

A lane is the prefix `/s/<item>/<session>` of the address that a client is given. Only loopback is listened on, the
run's token is demanded, foreign Host headers and browsers are refused: whoever may ask it may spend money.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote

import anyio
from starlette.requests import ClientDisconnect
from starlette.requests import Request as Asked
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from convtest.gateway.addresses import Outlet, is_model, lane_and_path
from convtest.gateway.door import HOST, Door, listening_socket
from convtest.gateway.gate import PARTING, Gate, awaits_events
from convtest.gateway.server import CONNECTION, Connection, Server
from convtest.wire.headers import to_bytes, to_text
from convtest.wire.interaction import Request, StreamEnd
from convtest.wire.lanes import is_model_path
from convtest.wire.tap import Answer, Tap, TappedAnswer, Via, WireFailure
from convtest.wire.transports import Outward

SHARED = "app"
"""Stands for the item in the addresses of an application that serves many items."""
STALLED_BODY = 30.0
"""Seconds without a byte of a request's body after which it is given up."""
BEFORE_RESET = 0.1
"""Seconds between the last bytes and a reset or close: the peer may throw away what it has not read by then."""
_OWN_HEADERS = frozenset({"host", "connection", "content-length", "transfer-encoding", "keep-alive", "expect"})
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "proxy-authenticate", "trailer", "upgrade"})
_TIMEOUTS = {"connect": 30.0, "read": 600.0, "write": 60.0, "pool": 60.0}


class Gateway:
    """One per item. `outlet` tells where a lane's requests go, by lane and path; `refused` hears of hosts that a
    client tried to reach through it as a proxy."""

    def __init__(
        self,
        tap: Tap,
        outlet: Callable[[str | None, str], Outlet],
        *,
        item: str,
        door: Door = Door(),  # noqa: B008  it is frozen
        refused: Callable[[str], None] = lambda host: None,
        knows: Callable[[str], bool] = lambda session: True,
    ) -> None:
        """`knows` tells sessions of the item from other names in the prefix, which are no lane."""
        self._knows = knows
        self._tap = tap
        self._outlet = outlet
        self._item = quote(item, safe="")
        self.token = door.token or f"convtest-{secrets.token_hex(16)}"
        self._server = Server(self, door.listening() or listening_socket(), refused)
        self._outward = Outward(_TIMEOUTS)
        self._streams: dict[str | None, set[Any]] = {}

    @property
    def url(self) -> str:
        """The address without a lane."""
        return f"http://{HOST}:{self._server.port}"

    def address(self, session: str) -> str:
        """The base URL for a session's client, without the API's version."""
        return f"{self.url}/s/{self._item}/{quote(session, safe='')}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Gateway"]:
        """Answers within it; at its end connections that are still open are cut."""
        self._tap.gateway = self.url
        await self._server.start()
        try:
            yield self
        finally:
            self._tap.gateway = ""
            with anyio.CancelScope(shield=True):
                await self._server.stop()
                await self._outward.aclose()

    async def quiet(self) -> list[str]:
        """The lanes on which answers are still being sent, a moment after everybody has been told to leave."""
        with anyio.move_on_after(PARTING):
            while any(self._streams.values()):  # noqa: ASYNC110  streams end in other tasks
                await anyio.sleep(0.01)
        return [repr(lane) if lane else "a request of no session" for lane, streams in self._streams.items() if streams]

    def drop(self, lane: str) -> None:
        """Cut what streams on the lane: its session's transport is gone."""
        for connection in list(self._streams.get(lane, ())):
            connection.reset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Asked(scope, receive)
        refusal = self._refusal(asked)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        item, lane, path = lane_and_path(asked.scope["raw_path"].decode("ascii"))
        if item is not None and item not in {self._item, SHARED}:
            await _error(404, "not_found_error", f"{unquote(item)!r} is not playing")(scope, receive, send)
            return
        lane = lane if lane is not None and self._knows(lane) else None
        outlet = self._outlet(lane, path)
        if not is_model_path(path) and not is_model(path) and not outlet.pass_through:
            await _error(404, "not_found_error", f"the gateway speaks no {path!r}")(scope, receive, send)
            return
        try:
            body = await _body(asked, self._tap.limits.body)
        except _TooMuch as problem:
            await _error(problem.status, "request_too_large", str(problem))(scope, receive, send)
            return
        except ClientDisconnect:
            return
        lane = lane or self._tap.only_lane()
        connection = scope["extensions"][CONNECTION]
        if self._tap.is_dropped(lane):
            connection.reset()
            return
        self._streams.setdefault(lane, set()).add(connection)
        try:
            request = _request(asked, outlet.url(path, asked.url.query), body)
            await self._relay(request, lane, outlet, scope, receive, send)
        finally:
            self._streams[lane].discard(connection)

    def _refusal(self, asked: Asked) -> Response | None:
        """Why this request gets nothing: it comes from elsewhere, or does not know the token."""
        host = asked.headers.get("host", "")
        if host not in {f"{HOST}:{self._server.port}", f"localhost:{self._server.port}"}:
            return _error(421, "permission_error", f"{host!r} is not this gateway")
        if "origin" in asked.headers or asked.headers.get("sec-fetch-site", "none") != "none":
            return _error(403, "permission_error", "browsers are not served")
        if not secrets.compare_digest(_key_of(asked).encode(), self.token.encode()):
            return _error(401, "authentication_error", "the run's token is missing or wrong")
        return None

    async def _relay(
        self, request: Request, lane: str | None, outlet: Outlet, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Pass the answer on as it comes, until its end or until the client goes away."""
        connection = scope["extensions"][CONNECTION]
        turn = self._tap.turn_of(lane)
        gate = Gate(turn) if turn is not None and (turn.due() or turn.disturbed() or awaits_events(turn)) else None
        via = Via(clock=self._tap.clock, forward=self._forwarding(outlet), read_timeout=float("inf"), parting=PARTING)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_when_gone, receive, tasks.cancel_scope)
            try:
                tapped = await self._tap.send(lane, request, via)
                await self._answer(tapped, gate, send)
            except WireFailure as failure:
                await _fail(connection, failure.ended)
            tasks.cancel_scope.cancel()

    def _forwarding(self, outlet: Outlet) -> Callable[[Request], Awaitable[Answer]]:
        """Sends a request on with the real key in place of the run's token."""

        async def forward(wanted: Request) -> Answer:
            headers = tuple(_with_key(wanted.headers, outlet.api_key))
            return await self._outward.send(replace(wanted, headers=headers))

        return forward

    async def _answer(self, tapped: TappedAnswer, gate: Gate | None, send: Send) -> None:
        try:
            if gate is not None:
                await gate.before_the_head()
            answer = tapped.answer
            left_out = _HOP_BY_HOP | ({"content-length"} if tapped.holds_its_end else set())
            headers = to_bytes((n, v) for n, v in answer.headers if n.lower() not in left_out)
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            async for data in tapped:
                await send({"type": "http.response.body", "body": data, "more_body": True})
                if gate is not None:
                    await gate.after(data)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            with anyio.CancelScope(shield=True):
                await tapped.aclose()


class _TooMuch(Exception):
    def __init__(self, status: int, what: str) -> None:
        self.status = status
        super().__init__(what)


async def _body(asked: Asked, most: int) -> bytes:
    """The request's body. Raises _TooMuch at its limit or when it stops coming, starlette's ClientDisconnect."""
    if int(asked.headers.get("content-length") or 0) > most:
        raise _TooMuch(413, f"more than {most:,} bytes")
    parts: list[bytes] = []
    size = 0
    stream = asked.stream()
    while True:
        with anyio.move_on_after(STALLED_BODY) as limit:
            part = await anext(stream, None)
        if limit.cancelled_caught:
            raise _TooMuch(408, f"nothing came for {STALLED_BODY:g} s")
        if part is None:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
        if size > most:
            raise _TooMuch(413, f"more than {most:,} bytes")


async def _cancel_when_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _fail(connection: Connection, ended: StreamEnd) -> None:
    """What the failure looks like from outside."""
    match ended:
        case "timeout":
            await anyio.sleep_forever()  # until the client gives up
        case "reset":
            await anyio.sleep(BEFORE_RESET)
            connection.reset()
        case _:
            await anyio.sleep(BEFORE_RESET)
            connection.close()


def _key_of(asked: Asked) -> str:
    bearer = asked.headers.get("authorization", "")
    return asked.headers.get("x-api-key") or asked.headers.get("api-key") or bearer.removeprefix("Bearer ").strip()


def _request(asked: Asked, url: str, body: bytes) -> Request:
    given = ((to_text(name), to_text(value)) for name, value in asked.headers.raw)
    headers = tuple((name, value) for name, value in given if name not in _OWN_HEADERS)
    return Request(method=asked.method, url=url, headers=headers, body=body)


def _with_key(headers: Iterable[tuple[str, str]], key: str) -> Iterator[tuple[str, str]]:
    """The real key where the run's token stood; no such header where there is none: the upstream says so itself."""
    for name, value in headers:
        if name in {"x-api-key", "api-key", "authorization"}:
            if key:
                yield name, f"Bearer {key}" if name == "authorization" else key
        else:
            yield name, value


def _error(status: int, kind: str, message: str) -> Response:
    """In the shape that the SDKs of both APIs read."""
    body = {"type": "error", "error": {"type": kind, "message": f"convtest: {message}"}}
    return JSONResponse(body, status, headers={"x-should-retry": "false"})
