"""How a turn was cut short, and what of it the client's policy binds."""

from convtest.transcript import TurnRecord

SENTENCE = 20
"""Letters from which words that come back are no accident: "Yes." is said again."""


def is_interrupted(record: TurnRecord) -> bool:
    """An interrupt is all that was done in the turn."""
    return {one.do for one in record.turn.disturbances} == {"interrupt"}


def is_killed(record: TurnRecord) -> bool:
    """A kill is."""
    done = {one.do for one in record.turn.disturbances}
    return bool(done) and done <= {"kill", "terminate"}


def is_bound(record: TurnRecord) -> bool:
    """Whether the prompt of a turn that was cut short has to stand in the next request: as the policy declares."""
    policy = record.policy
    interrupted = is_interrupted(record) and policy.interrupted_prompt == "kept"
    return interrupted or (is_killed(record) and policy.killed_prompt == "kept")
