"""The steps of a scenario: which session each one acts on, what it tells and asks, and what makes no sense."""

from collections.abc import Iterator
from typing import Any

from convtest.errors import Problem, did_you_mean
from convtest.scenario.disturbing import disturbances, during_point
from convtest.scenario.expectations import ExpectShape
from convtest.scenario.expecting import asked, bad_denials, bad_script, bad_values, listed
from convtest.scenario.grammar import STEP_KEYS, TURN_KEYS, DuringShape, ScenarioShape, StepShape
from convtest.scenario.model import Act, ActKind, Disturbance, Fact, SessionSpec, Step, Turn
from convtest.scenario.nodes import Mapping, Sequence
from convtest.scenario.placing import misplaced, used_twice

_FIELDS = {"continue": "continue_"}
_MAY_NAME_NEW = {"resume", "restore", "fork", "continue"}


def lower_steps(
    shape: ScenarioShape,
    node: Mapping,
    facts: dict[str, Fact],
    sessions: dict[str, SessionSpec],
    problems: list[Problem],
) -> list[Step]:
    """The steps in the order of playing; what is wrong with them is added to `problems`."""
    lowering = _Steps(facts, sessions, problems)
    steps_node = node.entries.get("steps")
    if isinstance(steps_node, Sequence):
        lowering.walk(shape.steps, steps_node)
    return lowering.steps


