"""A result as a snapshot: what can regress, without ids, times and costs."""

from collections.abc import Iterator

from convtest.results.model import Part, Request, Result, Step
from convtest.textmatch import visible

HEADERS = {"replayed": "# source: cassette", "simulated": "# source: simulator"}


def snapshot_text(result: Result) -> str:
    """All turns, or those that ask for it; one section for each session, in the order of first use. Control characters
    are escaped."""
    return visible("\n".join([*_lines(result), ""]))


def source_of(snapshot: str) -> str:
    """The line of a snapshot that names where its answers came from."""
    return next((line for line in snapshot.splitlines() if line.startswith("# source:")), "")


def _lines(result: Result) -> Iterator[str]:
    yield f"# {result.about.title}"
    yield HEADERS.get(result.source, f"# source: {result.source}")
    for session in result.sessions:
        yield ""
        yield f"session {session}"
        for step in result.steps:
            if step.session == session and step.in_snapshot:
                yield from _turn(step) if step.kind == "turn" else _act(step)


def _act(step: Step) -> Iterator[str]:
    yield ""
    yield f"  {step.index}. {step.label}{f' -> refused: {step.refused.code}' if step.refused else ''}"


def _turn(step: Step) -> Iterator[str]:
    yield ""
    yield f"  {step.index}. user: {_one_line(step.prompt)}"
    main = [one for one in step.requests if one.main]
    for one in main:
        yield from (f"     {line}" for line in _sent(one))
    if not main:
        yield "     sent: nothing seen"
    yield f"     events: {step.events}"
    for said in step.said:
        if said.kind == "tool_use":
            yield f"     call: {said.name} {_one_line(str(said.input))}"
    for said in step.said:
        if said.kind == "tool_result":
            yield f"     tool {'error' if said.error else 'result'}: {_one_line(said.text)}"
    if step.refused:
        yield f"     refused: {step.refused.code}"
    yield f"     ended: {step.ending.ended if step.ending else 'without a turn end'}"
    yield f"     reply: {_one_line(step.text) or '(no text)'}"


def _sent(one: Request) -> Iterator[str]:
    yield f"sent: {len(one.roles)} message{'s' * (len(one.roles) != 1)} ({_runs(one.roles)})"
    for key, value in one.settings.items():
        yield f"  {key}: {value}" if value is not None else f"  {key}: no longer sent"
    yield from (f"  - {_part(part)}" for part in one.removed)
    yield from (f"  + {_part(part)}" for part in one.added)


def _part(part: Part) -> str:
    return f"{part.role}{'' if part.kind == 'text' else f' {part.kind}'}: {part.text}"


def _runs(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:2])}, … {', '.join(names[-2:])}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
