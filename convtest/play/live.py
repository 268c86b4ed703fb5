"""One live session: its client lives in a task of its own, so that no time limit of a step reaches into its scopes."""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, cast

import anyio
from anyio.abc import TaskGroup

from convtest.clients.port import Factory, Opening, SessionClient
from convtest.events import Event, TurnEnd, kind_of
from convtest.play.calls import STRAY, Call
from convtest.play.disturbing import Plan, settled
from convtest.play.reader import TOLD
from convtest.scenario.model import Turn
from convtest.structs import Struct
from convtest.transcript import StepRecord, TurnRecord
from convtest.wire import lanes
from convtest.wire.tap import OpenTurn, Tap

_GOODBYE = 2.0
"""Seconds that a client has to disconnect once a step of its has run out of time."""
_ABANDONED = 10.0
"""Seconds that an application has for what its reader has left."""
_STORED = 0.25
"""Seconds that it has to put down what it has read."""
_SLACK = 0.5
"""Seconds by which a busy machine may be late."""


class LiveSession:
    """A client with the task that makes all its calls; one call runs at a time."""

    def __init__(
        self,
        name: str,
        factory: Factory,
        opening: Opening,
        tap: Tap,
        *,
        cut: Callable[[str], None] = lambda lane: None,
        finishes: bool = False,
    ) -> None:
        """`finishes`: an application goes on when its reader has left."""
        self.name = name
        self._finishes = finishes
        self._cut = cut
        self._factory = factory
        self._opening = opening
        self._tap = tap
        self._send, self._receive = anyio.create_memory_object_stream[tuple[Callable[[], Awaitable[Any]], "Call"]](8)
        self._scope = anyio.CancelScope()
        self._stack = AsyncExitStack()
        self.client: SessionClient | None = None
        self.last: Event | str = "nothing yet"
        """The last thing that came from the client, for the report of a hang."""
        self.dead = False
        """Its task was cancelled and takes no more calls."""
        self._call: Call | None = None
        """The one that its task is asked for, until it is made."""
        self._stray = ""
        """What the client left in its task that ended it."""

    @property
    def last_seen(self) -> str:
        return self.last if isinstance(self.last, str) else _seen(self.last)

    def start(self, tasks: TaskGroup) -> None:
        tasks.start_soon(self._run)

    async def _run(self) -> None:
        lanes.enter(self._tap, self.name)
        try:
            with self._scope:
                async with self._receive:
                    async for call, result in self._receive:
                        await result.make(call)
        except (RuntimeError, anyio.get_cancelled_exc_class()) as error:
            # Where the item itself is given up its own task is cancelled as well: nothing is hidden by this.
            self._stray = STRAY if not isinstance(error, RuntimeError) else f"{STRAY} ({error})"
        finally:
            self._send.close()
            if self._call is not None:
                self._call.lose(self._stray)
            with anyio.CancelScope(shield=True):
                if self.dead:
                    # It ran out of time: what it leaves behind is its own only if it was told to leave.
                    self._kill()
                    with anyio.move_on_after(_GOODBYE):
                        await Call().make(self.close)
                await Call().make(self._stack.aclose)

    async def perform(self, call: Callable[[], Awaitable[Any]], record: StepRecord, timeout: float) -> Any:
        """Have the session's task make the call; what goes wrong is put down in the record, None is returned then."""
        result, started = Call(), time.monotonic()
        self._call = result
        try:
            await self._send.send((call, result))
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            result.lose(self._stray)
        waited = await result.in_time(self._tap.clock, timeout)
        if not result.done.is_set():
            record.hung = self.last_seen
            self.dead = True
            self._kill()
            self._scope.cancel()
            with anyio.move_on_after(1, shield=True):
                await result.done.wait()
            return None
        self._call = None
        result.describe(record)
        if (took := time.monotonic() - started - waited) > timeout + _SLACK:
            record.hung = f"{self.last_seen}; it blocked the event loop and took {took:.1f}s"
        if self.client is not None:
            record.session_id = self.client.session_id
        return result.value

    async def open(self) -> None:
        self.last = "connecting"
        self._tap.reopen(self.name)
        made = self._factory(self._opening)
        if hasattr(made, "__aenter__") and not hasattr(made, "receive_response"):
            made = await self._stack.enter_async_context(made)
        self.client = cast("SessionClient", made)
        await self.client.connect()

    async def close(self) -> None:
        if self.client is not None:
            await self.client.disconnect()

    async def leave(self) -> None:
        """Close, and leave the context that the factory opened: what either raises is the client's to answer for."""
        try:
            await self.close()
        finally:
            await self._stack.aclose()

    def stop(self) -> None:
        self._send.close()

    async def settle(self) -> None:
        """Before a kill, where the client can say that its session is on disk."""
        await settled(self.client)

    def drop(self) -> None:
        """A kill: SIGKILL where the client has a process; else its transport is gone, and nobody says goodbye. One that
        only reads what an application answers stops reading: the application's own connections stay."""
        if self._only_reads:
            self._kill()
            return
        if hasattr(self._opening.transport, "drop"):
            self._opening.transport.drop()
        self._tap.drop(self.name)
        self._kill()
        self._cut(self.name)

    @property
    def _only_reads(self) -> bool:
        return bool(getattr(self.client, "only_reads", False))

    def _kill(self) -> bool:
        """End the client's processes; false if it is not one that has any."""
        kill = getattr(self.client, "kill", None)
        if not callable(kill):
            return False
        kill()
        return True

    async def turn(self, step: Turn, record: TurnRecord, meanwhile: "Meanwhile | None" = None) -> None:
        """Play one turn to its end, disturbing it where the step says so; then those asked while it streamed."""
        meanwhile = meanwhile or Meanwhile()

        async def during() -> None:
            assert self.client is not None
            for one in meanwhile.second:
                await self.client.query(one.turn.prompt)
            await meanwhile.others()

        await self._one_turn(step, record, during, asks=True)
        for second in meanwhile.second:
            if record.end is not None and step.during not in record.unreached:
                await self._one_turn(second.turn, second, during, asks=False)

    async def _one_turn(
        self, step: Turn, record: TurnRecord, during: Callable[[], Awaitable[None]], *, asks: bool
    ) -> None:
        assert self.client is not None
        plan = Plan(step, self.drop, during, lambda: self._tap.has_read(self.name, step.index), self._opening.client)
        turn = self._begun(step, plan)
        started = self._tap.clock.now()
        reading = partial(self._read, record, plan, started)
        self.last = "the prompt"
        try:
            if asks:
                await self.client.query(step.prompt)
            await plan.act_at("before_request", self.client)
            async with anyio.create_task_group() as tasks:
                if plan.wants_request():
                    tasks.start_soon(plan.act_when_out, turn, self.client)
                if plan.timed:
                    tasks.start_soon(plan.act_in_time, self.client, self._tap.clock)
                await (plan.reader.run(reading) if plan.reader is not None else reading())
                tasks.cancel_scope.cancel()
            if plan.ended_by and record.end is None:
                record.events.append(TurnEnd(ended="interrupted", message=TOLD[plan.ended_by]))
            record.total_ms = self._tap.clock.now() - started
            record.reader_left = plan.done and self._only_reads
            if record.reader_left:
                await self._abandoned(turn)
        finally:
            self._tap.end_turn(self.name)
            if record.total_ms is None:
                record.total_ms = self._tap.clock.now() - started
            record.read_before = plan.read_before
            record.unreached = [*plan.pending, *(one for one in turn.faults if one not in turn.met)]

    def _begun(self, step: Turn, plan: Plan) -> OpenTurn:
        turn = OpenTurn(
            number=step.index,
            due=plan.due,
            disturbed=lambda: plan.done,
            reachable=plan.reachable,
            describe_due=plan.description,
            early=plan.early,
            faults=[one for one in step.disturbances if one.on_the_wire],
            parted=self._finishes,  # nobody closes, so nobody is waited for
        )
        self._tap.begin_turn(self.name, turn)
        return turn

    async def _abandoned(self, turn: OpenTurn) -> None:
        """The reader has left: wait for what the application does then, which it does in its own time."""
        with anyio.move_on_after(_ABANDONED):
            while not self._tap.is_over(self.name, turn.number):  # noqa: ASYNC110  it ends in other tasks
                await anyio.sleep(0.02)
            await anyio.sleep(_STORED)

    async def _read(self, record: TurnRecord, plan: "Plan", started: float) -> None:
        assert self.client is not None
        events = self.client.receive_response()
        async with AsyncExitStack() as closing:
            if hasattr(events, "aclose"):
                closing.push_async_callback(events.aclose)
            ended = record.end is not None
            async for event in events:
                if plan.ended_by == "leave":
                    break
                if ended:
                    record.late.append(event)
                    continue
                ended = isinstance(event, TurnEnd)
                record.events.append(event)
                self.last = event
                self._tap.note_yield(self.name, kind_of(event))
                if record.first_event_ms is None:
                    record.first_event_ms = self._tap.clock.now() - started
                await plan.act_after(record.events, self.client)
                if plan.ended_by == "leave":
                    break
                if plan.pause:
                    await anyio.sleep(plan.pause)


async def _nothing() -> None:
    return None


class Meanwhile(Struct, frozen=True):
    """What is to happen while a turn streams: further prompts of its session, and what the runner does with others."""

    second: Sequence[TurnRecord] = ()
    others: Callable[[], Awaitable[None]] = _nothing


def _seen(event: Event) -> str:
    if isinstance(event, TurnEnd):
        return f"turn end ({event.ended})"
    words = getattr(event, "text", None) or getattr(event, "name", "")
    return f"{kind_of(event).replace('_', ' ')} {str(words)[:60]!r}"
