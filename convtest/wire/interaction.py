"""One request and what was streamed back, as the tap saw it or the cassette keeps it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import msgspec

from convtest.errors import ConvtestError, TooLarge
from convtest.events import Usage
from convtest.limits import Limits
from convtest.wire.canonical import Canonical, Kept, canonical, is_claude_code, named_by, plain_messages
from convtest.wire.growing import Bodies
from convtest.wire.marks import Finds
from convtest.wire.messages_api import usage_of
from convtest.wire.replies import reply_of
from convtest.wire.responses_api import CONVERSATIONS_PATH, added_messages, made_id
from convtest.wire.sse import begins_stream

StreamEnd = Literal["complete", "closed_by_client", "reset", "truncated", "refused", "timeout", "no_response"]
"""How the response ended; the last three had no response at all."""

TERMINAL = (b'"message_stop"', b"data: [DONE]", b'"response.completed"', b'"response.incomplete"')
"""What stands in the last event of a whole answer, by API."""

Origin = Literal["live", "simulated", "replayed"]


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """One piece of the body as it arrived, `ms` milliseconds after the request was sent.

    There are some hundred to an answer: this kind of object is cheap to make and nothing for the garbage collector.
    """

    ms: float
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    """In plain."""
    encoded: bytes | None = None
    """As it goes over the wire, where it is not sent in plain."""

    @property
    def on_wire(self) -> bytes:
        return self.body if self.encoded is None else self.encoded

    def keep_with(self, bodies: Bodies, lane: str | None) -> None:
        """Keep of the body once what it shares with others of the lane."""
        self.__dict__["_kept"] = bodies.keep(lane, self.body)
        del self.__dict__["body"]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The body, where it is kept with others."""
            if name == "body" and "_kept" in self.__dict__:
                return self.__dict__["_kept"].whole()
            raise AttributeError(name)


_REFUSED = frozenset({400, 413, 422})


