"""Plays a cassette: each request is answered by the earliest unplayed interaction of its lane that is equal to it."""

import contextlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence

import msgspec

from convtest.cassettes.bindings import Bindings
from convtest.cassettes.difference import against_nearest
from convtest.clock import CannotWait, Clock, RealClock
from convtest.errors import RecordingEnds
from convtest.structs import Struct, replace
from convtest.wire.cuts import Cut, messages_of, relaxed
from convtest.wire.interaction import Chunk, Interaction
from convtest.wire.tap import Answer, OpenTurn, Source, Via, Whole, WireFailure

MISS_STATUS = 418
"""The answer to a request that nothing recorded answers: SDKs do not retry it, and its text is kept."""


class Beyond(Struct, frozen=True, kw_only=True):
    """Where a lane goes on that asks for something unrecorded, from then on (`new_episodes`)."""

    source: Source
    leaves: Callable[[OpenTurn | None], bool] = lambda turn: True
    """Whether the turn may leave the recording."""
    pace: Clock | None = None
    """The clock of the recorded sleeps where it is not that of the item."""


class Player:
    """A source that answers from recorded interactions.

    With `again`, what was played last is played again when it is asked for again. `chunks_of` says in which pieces a
    recorded answer comes. With `explains`, a miss says itself how it differs from what is recorded: no report of a test
    follows.
    """

    def __init__(
        self,
        recorded: Iterable[Interaction],
        *,
        command: str,
        beyond: Beyond | None = None,
        again: bool = False,
        explains: bool = False,
        chunks_of: Callable[[Interaction], Sequence[Chunk]] = lambda recorded: recorded.chunks,
    ) -> None:
        self.bindings = Bindings()
        """Which of this run's secrets the placeholders stand for."""
        self._recorded = list(recorded)
        self._command = command
        self._beyond = beyond
        self._again = again
        self._explains = explains
        self.explained: dict[int, list[str]] = {}
        """By the number of a request that missed."""
        self._chunks_of = chunks_of
        self._left: set[str | None] = set()
        self._played: set[int] = set()
        self._cut: dict[str | None, list[Cut]] = {}
        self._after_cut: dict[str | None, dict[str, deque[int]]] = {}
        self._index: dict[tuple[str | None, str], deque[int]] = self._indexed()
        self._looked = False

    def _indexed(self) -> dict[tuple[str | None, str], deque[int]]:
        """What may still be asked for, by lane and key."""
        index: dict[tuple[str | None, str], deque[int]] = defaultdict(deque)
        for position, one in enumerate(self._recorded):
            queue = index[one.lane, one.canonical.key]
            if self._again and queue and queue[0] in self._played:
                queue.popleft()
            if self._again or position not in self._played:
                queue.append(position)
        return index

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        found = None if interaction.lane in self._left else self._take(interaction)
        if found is None and interaction.lane not in self._left and self._looks_for_secrets(interaction):
            found = self._take(interaction)
        if found is not None:
            pace = self._beyond.pace if self._beyond is not None else None
            return await self._play(found, interaction, turn, replace(via, clock=pace) if pace is not None else via)
        if self._beyond is not None and self._beyond.leaves(turn):
            self._left.add(interaction.lane)
            return await self._beyond.source.answer(interaction, turn, via)
        return self._miss(interaction, via.clock)

    def unplayed(self) -> list[Interaction]:
        """What was recorded and not asked for; what the client had cancelled before its first byte does not count."""
        return [
            one
            for position, one in enumerate(self._recorded)
            if position not in self._played and (one.chunks or one.ended != "closed_by_client")
        ]

    def nearest(self, missed: Interaction) -> Interaction | None:
        """The recorded interaction of the lane that shares the most of the conversation, unplayed ones first; in this
        run's words."""
        lane = [(p, one) for p, one in enumerate(self._recorded) if one.lane in (missed.lane, None)]
        candidates = [(p, one) for p, one in lane if p not in self._played] or lane
        found = max(candidates, key=lambda c: (_shared(c[1], missed), -c[0]), default=(0, None))[1]
        return self.bindings.asked(found) if found is not None else None

    def elsewhere(self, missed: Interaction) -> str | None:
        """The lane that was recorded to send just this."""
        sent = missed.canonical
        same = [one for one in self._recorded if one.lane and one.canonical.key == sent.key]
        fits = (one.lane for one in same if self.bindings.fits(one.canonical.marks, sent.marks) is not None)
        return next((lane for lane in fits if lane != missed.lane), None)

    def _take(self, interaction: Interaction) -> Interaction | None:
        sent = interaction.canonical
        lanes = (interaction.lane, None) if interaction.lane is not None else {one.lane for one in self._recorded}
        queues = [queue for lane in lanes if (queue := self._index.get((lane, sent.key)))]
        for position in sorted(position for queue in queues for position in queue):
            recorded = self._recorded[position]
            if self.bindings.binds(recorded.canonical.marks, sent.marks):
                queue = self._index[recorded.lane, sent.key]
                if not (self._again and len(queue) == 1):
                    queue.remove(position)
                self._played.add(position)
                return recorded
        return self._take_after_cut(interaction)

    def _looks_for_secrets(self, missed: Interaction) -> bool:
        """Whether some stand in the recording as they were: another recorder kept it, or their kind was not known yet.
        Only where something is missed, and once: what was recorded here holds placeholders."""
        if self._looked or missed.secrets is None:
            return False
        self._looked, found = True, [one for one in self._recorded if one.knows(missed.secrets)]
        if found:
            self._index = self._indexed()
            self._cut.clear()
        return bool(found)

    def _take_after_cut(self, interaction: Interaction) -> Interaction | None:
        """After a turn that the client cut, what it kept of the answer may be any beginning of it, or nothing."""
        lane = interaction.lane
        if lane not in self._cut:
            self._index_after_cut(lane)
        cuts = self._cut[lane]
        if not cuts:
            return None
        # What it kept of the answer is in this run's words.
        key, marks = relaxed(interaction.canonical, cuts)
        for position in list(self._after_cut[lane].get(key, ())):
            one = self._recorded[position]
            if position not in self._played and self.bindings.binds(relaxed(one.canonical, cuts)[1], marks):
                self._after_cut[lane][key].remove(position)
                self._index[lane, one.canonical.key].remove(position)
                self._played.add(position)
                return one
        return None

    def _index_after_cut(self, lane: str | None) -> None:
        """Once for each lane, and only where something is asked for that is not there word by word."""
        mine = [(position, one) for position, one in enumerate(self._recorded) if one.lane == lane]
        cuts = [(one, _text_of(one)) for _, one in mine if one.ended == "closed_by_client"]
        self._cut[lane] = [Cut.of(one.canonical, text) for one, text in cuts if text]
        index = self._after_cut[lane] = defaultdict(deque)
        for position, one in mine if self._cut[lane] else ():
            index[relaxed(one.canonical, self._cut[lane])[0]].append(position)

    async def _play(self, recorded: Interaction, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        interaction.origin, interaction.recorded = "replayed", recorded
        if turn is not None:
            await turn.hold(via.clock)
        await via.clock.sleep(recorded.first_byte or 0.0)
        if recorded.ended in {"refused", "timeout", "no_response"} and recorded.first_byte is None:
            raise WireFailure(recorded.ended, f"as recorded: {recorded.ended}")
        chunks = self.bindings.restored(self._chunks_of(recorded))
        stream = _Recorded(recorded, chunks, interaction, turn, via, self._command)
        if not recorded.chunks and recorded.ended == "closed_by_client" and recorded.first_byte is None:
            await stream.cut()
        return Answer(status=recorded.status, reason=recorded.reason, headers=_playable(recorded), chunks=stream)

    def _miss(self, interaction: Interaction, clock: Clock) -> Answer:
        interaction.missed = True
        message = "no recorded interaction answers this request; the report of the test says how they differ"
        if self._explains:
            nearest = self.nearest(interaction)
            lines = against_nearest(nearest.canonical if nearest else None, interaction.canonical)
            self.explained[interaction.number] = lines
            message = "\n".join(["no recorded interaction answers this request;", *lines])
        error = {"type": "convtest_miss", "message": message}
        body = msgspec.json.encode({"type": "error", "error": error})
        return Answer(
            status=MISS_STATUS,
            reason="Not Recorded",
            headers=(("content-type", "application/json"), ("x-should-retry", "false")),
            chunks=Whole(body, clock),
        )


class _Recorded:
    """The recorded chunks, each its own step, at the recorded pace of the clock, up to the recorded end."""

    def __init__(
        self,
        recorded: Interaction,
        chunks: Sequence[Chunk],
        interaction: Interaction,
        turn: OpenTurn | None,
        via: Via,
        command: str,
    ) -> None:
        self._recorded = recorded
        self._interaction = interaction
        self._turn = turn
        self._before = list(turn.yielded) if turn else []
        self._clock = via.clock
        self._command = command
        self._parting = via.parting
        self._chunks = iter(chunks)
        self._at = recorded.first_byte or 0.0

    def __aiter__(self) -> "_Recorded":
        return self

    async def __anext__(self) -> bytes:
        chunk = next(self._chunks, None)
        if chunk is not None:
            ms = chunk.ms
            await self._clock.sleep(ms - self._at)
            self._at = ms
            return chunk.data
        await self._clock.checkpoint()
        match self._recorded.ended:
            case "closed_by_client":
                await self.cut()
            case "reset" | "truncated" | "timeout":
                raise WireFailure(self._recorded.ended, f"as recorded: {self._recorded.ended}")
        raise StopAsyncIteration

    async def cut(self) -> None:
        """Here the recorded client closed: wait for this one's interrupt if it is due, else the recording is over."""
        turn, kinds = self._turn, [*self._before, *self._recorded.yielded]
        if turn is not None and (turn.disturbed() or (turn.due() and turn.reachable(kinds))):
            self._interaction.read_on = len(kinds)
            with contextlib.suppress(CannotWait):
                await self._clock.forever()
        if self._parting:
            await RealClock().sleep(self._parting * 1000)
        goes_on = f"due in this run: {turn.describe_due()}" if turn and turn.due() else "this run goes on"
        detail = f"the recording ends after event {len(kinds)}, {goes_on}"
        self._interaction.trouble = RecordingEnds(detail=detail, command=self._command)
        raise WireFailure("truncated", detail)


def _text_of(one: Interaction) -> str:
    content = one.reply().get("content") or []
    return "".join(block.get("text") or "" for block in content if block.get("type") == "text").strip()


def _playable(recorded: Interaction) -> tuple[tuple[str, str], ...]:
    """Those of the answer itself. Recordings of others may have no type: SDKs read an answer by it, so it gets the one
    that its shape tells."""
    left_out = {"content-length", "content-encoding", "transfer-encoding"}
    kept = tuple((name, value) for name, value in recorded.headers if name not in left_out)
    if not recorded.chunks or any(name == "content-type" for name, _ in kept):
        return kept
    if recorded.is_stream:
        return (*kept, ("content-type", "text/event-stream"))
    return (*kept, ("content-type", "application/json")) if recorded.body.lstrip()[:1] in {b"{", b"["} else kept


def _shared(recorded: Interaction, missed: Interaction) -> int:
    """How many messages two requests share: from the start, then from the end, then anywhere."""
    one, other = messages_of(recorded.canonical.form), messages_of(missed.canonical.form)
    same = sum(1 for a, b in zip(one, other, strict=False) if a == b)
    ends_alike = int(bool(one and other) and one[-1] == other[-1])
    return 10 * same + 5 * ends_alike - abs(len(one) - len(other))
