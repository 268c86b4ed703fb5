"""What is done to a client in mid-turn, and when."""

import signal
import time
from collections.abc import Awaitable, Callable, Mapping

import anyio

from convtest.clients.port import SessionClient
from convtest.clock import Clock
from convtest.errors import MissingCapability
from convtest.events import Event, kind_of
from convtest.play.reader import Reader
from convtest.scenario.model import Disturbance, Turn
from convtest.wire.tap import OpenTurn

_LOOK = 0.005
"""Seconds in which it is looked again whether a point in time has come."""


class Plan:
    """What is still to be done to the client in one turn: interrupts, a kill, a disconnect."""

    def __init__(
        self,
        step: Turn,
        drop: Callable[[], None],
        during: Callable[[], Awaitable[None]],
        all_read: Callable[[], bool] = lambda: False,
        name: str = "",
    ) -> None:
        """`name` is the client's, for errors."""
        self.pending = [one for one in step.disturbances if not one.on_the_wire]
        self.pending += [step.during] if step.during is not None else []
        self._step = step
        self._name = name
        self._drop = drop
        self._during = during
        self._all_read = all_read
        self.read_before = False
        """Nothing of the answer was left to come when it was done."""
        self.reader = Reader() if any(one.do in _OF_THE_READER for one in self.pending) else None
        """Where something is done to who reads: the task in which that is."""
        self.pause = 0.0
        """Seconds that the reader takes for each event."""
        self.done = False
        """Something has been done to the client in this turn."""
        self.early = anyio.Event() if any(map(_is_early, self.pending)) else None
        """Where something is due before anything is answered: set when it has been done."""

    @property
    def ended_by(self) -> str:
        """What ended who reads, if anything did."""
        return self.reader.ended if self.reader is not None else ""

    def due(self) -> bool:
        return bool(self.pending)

    def description(self) -> str:
        return " and ".join(str(one) for one in self.pending)

    def reachable(self, kinds: list[str]) -> bool:
        return any(one.seconds is not None or _reached(one, kinds) for one in self.pending)

    @property
    def timed(self) -> bool:
        """Whether something is to be done at a point in time."""
        return any(one.seconds is not None for one in self.pending)

    def wants_request(self) -> bool:
        return any(one.after == 0 for one in self.pending)

    async def act_at(self, point: str, client: SessionClient) -> None:
        for one in [one for one in self.pending if one.at == point and one.seconds is None]:
            await self._act(one, client)

    async def act_when_out(self, turn: OpenTurn, client: SessionClient) -> None:
        await turn.request_out.wait()
        for one in [one for one in self.pending if one.after == 0]:
            await self._act(one, client)

    async def act_in_time(self, client: SessionClient, clock: Clock) -> None:
        """What is done at a point in time. An item's own may stand still while an answer does: then ours counts."""
        started, begun = clock.now(), time.monotonic()
        for one in sorted((one for one in self.pending if one.seconds is not None), key=lambda one: one.seconds or 0.0):
            ms = (one.seconds or 0.0) * 1000
            while (left := ms - max(clock.now() - started, (time.monotonic() - begun) * 1000)) > 0:  # noqa: ASYNC110
                await anyio.sleep(min(_LOOK, left / 1000))
            await self._act(one, client)

    async def act_after(self, events: list[Event], client: SessionClient) -> None:
        if not self.pending:
            return
        kinds = [kind_of(event) for event in events]
        for one in [one for one in self.pending if one.after != 0 and _reached(one, kinds)]:
            await self._act(one, client)

    async def _act(self, one: Disturbance, client: SessionClient) -> None:
        self.pending.remove(one)
        if one.do not in _BESIDE:
            self.done, self.read_before = True, self.read_before or self._all_read()
        if one.is_gentle:
            self.pause = one.pause
        elif one.do in _OF_THE_READER and self.reader is not None:
            self.reader.end(one.do, one.times)
        else:
            await ACTS[one.do](self, client)
        if self.early is not None and not any(map(_is_early, self.pending)):
            self.early.set()

    async def beside(self, client: SessionClient) -> None:
        """What runs while the turn streams: the client goes on."""
        await self._during()

    async def kill(self, client: SessionClient) -> None:
        """A kill: SIGKILL where the client has a process; else its transport is gone."""
        await settled(client)
        self._drop()

    async def terminate(self, client: SessionClient) -> None:
        """SIGTERM to the client's processes: what they do then is theirs to say."""
        self._signal(client, signal.SIGTERM)

    async def stop(self, client: SessionClient) -> None:
        """SIGSTOP: they are there, and silent for ever."""
        self._signal(client, signal.SIGSTOP)

    def _signal(self, client: SessionClient, number: int) -> None:
        send = getattr(client, "send_signal", None)
        if not callable(send):
            raise MissingCapability(client=self._name, capability="send_signal", place=self._step.place)
        send(number)

    async def disconnect(self, client: SessionClient) -> None:
        """The client is told; whatever it does, its transport is gone then."""
        await client.disconnect()
        self._drop()

    async def interrupt(self, client: SessionClient) -> None:
        """The client is told."""
        await client.interrupt()


async def settled(client: object) -> None:
    """A client that can say so has its session on disk."""
    settle = getattr(client, "settle", None)
    if callable(settle):
        await settle()


_BESIDE = frozenset({"during", "fork", "slow"})
_OF_THE_READER = frozenset({"cancel", "leave"})
ACTS: Mapping[str, Callable[[Plan, SessionClient], Awaitable[None]]] = {
    "interrupt": Plan.interrupt,
    "kill": Plan.kill,
    "terminate": Plan.terminate,
    "stop": Plan.stop,
    "disconnect": Plan.disconnect,
    "resume": Plan.disconnect,  # the step that follows opens it again
    "fork": Plan.beside,
    "during": Plan.beside,
}
"""By disturbance: what is done to the client; what is done to who reads is the reader's. `during` is the steps that a
scenario says run there."""


def _is_early(one: Disturbance) -> bool:
    return one.after == 0 or (one.at == "before_request" and one.seconds is not None)


def _reached(one: Disturbance, kinds: list[str]) -> bool:
    if one.seconds is not None:
        return False
    if one.after is not None:
        return len(kinds) >= one.after
    return bool(kinds) if one.at == "first_event" else one.at in kinds
