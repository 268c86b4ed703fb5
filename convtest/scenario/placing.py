"""Which modifiers go with which steps, and which steps with each other."""

from collections.abc import Iterable, Iterator

from convtest.errors import Problem
from convtest.scenario.grammar import TURN_KEYS, StepShape
from convtest.scenario.model import Step
from convtest.scenario.nodes import Mapping

_ALLOWED = {
    "session": {*TURN_KEYS},
    "as": {"fork", "resume", "restore", "continue"},
    "session_id": {"resume", "fork"},
    "options": {"resume", "continue", "fork", "restore", "connect", "set"},
    "at": {"fork"},
    "steps": {"repeat"},
    "disturb": {*TURN_KEYS},
    "interrupt": {*TURN_KEYS},
    "fault": {*TURN_KEYS},
    "simulate": {*TURN_KEYS},
    "boundary": {*TURN_KEYS},
    "during": {*TURN_KEYS},
}


def misplaced(shape: StepShape, node: Mapping, key: str) -> Iterator[Problem]:
    """Modifiers that do not belong to the step that has this key."""
    for modifier, allowed in _ALLOWED.items():
        if modifier in node.entries and key not in allowed:
            yield Problem(
                f"{modifier!r} does not belong to {key!r}",
                node.keys[modifier],
                "it goes with " + ", ".join(sorted(allowed)),
            )
    if key == "set" and not shape.options:
        yield Problem("set needs options:", node.keys[key])


def used_twice(steps: Iterable[Step]) -> Iterator[Problem]:
    """Steps on a session that another branch of their `together` uses at the same time."""
    owner: dict[str, int] = {}
    for step in steps:
        branch = step.group[1] if step.group else 0
        if owner.setdefault(step.session, branch) != branch:
            what = f"two branches use the session {step.session!r} at once"
            yield Problem(what, step.place, "give each branch its own session")
