"""aiohttp behind vcrpy's stub: its session asks the tap where it would send, and reads the answer as it comes."""

import contextlib
import errno
from collections.abc import Iterator
from typing import Any

import aiohttp
from aiohttp import ClientSession, hdrs
from multidict import CIMultiDict, CIMultiDictProxy
from vcr.stubs.aiohttp_stubs import MockClientResponse, MockStream

from convtest.clock import run_now
from convtest.wire.headers import to_bytes
from convtest.wire.interaction import Request, StreamEnd
from convtest.wire.stacks.routes import RouteOf
from convtest.wire.tap import Answer, Tap, TappedAnswer, Via, WireFailure


@contextlib.contextmanager
def patched(route_of: RouteOf) -> Iterator[None]:
    """Within it every session's requests pass a middleware of ours last, where vcrpy replaces the whole request: so
    redirects, cookies and its own middlewares are the session's own."""
    owner: Any = ClientSession
    real = owner._request

    async def _request(session: Any, method: str, url: Any, **more: Any) -> Any:
        given = more.pop("middlewares", None)
        theirs = session._middlewares if given is None else given
        ours = _Middleware(route_of, decodes=more.get("auto_decompress", getattr(session, "_auto_decompress", True)))
        return await real(session, method, url, middlewares=(*theirs, ours), **more)

    if not hasattr(aiohttp, "ClientMiddlewareType"):
        yield  # older than 3.12: what it sends is refused while offline, and an error where nothing else is recorded
        return
    owner._request = _request
    try:
        yield
    finally:
        owner._request = real


class _Middleware:
    def __init__(self, route_of: RouteOf, *, decodes: bool) -> None:
        self._route_of = route_of
        self._decodes = decodes is not False

    async def __call__(self, request: Any, handler: Any) -> Any:
        route = self._route_of(str(request.url))
        if route is None or route.tap is None:
            return await handler(request)
        if route.tap.is_dropped(route.lane):
            raise aiohttp.ClientOSError(errno.ECONNRESET, "the transport was dropped")
        headers = tuple((name.lower(), value) for name, value in request.headers.items())
        sent = Request(method=request.method, url=str(request.url), headers=headers, body=await _body(request))

        async def forward(wanted: Request) -> Answer:
            return await self._forward(request, handler, wanted)

        via = Via(clock=route.tap.clock, forward=forward)
        try:
            answer = await route.tap.send(route.lane, sent, via)
        except WireFailure as failure:
            raise _raised(failure, request) from None
        return _response(request, answer, route.tap, route.lane)

    async def _forward(self, request: Any, handler: Any, wanted: Request) -> Answer:
        accepted = dict(wanted.headers).get("accept-encoding")
        if accepted is not None:
            request.headers[hdrs.ACCEPT_ENCODING] = accepted
        try:
            real = await handler(request)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise WireFailure(_ended_of(error, before=True), str(error)) from error
        left_out = {"content-encoding"} if self._decodes else set()
        headers = tuple((name.lower(), value) for name, value in real.headers.items() if name.lower() not in left_out)

        async def close() -> None:
            real.close()

        return Answer(
            status=real.status, reason=real.reason or "", headers=headers, chunks=_Live(real.content), close=close
        )


async def _body(request: Any) -> bytes:
    """What the request carries, whole: one that is generated is read here, and sent as what it came to."""
    body = request.body
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if not body:
        return b""
    data = bytes(await body.as_bytes())
    if getattr(body, "consumed", False):
        await request.update_body(data)
    return data


class _Live:
    def __init__(self, content: Any) -> None:
        self._pieces = content.iter_any().__aiter__()

    def __aiter__(self) -> "_Live":
        return self

    async def __anext__(self) -> bytes:
        try:
            return bytes(await anext(self._pieces))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise WireFailure(_ended_of(error), str(error)) from error


def _ended_of(error: BaseException, *, before: bool = False) -> StreamEnd:
    if isinstance(error, aiohttp.ConnectionTimeoutError | aiohttp.ClientConnectorError):
        return "refused"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "no_response" if before else "truncated"
    reset = any(isinstance(one, ConnectionResetError) for one in (error, error.__cause__, error.__context__))
    if reset or isinstance(error, aiohttp.ClientOSError):
        return "reset"
    return "no_response" if before else "truncated"


def _raised(failure: WireFailure, request: Any) -> Exception:
    match failure.ended:
        case "refused":
            refused = ConnectionRefusedError(errno.ECONNREFUSED, str(failure))
            return aiohttp.ClientConnectorError(request.connection_key, refused)
        case "timeout":
            return aiohttp.SocketTimeoutError(str(failure))
        case "reset":
            return aiohttp.ClientOSError(errno.ECONNRESET, str(failure))
    return aiohttp.ServerDisconnectedError(str(failure))


def _response(request: Any, answer: TappedAnswer, tap: Tap, lane: str | None) -> Any:
    info = aiohttp.RequestInfo(request.url, request.method, CIMultiDictProxy(CIMultiDict(request.headers)), request.url)
    made = _Response(request.method, request.url, request_info=info)
    head = answer.answer
    made.status, made.reason = head.status, head.reason
    raw = tuple(to_bytes(head.headers))
    made._raw_headers = raw
    made._headers = CIMultiDictProxy(CIMultiDict((name.decode(), value.decode("latin-1")) for name, value in raw))
    cookies = made._headers.getall(hdrs.SET_COOKIE, ())
    if cookies:
        made._raw_cookie_headers = tuple(cookies)
    made.version = aiohttp.HttpVersion11
    made._traces = []
    made.answer = answer
    made.content = _Stream(answer, lambda: tap.is_dropped(lane))
    return made


class _Response(MockClientResponse):  # type: ignore[misc]
    """vcrpy's, with the stream of a real one."""

    answer: TappedAnswer
    _body = None
    read = aiohttp.ClientResponse.read
    text = aiohttp.ClientResponse.text
    json = aiohttp.ClientResponse.json

    def close(self) -> None:
        super().close()
        run_now(self.answer.aclose())

    def release(self) -> Any:
        done = aiohttp.ClientResponse.release(self)
        run_now(self.answer.aclose())
        return done


class _Stream(MockStream):  # type: ignore[misc]
    """Holds what has been read of the answer; whoever finds it empty fetches the next piece."""

    def __init__(self, answer: TappedAnswer, dropped: Any) -> None:
        super().__init__(b"")
        self._answer = answer
        self._dropped = dropped

    def feed_eof(self) -> None:
        """The end is not known yet when vcrpy's says that it is."""
        if hasattr(self, "_answer"):
            super().feed_eof()

    async def _wait(self, func_name: str) -> None:
        try:
            if self._dropped():
                raise WireFailure("reset", "the transport was dropped")
            data = await self._answer.__anext__()
        except StopAsyncIteration:
            self.feed_eof()
        except WireFailure as failure:
            self._answer.interaction.ended = failure.ended
            error = aiohttp.ClientPayloadError(f"Response payload is not completed: {failure}")
            self.set_exception(aiohttp.SocketTimeoutError(str(failure)) if failure.ended == "timeout" else error)
            raise self.exception() from None
        else:
            if data:
                self.begin_http_chunk_receiving()
                self.feed_data(data)
                self.end_http_chunk_receiving()
