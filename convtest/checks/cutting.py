"""How a turn was cut short, and what of it the client's policy binds."""

from convtest.transcript import TurnRecord

SENTENCE = 20
"""Letters from which words that come back are no accident: "Yes." is said again."""


def is_interrupted(record: TurnRecord) -> bool:
    """An interrupt is all that was done in the turn."""
    return _done(record) == {"interrupt"}


def is_killed(record: TurnRecord) -> bool:
    """A kill is."""
    done = _done(record)
    return bool(done) and done <= {"kill", "terminate"}


def _done(record: TurnRecord) -> set[str]:
    return {one.do for one in record.turn.disturbances if not one.is_gentle}


def is_early(record: TurnRecord) -> bool:
    """It was cut short before it had sent anything of the conversation."""
    return bool(record.turn.disturbances) and not record.main()


def is_bound(record: TurnRecord) -> bool:
    """Whether the prompt of a turn that was cut short has to stand in the next request: as the policy declares."""
    policy = record.policy
    if is_early(record):
        # Whether a client that is killed, or left, has taken such a prompt is luck.
        return is_interrupted(record) and policy.early_interrupt == "kept"
    interrupted = is_interrupted(record) and policy.interrupted_prompt == "kept"
    return interrupted or (is_killed(record) and policy.killed_prompt == "kept")
