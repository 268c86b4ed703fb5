"""The live sessions of one item: opened by their clients' factories over the way to their model, and closed."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
from anyio.abc import TaskGroup

from convtest.clients.port import Made, Opening, Tool
from convtest.clients.tools import stand_in
from convtest.errors import MissingCapability
from convtest.gateway.application import Gateway
from convtest.play.live import LiveSession
from convtest.scenario.model import Act, Scenario, Step
from convtest.transcript import ActRecord, Carried, StepRecord, Transcript
from convtest.wire.tap import Tap
from convtest.wire.transports import binding

PLACEHOLDER_KEY = "convtest-placeholder-key"
Clients = dict[str, tuple[str, Mapping[str, Any]]]
"""By session: its client profile, and its options."""
Environment = Callable[[str, Mapping[str, str]], Mapping[str, str]]


@dataclass(slots=True)
class Watch:
    """What a watchdog in another thread looks at: the step in progress and when it should be over."""

    step: Step | None = None
    deadline: float = float("inf")
    """By time.monotonic(), in seconds."""
    last_seen: Callable[[], str] = field(default=lambda: "nothing yet")


class Sessions:
    """Which sessions are open, and how each is opened."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        make: Callable[[str], Made],
        tap: Tap,
        folder: Path,
        transcript: Transcript,
        watch: Watch,
        gateway: Gateway | None,
        environment: Environment,
        clients: Clients,
    ) -> None:
        self._scenario = scenario
        self._make = make
        self._tap = tap
        self._transcript = transcript
        self._watch = watch
        self._gateway = gateway
        self._environment = environment
        self.workspace = folder / "workspace"
        self._store = folder / "sessions"
        self._tools: tuple[Tool, ...] = tuple(stand_in(tool) for tool in scenario.tools)
        self.open: dict[str, LiveSession] = {}
        self.clients = clients
        self.clients |= {spec.name: (spec.client, spec.options) for spec in scenario.sessions.values()}

    async def connect(self, session: str, record: StepRecord, tasks: TaskGroup, **how: Any) -> LiveSession | None:
        """Open the session with a new client; None if the client refused, which the record then says."""
        client, options = self.clients.setdefault(session, (self._scenario.client, dict(self._scenario.options)))
        made = self._make(client)
        opening = Opening(
            session=session,
            options={**made.options, **options},
            clock=self._tap.clock,
            workspace=self.workspace,
            store=self._store,
            tools=tuple(self._counted(tool, session) for tool in self._tools),
            leftovers=self._transcript.leftovers,
            **self._way(made, session),
            **how,
        )
        cut = self._gateway.drop if self._gateway is not None else lambda lane: None
        live = LiveSession(session, made.factory, opening, self._tap, cut=cut)
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

    def _counted(self, tool: Tool, session: str) -> Tool:
        """The stand-in, each call of which is noted."""

        async def call(given: Mapping[str, Any]) -> tuple[str, bool]:
            step = self._watch.step.index if self._watch.step else 0
            arguments = msgspec.json.encode(dict(given), order="deterministic").decode()
            self._transcript.carried.append(Carried(session, step, tool.name, arguments))
            return await tool.call(given)

        return replace(tool, call=call)

    def _way(self, made: Made, session: str) -> dict[str, Any]:
        """How the session's client reaches its model: through a transport of ours, or over the gateway's address."""
        if made.gateway and self._gateway is not None:
            return {
                "base_url": self._gateway.address(session) + made.base_path,
                "api_key": self._gateway.token,
                # Loopback and plain HTTP: reading certificates would cost 20 ms for nothing.
                "transport": binding("httpx").module.AsyncHTTPTransport(verify=False),
                "environment": self._environment(session, made.environment),
            }
        return {
            "base_url": made.base_url,
            "api_key": os.environ.get(made.api_key_env, "") or PLACEHOLDER_KEY,
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

    async def disconnect(self, session: str, record: StepRecord) -> None:
        live = self.open.pop(session, None)
        if live is not None and not live.dead:
            await live.perform(live.leave, record, self._scenario.timeout)
            live.stop()

    async def close_all(self) -> None:
        self._watch.deadline = time.monotonic() + self._scenario.timeout
        for session in list(self.open):
            record = ActRecord(step=self._scenario.steps[-1], session=session)
            await self.disconnect(session, record)
            if (record.crash or record.hung) and self._transcript.records:
                last = self._transcript.records[-1]
                last.crash = last.crash or record.crash
                last.hung = last.hung or record.hung

    def override(self, act: Act) -> None:
        client, options = self.clients.get(act.session) or self.clients.get(
            act.target, (self._scenario.client, dict(self._scenario.options))
        )
        self.clients[act.session] = (client, {**options, **act.options})
