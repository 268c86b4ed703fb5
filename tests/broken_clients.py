"""Clients with one mistake each, and a transport that forgets: convtest must catch every one of them."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import anyio
import httpx
import msgspec

from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from convtest.events import Event, TextDelta, TurnEnd, Usage

Edit = Callable[[dict[str, Any]], dict[str, Any]]


class EditedTransport(httpx.AsyncBaseTransport):
    """Changes each request's body on its way out."""

    def __init__(self, inner: httpx.AsyncBaseTransport, edit: Edit) -> None:
        self._inner = inner
        self._edit = edit

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = msgspec.json.encode(self._edit(msgspec.json.decode(await request.aread())))
        headers = [(name, value) for name, value in request.headers.items() if name != "content-length"]
        return await self._inner.handle_async_request(
            httpx.Request(request.method, request.url, headers=headers, content=body)
        )

    def drop(self) -> None:
        self._inner.drop()  # type: ignore[attr-defined]


def edited(opening: Opening, edit: Edit) -> MessagesClient:
    return MessagesClient(replace(opening, transport=EditedTransport(opening.transport, edit)))


def forgetful(opening: Opening) -> MessagesClient:
    """Its transport keeps only the last message."""
    return edited(opening, lambda body: {**body, "messages": body["messages"][-1:]})


def _twice(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "messages": [*body["messages"], body["messages"][-1]]}


def sends_twice(opening: Opening) -> MessagesClient:
    """Each request ends in the prompt two times."""
    return edited(opening, _twice)


def _without_results(body: dict[str, Any]) -> dict[str, Any]:
    def is_result(message: dict[str, Any]) -> bool:
        return any(block["type"] == "tool_result" for block in message["content"])

    kept = [message for message in body["messages"] if not is_result(message)]
    return {**body, "messages": kept}


def leaves_tools_open(opening: Opening) -> MessagesClient:
    """Tool uses stay without their results."""
    return edited(opening, _without_results)


def _other_results(body: dict[str, Any]) -> dict[str, Any]:
    def told(block: dict[str, Any]) -> dict[str, Any]:
        return {**block, "content": "nothing"} if block["type"] == "tool_result" else block

    messages = [{**message, "content": [told(block) for block in message["content"]]} for message in body["messages"]]
    return {**body, "messages": messages}


def tells_other_results(opening: Opening) -> MessagesClient:
    """The user is shown what a tool answered, the model is told something else."""
    return edited(opening, _other_results)


def _as_documents(body: dict[str, Any]) -> dict[str, Any]:
    def told(block: dict[str, Any]) -> dict[str, Any]:
        source = {"type": "text", "media_type": "text/plain", "data": block.get("content")}
        return {**block, "content": [{"type": "document", "source": source}]} if "tool_use_id" in block else block

    messages = [{**message, "content": [told(block) for block in message["content"]]} for message in body["messages"]]
    return {**body, "messages": messages}


def sends_documents(opening: Opening) -> MessagesClient:
    """What its tools answer goes to the model as documents; that is no fault."""
    return edited(opening, _as_documents)


def loses_system(opening: Opening) -> MessagesClient:
    """After a resume the system prompt is gone."""
    if opening.resume is None:
        return MessagesClient(opening)
    return edited(opening, lambda body: {key: value for key, value in body.items() if key != "system"})


def _reordered(body: dict[str, Any]) -> dict[str, Any]:
    messages = body["messages"]
    if len(messages) < 5:
        return body
    return {**body, "messages": [*messages[2:4], *messages[0:2], *messages[4:]]}


def reorders(opening: Opening) -> MessagesClient:
    """The first two exchanges change places."""
    return edited(opening, _reordered)


class _Swapped(MessagesClient):
    """Every session but the first sends the first one's history."""

    first: ClassVar[dict[Path, "MessagesClient"]] = {}

    async def query(self, text: str) -> None:
        other = self.first.setdefault(self._opening.store, self)
        if other is not self:
            self._messages = list(other._messages)
        await super().query(text)


def answers_from_another(opening: Opening) -> MessagesClient:
    return _Swapped(opening)


def without_cache_hints(opening: Opening) -> MessagesClient:
    """Changes only what is declared volatile: cache markers, ids, strings for text blocks."""

    def edit(body: dict[str, Any]) -> dict[str, Any]:
        text = msgspec.json.encode(body).decode()
        for number in range(9):
            text = text.replace(f"toolu_simulated_000{number}", f"toolu_other_{number * 7}")
        body = msgspec.json.decode(text)
        for message in body["messages"]:
            if len(message["content"]) == 1 and message["content"][0]["type"] == "text":
                message["content"] = message["content"][0]["text"]
            else:
                message["content"][-1]["cache_control"] = {"type": "ephemeral"}
        return {**body, "tools": body.get("tools", []), "metadata": {}}

    return edited(opening, edit)


