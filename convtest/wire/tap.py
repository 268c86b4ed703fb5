"""The tap: everything that a session sends passes here, is numbered, answered by a source and noted chunk by chunk."""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol

import anyio

from convtest.clock import Clock
from convtest.limits import DEFAULTS, Limits
from convtest.structs import Struct, field
from convtest.wire.growing import Bodies
from convtest.wire.interaction import TERMINAL, Interaction, Request, StreamEnd
from convtest.wire.marks import Finds
from convtest.wire.notes import Notes, unpacked


class WireFailure(Exception):
    """The response failed on the wire in the way that `ended` names."""

    def __init__(self, ended: StreamEnd, message: str) -> None:
        self.ended: StreamEnd = ended
        super().__init__(message)


class OpenTurn(Struct, kw_only=True):
    """The turn in progress on a lane: what it has yielded, and whether a disturbance is still due."""

    number: int
    due: Callable[[], bool] = lambda: False
    disturbed: Callable[[], bool] = lambda: False
    """Whether one has been done: the client may be about to close."""
    reachable: Callable[[list[str]], bool] = lambda kinds: True
    """Whether the due disturbance would come if the turn yielded events of just these kinds."""
    describe_due: Callable[[], str] = lambda: ""
    yielded: list[str] = field(default_factory=list)
    request_out: anyio.Event = field(default_factory=anyio.Event)
    early: anyio.Event | None = None
    """Where an act is due as soon as the request is out: set when it has been done."""
    faults: list[Any] = field(default_factory=list)
    """Disturbances of the wire that have not come yet, or may come again."""
    met: list[Any] = field(default_factory=list)
    """Those of them that came at least once."""
    delivered: int = 0
    """Events of the wire in the turn's answers that came whole; counted while a fault is due."""
    answered: int = 0
    """Answers given in the turn, those of a fault's status apart; counted while a fault is due."""
    parted: bool = False
    """A client in another process has had its time to close after it was disturbed."""
    progress: anyio.Event | None = None
    """Where somebody waits for the next event that the client yields: set with it."""

    async def hold(self, clock: Clock) -> None:
        """Answers that are not live wait for an early interrupt, so that it comes before them on every event loop."""
        if self.early is not None:
            await self.early.wait()
            await clock.checkpoint()


async def _nothing() -> None: ...


class Answer(Struct, kw_only=True):
    """The head of a response, and its body as it comes."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    chunks: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]] = _nothing


class Whole:
    """A body that comes in one piece."""

    def __init__(self, body: bytes, clock: Clock) -> None:
        self._bodies = [body]
        self._clock = clock

    def __aiter__(self) -> "Whole":
        return self

    async def __anext__(self) -> bytes:
        await self._clock.checkpoint()
        if not self._bodies:
            raise StopAsyncIteration
        return self._bodies.pop()


class Via(Struct, frozen=True, kw_only=True):
    """How one request came in: the clock its answer is paced by, and the way to the real upstream."""

    clock: Clock
    forward: Callable[[Request], Awaitable[Answer]]
    """Send it on for real. Raises WireFailure where there is no response."""
    read_timeout: float = 600.0
    """Seconds without a byte after which the client gives up."""
    parting: float = 0.0
    """Seconds that a client in another process may need to close what it has read enough of."""


class Source(Protocol):
    """Where answers come from: an upstream, the simulator or a cassette."""

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        """Answer the interaction's request. Raises WireFailure where there is no response."""
        ...


