"""What a client does when it is interrupted, when the wire fails it, and beside the conversation."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from convtest.events import Event, TextDelta, TurnEnd
from convtest.mutate.mutator import Body, Known, Mutator, Reading, Send
from convtest.mutate.requests import of_a_stranger, text, turn_start


async def _ignored(method: Any, known: Known) -> None:
    """The interrupt does nothing."""


async def _whole(response: httpx.Response) -> None:
    await response.aread()
    await response.aclose()


def _failed(response: httpx.Response) -> bool:
    return response.status_code >= 400


async def _at_once(send: Send, body: Body, known: Known) -> httpx.Response:
    """Asks again without a pause, and hands on what it gets then."""
    response: httpx.Response = await send(None)
    if not _failed(response):
        return response
    known.applied += 1
    await _whole(response)
    again: httpx.Response = await send(None)
    return again


def _more(times: int) -> Callable[[Send, Body, Known], Any]:
    async def tries(send: Send, body: Body, known: Known) -> httpx.Response:
        response: httpx.Response = await send(None)
        for _ in range(times):
            if not _failed(response):
                break
            known.applied += 1
            await _whole(response)
            response = await send(None)
        return response

    return tries


def _with(change: Callable[[Body], Body]) -> Callable[[Send, Body, Known], Any]:
    """Another try sends something else."""

    async def tries(send: Send, body: Body, known: Known) -> httpx.Response:
        response: httpx.Response = await send(None)
        if not _failed(response):
            return response
        known.applied += 1
        await _whole(response)
        again: httpx.Response = await send(change(body))
        return again

    return tries


async def _twice(send: Send, body: Body, known: Known) -> httpx.Response:
    """Each request is sent once for nothing."""
    known.applied += 1
    await _whole(await send(None))
    again: httpx.Response = await send(None)
    return again


async def _then_again(send: Send, body: Body, known: Known) -> httpx.Response:
    """What comes second is thrown away."""
    known.applied += 1
    response: httpx.Response = await send(None)
    await response.aread()
    await _whole(await send(None))
    return response


def _beside(made: Callable[[Body, Known], Body | None]) -> Callable[[Send, Body, Known], Any]:
    """Something else is sent before the request."""

    async def tries(send: Send, body: Body, known: Known) -> httpx.Response:
        more = made(body, known)
        if more is not None:
            known.applied += 1
            await _whole(await send(more))
        response: httpx.Response = await send(None)
        return response

    return tries


def _stranger_asked(body: Body, known: Known) -> Body | None:
    theirs = of_a_stranger(known)
    return {**body, "messages": [text("user", "Make a title."), *theirs]} if theirs else None


def _bare_asked(body: Body, known: Known) -> Body | None:
    """The prompt without its history, asked as the conversation asks."""
    start = turn_start(body["messages"])
    return {**body, "messages": body["messages"][start:]} if start else None


def _one(name: str, bug: str, **edits: Any) -> Mutator:
    return Mutator(name=name, kind="conduct", bug=bug, **edits)


def _options(**changes: Any) -> Callable[[Any, Known], Any]:
    def opens(opening: Any, known: Known) -> Any:
        used = {key: value for key, value in changes.items() if opening.options.get(key, value) != value}
        return dataclasses.replace(opening, options={**opening.options, **used}) if used else opening

    return opens


def _doubled(body: Body) -> Body:
    return {**body, "messages": [*body["messages"], body["messages"][-1]]}


def _forgotten(body: Body) -> Body:
    return {**body, "messages": body["messages"][turn_start(body["messages"]) :]}


def _cheaper(body: Body) -> Body:
    return {**body, "model": "claude-opus-4-5"}


class _Again(httpx.AsyncByteStream):
    """An answer that is asked for again, from its start, where it broke off."""

    def __init__(self, inner: httpx.AsyncByteStream, send: Send, known: Known) -> None:
        self._inner = inner
        self._send = send
        self._known = known

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = b""
        try:
            async for data in self._inner:
                read += data
                yield data
        except httpx.TransportError:
            read = b""
        if b"message_stop" not in read and b"[DONE]" not in read and b'"error"' not in read:
            self._known.applied += 1
            async for data in (await self._send(None)).stream:
                yield data

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Open(_Again):
    """An answer that nobody closes."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._inner:
            yield data

    async def aclose(self) -> None:
        self._known.applied += 1


