"""Which modifiers go with which steps."""

from collections.abc import Iterator

from convtest.errors import Problem
from convtest.scenario.grammar import TURN_KEYS, StepShape
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
