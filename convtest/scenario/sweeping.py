"""`sweep`: the steps of the items that disturb one turn at every event, made of the scenario's own."""

from collections.abc import Iterable

import msgspec

from convtest.errors import Place, Problem, did_you_mean
from convtest.events import Ended
from convtest.scenario.disturbances import SWEEPABLE, is_status, kind_of_disturbance
from convtest.scenario.expectations import EndedShape, ExpectShape
from convtest.scenario.grammar import TURN_KEYS, DisturbShape, ScenarioShape, StepShape, SweepShape
from convtest.scenario.model import Fact, Point, Scenario, SessionSpec, Step, Sweep, Turn
from convtest.scenario.nodes import Mapping, Node, Scalar, Sequence
from convtest.scenario.steps import lower_steps
from convtest.structs import Struct, replace

NOTHING_TOLD = "Are you still there?"
"""Asked after the disturbance where no fact has been told: without a further turn nothing could be seen."""


class Asked(Struct, frozen=True, kw_only=True):
    """A sweep asked for beside what the file says; None leaves what stands there."""

    turn: str | None = None
    disturb: tuple[str, ...] = ()
    at: str | None = None

    def over(self, shape: ScenarioShape) -> ScenarioShape:
        """The scenario with its sweep as asked; without any where it has no such turn."""
        own, ids = shape.sweep, {step.id for step in shape.steps if step.id and _is_turn(step)}
        turn = self.turn if self.turn in ids else own.turn if own and self.turn is None else None
        if turn is None:
            return msgspec.structs.replace(shape, sweep=None)
        given = {"disturb": list(self.disturb)} if self.disturb else {"disturb": own.disturb} if own else {}
        then = own.then if own and own.turn == turn else None
        at = self.at or (own.at if own else "every event")
        return msgspec.structs.replace(shape, sweep=SweepShape(turn=turn, at=at, then=then, **given))  # type: ignore[arg-type]


def point_of(base: Scenario, sweep: Sweep, point: Point) -> Scenario:
    """The item that disturbs the swept turn at this point, and then asks."""
    point = replace(point, base=base.name, turn=sweep.turn.index)
    name = f"{base.name[:-1]}-{point.label}]" if base.row else f"{base.name}[{point.label}]"
    return replace(
        base, name=name, steps=sweep.steps_at(point), sweep=None, point=point, xfail=None, budget=None, snapshot=False,
        unplayed=0,
    )  # fmt: skip


def sweep_of(
    shape: ScenarioShape,
    node: Mapping,
    facts: dict[str, Fact],
    sessions: dict[str, SessionSpec],
    steps: list[Step],
    problems: list[Problem],
) -> Sweep | None:
    """The scenario's sweep; what makes no sense in it is added to `problems`."""
    asked = shape.sweep
    if asked is None:
        return None
    place = node.keys.get("sweep", node.place)
    inner = node.entries.get("sweep")
    places = inner.keys if isinstance(inner, Mapping) else {}
    position = next((i for i, step in enumerate(shape.steps) if step.id == asked.turn and _is_turn(step)), None)
    disturb = tuple(dict.fromkeys([asked.disturb] if isinstance(asked.disturb, str) else asked.disturb))
    wrong = [found for one in disturb if (found := unknown(one)) is not None]
    problems += [Problem(what, places.get("disturb", place), help) for what, help in wrong]
    if position is None:
        ids = [step.id for step in shape.steps if step.id and _is_turn(step)]
        help = did_you_mean(asked.turn, ids) or "give it an id:; it stands in steps itself, in no repeat or together"
        problems.append(Problem(f"no turn has the id {asked.turn!r}", places.get("turn", place), help))
    if not disturb:
        problems.append(Problem("disturb names nothing", places.get("disturb", place), "leave it out for: interrupt"))
    if asked.then is not None and not asked.then:
        problems.append(Problem("then names no step", places.get("then", place), "leave it out to ask for every fact"))
    if position is None or problems:
        return None
    turn = next(step for step in steps if isinstance(step, Turn) and step.id == asked.turn)
    then = _asked_after(asked, facts, steps, turn)
    maker = _Maker(shape, node, Declared(facts, sessions), position=position, turn=turn, then=then)

    def steps_at(point: Point, into: list[Problem] | None = None) -> tuple[Step, ...]:
        return tuple(maker.steps(point, [] if into is None else into))

    for one in disturb:
        # Here and now, so that what is wrong with `then` is told with its place.
        steps_at(Point(do=one, after=None if one == "restart" else 0, kind="request"), problems)
    return Sweep(turn=turn, disturb=disturb, at=asked.at, steps_at=steps_at)


def _is_turn(step: StepShape) -> bool:
    return any(getattr(step, key) is not None for key in TURN_KEYS)


def unknown(disturbance: str) -> tuple[str, str] | None:
    """What is wrong with it, and what to write instead; None where a turn can be swept by it."""
    if disturbance in SWEEPABLE or is_status(disturbance):
        return None
    help = f"{did_you_mean(disturbance, SWEEPABLE)} (a status of a failure goes too, such as 529)"
    return f"unknown disturbance {disturbance!r}", help


