"""The tap as a transport for httpx, and an upstream over httpx."""

from collections.abc import AsyncIterator

import httpx

from convtest.wire.interaction import Interaction, Request, StreamEnd
from convtest.wire.tap import Answer, OpenTurn, Tap, TappedAnswer, WireFailure


class LaneTransport(httpx.AsyncBaseTransport):
    """Handed to a session's client: whatever it sends belongs to the session's lane."""

    def __init__(self, tap: Tap, lane: str) -> None:
        self._tap = tap
        self._dropped = False
        self.lane = lane

    def drop(self) -> None:
        """From now on nothing gets through."""
        self._dropped = True

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._dropped:
            raise httpx.ReadError("the transport was dropped", request=request)
        body = await request.aread()
        sent = Request(
            method=request.method,
            url=str(request.url),
            headers=tuple((name.lower(), value) for name, value in request.headers.items()),
            body=body,
        )
        try:
            tapped = await self._tap.send(self.lane, sent)
        except WireFailure as failure:
            raise _as_httpx(failure, request) from None
        return httpx.Response(
            tapped.answer.status,
            headers=list(tapped.answer.headers),
            stream=_TappedStream(tapped, request),
            extensions={"reason_phrase": tapped.answer.reason.encode("ascii", "replace")},
        )


class _TappedStream(httpx.AsyncByteStream):
    def __init__(self, tapped: TappedAnswer, request: httpx.Request) -> None:
        self._tapped = tapped
        self._request = request

    def __aiter__(self) -> "_TappedStream":
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._tapped)
        except WireFailure as failure:
            raise _as_httpx(failure, self._request) from None

    async def aclose(self) -> None:
        await self._tapped.aclose()


_RAISED: dict[StreamEnd, type[httpx.TransportError]] = {
    "reset": httpx.ReadError,
    "truncated": httpx.RemoteProtocolError,
    "refused": httpx.ConnectError,
    "timeout": httpx.ReadTimeout,
    "no_response": httpx.RemoteProtocolError,
}


def _as_httpx(failure: WireFailure, request: httpx.Request) -> httpx.TransportError:
    return _RAISED[failure.ended](str(failure), request=request)


def ended_of(error: Exception) -> StreamEnd:
    """The word for how a response ended, for an exception of httpx."""
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return "refused"
        case httpx.TimeoutException():
            return "timeout"
        case httpx.RemoteProtocolError():
            return "truncated"
        case _:
            return "reset"


class Upstream:
    """A real model behind a base URL."""

    def __init__(self) -> None:
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def answer(self, interaction: Interaction, turn: OpenTurn | None) -> Answer:
        interaction.origin = "live"
        # Made on first use: building a TLS context takes some 20 ms (httpx 0.28).
        transport = self._transport = self._transport or httpx.AsyncHTTPTransport()
        sent = interaction.request
        request = httpx.Request(sent.method, sent.url, headers=list(sent.headers), content=sent.body)
        try:
            response = await transport.handle_async_request(request)
        except httpx.TransportError as error:
            ended = ended_of(error)
            raise WireFailure("no_response" if ended == "truncated" else ended, str(error)) from error
        return Answer(
            status=response.status_code,
            reason=response.reason_phrase,
            headers=tuple((name.lower(), value) for name, value in response.headers.multi_items()),
            chunks=_raw(response),
            close=response.aclose,
        )

    async def aclose(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()


async def _raw(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for data in response.aiter_raw():
            yield data
    except httpx.TransportError as error:
        raise WireFailure(ended_of(error), str(error)) from error
