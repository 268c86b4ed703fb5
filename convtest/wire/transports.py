"""The tap as transports, for httpx and httpx2, sync and async: one piece of code, bound to each module's classes."""

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from functools import cache
from types import ModuleType
from typing import Any

from convtest.clock import Blocking, run_now
from convtest.wire.headers import to_bytes
from convtest.wire.interaction import Request, StreamEnd
from convtest.wire.tap import Answer, Tap, TappedAnswer, Via, WireFailure

_RAISED: dict[StreamEnd, str] = {
    "reset": "ReadError",
    "truncated": "RemoteProtocolError",
    "refused": "ConnectError",
    "timeout": "ReadTimeout",
    "no_response": "RemoteProtocolError",
}


class Binding:
    """The classes of one module, `httpx` or `httpx2`: neither takes objects of the other."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.original_async: Any = module.AsyncHTTPTransport.handle_async_request
        self.original_sync: Any = module.HTTPTransport.handle_request
        self.async_stream = type("TappedAsyncStream", (_AsyncStream, module.AsyncByteStream), {})
        self.sync_stream = type("TappedStream", (_SyncStream, module.SyncByteStream), {})
        self.async_transport: Any = type("LaneTransport", (_AsyncLane, module.AsyncBaseTransport), {"binding": self})
        self.sync_transport: Any = type("SyncLaneTransport", (_SyncLane, module.BaseTransport), {"binding": self})

    def raised(self, failure: WireFailure, request: Any) -> Exception:
        error: Exception = getattr(self.module, _RAISED[failure.ended])(str(failure), request=request)
        return error

    def ended_of(self, error: Exception) -> StreamEnd:
        """The word for how a response ended, for one of the module's exceptions."""
        module = self.module
        if isinstance(error, module.ConnectError | module.ConnectTimeout):
            return "refused"
        if isinstance(error, module.TimeoutException):
            return "timeout"
        return "truncated" if isinstance(error, module.RemoteProtocolError) else "reset"

    def response(self, tapped: TappedAnswer, stream: Any) -> Any:
        answer = tapped.answer
        extensions = {"reason_phrase": answer.reason.encode("ascii", "replace"), "http_version": b"HTTP/1.1"}
        headers = to_bytes(answer.headers)
        return self.module.Response(answer.status, headers=headers, stream=stream, extensions=extensions)

    def real_request(self, sent: Request, original: Any) -> Any:
        """The request to send on, with the original's timeouts."""
        return self.module.Request(
            sent.method, sent.url, headers=to_bytes(sent.headers), content=sent.on_wire, extensions=original.extensions
        )

    def answer(self, response: Any, chunks: AsyncIterator[bytes], close: Callable[[], Awaitable[None]]) -> Answer:
        headers = tuple((name.lower(), value) for name, value in response.headers.multi_items())
        return Answer(
            status=response.status_code, reason=response.reason_phrase, headers=headers, chunks=chunks, close=close
        )

    def no_response(self, error: Exception) -> WireFailure:
        ended = self.ended_of(error)
        return WireFailure("no_response" if ended == "truncated" else ended, str(error))


