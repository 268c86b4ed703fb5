"""The live sessions of one item: opened by their clients' factories over the way to their model, and closed."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from anyio.abc import TaskGroup

from convtest.clients.port import Made, Opening, Tool
from convtest.clients.registry import stand_in_key
from convtest.clients.tools import stand_in
from convtest.clock import for_clients
from convtest.errors import MissingCapability
from convtest.play.live import LiveSession
from convtest.play.surroundings import Surroundings
from convtest.play.waiting import outlive_timers, timers_left
from convtest.scenario.model import Scenario, Step
from convtest.structs import Struct, field
from convtest.transcript import ActRecord, Carried, StepRecord, Transcript
from convtest.wire.transports import binding


class Watch(Struct):
    """What a watchdog in another thread looks at: the step in progress and when it should be over."""

    step: Step | None = None
    deadline: float = float("inf")
    """By time.monotonic(), in seconds."""
    last_seen: Callable[[], str] = field(default=lambda: "nothing yet")


class Sessions:
    """Which sessions are open, and how each is opened."""

    def __init__(self, scenario: Scenario, surroundings: Surroundings, transcript: Transcript, watch: Watch) -> None:
        self._scenario = scenario
        self._surroundings = surroundings
        self._tap = surroundings.tap
        self._transcript = transcript
        self._watch = watch
        self._tools: tuple[Tool, ...] = tuple(stand_in(tool) for tool in scenario.tools)
        self.open: dict[str, LiveSession] = {}

    async def connect(self, session: str, record: StepRecord, tasks: TaskGroup, **how: Any) -> LiveSession | None:
        """Open the session with a new client; None if the client refused, which the record then says."""
        around = self._surroundings
        options = around.cast.opened(session)
        made = around.cast.made(session)
        opening = Opening(
            session=session,
            client=made.profile,
            options=options,
            clock=for_clients(self._tap.clock),
            workspace=self._folder(session, used=made.works_on_disk or "python_tools" in options),
            store=around.store,
            tools=tuple(self._counted(tool, session) for tool in self._tools),
            leftovers=self._transcript.leftovers,
            limits=self._tap.limits,
            **self._way(made, session),
            **how,
        )
        cut = around.gateway.drop if around.gateway is not None else lambda lane: None
        finishes = made.policy(around.cast.options(session)).abandoned == "finishes"
        live = LiveSession(session, made.factory, opening, self._tap, cut=cut, finishes=finishes)
        live.start(tasks)
        self._watch.last_seen = lambda: "connecting"
        await live.perform(live.open, record, self._scenario.timeout)
        if not how:
            await self._preset(live, session, record)
        if record.error or record.crash or record.hung:
            live.stop()
            return None
        self.open[session] = live
        return live

    def _folder(self, session: str, *, used: bool) -> Path:
        """Where the session works; one that was begun from another works where that one does."""
        specs, origins = self._scenario.sessions, self._transcript.origins
        while session not in specs and session in origins:
            session = origins[session].parent
        folder = self._surroundings.workspace / (specs[session].cwd if session in specs else "")
        if used:
            folder.mkdir(parents=True, exist_ok=True)
            self._surroundings.store.mkdir(parents=True, exist_ok=True)
        return folder

    def _counted(self, tool: Tool, session: str) -> Tool:
        """The stand-in, each call of which is noted."""

        async def call(given: Mapping[str, Any]) -> tuple[str, bool]:
            step = self._watch.step.index if self._watch.step else 0
            arguments = msgspec.json.encode(dict(given), order="deterministic").decode()
            carried = Carried(session, step, tool.name, arguments)
            self._transcript.carried.append(carried)
            carried.answer = await tool.call(given)
            return carried.answer

        return replace(tool, call=call)

    def _way(self, made: Made, session: str) -> dict[str, Any]:
        """How the session's client reaches its model: through a transport of ours, or over the gateway's address."""
        gateway = self._surroundings.gateway
        if made.gateway and gateway is not None:
            return {
                "base_url": gateway.address(session) + made.base_path,
                "api_key": gateway.token,
                # Loopback and plain HTTP: reading certificates would cost 20 ms for nothing.
                "transport": binding("httpx").module.AsyncHTTPTransport(verify=False),
                "environment": self._surroundings.environment(session, made.environment),
            }
        return {
            "base_url": made.base_url,
            "api_key": os.environ.get(made.api_key_env, "") or stand_in_key(made.api_key_env),
            "transport": binding("httpx").async_transport(self._tap, session),
        }

    async def _preset(self, live: LiveSession, session: str, record: StepRecord) -> None:
        """Give a fresh session the history that the scenario declares for it."""
        spec = self._scenario.sessions.get(session)
        if spec is None or not spec.history or record.error or record.crash or record.hung:
            return
        load = getattr(live.client, "load_history", None)
        if not callable(load):
            place = self._scenario.place_of("sessions", session, "history")
            raise MissingCapability(client=spec.client, capability="load_history", place=place)
        messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in spec.history]
        await live.perform(lambda: load(messages), record, self._scenario.timeout)

    def id_of(self, session: str) -> str | None:
        """The session's own id, as its client has it now: in its first turn nothing else knows it."""
        live = self.open.get(session)
        return live.client.session_id if live is not None and live.client is not None else None

    async def disconnect(self, session: str, record: StepRecord, *, linger: bool = False) -> None:
        """`linger`: its task stays until what the client had set a time for has happened."""
        live = self.open.pop(session, None)
        if live is not None and not live.dead:
            await live.perform(live.leave, record, self._scenario.timeout)
            if linger and not (record.crash or record.hung) and timers_left() > 0:
                await live.perform(outlive_timers, record, self._scenario.timeout)
            live.stop()

    async def close_all(self) -> None:
        self._watch.deadline = time.monotonic() + self._scenario.timeout
        for session in list(self.open):
            record = ActRecord(step=self._scenario.steps[-1], session=session)
            await self.disconnect(session, record, linger=True)
            if (record.crash or record.hung) and self._transcript.records:
                last = self._transcript.records[-1]
                last.crash = last.crash or record.crash
                last.hung = last.hung or record.hung
