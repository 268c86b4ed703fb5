"""Shapes of the grammar become a Scenario: names resolved, meanings checked, nothing left to guess."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convtest.errors import Problem, ScenarioError, did_you_mean
from convtest.scenario.durations import seconds
from convtest.scenario.expectations import ExpectShape
from convtest.scenario.grammar import NOT_YET, ScenarioShape, SessionShape
from convtest.scenario.model import (
    Answer,
    Fact,
    Scenario,
    SessionSpec,
    StandIn,
    Step,
    Turn,
    Version,
    place_in,
)
from convtest.scenario.nodes import Mapping
from convtest.scenario.retention import matrix_of
from convtest.scenario.steps import lower_steps
from convtest.scenario.sweeping import sweep_of
from convtest.textmatch import contains_value

INVARIANTS = (
    "history",
    "tool_pairs",
    "one_end",
    "prompts_once",
    "session_id",
    "isolation",
    "mass",
    "kept_text",
    "whole_answer",
    "said",
    "fresh",
    "settings",
)
_NONE = ("proposed", *NOT_YET.get(ExpectShape, ()))
EXPECTATIONS = tuple(name for name in ExpectShape.__struct_encode_fields__ if name not in _NONE)
CHECKS = tuple(dict.fromkeys((*EXPECTATIONS, *INVARIANTS)))
RESERVED_TAGS = frozenset(
    {
        "skip",
        "skipif",
        "xfail",
        "parametrize",
        "usefixtures",
        "filterwarnings",
        "tryfirst",
        "trylast",
        "live",
        "sweep",
        "retention",
        "anyio",
    }
)
TOOL_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
DEFAULT_TIMEOUT = 60.0
_MOST_OF_A_NAME = 200
_MOST_OF_A_PART = 255
"""Bytes: what file systems take."""


def lower(shape: ScenarioShape, node: Mapping, *, path: Path, clients: tuple[str, ...], **naming: Any) -> Scenario:
    """The scenario that a shape means. Raises ScenarioError with all that does not make sense."""
    problems = list(_nothing_to_play(shape, node))
    facts = {name: _fact(name, fact) for name, fact in shape.facts.items()}
    sessions = _sessions(shape, naming["client"])
    steps = lower_steps(shape, node, facts, sessions, problems)
    sweep = sweep_of(shape, node, facts, sessions, steps, problems) if not problems else None
    matrix = matrix_of(shape, node, facts, problems)
    problems += _wrong_names(shape, node, clients, steps)
    problems += _paths_outside(shape, node)
    problems += _names_that_cannot_be_shown(shape, node, steps)
    timeout = _timeout(shape, node, problems)
    if problems:
        raise ScenarioError(sorted(problems, key=lambda problem: problem.place))
    return Scenario(
        title=shape.scenario,
        file=path,
        place=node.place,
        tags=tuple(shape.tags),
        fixtures=tuple(shape.fixtures or ()),
        timeout=timeout,
        options=shape.options,
        files=shape.files,
        sessions=sessions,
        facts=facts,
        tools=_stand_ins(shape),
        steps=tuple(steps),
        skipped_invariants=frozenset(_as_list(shape.invariants.skip) if shape.invariants else ()),
        skip=shape.skip,
        xfail=shape.xfail,
        budget=shape.budget,
        snapshot=shape.snapshot,
        sweep=sweep,
        retention=matrix,
        cassette=(path.parent / shape.cassette) if shape.cassette else None,
        unplayed=shape.unplayed.allow if shape.unplayed else 0,
        node=node,
        warnings=tuple(_warnings(shape, node, steps)),
        **naming,
    )


def _nothing_to_play(shape: ScenarioShape, node: Mapping) -> Iterator[Problem]:
    if not shape.steps and shape.retention is None:
        place = node.keys.get("steps")
        yield Problem("there are no steps" if place else "'steps' is missing", place or node.place)


def _timeout(shape: ScenarioShape, node: Mapping, problems: list[Problem]) -> float:
    if shape.timeout is None:
        return DEFAULT_TIMEOUT
    try:
        timeout = seconds(shape.timeout)
    except ValueError as error:
        problems.append(Problem(str(error), node.keys["timeout"]))
        return DEFAULT_TIMEOUT
    if timeout <= 0:
        problems.append(Problem("timeout is more than 0", node.keys["timeout"]))
    return timeout


def _fact(name: str, fact: Any) -> Fact:
    newer = tuple(Version(version.tell, version.answer) for version in fact.then)
    return Fact(name=name, ask=fact.ask, versions=(Version(fact.tell, fact.answer), *newer), unique=fact.unique)


def _sessions(shape: ScenarioShape, client: str) -> dict[str, SessionSpec]:
    declared = shape.sessions or {"main": None}
    return {
        name: SessionSpec(
            name=name,
            client=(session.client if session and session.client else client),
            options={**shape.options, **((session.options if session else None) or {})},
            cwd=(session.cwd if session else None) or "",
            history=_preset(session),
        )
        for name, session in declared.items()
    }


def _preset(session: SessionShape | None) -> tuple[tuple[str, str], ...]:
    messages = (session.history if session else None) or []
    return tuple(("user", m.user) if m.user is not None else ("assistant", m.assistant or "") for m in messages)


def _stand_ins(shape: ScenarioShape) -> tuple[StandIn, ...]:
    return tuple(
        StandIn(
            name=name,
            description=tool.description,
            input=tool.input,
            answers=tuple(Answer(when=a.when, value=a.return_, error=a.error) for a in tool.answers),
        )
        for name, tool in shape.tools.items()
    )


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _wrong_names(shape: ScenarioShape, node: Mapping, clients: tuple[str, ...], steps: list[Step]) -> Iterator[Problem]:
    for tag in shape.tags:
        if tag in RESERVED_TAGS or not tag.isidentifier():
            why = "is one of pytest's own marks" if tag in RESERVED_TAGS else "is not a plain word"
            yield Problem(f"the tag {tag!r} {why}", node.keys["tags"], "use another word for it")
    for name, session in shape.sessions.items():
        for number, message in enumerate((session.history if session else None) or [], 1):
            if (message.user is None) == (message.assistant is None):
                place = place_in(node, ("sessions", name, "history"))
                yield Problem(f"message {number} of the history needs either user: or assistant:", place)
        if session and session.client and clients and session.client not in clients:
            place = place_in(node, ("sessions", name, "client"))
            yield Problem(f"unknown client {session.client!r}", place, did_you_mean(session.client, clients))
    for name in _as_list(shape.invariants.skip) if shape.invariants else ():
        if name not in INVARIANTS:
            place = place_in(node, ("invariants", "skip"))
            yield Problem(f"unknown invariant {name!r}", place, did_you_mean(name, INVARIANTS))
    for name, tool in shape.tools.items():
        for parameter, kind in tool.input.items():
            if isinstance(kind, str) and kind not in TOOL_TYPES:
                place = place_in(node, ("tools", name, "input", parameter))
                yield Problem(f"{kind!r} is no type of a tool's input", place, did_you_mean(kind, TOOL_TYPES))
    if shape.xfail:
        yield from _wrong_xfail(shape, node, steps)


def _wrong_xfail(shape: ScenarioShape, node: Mapping, steps: list[Step]) -> Iterator[Problem]:
    assert shape.xfail is not None
    if shape.xfail.check not in CHECKS:
        place = place_in(node, ("xfail", "check"))
        yield Problem(f"unknown check {shape.xfail.check!r}", place, did_you_mean(shape.xfail.check, CHECKS))
    ids = {step.id for step in steps if step.id}
    if shape.xfail.at is not None and shape.xfail.at not in ids:
        place = place_in(node, ("xfail", "at"))
        yield Problem(f"no step has the id {shape.xfail.at!r}", place, did_you_mean(shape.xfail.at, ids))


def _paths_outside(shape: ScenarioShape, node: Mapping) -> Iterator[Problem]:
    for name in shape.files:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            place = place_in(node, ("files", name))
            yield Problem(f"{name!r} lies outside the workspace", place, "use a path below it, without ..")
    for name, session in shape.sessions.items():
        cwd = Path((session.cwd if session else None) or ".")
        place = place_in(node, ("sessions", name, "cwd"))
        if cwd.is_absolute() or ".." in cwd.parts:
            yield Problem(f"{str(cwd)!r} lies outside the workspace", place, "use a path below it, without ..")
        elif any(len(part.encode()) > _MOST_OF_A_PART for part in cwd.parts):
            yield Problem(f"no folder has a name of more than {_MOST_OF_A_PART} bytes", place, "use several folders")


def _names_that_cannot_be_shown(shape: ScenarioShape, node: Mapping, steps: list[Step]) -> Iterator[Problem]:
    """Of sessions: they stand in addresses, environments, names of files and reports."""
    places = {name: place_in(node, ("sessions", name)) for name in shape.sessions}
    for step in steps:
        places.setdefault(step.session, step.place)
    for name, place in places.items():
        if not name.strip(" .") or not name.isprintable() or len(name) > _MOST_OF_A_NAME:
            shown = repr(name[:40]) + ("…" if len(name) > 40 else "")
            help = f"use letters and signs that can be seen, not dots alone, {_MOST_OF_A_NAME} at most"
            yield Problem(f"{shown} cannot name a session", place, help)


def _warnings(shape: ScenarioShape, node: Mapping, steps: list[Step]) -> Iterator[str]:
    if (
        not any(step.expect for step in steps)
        and not (shape.snapshot or shape.budget or shape.xfail or shape.sweep)
        and not (shape.retention and not steps)
    ):
        yield f"{node.keys['scenario'].line_only}: nothing is expected: add expect: to a step"
    for step in steps:
        if isinstance(step, Turn) and not step.prompt.strip():
            yield f"{step.place.line_only}: the prompt is blank: models refuse it, the answer is the client's own"
    if proposed := [step for step in steps if step.expect is not None and step.expect.proposed]:
        places = ", ".join(dict.fromkeys(str(step.place_of("expect", "proposed").line) for step in proposed))
        help = "read them, and take the mark away where they are right"
        yield f"{node.keys['scenario'].line_only}: expectations are only proposed (lines {places}): {help}"
    for name, fact in shape.facts.items():
        for tell, answer in [(fact.tell, fact.answer), *((newer.tell, newer.answer) for newer in fact.then)]:
            if not contains_value(tell, answer):
                place = place_in(node, ("facts", name, "answer")).line_only
                yield f"{place}: the answer {answer!r} does not stand in {tell!r}, so no request would hold it"
    told = {step.tells[0] for step in steps if isinstance(step, Turn) and step.tells}
    for step in steps:
        if isinstance(step, Turn) and step.asks and step.asks not in told and not _told_in_words(shape, steps, step):
            yield f"{step.place.line_only}: {step.asks!r} is asked for and never told"


def _told_in_words(shape: ScenarioShape, steps: list[Step], asking: Turn) -> bool:
    fact = shape.facts[asking.asks or ""]
    answers = [fact.answer, *(newer.answer for newer in fact.then)]
    before = [step for step in steps if isinstance(step, Turn) and step.index < asking.index]
    return any(answer in step.prompt for step in before for answer in answers)
