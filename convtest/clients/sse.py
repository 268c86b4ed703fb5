"""`sse`: any HTTP chat endpoint, described by a request template and where the text stands in what it answers."""

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

import anyio
import httpx

from convtest.clients.listening import Address
from convtest.clients.messages.turns import lost
from convtest.clients.options import SECONDS, TABLE_OF_TEXTS, TEXT, TEXTS, Wanted
from convtest.clients.port import Kind, Opening, SessionError
from convtest.clients.sse_formats import DESCRIBED, FORMATS, Format, at, decoded, format_of
from convtest.events import Ended, Event, TurnEnd
from convtest.wire import lanes
from convtest.wire.sse import ServerEvent, SSEParser

OPTIONS = frozenset({"url", "method", "headers", "body", "session", "read_timeout", "format", "tools", *DESCRIBED})
_WANTED = {
    **dict.fromkeys(("url", "method", "text", "event", "done", "session", "error"), TEXT),
    "headers": TABLE_OF_TEXTS,
    "where": TABLE_OF_TEXTS,
    "format": Wanted(" or ".join(FORMATS), lambda value: value in FORMATS),
    "read_timeout": SECONDS,
    "tools": TEXTS,
}
_PORTS = {"http": 80, "https": 443}
_STATUSES: Mapping[int, Ended] = {429: "rate_limited", 529: "overloaded", 503: "overloaded"}