class Tap:
    """One per item. `interactions` is in the order of sending; requests may come from several threads."""

    def __init__(
        self,
        source: Source,
        clock: Clock,
        secrets: Finds | None = None,
        volatile: frozenset[str] = frozenset(),
        *,
        keeps: bool = True,
        limits: Limits = DEFAULTS,
    ) -> None:
        """Without `keeps` what has passed is forgotten: nobody will read it."""
        self.after_answer: Callable[[], Awaitable[None]] | None = None
        """Awaited at the end of each answer, before whoever reads it is told of its end."""
        self._keeps = keeps
        self.limits = limits
        self._secrets, self._volatile = secrets, volatile
        self._bodies = Bodies()
        self.interactions: list[Interaction] = []
        self.asked = 0
        """How many requests have been sent."""
        self.clock = clock
        self.gateway = ""
        """The address of the gateway in front of it, where there is one."""
        self._source = source
        self._turns: dict[str, OpenTurn] = {}
        self._lock = threading.Lock()
        self._dropped: set[str] = set()
        self._shut = False
        self._streaming: dict[int, Interaction] = {}

    def begin_turn(self, lane: str, turn: OpenTurn) -> None:
        self._turns[lane] = turn

    def end_turn(self, lane: str) -> None:
        self._turns.pop(lane, None)

    def drop(self, lane: str) -> None:
        """From now on nothing gets through on the lane, whichever transport it takes."""
        self._dropped.add(lane)

    def shut(self) -> None:
        """The play is over, or was ended from outside: what a client still sends goes nowhere."""
        self._shut = True

    def _before(self, number: int) -> Callable[[], Sequence[Interaction]]:
        return lambda: self.interactions[: number - 1]

    def reopen(self, lane: str) -> None:
        self._dropped.discard(lane)

    def is_dropped(self, lane: str | None) -> bool:
        return lane in self._dropped

    def left_open(self) -> list[Interaction]:
        """Those whose answer was neither read to its end nor closed."""
        return [one for one in self._streaming.values() if one.ended is None]

    def has_read(self, lane: str, turn: int) -> bool:
        """Whether all answers of the lane's turn were read to their end, and the last one ends it."""
        mine = [one for one in self.interactions if one.lane == lane and one.turn == turn]
        whole = bool(mine) and all(one.ended == "complete" for one in mine)
        return whole and mine[-1].reply().get("stop_reason") not in {None, "tool_use"}

    def is_over(self, lane: str, turn: int) -> bool:
        """Whether nothing of the lane's turn streams any more, and its last answer asks for no tool that still runs."""
        mine = [one for one in self.interactions if one.lane == lane and one.turn == turn]
        asks = bool(mine) and mine[-1].ended == "complete" and mine[-1].reply().get("stop_reason") == "tool_use"
        return not asks and all(one.ended is not None for one in mine)

    def turn_of(self, lane: str | None) -> OpenTurn | None:
        """The turn in progress on the lane."""
        return self._turns.get(lane) if lane is not None else None

    def only_lane(self) -> str | None:
        """The lane of the only turn in progress, if there is just one."""
        return next(iter(self._turns)) if len(self._turns) == 1 else None

    def note_yield(self, lane: str, kind: str) -> None:
        """The session yielded an event; it is put down to the lane's latest request that has been answered."""
        if (turn := self._turns.get(lane)) is None:
            return
        turn.yielded.append(kind)
        if turn.progress is not None:
            turn.progress.set()
            turn.progress = None
        for one in reversed(self.interactions):
            if one.lane == lane and one.turn == turn.number and one.chunks:
                if kind in {"text", "thinking", "tool_use"}:
                    one.yielded.append(kind)
                return

    async def send(self, lane: str | None, request: Request, via: Via) -> "TappedAnswer":
        """Number the request and have the source answer it. Raises WireFailure."""
        if self._shut:
            raise WireFailure("refused", "the item is over")
        turn = self._turns.get(lane) if lane is not None else None
        with self._lock:
            self.asked += 1
            interaction = Interaction(
                number=self.asked,
                lane=lane,
                turn=turn.number if turn else None,
                request=request,
                before=self._before(self.asked),
                secrets=self._secrets,
                volatile=self._volatile,
            )
            why = unpacked(interaction, self.limits)
            if self._keeps:
                self.interactions.append(interaction.kept_with(self._bodies))
        started = interaction.sent_at = self.clock.now()
        if turn:
            turn.request_out.set()
        try:
            if why:
                raise WireFailure("reset", why)
            answer = await self._source.answer(interaction, turn, via)
        except WireFailure as failure:
            interaction.ended = failure.ended
            raise
        except BaseException:
            interaction.ended = "closed_by_client"
            raise
        interaction.status, interaction.reason = answer.status, answer.reason
        interaction.headers = answer.headers
        interaction.first_byte = self.clock.now() - started
        if self._keeps and interaction.is_stream:
            self._streaming[interaction.number] = interaction
        notes = Notes(interaction, self.limits) if self._keeps else None
        return TappedAnswer(answer, interaction, self.clock, started, notes, after=self.after_answer)


class TappedAnswer:
    """An answer whose chunks are noted as they pass, decoded; nothing is read ahead of the client.

    It is its own iterator, not a generator: one that is dropped half-way leaves nothing to finalise.
    """

    def __init__(
        self,
        answer: Answer,
        interaction: Interaction,
        clock: Clock,
        started: float,
        notes: Notes | None,
        *,
        after: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Without notes it only passes."""
        self.answer = answer
        self._notes = notes
        self.holds_its_end = after is not None
        """Its end is passed on once something has been done with it, and must not be known before."""
        self._after = after or _nothing
        self.interaction = interaction
        self._now = clock.now
        self._next = answer.chunks.__anext__
        self._started = started

    def __aiter__(self) -> "TappedAnswer":
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await self._next()
        except StopAsyncIteration:
            self.interaction.ended = self.interaction.ended or "complete"
            await self._after()
            raise
        except WireFailure as failure:
            self.interaction.ended = failure.ended
            await self._after()
            raise
        if self._notes is not None and (why := self._notes.note(self._now() - self._started, data)):
            self.interaction.ended = "reset"
            raise WireFailure("reset", why)
        return data

    async def aclose(self) -> None:
        """A client that closes before the end has cut the stream, unless the last event had come."""
        if self.interaction.ended is None:
            tail = b"".join(chunk.data for chunk in self.interaction.chunks[-2:])
            finished = any(mark in tail for mark in TERMINAL)
            self.interaction.ended = "complete" if finished else "closed_by_client"
        await self.answer.close()
