"""Sending a request, again where that may help, and reading its body without httpx's own generators."""

import httpx

from convtest.clock import Clock

BODY_OPTIONS = (
    "model", "max_tokens", "system", "temperature", "top_p", "top_k", "stop_sequences", "thinking", "tool_choice",
    "metadata",
)  # fmt: skip
VERSION = "2023-06-01"
RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
"""Statuses after which the official SDKs try again."""


async def send(
    transport: httpx.AsyncBaseTransport, request: httpx.Request, *, tries: int, clock: Clock
) -> httpx.Response:
    """The response's head; tried again after `retry-after` or a doubling pause. Raises httpx.TransportError."""
    for attempt in range(1, tries + 1):
        last, pause = attempt == tries, 0.5 * 2 ** (attempt - 1)
        try:
            response = await transport.handle_async_request(request)
        except (httpx.ConnectError, httpx.RemoteProtocolError):
            if last:
                raise
        else:
            if last or response.status_code not in RETRIED:
                return response
            pause = _retry_after(response, pause)
            await whole_body(response)
        await clock.sleep(pause * 1000)
    raise AssertionError("unreachable: the last try returns or raises")


def body_of(response: httpx.Response) -> httpx.AsyncByteStream:
    """The bytes as the transport gives them: httpx's iterators are generators, and trio wants those finished."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return response.stream


async def whole_body(response: httpx.Response) -> bytes:
    try:
        return b"".join([data async for data in body_of(response)])
    finally:
        await body_of(response).aclose()


def _retry_after(response: httpx.Response, otherwise: float) -> float:
    """Seconds to wait as the server asks, by `retry-after` in seconds (RFC 9110 section 10.2.3)."""
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return otherwise


def headers(api_key: str) -> dict[str, str]:
    """Those of a request to Anthropic's API."""
    return {
        "x-api-key": api_key,
        "anthropic-version": VERSION,
        **{"content-type": "application/json", "accept": "text/event-stream"},
        # The tap notes the bytes as they come; compressed ones could not be read in a cassette.
        "accept-encoding": "identity",
    }