class SSEClient:
    """One conversation with an application that speaks HTTP. Options:

    - `url`, `method` (POST), `headers`, `body`: the request; in any text of them `${text}`, `${session_id}` and
      `${session}` stand for the prompt, the conversation's id and the session's name (a body that is a text is sent as
      it is, anything else as JSON),
    - `text`: where the text stands in the JSON of each event, or of the whole answer: keys and indexes joined by dots
      (`choices.0.delta.content`); without it the data itself is the text,
    - `format`: `ai_sdk` or `chat_completions`, in place of the next ones: text, thinking, tools, ends as that has them,
    - `event`: only events of this name count,
    - `where`: text stands only in those events that hold these values at these places (`{type = "token"}`),
    - `done`: the data that ends a turn before the connection ends, such as `[DONE]`,
    - `session`: where the application says the conversation's id, if it gives one,
    - `error`: where it says that something went wrong,
    - `read_timeout`: seconds without a byte before the turn ends in `timeout` (600),
    - `tools`: names of the application's own tools, which scripts of scenarios may call.

    The conversation's id is ours until the application gives one; `resume` goes on under the id, which is all that a
    client of such an application has.
    """

    only_reads = True

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._options = dict(opening.options)
        self._id = opening.resume or str(uuid.uuid4())
        self._http: httpx.AsyncClient | None = None
        self._prompt: str | None = None
        self._interrupted = False
        self._dead = False
        self._queued: list[str] = []
        self._size = 0
        self._waiting: anyio.CancelScope | None = None

    @property
    def session_id(self) -> str | None:
        return self._id

    async def connect(self) -> None:
        if self._opening.fork or self._opening.continue_:
            raise SessionError("bad_request", "an application behind HTTP cannot be asked to fork or to continue")
        lanes.apart()
        timeout = httpx.Timeout(30.0, read=float(self._options.get("read_timeout", 600)))
        self._http = httpx.AsyncClient(timeout=timeout, transport=httpx.AsyncHTTPTransport())

    async def disconnect(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    def kill(self) -> None:
        """The connection is gone, and the session with it."""
        self._dead = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def query(self, text: str) -> None:
        if self._http is None or self._dead:
            raise SessionError("not_connected", "query() before connect()")
        if self._prompt is not None:
            self._queued.append(text)  # a second prompt in mid-turn waits for its own turn
            return
        self._prompt, self._interrupted = text, False

    async def interrupt(self) -> None:
        if self._prompt is not None:
            self._interrupted = True
            if self._waiting is not None:
                self._waiting.cancel()

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        assert self._http is not None
        if self._prompt is None and self._queued:
            self._prompt, self._interrupted = self._queued.pop(0), False
        end = TurnEnd(ended="connection_lost")
        try:
            response = await self._unless_stopped(self._http.send(self._request(), stream=True))
            if response is not None:
                async with aclosing(response), aclosing(self._events(response)) as events:
                    async for event in events:
                        if isinstance(event, TurnEnd):
                            end = event
                            break
                        yield event
                self._address.answered(self._opening.client)
        except httpx.ConnectError as error:
            raise self._address.gone(str(error), self._opening.client) from None
        except httpx.TransportError as error:
            end = TurnEnd(ended=lost(error), message=str(error))
        finally:
            self._prompt = None  # also where nobody reads on
        if end.ended == "connection_lost" and not (self._interrupted or self._dead) and await self._address.has_ended():
            raise self._address.gone("it broke off in mid-answer", self._opening.client)
        yield TurnEnd(ended="interrupted") if self._interrupted else end

    @property
    def _address(self) -> Address:
        url = httpx.URL(self._filled(self._options["url"]))
        return Address(url.host, url.port or _PORTS.get(url.scheme, 80), str(url))

    def _request(self) -> httpx.Request:
        assert self._http is not None
        body = self._filled(self._options.get("body", {"message": "${text}"}))
        sent = {"content": body} if isinstance(body, str) else {"json": body}
        return self._http.build_request(
            self._options.get("method", "POST"),
            self._filled(self._options["url"]),
            headers=self._filled(self._options.get("headers", {})),
            **sent,
        )

    def _filled(self, value: Any) -> Any:
        match value:
            case str():
                named = value.replace("${session_id}", self._id).replace("${session}", self._opening.session)
                return named.replace("${text}", self._prompt or "")
            case list():
                return [self._filled(one) for one in value]
            case dict():
                return {key: self._filled(one) for key, one in value.items()}
        return value

    async def _events(self, response: httpx.Response) -> AsyncGenerator[Event, None]:
        self._size, pieces, format = 0, response.aiter_bytes(), format_of(self._options)
        if response.status_code >= 400:
            yield _refused(response.status_code, await self._piece(pieces) or b"")
            return
        if "event-stream" not in response.headers.get("content-type", ""):
            body = bytearray()
            while data := await self._piece(pieces):
                body += data
            for event in self._read(format, ServerEvent("message", body.decode("utf-8", "replace"))):
                yield event
            yield format.end()
            return
        parser = SSEParser()
        while (data := await self._piece(pieces)) is not None:
            for server_event in parser.feed(data):
                if server_event.data.strip() == format.done:
                    yield format.end()
                    return
                for event in self._read(format, server_event):
                    yield event
            if not data:
                yield (
                    format.end()
                    if format.done is None
                    else TurnEnd(ended="connection_lost", message="the stream ended early")
                )
                return

    async def _piece(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        """The next bytes, none at the end; None where the turn is stopped. Raises TooLarge."""
        data: bytes | None = await self._unless_stopped(anext(pieces, b""))
        self._size += len(data or b"")
        self._opening.limits.check("body", self._size, "the application's answer")
        return data

    def _read(self, format: Format, event: ServerEvent) -> Iterator[Event]:
        session = at(decoded(event.data), self._options.get("session"))
        if session is not None:
            self._id = str(session)
        yield from format.read(event)

    async def _unless_stopped(self, waiting: Any) -> Any:
        """What is awaited, or None as soon as the turn is interrupted or cut."""
        with anyio.CancelScope() as scope:
            self._waiting = scope
            if self._interrupted or self._dead:
                scope.cancel()
            try:
                return await waiting
            finally:
                self._waiting = None
        return None


def _refused(status: int, body: bytes) -> TurnEnd:
    text = body.decode("utf-8", "replace")[:500]
    return TurnEnd(ended=_STATUSES.get(status, "error"), message=f"HTTP {status}: {text}")


KIND = Kind(
    name="sse",
    factory_of=lambda profile, root: SSEClient,
    options=OPTIONS,
    wanted=_WANTED,
    required=("url",),
    wire="none",
    gateway=True,
)
