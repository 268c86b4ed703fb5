"""What an answer is made of, event by event: how a sweep counts its points and knows where to cut."""

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

from convtest.events import kind_of
from convtest.structs import Struct
from convtest.wire.chat_stream import ChatStream
from convtest.wire.interaction import TERMINAL, Interaction
from convtest.wire.messages_api import MalformedStream, MessageStream, ReplyStream
from convtest.wire.openai_apis import CHAT_PATH
from convtest.wire.responses_api import RESPONSES_PATH
from convtest.wire.responses_stream import ResponsesStream
from convtest.wire.sse import ServerEvent, SSEParser, parse

EVENT_END = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)")


def is_event(piece: bytes) -> bool:
    """Whether a piece of a stream, split at EVENT_END, is one whole event that counts: pings do not."""
    return piece.endswith((b"\n\n", b"\r\n\r\n")) and b"event: ping" not in piece


def ends_answer(piece: bytes) -> bool:
    """Whether it is the event after which an answer is whole."""
    return any(mark in piece for mark in TERMINAL)


class Served(Struct, frozen=True):
    """One event of a stream: its type, the kinds of what a session yields for it, and where it ends in the body."""

    type: str
    yields: tuple[str, ...]
    end: int


class Round(Struct, frozen=True, kw_only=True):
    """One answer of a turn, and what a session yields of it; `results` of tools come after it."""

    answer: Interaction
    events: list[Served]
    results: int

    @property
    def kinds(self) -> list[str]:
        """As the client was seen to yield them; else as the API's parser reads them."""
        parsed = [kind for event in self.events for kind in event.yields]
        return [*(self.answer.yielded or parsed), *["tool_result"] * self.results]


def rounds_of(answers: Sequence[Interaction]) -> list[Round]:
    """A turn's answers in order, each with the tool results before the next; of what was asked again, the last."""
    last: dict[str, Interaction] = {one.canonical.key: one for one in answers}
    kept = [one for one in answers if last[one.canonical.key] is one]
    if any(one.yielded for one in kept):
        kept = [one for one in kept if one.yielded]
    found: list[Round] = []
    for position, one in enumerate(kept):
        events = served(one)
        calls = sum(event.yields.count("tool_use") for event in events)
        found.append(Round(answer=one, events=events, results=calls if position + 1 < len(kept) else 0))
    return found


def split_at(rounds: Sequence[Round], which: Round, after: int, *, on_wire: bool) -> int:
    """How many bytes of a round's answer come before the point `after` of its turn; none if that comes earlier."""
    left = after
    for one in rounds:
        if one is which:
            break
        left -= len(one.events) if on_wire else len(one.kinds)
    end = 0
    for event in which.events:
        if left <= 0:
            break
        left -= 1 if on_wire else len(event.yields)
        end = event.end
    return end


def served(one: Interaction) -> list[Served]:
    """The events of an answer by the parser of its API; one for an answer that is not streamed."""
    if not one.is_stream:
        content = one.reply().get("content") or []
        kinds = tuple(str(b["type"]) for b in content if b.get("type") in {"text", "thinking", "tool_use"})
        return [Served("answer", kinds, len(one.body))]
    return _streamed(one.body, one.request.url)


@lru_cache(maxsize=8)
def _streamed(body: bytes, url: str) -> list[Served]:
    """Hundreds of points of a sweep ask for the same answers."""
    parser, stream = SSEParser(), _reader(url)
    found: list[Served] = []
    end = 0
    for piece in EVENT_END.split(body):
        end += len(piece)
        events = parser.feed(piece)
        if is_event(piece):
            found.append(Served(_type(events), tuple(kind for event in events for kind in _yields(stream, event)), end))
    return found


def is_spoilt(one: Interaction) -> bool:
    """Whether an error event, or what is no event of its API, came in its stream."""
    if not one.is_stream:
        return False
    stream = _reader(one.request.url)
    try:
        for event in parse([one.body]):
            stream.feed(event)
    except MalformedStream:
        return True
    return stream.error is not None


def _reader(url: str) -> ReplyStream:
    path = urlsplit(url).path.rstrip("/")
    if path.endswith(RESPONSES_PATH):
        return ResponsesStream()
    return ChatStream() if path.endswith(CHAT_PATH) else MessageStream()


def _yields(stream: ReplyStream, event: ServerEvent) -> list[str]:
    try:
        return [kind_of(one) for one in stream.feed(event)]
    except MalformedStream:
        return []


def _type(events: list[ServerEvent]) -> str:
    """`content_block_delta`, `message_stop` …; `chunk` where the API gives its events no names."""
    for event in events:
        if event.event != "message":
            return event.event
        try:
            data = msgspec.json.decode(event.data)
        except (msgspec.DecodeError, RecursionError):
            continue
        return str(data.get("type", "chunk")) if isinstance(data, dict) else "chunk"
    return "chunk"