class _Steps:
    def __init__(self, facts: dict[str, Fact], sessions: dict[str, SessionSpec], problems: list[Problem]) -> None:
        self.steps: list[Step] = []
        self._facts = facts
        self._problems = problems
        self._default = next(iter(sessions))
        self._known = set(sessions)
        self._declared = set(sessions)
        self._told: dict[tuple[str, str], int] = {}
        self._turns: dict[str, list[str | None]] = {}
        self._saved: set[str] = set()
        self._ids: dict[str, Any] = {}
        self._used: set[str] = set()
        self._group: tuple[int, int] | None = None
        self._within: int | None = None

    def walk(self, shapes: list[StepShape], node: Sequence) -> None:
        for shape, child in zip(shapes, node.items, strict=True):
            assert isinstance(child, Mapping)
            if shape.repeat is not None:
                self._repeat(shape, child)
            elif shape.together is not None:
                self._together(shape, child)
            else:
                self._one(shape, child)

    def _repeat(self, shape: StepShape, node: Mapping) -> None:
        if shape.steps is None or not isinstance(steps := node.entries.get("steps"), Sequence):
            self._problems.append(Problem("repeat needs steps:", node.keys["repeat"]))
            return
        if shape.repeat is not None and shape.repeat < 1:
            self._problems.append(Problem("repeat needs a number of at least 1", node.keys["repeat"]))
        self.walk(shape.steps, steps)

    def _together(self, shape: StepShape, node: Mapping) -> None:
        branches = node.entries["together"]
        if (
            self._group is not None
            or self._within is not None
            or not isinstance(branches, Sequence)
            or not shape.together
        ):
            self._problems.append(
                Problem("together needs branches, and stands in no other and in no during", node.keys["together"])
            )
            return
        number, first = len(self.steps) + 1, len(self.steps)
        for index, (branch, child) in enumerate(zip(shape.together, branches.items, strict=True)):
            self._group = (number, index)
            if isinstance(child, Sequence):
                self.walk(branch, child)
        self._group = None
        self._problems += used_twice(self.steps[first:])

    def _one(self, shape: StepShape, node: Mapping) -> None:
        keys = [key for key in STEP_KEYS if key in node.entries]
        if len(keys) != 1:
            found = " and ".join(keys) if keys else "none"
            help = "a step has exactly one of " + ", ".join(STEP_KEYS)
            self._problems.append(Problem(f"what does this step do? found {found}", node.place, help))
            return
        self._problems += misplaced(shape, node, keys[0])
        self._remember_id(shape, node)
        self._problems += self._expectation(shape.expect, node, ("expect",))
        if keys[0] in TURN_KEYS:
            self._turn(shape, node, keys[0])
        else:
            self._act(shape, node, keys[0])

    def _remember_id(self, shape: StepShape, node: Mapping) -> None:
        if shape.id is None:
            return
        if shape.id in self._ids:
            line = self._ids[shape.id].line
            self._problems.append(Problem(f"another step has the id {shape.id!r}", node.keys["id"], f"at line {line}"))
        self._ids.setdefault(shape.id, node.keys["id"])

    def _session(self, name: str, node: Mapping, key: str) -> bool:
        if name in self._known:
            return True
        self._problems.append(
            Problem(f"there is no session {name!r} here", node.keys[key], did_you_mean(name, self._known))
        )
        return False

    def _fact(self, name: str, node: Mapping, key: str) -> bool:
        if name in self._facts:
            return True
        help = did_you_mean(name, self._facts) or "declare it under facts:"
        self._problems.append(Problem(f"unknown fact {name!r}", node.keys[key], help))
        return False

    def _turn(self, shape: StepShape, node: Mapping, key: str) -> None:
        session = shape.session or self._default
        name = str(getattr(shape, key))
        if shape.session and not self._session(session, node, "session"):
            return
        if key != "user" and not self._fact(name, node, key):
            return
        expect, tells, prompt = shape.expect, None, name
        if key == "tell":
            count = self._told.get((session, name), 0)
            version = min(count, len(self._facts[name].versions) - 1)
            self._told[(session, name)] = count + 1
            tells, prompt = (name, version), self._facts[name].versions[version].tell
        if key == "ask":
            prompt, expect = self._facts[name].ask, asked(expect, name)
        if key != "user" and not prompt.strip():
            self._problems.append(Problem("the message is blank", node.keys[key]))
        self._problems += bad_script(shape, expect, node)
        self._turns.setdefault(session, []).append(shape.id)
        self._used.add(session)
        found = disturbances(shape, node, self._problems)
        forked = self._forked(found, shape, node)
        turn = Turn(
            **self._base(shape, node, session, expect),
            prompt=prompt,
            tells=tells,
            asks=name if key == "ask" else None,
            disturbances=tuple(one for one in found if one.do != "fork"),
            simulate=tuple(listed(shape.simulate)),
            boundary=shape.boundary,
            during=forked or during_point(shape, node, self._problems),
        )
        self.steps.append(turn)
        if shape.during is not None:
            self._during(shape.during, node, session)
        elif forked is not None:
            self._mid_turn("fork", turn, forked.new or f"{session}-fork")
        if any(one.do == "resume" for one in found):
            self._mid_turn("resume", turn, None)

    def _forked(self, found: tuple[Disturbance, ...], shape: StepShape, node: Mapping) -> Disturbance | None:
        """The fork among the turn's disturbances."""
        forked = next((one for one in found if one.do == "fork"), None)
        if forked is not None and (shape.during is not None or self._within is not None):
            what = "a fork in mid-turn and during: do not go together"
            self._problems.append(Problem(what, node.place, "fork there by a step of its own"))
        return forked

    def _mid_turn(self, kind: ActKind, turn: Turn, new: str | None) -> None:
        """The act that a disturbance asks for: a fork while the turn streams, a resume once its client is gone."""
        if new in self._known:
            what = f"there is a session {new!r} already"
            help = "a fork begins a new one: give it another name with as:"
            self._problems.append(Problem(what, turn.place, help))
        self._known.add(new or turn.session)
        self._inherit(kind, turn.session, new or turn.session, None)
        base = {name: getattr(turn, name) for name in ("options", "place", "node", "group")}
        within = turn.index if kind == "fork" else turn.within
        self.steps.append(
            Act(
                **base, index=len(self.steps) + 1, session=new or turn.session, id=None, expect=None, within=within,
                kind=kind, target=turn.session, new=new,
            )
        )  # fmt: skip

    def _during(self, shape: DuringShape, node: Mapping, session: str) -> None:
        """The steps that run while the last turn streams."""
        inner = node.entries["during"]
        steps = inner.entries.get("steps") if isinstance(inner, Mapping) else None
        if self._within is not None or self._group is not None:
            self._problems.append(Problem("during stands in no together and no other during", node.keys["during"]))
            return
        first = len(self.steps)
        self._within = first
        if isinstance(steps, Sequence):
            self.walk(shape.steps, steps)
        self._within = None
        for step in self.steps[first:]:
            if isinstance(step, Act) and session in {step.session, step.target}:
                what = f"{step.kind} on the session whose turn is streaming"
                self._problems.append(Problem(what, step.place, "during takes its turns, and steps of other sessions"))

    def _base(self, shape: StepShape, node: Mapping, session: str, expect: ExpectShape | None) -> dict[str, Any]:
        return {
            "index": len(self.steps) + 1,
            "session": session,
            "id": shape.id,
            "expect": expect,
            "options": shape.options or {},
            "place": node.place,
            "node": node,
            "group": self._group,
            "within": self._within,
        }

    def _act(self, shape: StepShape, node: Mapping, key: str) -> None:
        target = str(getattr(shape, _FIELDS.get(key, key)))
        if key == "restart":
            base = self._base(shape, node, self._default, shape.expect)
            self.steps.append(Act(**base, kind="restart", target=target))
        if key == "restart" or not self._target_exists(shape, node, key, target):
            return
        if key == "fork" and shape.as_ is None:
            self._problems.append(Problem("fork needs as: to name the new session", node.keys[key]))
            return
        if key == "fork" and shape.as_ in self._known:
            what = f"there is a session {shape.as_!r} already"
            self._problems.append(Problem(what, node.keys["as"], "a fork begins a new one: give it another name"))
            return
        if key == "save":
            self._saved.add(target)
        session = shape.as_ or target
        if key in {"resume", "fork"} and target not in self._used and shape.session_id is None:
            help = "put a turn of it before this step, or name a session_id:"
            self._problems.append(Problem(f"the session {target!r} was not used yet", node.keys[key], help))
        self._used.add(session)
        kept = self._fork_point(shape, node, target)
        self._inherit(key, target, session, kept)
        self.steps.append(
            Act(
                **self._base(shape, node, session, shape.expect),
                kind=key,  # type: ignore[arg-type]
                target=target,
                new=shape.as_,
                session_id=shape.session_id,
                at=kept,
            )
        )

    def _target_exists(self, shape: StepShape, node: Mapping, key: str, target: str) -> bool:
        if key == "restore":
            if target not in self._saved:
                help = did_you_mean(target, self._saved) or f"put save: {target} before it"
                self._problems.append(Problem(f"nothing is saved under {target!r}", node.keys[key], help))
            return target in self._saved
        if key == "connect" or (key in {"resume", "continue"} and (shape.session_id or key == "continue")):
            self._known.add(target)
            return True
        return self._session(target, node, key)

    def _fork_point(self, shape: StepShape, node: Mapping, target: str) -> int | None:
        if shape.at is None:
            return None
        ids = self._turns.get(target, [])
        if shape.at not in ids:
            known = [step for step in ids if step]
            self._problems.append(
                Problem(
                    f"no turn of {target!r} has the id {shape.at!r}", node.keys["at"], did_you_mean(shape.at, known)
                )
            )
            return None
        return ids.index(shape.at) + 1

    def _inherit(self, key: str, source: str, session: str, kept: int | None) -> None:
        """The new session has heard what its source had."""
        self._known.add(session)
        if session == source or key not in _MAY_NAME_NEW:
            return
        for (name, fact), count in list(self._told.items()):
            if name == source:
                self._told[(session, fact)] = count
        self._turns[session] = list(self._turns.get(source, []))[:kept]

    def _expectation(self, expect: ExpectShape | None, node: Mapping, path: tuple[str, ...]) -> Iterator[Problem]:
        if expect is None:
            return
        inner = node.entries[path[-1]]
        assert isinstance(inner, Mapping)
        for name in (one for one in listed(expect.knows) if one not in self._facts):
            help = did_you_mean(name, self._facts) or "declare it under facts:"
            yield Problem(f"unknown fact {name!r}", inner.keys["knows"], help)
        yield from bad_values(expect, inner)
        yield from bad_denials(inner) if path == ("not",) else ()
        yield from self._expectation(expect.not_, inner, ("not",))
