"""`disturb`, `interrupt` and `fault` on a turn: three spellings of one mechanism."""

from collections.abc import Iterator
from typing import Any

from convtest.errors import Problem
from convtest.scenario.disturbances import KINDS
from convtest.scenario.durations import seconds
from convtest.scenario.grammar import StepShape
from convtest.scenario.model import Disturbance
from convtest.scenario.nodes import Mapping


def disturbances(shape: StepShape, node: Mapping, problems: list[Problem]) -> tuple[Disturbance, ...]:
    """The turn's disturbances in the order of writing; what is wrong with them is added to `problems`."""
    found: list[Disturbance] = []
    for key, given in _given(shape):
        place = node.keys[key]
        times: dict[str, Any] = {}
        do = getattr(given, "do", None) or ("interrupt" if key == "interrupt" else "status")
        problems.extend(Problem(what, place) for what in _problems(key, do, given))
        for name in ("retry_after", "pause"):
            try:
                if getattr(given, name, None) is not None:
                    times[name] = seconds(getattr(given, name))
            except ValueError as error:
                problems.append(Problem(str(error), place))
        found.append(
            Disturbance(
                do=do,
                **_when(given),
                status=getattr(given, "status", None) or 0,
                times=getattr(given, "times", None) or 1,
                new=getattr(given, "as_", None),
                **times,
            )
        )
    return tuple(found)


def during_point(shape: StepShape, node: Mapping, problems: list[Problem]) -> Disturbance | None:
    """Where in the turn its `during` steps run."""
    given = shape.during
    if given is None:
        return None
    problems.extend(Problem(what, node.keys["during"]) for what in _problems("during", "during", given))
    return Disturbance(do="during", **_when(given))


def _when(given: Any) -> dict[str, Any]:
    """The point: a number of events, a time, or a name."""
    timed = isinstance(given.after, str)
    return {"after": None if timed else given.after, "at": given.at, "seconds": _time(given.after) if timed else None}


def _time(text: str) -> float | None:
    """Seconds; None for what is no time with its unit."""
    try:
        return seconds(text) if text.strip()[-1:].isalpha() else None
    except ValueError:
        return None


def _in_a_stretch(given: Any) -> bool:
    """A time after the prompt, before anything of the answer."""
    return given.at == "before_request" and isinstance(given.after, str)


def _given(shape: StepShape) -> Iterator[tuple[str, Any]]:
    disturb = shape.disturb if isinstance(shape.disturb, list) else [shape.disturb] if shape.disturb else []
    yield from (("disturb", one) for one in disturb)
    if shape.interrupt:
        yield "interrupt", shape.interrupt
    if shape.fault:
        yield "fault", shape.fault


def _problems(key: str, do: str, given: Any) -> Iterator[str]:
    status = getattr(given, "status", None)
    if do == "status":
        if status is None:
            yield f"{key} needs do: or status:"
        elif not 400 <= status <= 599:
            yield f"{status} is no status of a failure (400 to 599)"
        if given.at is not None:
            yield "a status comes in place of an answer: after: counts the answers before it, at: says nothing"
    elif status is not None:
        yield f"status: does not go with do: {do}"
    elif (given.after is None) == (given.at is None) and not _in_a_stretch(given):
        yield f"{key} needs either after: or at: (both are: at: before_request, after: a time)"
    if isinstance(given.after, str):
        if _time(given.after) is None:
            yield f"after: {given.after!r} is neither a number of events nor a time with its unit, such as 2s"
        elif do in KINDS and KINDS[do].on_the_wire:
            yield f"a time is a point for what is done to the client: {do} counts events"
    elif given.after is not None and given.after < 0:
        yield "after: counts events, from 0"
    if getattr(given, "as_", None) is not None and do != "fork":
        yield "as: names the new session of a fork"
    if getattr(given, "pause", None) is not None and do != "slow":
        yield "pause: is what a slow reader takes for each event (do: slow)"
    times = getattr(given, "times", None)
    if times is not None and do not in {"status", "cancel"}:
        yield f"times: goes with a status, and with cancel: {do} is done once"
    if (times or 1) < 1:
        yield "times: is at least 1"