class Outward:
    """Sends requests for real, past every tap, over connections that it keeps."""

    def __init__(self, timeouts: Mapping[str, float]) -> None:
        self._binding = binding("httpx")
        self._extensions = {"timeout": dict(timeouts)}
        self._transport: Any = None

    async def send(self, sent: Request) -> Answer:
        """The answer as it comes. Raises WireFailure where there is none."""
        bound = self._binding
        # Made once and on first use: building a TLS context takes some 20 ms.
        self._transport = self._transport or bound.module.AsyncHTTPTransport(limits=bound.module.Limits())
        request = bound.module.Request(
            sent.method, sent.url, headers=to_bytes(sent.headers), content=sent.on_wire, extensions=self._extensions
        )
        try:
            response = await bound.original_async(self._transport, request)
        except bound.module.TransportError as error:
            raise bound.no_response(error) from error
        return bound.answer(response, _RealChunks(bound, response), response.aclose)

    async def aclose(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()


@cache
def binding(name: str) -> Binding:
    """The binding of `httpx` or `httpx2`. Raises ImportError where it is not installed."""
    return Binding(importlib.import_module(name))


def sent_request(request: Any, body: bytes) -> Request:
    headers = tuple((name.lower(), value) for name, value in request.headers.items())
    return Request(method=request.method, url=str(request.url), headers=headers, body=body)


def read_timeout(request: Any) -> float:
    """Seconds; what the client asked of its transport."""
    asked = (request.extensions.get("timeout") or {}).get("read")
    return 600.0 if asked is None else float(asked)


class _AsyncLane:
    """An async transport: whatever is sent through it belongs to the lane."""

    binding: Binding

    def __init__(self, tap: Tap, lane: str | None, forward: Callable[[Any], Awaitable[Any]] | None = None) -> None:
        self._tap = tap
        self._forward = forward
        self._own: Any = None
        self._dropped = False
        self.lane = lane

    @property
    def dropped(self) -> bool:
        return self._dropped or self._tap.is_dropped(self.lane)

    def drop(self) -> None:
        """From now on nothing gets through, not even when the lane is opened again."""
        self._dropped = True

    async def handle_async_request(self, request: Any) -> Any:
        if self.dropped:
            raise self.binding.module.ReadError("the transport was dropped", request=request)
        sent = sent_request(request, await request.aread())

        async def forward(wanted: Request) -> Answer:
            return await self._really_send(self.binding.real_request(wanted, request))

        try:
            tapped = await self._tap.send(
                self.lane, sent, Via(clock=self._tap.clock, forward=forward, read_timeout=read_timeout(request))
            )
        except WireFailure as failure:
            raise self.binding.raised(failure, request) from None
        return self.binding.response(tapped, self.binding.async_stream(tapped, request, self))

    async def _really_send(self, request: Any) -> Answer:
        try:
            response = await (self._forward or self._send_ourselves)(request)
        except self.binding.module.TransportError as error:
            raise self.binding.no_response(error) from error
        return self.binding.answer(response, _RealChunks(self.binding, response), response.aclose)

    async def _send_ourselves(self, request: Any) -> Any:
        # Made on first use: building a TLS context takes some 20 ms.
        self._own = self._own or self.binding.module.AsyncHTTPTransport()
        return await self.binding.original_async(self._own, request)

    async def aclose(self) -> None:
        if self._own is not None:
            await self._own.aclose()


class _RealChunks:
    """The bytes as they come from a real response."""

    def __init__(self, bound: Binding, response: Any) -> None:
        self._binding = bound
        self._chunks = response.stream.__aiter__()

    def __aiter__(self) -> "_RealChunks":
        return self

    async def __anext__(self) -> bytes:
        try:
            return bytes(await anext(self._chunks))
        except self._binding.module.TransportError as error:
            raise WireFailure(self._binding.ended_of(error), str(error)) from error


class _AsyncStream:
    def __init__(self, tapped: TappedAnswer, request: Any, lane: _AsyncLane) -> None:
        self._tapped = tapped
        self._request = request
        self._lane = lane

    def __aiter__(self) -> "_AsyncStream":
        return self

    async def __anext__(self) -> bytes:
        try:
            if self._lane.dropped:
                raise WireFailure("reset", "the transport was dropped")
            return await anext(self._tapped)
        except WireFailure as failure:
            self._tapped.interaction.ended = failure.ended
            raise self._lane.binding.raised(failure, self._request) from None

    async def aclose(self) -> None:
        await self._tapped.aclose()


class _SyncLane:
    """A sync transport: the same steps, none of which suspends."""

    binding: Binding

    def __init__(self, tap: Tap, lane: str | None, forward: Callable[[Any], Any] | None = None) -> None:
        self._tap = tap
        self._forward = forward
        self._own: Any = None
        self.lane = lane

    def handle_request(self, request: Any) -> Any:
        if self._tap.is_dropped(self.lane):
            raise self.binding.module.ReadError("the transport was dropped", request=request)
        sent = sent_request(request, request.read())

        async def forward(wanted: Request) -> Answer:
            return self._really_send(self.binding.real_request(wanted, request))

        via = Via(clock=Blocking(self._tap.clock), forward=forward, read_timeout=read_timeout(request))
        try:
            tapped = run_now(self._tap.send(self.lane, sent, via))
        except WireFailure as failure:
            raise self.binding.raised(failure, request) from None
        return self.binding.response(tapped, self.binding.sync_stream(tapped, request, self))

    @property
    def dropped(self) -> bool:
        return self._tap.is_dropped(self.lane)

    def _really_send(self, request: Any) -> Answer:
        try:
            response = (self._forward or self._send_ourselves)(request)
        except self.binding.module.TransportError as error:
            raise self.binding.no_response(error) from error

        async def close() -> None:
            response.close()

        return self.binding.answer(response, _RealSyncChunks(self.binding, response), close)

    def _send_ourselves(self, request: Any) -> Any:
        self._own = self._own or self.binding.module.HTTPTransport()
        return self.binding.original_sync(self._own, request)

    def close(self) -> None:
        if self._own is not None:
            self._own.close()


class _RealSyncChunks:
    def __init__(self, bound: Binding, response: Any) -> None:
        self._binding = bound
        self._chunks = iter(response.stream)

    def __aiter__(self) -> "_RealSyncChunks":
        return self

    async def __anext__(self) -> bytes:
        try:
            return bytes(next(self._chunks))
        except StopIteration:
            raise StopAsyncIteration from None
        except self._binding.module.TransportError as error:
            raise WireFailure(self._binding.ended_of(error), str(error)) from error


class _SyncStream:
    def __init__(self, tapped: TappedAnswer, request: Any, lane: _SyncLane) -> None:
        self._tapped = tapped
        self._request = request
        self._lane = lane

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._lane.dropped:
                raise WireFailure("reset", "the transport was dropped")
            data: bytes = run_now(self._tapped.__anext__())
            return data
        except StopAsyncIteration:
            raise StopIteration from None
        except WireFailure as failure:
            self._tapped.interaction.ended = failure.ended
            raise self._lane.binding.raised(failure, self._request) from None

    def close(self) -> None:
        run_now(self._tapped.aclose())
