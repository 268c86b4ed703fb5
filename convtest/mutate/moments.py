"""When a mutator edits: predicates over what is known, which a catalogue joins with edits."""

from convtest.mutate.mutator import Known, When


def first(known: Known) -> bool:
    """In a session's first turn."""
    return known.turn == 0


def later(known: Known) -> bool:
    """In every turn but the first."""
    return known.turn > 0


def last_of_three(known: Known) -> bool:
    """From the third turn on: the history has a middle."""
    return known.turn > 1


def in_the_tool_loop(known: Known) -> bool:
    """In a turn's second request and those after it."""
    return known.request > 0


def resumed(known: Known) -> bool:
    """Once the session was resumed, or continued."""
    return known.way in {"resumed", "continued"}


def just_resumed(known: Known) -> bool:
    """In the first turn after a resume."""
    return resumed(known) and known.since_opened == 1


def forked(known: Known) -> bool:
    """In a fork."""
    return known.way == "forked"


def forked_from(known: Known) -> bool:
    """In a session that others were forked from."""
    return any(one.origin == known.session for one in known.others.values())


def after_interrupt(known: Known) -> bool:
    """In the turn after an interrupted one."""
    return known.cut


def after_failure(known: Known) -> bool:
    """In the turn after one that failed."""
    return known.failed


def cleared(known: Known) -> bool:
    """Once the history was cleared."""
    return known.cleared >= 0


def restored(known: Known) -> bool:
    """In a session that was given its history."""
    return known.loaded


def second_session(known: Known) -> bool:
    """In the first turn of a fresh session, where another one has said something."""
    return known.turn == 0 and known.way == "fresh" and known.stranger() is not None


def beside_others(known: Known) -> bool:
    """Where another session has said something."""
    return known.stranger() is not None


def on_another_try(known: Known) -> bool:
    """Where the last try of the request failed."""
    return known.again


def interrupting(known: Known) -> bool:
    """In a turn that is being interrupted."""
    return known.interrupting


def both(one: When, other: When) -> When:
    return lambda known: one(known) and other(known)