@dataclass(kw_only=True)
class Interaction:
    """Filled while the stream runs; numbered in the order of sending."""

    number: int
    lane: str | None
    turn: int | None
    request: Request
    sent_at: float = 0.0
    """Milliseconds on the item's clock."""
    status: int = 0
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    first_byte: float | None = None
    """Milliseconds from sending to the response's head."""
    chunks: list[Chunk] = field(default_factory=list)
    ended: StreamEnd | None = None
    yielded: list[str] = field(default_factory=list)
    """Kinds of the events that the client yielded from it."""
    role: Literal["", "main", "side"] = ""
    """Whether it is the conversation, once that is known and other requests of its turn are not."""
    digest: str = ""
    """What the scenario asked to be sent when it was recorded; in a cassette's first interaction only."""
    origin: Origin = "live"
    adopted: bool = False
    """Its lane was not known, and its words told the turn that it belongs to."""
    missed: bool = False
    """No recorded interaction answered it."""
    read_on: int = 0
    """It was read on where the recorded client had closed: after that many events."""
    edited: bool = False
    """Its recorded chunk lengths do not add up: somebody edited the cassette, and event boundaries are used."""
    foreign: bool = False
    """Another recorder kept it: what is secret in it stands there as it was."""
    recorded: "Interaction | None" = None
    """What it was replayed from."""
    before: "Callable[[], Sequence[Interaction]]" = field(default=tuple, compare=False, repr=False)
    """What was asked before it, in the same play or recording: among that is what an id of the server names."""
    secrets: Finds | None = None
    """Finds what counts as one of its kind; None where only placeholders do, in what was recorded."""
    volatile: frozenset[str] = frozenset()
    """Keys whose values count as volatile beside those that always do."""
    trouble: ConvtestError | None = None
    """Why the item cannot go on after it."""

    def kept_with(self, bodies: Bodies) -> "Interaction":
        """This one; of its request's body is kept once what it shares with others of its lane."""
        self.request.keep_with(bodies, self.lane)
        return self

    def outgrows(self, limits: Limits, size: int, what: str) -> str:
        """Why the item cannot go on, where its request or answer has more bytes than a body may have."""
        try:
            limits.check("body", size, f"the {what} {self.number}, {self.request.method} {self.request.url},")
        except TooLarge as error:
            self.trouble = error
            return str(error)
        return ""

    @cached_property
    def canonical(self) -> Canonical:
        """As it is compared; in the words that were sent."""
        request = self.request
        return canonical(
            request.method,
            request.url,
            request.body,
            self.secrets,
            self.volatile,
            claude_code=is_claude_code(request.headers),
            kept=self._kept(),
        )

    def knows(self, secrets: Finds) -> bool:
        """Whether the request holds some of these, which count as one of their kind from now on."""
        if self.secrets is None:
            self.secrets = secrets
            text = f"{self.request.url} {self.request.body.decode(errors='replace')}"
            if any(not one.mark.is_placeholder for one in secrets.found(text)):
                self.__dict__.pop("canonical", None)
        return any(not mark.is_placeholder for mark in self.canonical.marks)

    @property
    def refused(self) -> bool:
        """It was not taken as it was: a client may ask again in another form, with less in it."""
        return self.status in _REFUSED

    @property
    def unknown(self) -> str | None:
        """What it goes on from where no answer before it had that id: the server knows more than was seen."""
        named = next((one for one in self.named if one), None)
        kept = self._kept() if named else None
        return named if named and (kept is None or not kept.whole) else None

    @cached_property
    def named(self) -> tuple[str | None, str | None]:
        """The ids of the answer and of the conversation that it goes on from."""
        return named_by(self.request.body)

    def _kept(self) -> Kept | None:
        """The history that the server keeps and this request goes on from; None where it names none that is known."""
        previous, conversation = self.named
        if previous is not None:
            found = (one for one in reversed(self.before()) if one.reply().get("id") == previous)
            earlier = next(found, None)
            return None if earlier is None else Kept(earlier._with_answer())
        return None if conversation is None else self._held(conversation)

    def _with_answer(self) -> list[dict[str, Any]]:
        """The conversation up to and with the answer to this request."""
        kept = self._kept()
        return [*(kept.messages if kept else []), *self._exchange()]

    def _exchange(self) -> list[dict[str, Any]]:
        said = {"role": "assistant", "content": self.reply().get("content") or []}
        return [*plain_messages(self.request.url, self.request.body), said]

    def _held(self, conversation: str) -> Kept | None:
        """What was added to a conversation of the server since it was made, or since the first that was seen of it."""
        found: list[dict[str, Any]] = []
        made = False
        for one in self.before():
            path = urlsplit(one.request.url).path.rstrip("/")
            if path.endswith(CONVERSATIONS_PATH) and made_id(one.body) == conversation:
                made, found = True, added_messages(one.request.body)
            elif path.endswith(f"{CONVERSATIONS_PATH}/{conversation}/items") and one.status < 300:
                found += added_messages(one.request.body)
            elif one.named[1] == conversation and one.status < 300 and one._is_whole():
                # The API adds what was said once the response is complete.
                found += one._exchange()
        return Kept(found, whole=made) if made or found else None

    def _is_whole(self) -> bool:
        return self.reply().get("stop_reason") is not None

    @property
    def body(self) -> bytes:
        return b"".join(chunk.data for chunk in self.chunks)

    @property
    def is_stream(self) -> bool:
        """As its header says; else by its shape: recordings leave headers out, and servers say other types."""
        said = any(k.lower() == "content-type" and "event-stream" in v for k, v in self.headers)
        return said or begins_stream(chunk.data for chunk in self.chunks)

    def usage(self) -> Usage | None:
        """Tokens as the answer reports them; None for a whole answer that reports none."""
        reply = self.reply()
        unknown = bool(reply.get("content")) and not reply.get("usage") and self.ended == "complete"
        return None if unknown else usage_of(reply)

    def reply(self) -> dict[str, Any]:
        """The message that was answered, as far as it came; empty if it was none."""
        return self._reply() if self.ended is None else self._whole_reply

    @cached_property
    def _whole_reply(self) -> dict[str, Any]:
        return self._reply()

    def _reply(self) -> dict[str, Any]:
        return reply_of(self.body, is_stream=self.is_stream, url=self.request.url)
