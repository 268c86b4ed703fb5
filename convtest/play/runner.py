"""Plays a scenario: opens sessions, takes the steps in order and keeps the transcript; it checks nothing."""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio
from anyio.abc import TaskGroup

from convtest.clients.port import ApplicationGone
from convtest.clients.prices import usd
from convtest.errors import MissingCapability
from convtest.play.apps import EXIT, ApplicationError
from convtest.play.belonging import hand_over, sent_in
from convtest.play.calls import SCOPE_DISORDER, is_scope_disorder
from convtest.play.live import LiveSession, Meanwhile
from convtest.play.sessions import Sessions, Watch
from convtest.play.surroundings import Surroundings
from convtest.scenario.model import Act, Scenario, Step, Turn
from convtest.transcript import ActRecord, Origin, SourceName, StepRecord, Transcript, TurnRecord


class Runner:
    """Plays one scenario against one tap."""

    def __init__(
        self,
        scenario: Scenario,
        surroundings: Surroundings,
        *,
        source: SourceName,
        after_turn: Callable[[Transcript], None] = lambda transcript: None,
    ) -> None:
        self._around = surroundings
        self._tap = surroundings.tap
        self.transcript = Transcript(scenario=scenario, source=source, interactions=self._tap.interactions)
        self.watch = Watch()
        self._after_turn = after_turn
        self._scenario = scenario
        self._sessions = Sessions(scenario, surroundings, self.transcript, self.watch)
        self._ids: dict[str, str] = {}
        self._saved: dict[str, list[dict[str, Any]]] = {}

    async def play(self) -> Transcript:
        """The transcript; a client's exceptions are in it, errors of the set-up as `trouble`."""
        self._write_files()
        steps = list(self._scenario.steps)
        try:
            async with AsyncExitStack() as stack:
                if self._around.gateway is not None:
                    await stack.enter_async_context(self._around.gateway.serving())
                await self._play(steps)
        except BaseExceptionGroup as group:
            # The event loop finds out at the end of a session's task that a scope in it was left open, or twice.
            disorder, rest = group.split(is_scope_disorder)
            if rest is not None or disorder is None:
                raise
            last = self.transcript.records[-1]
            last.crash = last.crash or SCOPE_DISORDER
        self.transcript.not_run = tuple(steps)
        return self.transcript

    async def _play(self, steps: list[Step]) -> None:
        async with anyio.create_task_group() as tasks:
            while self._goes_on() and steps:
                await self._next(steps, tasks)
            await self._sessions.close_all()
        self._goes_on()  # for what the last step and the closing brought to light
        gateway = self._around.gateway
        if gateway is None:
            self.transcript.leftovers += [
                f"the answer to request {one.number} of {one.lane!r}, neither read to its end nor closed"
                for one in self._tap.left_open()
            ]
        else:
            self.transcript.leftovers += [f"an answer to {lane} still streams" for lane in await gateway.quiet()]

    def _write_files(self) -> None:
        for name, text in self._scenario.files.items():
            path = self._around.workspace / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def _goes_on(self) -> bool:
        last = self.transcript.records[-1] if self.transcript.records else None
        for one in self._tap.interactions:
            if one.trouble is not None:
                self.transcript.trouble = one.trouble
        self._look_after_apps(last)
        stopped = self.transcript.trouble is not None or self.transcript.missed() is not None
        if last is not None:
            expected = last.step.expect.error if last.step.expect else None
            lost = isinstance(last, ActRecord) and last.error is not None and last.error.code != expected
            stopped = stopped or bool(last.crash or last.hung) or lost
        return not stopped

    def _look_after_apps(self, last: StepRecord | None) -> None:
        gone = isinstance(self.transcript.trouble, ApplicationGone)
        if gone:
            self._around.apps.wait(EXIT)
        death = self._around.apps.death()
        if death is not None and last is not None and (gone or self.transcript.trouble is None):
            death.args = (f"{last.step.place}: {death}",)
            self.transcript.trouble = death

    async def _next(self, steps: list[Step], tasks: TaskGroup) -> None:
        """The next step, or all branches of a `together` at once, each in its own order."""
        first = steps.pop(0)
        if first.group is None:
            await self._step(first, tasks, _taken(steps, first))
            return
        branches: dict[int, list[Step]] = {first.group[1]: [first]}
        while steps and steps[0].group is not None and steps[0].group[0] == first.group[0]:
            branches.setdefault(steps[0].group[1], []).append(steps.pop(0))
        start = len(self.transcript.records)
        async with anyio.create_task_group() as together:
            for branch in branches.values():
                together.start_soon(self._branch, branch, tasks)
        played = self.transcript.records[start:]
        self.transcript.records[start:] = sorted(played, key=lambda record: record.step.index)

    async def _branch(self, steps: list[Step], tasks: TaskGroup) -> None:
        for step in steps:
            await self._step(step, tasks)

    async def _step(self, step: Step, tasks: TaskGroup, during: list[Step] | None = None) -> None:
        record: StepRecord = (
            TurnRecord(step=step, session=step.session)
            if isinstance(step, Turn)
            else ActRecord(step=step, session=step.session)
        )
        self.transcript.records.append(record)
        self.watch.step = step
        self.watch.deadline = time.monotonic() + self._scenario.timeout
        record.session_id_before = self._ids.get(step.session)
        try:
            if isinstance(record, TurnRecord):
                await self._turn(record, tasks, during or [])
            else:
                await self._act(step, record, tasks)  # type: ignore[arg-type]
        except (ApplicationError, ApplicationGone, MissingCapability) as error:
            self.transcript.trouble = error
        self.watch.deadline = float("inf")
        self._note(record)

    def _note(self, record: StepRecord) -> None:
        cast = self._around.cast
        made, options = cast.made(record.session), cast.options(record.session)
        record.client, record.wire = made.profile, str(options.get("wire", made.wire))
        record.policy, record.sends, record.options = made.policy(options), made.sends(options), options
        if isinstance(record, TurnRecord):
            record.price = lambda model, usage: usd(model, usage, made.prices)
        if record.session_id is not None:
            self._ids[record.session] = record.session_id
        wanted = record.step.expect.files if record.step.expect else None
        record.files = {name: self._read(name) for name in wanted or {}}
        if isinstance(record, TurnRecord) and record.end is not None:
            self._after_turn(self.transcript)

    def _read(self, name: str) -> str | None:
        path = self._around.workspace / name
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None

    async def _turn(self, record: TurnRecord, tasks: TaskGroup, during: list[Step]) -> None:
        step = record.turn
        live = self._sessions.open.get(step.session) or await self._sessions.connect(step.session, record, tasks)
        if live is None:
            return
        first = len(self._tap.interactions)
        self.watch.last_seen = lambda: live.last_seen
        queued = [one for one in during if isinstance(one, Turn) and one.session == step.session]
        second = [TurnRecord(step=one, session=step.session) for one in queued]
        meanwhile = Meanwhile(
            second=second,
            others=lambda: self._meanwhile([one for one in during if one not in queued], tasks),
        )
        timeout = self._scenario.timeout * (1 + len(during))
        self.watch.deadline = time.monotonic() + timeout
        await live.perform(lambda: live.turn(step, record, meanwhile), record, timeout)
        if self._around.apps and not step.disturbances and (record.end is None or record.end.ended != "complete"):
            await anyio.to_thread.run_sync(self._around.apps.wait, EXIT)
        for one in (record, *second):
            sent_in(self._tap.interactions, one, first)
        for one in second:
            hand_over(record, one)
        for one in second:
            if record.end is not None and step.during not in record.unreached:
                one.session_id_before = one.session_id = record.session_id
                self.transcript.records.append(one)
                self._note(one)

    async def _meanwhile(self, steps: list[Step], tasks: TaskGroup) -> None:
        """Steps of other sessions, while a turn streams and is not read."""
        kept = self.watch.deadline, self.watch.last_seen
        for step in steps:
            if self._goes_on():
                await self._step(step, tasks)
        self.watch.deadline, self.watch.last_seen = kept

    async def _act(self, act: Act, record: StepRecord, tasks: TaskGroup) -> None:
        match act.kind:
            case "resume" | "continue" | "fork":
                await self._reopen(act, record, tasks)
            case "restore":
                await self._restore(act, record, tasks)
            case "connect":
                await self._sessions.disconnect(act.target, record)
                self._around.cast.override(act)
                await self._sessions.connect(act.target, record, tasks)
            case "disconnect":
                live = self._sessions.open.get(act.target)
                if live is not None:
                    await live.perform(live.close, record, self._scenario.timeout)
            case "restart":
                await anyio.to_thread.run_sync(self._around.apps.restart, act.target, act.place)
            case "kill":
                live = self._sessions.open.get(act.target)
                if live is not None:
                    await live.settle()
                    live.drop()
            case _:
                await self._call(act, record, tasks)

    async def _reopen(self, act: Act, record: StepRecord, tasks: TaskGroup) -> None:
        known = self._ids.get(act.target) or self._sessions.id_of(act.target)
        how: dict[str, Any] = (
            {"continue_": True} if act.kind == "continue" else {"resume": act.session_id or known or ""}
        )
        if act.kind == "fork":
            how |= {"fork": True, "fork_at": act.at}
        if act.new is None:
            await self._sessions.disconnect(act.target, record)
        else:
            self._begins_as(act)
        if record.session_id_before is None:
            record.session_id_before = known
        self._around.cast.override(act)
        await self._sessions.connect(act.session, record, tasks, **how)

    def _begins_as(self, act: Act) -> None:
        position = len(self.transcript.records) - 1
        if act.kind == "restore":
            position = self.transcript.saved_at(act.target, position)
        self.transcript.origins[act.session] = Origin(parent=act.target, position=position, turns=act.at)

    async def _restore(self, act: Act, record: StepRecord, tasks: TaskGroup) -> None:
        if act.new is None:
            await self._sessions.disconnect(act.target, record)
        else:
            self._begins_as(act)
        self._around.cast.override(act)
        live = await self._sessions.connect(act.session, record, tasks)
        if live is not None:
            load = self._capability(live, "load_history", act)
            await live.perform(lambda: load(self._saved[act.target]), record, self._scenario.timeout)

    async def _call(self, act: Act, record: StepRecord, tasks: TaskGroup) -> None:
        live = self._sessions.open.get(act.target) or await self._sessions.connect(act.target, record, tasks)
        if live is None:
            return
        names = {
            "clear": "clear_history",
            "compact": "compact_history",
            "save": "get_messages",
            "delete": "delete",
            "set": "set",
        }
        capability = self._capability(live, names[act.kind], act)
        arguments = (dict(act.options),) if act.kind == "set" else ()
        value = await live.perform(lambda: capability(*arguments), record, self._scenario.timeout)
        if act.kind == "save" and value is not None:
            self._saved[act.target] = list(value)
        if act.kind == "set" and record.error is None:
            self._around.cast.override(act)
        if act.kind == "delete":
            await self._sessions.disconnect(act.target, record)

    def _capability(self, live: LiveSession, name: str, act: Act) -> Callable[..., Any]:
        found = getattr(live.client, name, None)
        if not callable(found):
            client = self._around.cast.client(act.session)
            raise MissingCapability(client=client, capability=name, place=act.place)
        return found  # type: ignore[no-any-return]


def _taken(steps: list[Step], outer: Step) -> list[Step]:
    """The steps that are to run while `outer` streams, off the list."""
    found: list[Step] = []
    while steps and steps[0].within == outer.index:
        found.append(steps.pop(0))
    return found