def swaps_tool_ids(opening: Opening) -> MessagesClient:
    """Two tool results change their ids."""

    def edit(body: dict[str, Any]) -> dict[str, Any]:
        for message in body["messages"]:
            results = [block for block in message["content"] if block["type"] == "tool_result"]
            if len(results) == 2:
                one, two = results
                one["tool_use_id"], two["tool_use_id"] = two["tool_use_id"], one["tool_use_id"]
        return body

    return edited(opening, edit)


def changes_a_word(opening: Opening) -> MessagesClient:
    """One word of one earlier message differs."""

    def edit(body: dict[str, Any]) -> dict[str, Any]:
        text = msgspec.json.encode(body).decode().replace("fond of hiking", "fond of skiing")
        return msgspec.json.decode(text) if len(body["messages"]) > 1 else body

    return edited(opening, edit)


class TurnBehind(MessagesClient):
    """Its reader stops after two events without reading the turn to its end: from then on it is a turn behind."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self._unread: list[Event] = []

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        late, self._unread = self._unread, []
        events = [event async for event in super().receive_response()]
        if not late:
            self._unread = events[2:]
            yield events[0]
            yield TurnEnd()
            return
        self._unread = events
        for event in late:
            yield event


class TalksAfterTheEnd(MessagesClient):
    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async for event in super().receive_response():
            yield event
        yield TextDelta(text="and one more thing")


class NeverEnds(MessagesClient):
    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async for event in super().receive_response():
            if not isinstance(event, TurnEnd):
                yield event


class Hangs(MessagesClient):
    async def receive_response(self) -> AsyncGenerator[Event, None]:
        yield TextDelta(text="one moment")
        await anyio.sleep_forever()


class SwallowsCancellation(MessagesClient):
    """It cannot be stopped from inside its event loop."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        yield TextDelta(text="one moment")
        while True:
            try:
                await anyio.sleep(0.05)
            except BaseException:
                continue


class Crashes(MessagesClient):
    async def query(self, text: str) -> None:
        raise ZeroDivisionError("a bug in the client")


class ReadsOn(MessagesClient):
    """Its interrupt only sets a flag: the answer is read to its end."""

    stopped = False

    async def interrupt(self) -> None:
        self.stopped = True

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async for event in super().receive_response():
            stopped = self.stopped and isinstance(event, TurnEnd)
            yield replace(event, ended="interrupted") if stopped and isinstance(event, TurnEnd) else event


class ChangesItsId(MessagesClient):
    async def query(self, text: str) -> None:
        await super().query(text)
        self._id = f"session-{len(self._messages)}"


class OpensATaskGroup:
    """A client that lives in a task group of its own from connect to disconnect, as SDKs do."""

    def __init__(self, opening: Opening) -> None:
        self._inner = MessagesClient(opening)
        self._tasks = anyio.create_task_group()

    @property
    def session_id(self) -> str | None:
        return self._inner.session_id

    async def connect(self) -> None:
        await self._tasks.__aenter__()
        self._tasks.start_soon(anyio.sleep_forever)
        await self._inner.connect()

    async def disconnect(self) -> None:
        await self._inner.disconnect()
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    async def query(self, text: str) -> None:
        await self._inner.query(text)

    def receive_response(self) -> AsyncGenerator[Event, None]:
        return self._inner.receive_response()

    async def interrupt(self) -> None:
        await self._inner.interrupt()


@asynccontextmanager
async def falls_on_leaving(opening: Opening) -> AsyncIterator[MessagesClient]:
    """A factory whose context raises when it is left."""
    yield MessagesClient(opening)
    raise OSError("the session file could not be written")


class Phones(MessagesClient):
    """Reaches for the network beside its transport."""

    async def query(self, text: str) -> None:
        async with httpx.AsyncClient() as http:
            await http.get("http://telemetry.example.com/ping")
        await super().query(text)


class TwoRequests(MessagesClient):
    """Asks for a title beside the turn, in the same lane: a side request."""

    async def query(self, text: str) -> None:
        await super().query(text)
        await self.title(text)

    async def title(self, text: str) -> None:
        assert self._http is not None
        body = {
            "model": "claude-haiku-4-5",
            "max_tokens": 20,
            "messages": [{"role": "user", "content": f"Write a title for: {text[:12]}"}],
        }
        await self._http.post(self._url, content=msgspec.json.encode(body), headers=self._headers)


class CountsNothing(MessagesClient):
    """It tells nobody what its turns used; that is no fault."""

    def _finished(self, end: TurnEnd, usage: Usage) -> TurnEnd:
        return replace(super()._finished(end, usage), usage=Usage(), usd=None)


class AsksNobody(MessagesClient):
    """Its model is somewhere that convtest does not see."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        yield TextDelta(text="The result is 2.")
        yield self._finished(TurnEnd(), Usage())

    def _finished(self, end: TurnEnd, usage: Usage) -> TurnEnd:
        return replace(super()._finished(end, usage), usd=None)


class NeverGivesUp(MessagesClient):
    """Asks until somebody answers."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        assert self._http is not None
        status = 0
        while status != 200:
            status = (await self._http.post(self._url, content=self._body(), headers=self._headers)).status_code
            await anyio.sleep(0.001)
        yield TurnEnd()
