"""Expectations that could never fail, or never hold: found before anything is played."""

import re
from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from convtest.errors import Problem, did_you_mean
from convtest.events import Ended, ErrorCode
from convtest.scenario.durations import seconds
from convtest.scenario.expectations import ExpectShape, RangeShape
from convtest.scenario.grammar import StepShape
from convtest.scenario.nodes import Mapping

EVENT_KINDS = ("text", "thinking", "tool_use", "tool_result", "turn_end")
ENDS = get_args(Ended)
CODES = get_args(ErrorCode)
SURFACED = (*ENDS, "an exception", "nothing", *(f"error ({code})" for code in CODES))
NEVER_DENIED = ("error", "not", "snapshot", "proposed")
"""What `not` does not take: the rows of `checks/expectations` say the same."""
_MAY_BE_EMPTY = frozenset({"equals", "calls", "denied", "events", "snapshot"})


def bad_values(expect: ExpectShape, node: Mapping) -> Iterator[Problem]:
    """What is wrong with the values of one `expect` or `not`, each with its place."""
    if not node.entries:
        yield Problem("nothing is expected here", node.place, "write what must hold, or remove it")
    for key, child in node.entries.items():
        value = getattr(expect, "not_" if key == "not" else key)
        if key not in _MAY_BE_EMPTY and _is_empty(value):
            yield Problem(f"{key!r} is empty and always holds", node.keys[key])
        for problem in _numbers(key, value):
            yield Problem(problem, child.place)
    yield from _words(expect, node)
    for name in expect.proposed or []:
        if name == "proposed" or name not in node.entries:
            known = [key for key in node.entries if key != "proposed"]
            problem = f"{name!r} is proposed and not expected here"
            yield Problem(problem, node.keys["proposed"], did_you_mean(name, known) or "take the mark away")


def bad_denials(node: Mapping) -> Iterator[Problem]:
    """Keys that mean nothing under `not`: they would hold whatever happens."""
    for key in NEVER_DENIED:
        if key in node.entries:
            help = "expect ended: or error: itself" if key == "error" else "write what must hold instead"
            yield Problem(f"{key!r} does not go under not", node.keys[key], help)


def _is_empty(value: Any) -> bool:
    if isinstance(value, msgspec.Struct):
        return all(getattr(value, name) is None for name in value.__struct_fields__)
    # White space is no empty text: `lacks: "  "` and `contains: "\n"` can fail.
    return value in ("", [], {}) or (isinstance(value, list) and "" in value)


def _numbers(key: str, value: Any) -> Iterator[str]:
    """Negative limits and ranges that hold nothing."""
    if isinstance(value, bool) or key in {"json", "calls", "temperature", "equals"}:
        return
    if isinstance(value, RangeShape) and value.min is not None and value.max is not None and value.min > value.max:
        yield f"{key}: no number is at least {value.min:g} and at most {value.max:g}"
    if isinstance(value, int | float) and value < 0:
        yield f"{key} cannot be {value:g}"
    if isinstance(value, msgspec.Struct) and not isinstance(value, ExpectShape):
        for name in value.__struct_fields__:
            yield from _numbers(name, getattr(value, name))


def _words(expect: ExpectShape, node: Mapping) -> Iterator[Problem]:
    for pattern in listed(expect.matches):
        try:
            re.compile(pattern)
        except (re.error, OverflowError) as error:
            yield Problem(f"not a regular expression: {error}", node.keys["matches"])
    for name in ("first_event", "total") if expect.budget else ():
        try:
            seconds(getattr(expect.budget, name) or 0)
        except ValueError as error:
            yield Problem(str(error), node.keys["budget"])
    for kind in expect.events or []:
        if kind not in EVENT_KINDS:
            yield Problem(f"{kind!r} is no kind of event", node.keys["events"], did_you_mean(kind, EVENT_KINDS))
    surfaced = expect.conduct.surfaced if expect.conduct else None
    if surfaced is not None and not _is_an_end(surfaced):
        problem = f"{surfaced!r} is no way in which a turn ends"
        yield Problem(problem, node.keys["conduct"], did_you_mean(surfaced, SURFACED))
    for target in listed(expect.check):
        if ":" not in target:
            yield Problem(f"check {target!r} is not module:function", node.keys["check"])


def _is_an_end(text: str) -> bool:
    """`error`, `error (bad_request)`, `an exception`, `nothing`."""
    ended, _, code = text.partition(" (")
    return text in SURFACED or (ended in ENDS and code.endswith(")") and code[:-1] in CODES)


def asked(expect: ExpectShape | None, fact: str) -> ExpectShape:
    """`ask: f` expects `knows: f`, unless its own expect names f under knows or not."""
    if expect is None:
        return ExpectShape(knows=fact)
    denied = listed(expect.not_.knows) if expect.not_ else []
    if fact in [*listed(expect.knows), *denied]:
        return expect
    fields = {name: getattr(expect, name) for name in expect.__struct_fields__}
    return ExpectShape(**{**fields, "knows": [*listed(expect.knows), fact]})


def listed(value: Any) -> list[Any]:
    """One or more of something, or nothing, as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


MAX_WORDS = 50_000
"""Words of one simulated answer: more than any model says in one."""


def bad_script(shape: StepShape, expect: ExpectShape | None, node: Mapping) -> Iterator[Problem]:
    """A script that would answer what the client has to know, or that says too much."""
    for script in listed(shape.simulate):
        if not 0 <= (script.words or 0) <= MAX_WORDS:
            what = f"simulate: words is 0 to {MAX_WORDS:,}, and not {script.words:,}"
            yield Problem(what, node.keys["simulate"], "no model says more in one answer")
    if shape.simulate and expect and expect.knows:
        yield Problem(
            "simulate on a turn that knows something would answer for the client",
            node.keys["simulate"],
            "remove it: the simulator answers facts from what the request holds",
        )