def _streamed(kind: type[_Again]) -> Callable[[Send, Body, Known], Any]:
    async def tries(send: Send, body: Body, known: Known) -> httpx.Response:
        response: httpx.Response = await send(None)
        if response.status_code == 200:
            assert isinstance(response.stream, httpx.AsyncByteStream)
            response.stream = kind(response.stream, send, known)
        return response

    return tries


async def _from_memory(send: Send, body: Body, known: Known) -> httpx.Response:
    """Later turns are answered with what was answered to the first one; nothing is sent."""
    if known.turn > 0 and known.kept is not None:
        known.applied += 1
        return httpx.Response(200, headers=HEADERS, stream=httpx.ByteStream(known.kept))
    response: httpx.Response = await send(None)
    if known.turn == 0 and response.status_code == 200:
        known.kept = await response.aread()
        await response.aclose()
        return httpx.Response(200, headers=HEADERS, stream=httpx.ByteStream(known.kept))
    return response


HEADERS = {"content-type": "text/event-stream"}


def _hidden(event: Event, reading: Reading) -> list[Event]:
    """What comes after an interrupt is read and not shown."""
    if not reading.known.interrupting:
        return [event]
    return [dataclasses.replace(event, ended="interrupted")] if isinstance(event, TurnEnd) else []


def _shown(event: Event, reading: Reading) -> list[Event]:
    """What comes after an interrupt is shown, and the end says that it was interrupted."""
    cut = reading.known.interrupting and isinstance(event, TurnEnd)
    return [dataclasses.replace(event, ended="interrupted") if cut and isinstance(event, TurnEnd) else event]


def _one_more(event: Event, reading: Reading) -> list[Event]:
    """A piece of text that was on its way comes after the interrupt."""
    if isinstance(event, TurnEnd) and event.ended == "interrupted":
        return [TextDelta(text=" and"), event]
    return [event]


def _rest_later(event: Event, reading: Reading) -> list[Event]:
    """What was left of an interrupted answer comes first in the next turn."""
    known = reading.known
    if known.interrupting:
        if isinstance(event, TurnEnd):
            return [dataclasses.replace(event, ended="interrupted")]
        known.rest.append(event)
        return []
    rest, known.rest = known.rest, []
    return [*rest, event]


WIRE = (
    _one("does not try again", "retries are switched off in a wrapper", opens=_options(max_retries=0)),
    _one("tries again at once", "a pause in another unit", tries=_at_once),
    _one("tries too often", "the wrapper tries again, and so does what it wraps", tries=_more(5)),
    _one("asks another model on another try", "a fallback that nobody declared", tries=_with(_cheaper)),
    _one("adds the prompt on another try", "each try adds the prompt", tries=_with(_doubled)),
    _one("forgets the history on another try", "the request is built anew", tries=_with(_forgotten)),
    _one("sends each request twice", "two workers take one job", tries=_twice),
    _one("sends each request again", "an answer that came is asked for again", tries=_then_again),
    _one("asks again for a broken answer, from its start", "what was shown is not taken back", tries=_streamed(_Again)),
    _one("leaves answers open", "a response is let go of, not closed", tries=_streamed(_Open)),
    _one("answers from memory", "answers are cached by the session", tries=_from_memory),
    _one(
        "asks about a stranger on the side",
        "titles are made from one list for all users",
        tries=_beside(_stranger_asked),
    ),
    _one("asks without the history on the side", "a cache is warmed by the prompt alone", tries=_beside(_bare_asked)),
)

STOPS = (
    _one("ignores an interrupt", "a flag that nobody reads", does={"interrupt": _ignored}),
    _one(
        "ignores an interrupt, and says it was interrupted",
        "the end is told by the flag alone",
        does={"interrupt": _ignored},
        yields=_shown,
    ),
    _one(
        "hides what comes after an interrupt",
        "an interrupt is for the page alone",
        does={"interrupt": _ignored},
        yields=_hidden,
    ),
    _one(
        "yields the rest of an interrupted answer in the next turn",
        "a queue that is not emptied",
        does={"interrupt": _ignored},
        yields=_rest_later,
    ),
    _one("yields one piece more after an interrupt", "a piece that was read ahead", yields=_one_more),
)

CONDUCT = (*WIRE, *STOPS)