def _asked_after(asked: SweepShape, facts: dict[str, Fact], steps: Iterable[Step], swept: Turn) -> list[StepShape]:
    """The steps that follow the disturbance: those given, else one for every fact told before."""
    if asked.then is not None:
        return asked.then
    before = [step for step in steps if isinstance(step, Turn) and step.index < swept.index]
    mine = [step for step in before if step.session == swept.session]
    told = [name for name, fact in facts.items() if any(_tells(step, fact) for step in mine)]
    return [StepShape(ask=name) for name in told] or [StepShape(user=NOTHING_TOLD)]


def _tells(step: Turn, fact: Fact) -> bool:
    in_words = any(version.answer in step.prompt for version in fact.versions)
    return in_words or (step.tells is not None and step.tells[0] == fact.name)


class Declared(Struct, frozen=True):
    """What the scenario's steps may name."""

    facts: dict[str, Fact]
    sessions: dict[str, SessionSpec]


class _Maker:
    """Makes steps by way of the language: what a point plays could have been written by hand."""

    def __init__(
        self,
        shape: ScenarioShape,
        node: Mapping,
        declared: Declared,
        *,
        position: int,
        turn: Turn,
        then: list[StepShape],
    ) -> None:
        self._shape = shape
        self._facts, self._sessions = declared.facts, declared.sessions
        self._turn = turn
        self._then = then
        steps = node.entries["steps"]
        assert isinstance(steps, Sequence)
        self._before = list(zip(shape.steps[:position], steps.items[:position], strict=True))
        self._swept = shape.steps[position], steps.items[position]
        inner = node.entries.get("sweep")
        self._place = inner.place if isinstance(inner, Mapping) else node.place
        given = inner.entries.get("then") if isinstance(inner, Mapping) else None
        self._then_nodes = list(given.items) if isinstance(given, Sequence) else None

    def steps(self, point: Point, problems: list[Problem]) -> list[Step]:
        made = [*self._before, self._disturbed(point), *self._afterwards(point)]
        shapes, nodes = [shape for shape, _ in made], tuple(node for _, node in made)
        shape = msgspec.structs.replace(self._shape, steps=shapes)
        whole = Mapping({"steps": Sequence(nodes, self._place)}, {"steps": self._place}, False, self._place)
        return lower_steps(shape, whole, self._facts, self._sessions, problems)

    def _disturbed(self, point: Point) -> tuple[StepShape, Node]:
        shape, node = self._swept
        calm = msgspec.structs.replace(shape, disturb=None, interrupt=None, fault=None, expect=None)
        if point.between:
            return calm, node
        early, status = point.kind == "before_request", point.do.isdigit()
        disturb = DisturbShape(
            do="status" if status else point.do,  # type: ignore[arg-type]
            after=f"{point.ms}ms" if point.ms else point.after,
            at="before_request" if early else None,
            status=int(point.do) if status else None,
        )
        expect = ExpectShape(ended=EndedShape(one_of=_ends(point)))
        assert isinstance(node, Mapping)
        keys = {"expect": node.place, "disturb": node.place, **node.keys}
        entries: dict[str, Node] = {**node.entries, "expect": _mapping({"ended": node}, node.place)}
        if shape.ask is not None:
            # What it asks for is not expected of an answer that is cut: only the words are asked.
            calm = msgspec.structs.replace(calm, ask=None, user=self._facts[shape.ask].ask)
            entries["user"], keys["user"] = entries.pop("ask"), keys["ask"]
        marked = Mapping(entries, keys, node.flow, node.place)
        return msgspec.structs.replace(calm, disturb=disturb, expect=expect), marked

    def _afterwards(self, point: Point) -> list[tuple[StepShape, Node]]:
        session, place = self._turn.session, self._place
        fork, kind = f"{session}-fork", kind_of_disturbance(point.do)
        acts = [
            StepShape(fork=session, as_=fork) if act == "fork" else msgspec.convert({act: session}, StepShape)
            for act in (kind.between_acts if point.between else kind.afterwards)
        ]
        found: list[tuple[StepShape, Node]] = [(one, _node_of(one, place)) for one in acts]
        if point.do == "fork":
            found += self._asked_in(fork)
        return found + self._asked_in(session)

    def _asked_in(self, session: str) -> list[tuple[StepShape, Node]]:
        nodes = self._then_nodes or [_node_of(one, self._place) for one in self._then]
        found: list[tuple[StepShape, Node]] = []
        for shape, node in zip(self._then, nodes, strict=True):
            if _is_turn(shape) and shape.session in (None, self._turn.session):
                found.append((msgspec.structs.replace(shape, session=session, id=None), node))
            elif session == self._turn.session:
                found.append((shape, node))
        return found


def _ends(point: Point) -> list[Ended]:
    kind = kind_of_disturbance(point.do)
    at_last = point.last and kind.complete_at_last and "complete" not in kind.ends
    return [*kind.ends, "complete"] if at_last else list(kind.ends)


def _node_of(shape: StepShape, place: Place) -> Mapping:
    names = {"continue_": "continue", "as_": "as"}
    given = {names.get(name, name): getattr(shape, name) for name in shape.__struct_fields__}
    return _mapping({key: Scalar(str(value), False, place) for key, value in given.items() if value is not None}, place)


def _mapping(entries: dict[str, Node], place: Place) -> Mapping:
    return Mapping(entries, dict.fromkeys(entries, place), False, place)
