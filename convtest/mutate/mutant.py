"""A mutant: a real client with one mutator laid around what it sends, what it yields and how it is opened."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import httpx
import msgspec

from convtest.clients.port import CAPABILITIES, Factory, Opening, SessionClient
from convtest.events import Event, TurnEnd
from convtest.mutate.mutator import Body, Known, Mutator, Reading, Send
from convtest.mutate.shapes import Shape, copied, shape_of
from convtest.structs import Struct, field


class Mutant(Struct):
    """One mutator in one item: its sessions know of each other."""

    mutator: Mutator
    dry: bool = False
    """It only looks where it would do otherwise, and lets the honest client be."""
    sessions: dict[str, Known] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)

    @property
    def applied(self) -> int:
        """How often it did otherwise than an honest client; 0: it says nothing about this scenario."""
        return sum(known.applied for known in self.sessions.values())

    def around(self, factory: Factory) -> Factory:
        """What opens the mutant where `factory` opens the client."""

        def opened(opening: Opening) -> Any:
            known = self.sessions.setdefault(opening.session, Known(opening.session, self.sessions))
            self._enter(known, opening)
            if self.mutator.opens is not None and self.mutator.when(known):
                changed = self.mutator.opens(opening, known)
                known.applied += changed is not opening
                opening = opening if self.dry else changed
            transport = _Wire(opening.transport, self, known)
            inner = factory(replace(opening, transport=transport))
            assert isinstance(inner, SessionClient), "a client that is a context manager cannot be wrapped"
            return _wrapped(inner, self, known)

        return opened

    def _enter(self, known: Known, opening: Opening) -> None:
        known.opened += 1
        known.since_opened = 0
        known.way = "fresh"
        if opening.resume is not None:
            known.way = "forked" if opening.fork else "resumed"
            known.origin = self._ids.get(opening.resume, "") if opening.fork else known.origin
        elif opening.continue_:
            known.way = "continued"

    def learn(self, id: str | None, known: Known) -> None:
        if id is not None:
            self._ids[id] = known.session


class _Wire(httpx.AsyncBaseTransport):
    """Edits each request's body on its way out."""

    def __init__(self, inner: Any, mutant: Mutant, known: Known) -> None:
        self._inner = inner
        self._mutator, self._dry = mutant.mutator, mutant.dry
        self._known = known

    def drop(self) -> None:
        self._inner.drop()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        shape = shape_of(request.url.path)
        if shape is None or request.method != "POST":
            response: httpx.Response = await self._inner.handle_async_request(request)
            return response
        body = shape.read(msgspec.json.decode(await request.aread()))
        known, mutator = self._known, self._mutator
        known.request += 1
        known.again = known.again and bool(known.sent) and body == known.body()
        sent = body
        if mutator.sends is not None and mutator.when(known):
            sent = mutator.sends(copied(body), known)
            known.applied += sent != body
            sent = body if self._dry else sent
        known.sent.append(body)
        return await self._send(self._sending(request, shape, sent), sent)

    async def _send(self, send: Send, sent: Body) -> httpx.Response:
        known, mutator = self._known, self._mutator
        known.again = True
        if mutator.tries is not None and self._dry:
            known.applied += 1
        if mutator.tries is not None and mutator.when(known) and not self._dry:
            response: httpx.Response = await mutator.tries(send, copied(sent), known)
        else:
            response = await send(None)
        known.again = response.status_code != 200
        return response

    def _sending(self, request: httpx.Request, shape: Shape, sent: Body) -> Send:
        async def send(other: Body | None = None) -> httpx.Response:
            content = msgspec.json.encode(shape.write(sent if other is None else other))
            headers = [(name, value) for name, value in request.headers.items() if name != "content-length"]
            made = httpx.Request(
                request.method, request.url, headers=headers, content=content, extensions=request.extensions
            )
            response: httpx.Response = await self._inner.handle_async_request(made)
            return response

        return send


class _Client:
    """The port around an honest client."""

    def __init__(self, inner: SessionClient, mutant: Mutant, known: Known) -> None:
        self._inner = inner
        self._mutant = mutant
        self._mutator, self._dry = mutant.mutator, mutant.dry
        self._known = known

    @property
    def session_id(self) -> str | None:
        id = self._inner.session_id
        self._mutant.learn(id, self._known)
        self._known.first_id = self._known.first_id or id
        if self._mutator.id is None or not self._mutator.when(self._known):
            return id
        said = self._mutator.id(id, self._known)
        self._known.applied += said != id
        return id if self._dry else said

    async def _do(self, name: str, *given: Any) -> Any:
        method, instead = getattr(self._inner, name), self._mutator.does.get(name)
        if instead is None or not self._mutator.when(self._known):
            return await method(*given)
        self._known.applied += 1
        if self._dry:
            return await method(*given)
        return await instead(method, self._known, *given)

    async def connect(self) -> None:
        await self._do("connect")

    async def disconnect(self) -> None:
        await self._do("disconnect")

    async def query(self, text: str) -> None:
        known = self._known
        known.turn += 1
        known.since_opened += 1
        known.request = -1
        known.again = False
        known.cut, known.interrupting = known.interrupting, False
        await self._do("query", text)

    async def interrupt(self) -> None:
        self._known.interrupting = True
        await self._do("interrupt")

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        reading, known = Reading(self._known), self._known
        edits = self._mutator.yields if self._mutator.when(known) else None
        try:
            async with aclosing(self._inner.receive_response()) as events:  # type: ignore[type-var]
                async for event in events:
                    reading.honest.append(event)
                    made = list(edits(event, reading)) if edits is not None else [event]
                    for one in made if not self._dry else [event]:
                        reading.yielded.append(one)
                        yield one
                    if self._dry:
                        reading.yielded[-1:] = made
                    elif reading.over:
                        break
        finally:
            known.applied += reading.yielded != reading.honest or reading.over
            known.said += reading.honest
            ends = [event.ended for event in reading.honest if isinstance(event, TurnEnd)]
            known.failed = bool(ends) and ends[-1] not in {"complete", "interrupted"}


def _wrapped(inner: SessionClient, mutant: Mutant, known: Known) -> SessionClient:
    """With just the capabilities that the client has."""

    def capability(name: str) -> Callable[..., Any]:
        async def call(self: _Client, *given: Any) -> Any:
            if name == "clear_history":
                known.cleared = known.turn + 1
            known.loaded = known.loaded or name == "load_history"
            return await self._do(name, *given)

        return call

    has = {name: capability(name) for name in CAPABILITIES if callable(getattr(inner, name, None))}
    return type("MutantClient", (_Client,), has)(inner, mutant, known)  # type: ignore[no-any-return]
