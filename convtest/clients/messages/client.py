"""`messages`: a session over the Anthropic Messages API, its history in our hand."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import anyio
import httpx
import msgspec

from convtest.clients.messages import history
from convtest.clients.messages.policy import POLICY
from convtest.clients.messages.sending import BODY_OPTIONS, body_of, headers, send, whole_body
from convtest.clients.messages.turns import Round, all_tools, called, end_of, lost, offered, refused, tool_result
from convtest.clients.options import MESSAGES
from convtest.clients.port import Kind, Opening, SessionError, Tool
from convtest.clients.store import SessionStore
from convtest.events import Event, ToolResult, ToolUse, TurnEnd, Usage
from convtest.wire.messages_api import PATH, PUBLIC_URL, MalformedStream, MessageStream, ReplyStream, usage_of
from convtest.wire.sse import SSEParser

OPTIONS = frozenset({*BODY_OPTIONS, *MESSAGES})
INTERRUPTED = "The user interrupted before this tool call was finished."


class MessagesClient:
    """One session; options are those of the API's body, and
    - `max_turns`: how many requests one turn may make (the tool loop's limit),
    - `max_messages`: the history's size limit in messages; beyond it the oldest whole turns are dropped,
    - `python_tools`: functions as `module:attr`,
    - `max_retries`: how often to try again after 408, 429, 5xx or no response (0),
    - `read_timeout`: seconds without a byte before the turn ends in `timeout`.

    An interrupted turn keeps its prompt and just the text that was yielded; its open tool uses get an error result.
    """

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._options = dict(opening.options)
        self._store = SessionStore(opening.store)
        self._tools: dict[str, Tool] = {tool.name: tool for tool in all_tools(opening)}
        self._http: httpx.AsyncClient | None = None
        self._transport: httpx.AsyncBaseTransport = opening.transport or httpx.AsyncHTTPTransport()
        self._messages: list[dict[str, Any]] = []
        self._turns: list[int] = []
        self._id: str | None = None
        self._asked = False
        self._queued: list[str] = []
        self._interrupted = False
        self._waiting: anyio.CancelScope | None = None
        self._dropped = False

    @property
    def session_id(self) -> str | None:
        return self._id

    async def connect(self) -> None:
        if self._http is not None:
            return
        self._restore()
        timeout = httpx.Timeout(30.0, read=float(self._options.get("read_timeout", 600)))
        self._http = httpx.AsyncClient(transport=self._transport, timeout=timeout)

    def _restore(self) -> None:
        opening = self._opening
        stored = self._store.load(opening.resume) if opening.resume is not None else None
        if opening.continue_ and stored is None:
            stored = self._store.latest()
        if stored is None:
            self._id = SessionStore.new_id()
            return
        self._id, self._messages, self._turns = stored.id, list(stored.messages), list(stored.turns)
        if opening.fork:
            self._id = SessionStore.new_id()
            self._messages, self._turns = history.cut_after(self._messages, self._turns, opening.fork_at)
            self._save()

    async def disconnect(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def query(self, text: str) -> None:
        if self._http is None:
            raise SessionError("not_connected", "query() before connect()")
        if self._asked:
            # A second prompt in mid-turn waits for its own turn: what is streaming is the answer to the first.
            self._queued.append(text)
            return
        limit, before = self._options.get("max_messages"), len(self._messages)
        self._messages, self._turns = history.limited(
            self._messages, self._turns, None if limit is None else int(limit)
        )
        self._dropped = self._dropped or len(self._messages) < before
        self._turns.append(len(self._messages))
        self._messages.append({"role": "user", "content": [{"type": "text", "text": text}]})
        self._save()
        self._interrupted, self._asked = False, True

    async def interrupt(self) -> None:
        if self._asked:
            self._interrupted = True
            if self._waiting is not None:
                self._waiting.cancel()

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        if not self._asked and self._queued:
            await self.query(self._queued.pop(0))
        try:
            async with aclosing(self._rounds()) as events:
                async for event in events:
                    yield event
        finally:
            if self._asked:  # nobody reads on: the turn is over, and the history holds what was read
                self._asked = False
                self._save()

    async def _rounds(self) -> AsyncGenerator[Event, None]:
        usage, rounds, end = Usage(), 0, None
        while end is None:
            rounds += 1
            current = Round(self._new_stream())
            async with aclosing(self._round(current)) as events:
                async for event in events:
                    yield event
            usage += usage_of(current.stream.message)
            end = current.end
            if end is None and rounds >= int(self._options.get("max_turns", 50)):
                self._answer_open(current.calls, "The limit of turns was reached.")
                end = TurnEnd(ended="max_turns", message=f"max_turns is {rounds}")
            elif end is None:
                async with aclosing(self._run_tools(current.calls)) as results:
                    async for event in results:
                        yield event
                end = TurnEnd(ended="interrupted") if self._interrupted else None
        yield self._finished(end, usage)

    def _finished(self, end: TurnEnd, usage: Usage) -> TurnEnd:
        self._asked, dropped, self._dropped = False, self._dropped, False
        self._save()
        return TurnEnd(ended=end.ended, error=end.error, message=end.message, usage=usage, boundary=dropped)

    async def _round(self, current: Round) -> AsyncGenerator[Event, None]:
        """One request; sets `current.end` unless tools are to be run and the turn goes on."""
        if self._http is None:
            current.end = TurnEnd(ended="connection_lost", message="disconnected in mid-turn")
            return
        request = self._http.build_request("POST", self._url, headers=self._headers, content=self._body())
        try:
            tries = int(self._options.get("max_retries", 0)) + 1
            sending = send(self._transport, request, tries=tries, clock=self._opening.clock)
            response = await self._unless_interrupted(sending)
            if response is None:
                current.end = TurnEnd(ended="interrupted")
                return
            async with aclosing(body_of(response)), aclosing(self._read(response, current)) as events:
                async for event in events:
                    yield event
        except httpx.TransportError as error:
            current.end = TurnEnd(ended=lost(error), message=str(error))
        except MalformedStream as error:
            current.end = TurnEnd(ended="error", message=str(error))
        except BaseException:
            current.end = current.end or TurnEnd(ended="interrupted")
            raise
        finally:
            self._keep(current)

    async def _read(self, response: httpx.Response, current: Round) -> AsyncGenerator[Event, None]:
        if response.status_code != 200:
            current.end = refused(response.status_code, await whole_body(response))
            return
        parser, pieces = SSEParser(), aiter(body_of(response))
        with anyio.CancelScope() as scope:
            while (data := await self._next_of(pieces, scope)) is not None:
                for server_event in parser.feed(data):
                    for event in current.stream.feed(server_event):
                        if self._interrupted:
                            break
                        current.note(event)
                        if isinstance(event, ToolUse):
                            self._write_down(current)
                        yield event
                if not data:
                    current.end = end_of(current.stream, current.calls)
                    return
        current.end = TurnEnd(ended="interrupted")

    async def _next_of(self, pieces: AsyncIterator[bytes], scope: anyio.CancelScope) -> bytes | None:
        """The next chunk, empty at the end; None, or a cancelled scope, once interrupted: one scope for all chunks."""
        self._waiting = scope
        if self._interrupted:
            scope.cancel()
        try:
            data = await anext(pieces, b"")
        finally:
            self._waiting = None
        return None if self._interrupted else data

    async def _unless_interrupted(self, waiting: Any) -> Any:
        """What is awaited, or None as soon as the turn is interrupted."""
        with anyio.CancelScope() as scope:
            self._waiting = scope
            if self._interrupted:
                scope.cancel()
            try:
                found = await waiting
            finally:
                self._waiting = None
            return None if self._interrupted else found
        return None

    def _keep(self, current: Round) -> None:
        """The assistant's message as far as it was yielded joins the history."""
        if current.stream.complete and (current.end is None or current.end.ended != "interrupted"):
            self._messages += history.answer_message(current.stream.message["content"])
        else:
            self._messages += history.said(current.text, current.calls)
        if current.end is not None:
            self._answer_open(current.calls, INTERRUPTED)

    def _answer_open(self, calls: Sequence[ToolUse], why: str) -> None:
        self._messages += history.results_message(calls, why)

    async def _run_tools(self, calls: Sequence[ToolUse]) -> AsyncGenerator[Event, None]:
        results: list[dict[str, Any]] = []
        try:
            for call in calls:
                answered = await self._unless_interrupted(called(self._tools, call))
                if answered is None:
                    return
                text, is_error = answered
                results.append(tool_result(call.id, text, is_error))
                yield ToolResult(id=call.id, text=text, is_error=is_error)
        finally:
            results += history.refused_results(calls[len(results) :], INTERRUPTED)
            self._messages.append({"role": "user", "content": results})
            self._save()

    def _new_stream(self) -> ReplyStream:
        """What reads the answer of one request."""
        return MessageStream()

    @property
    def _url(self) -> str:
        return self._opening.base_url.rstrip("/") + PATH

    @property
    def _headers(self) -> dict[str, str]:
        return headers(self._opening.api_key)

    def _body(self) -> bytes:
        given = {"max_tokens": 1024, **{k: v for k, v in self._options.items() if k in BODY_OPTIONS}}
        tools = {"tools": offered(self._tools.values())} if self._tools else {}
        return msgspec.json.encode({**given, **tools, "messages": self._messages, "stream": True})

    def _save(self) -> None:
        if self._id is not None:
            self._store.save(self._id, self._messages, self._turns)

    def _write_down(self, now: Round) -> None:
        """Before it is yielded: a tool that may have run is not lost with the process."""
        kept = [*history.said(now.text, now.calls), *history.results_message(now.calls, INTERRUPTED)]
        if self._id is not None:
            self._store.save(self._id, [*self._messages, *kept], self._turns)

    async def get_messages(self) -> list[dict[str, Any]]:
        """The history as the API takes it."""
        return history.copied(self._messages)

    async def load_history(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Replace the history."""
        self._messages, self._turns = history.loaded(messages)
        self._save()

    async def clear_history(self) -> None:
        """Forget everything said; goes on under a new id, the old session stays."""
        self._messages, self._turns, self._id = [], [], SessionStore.new_id()
        self._save()

    async def delete(self) -> None:
        """Remove the session and forget it."""
        if self._id is not None:
            self._store.delete(self._id)
        self._messages, self._turns, self._id = [], [], None

    async def set(self, options: Mapping[str, Any]) -> None:
        """Change options from the next turn on."""
        self._options.update(options)


KIND = Kind(
    name="messages",
    factory_of=lambda profile, root: MessagesClient,
    options=OPTIONS,
    wanted=MESSAGES,
    works_on_disk=False,
    base_url=PUBLIC_URL,
    policy=lambda options: POLICY,
)
