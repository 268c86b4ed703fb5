"""A result as a conversation that people read, the failing steps marked."""

from collections.abc import Collection, Iterator

from convtest.results.model import Result, Said, Step

_AROUND = 2
"""Steps shown before and after a marked one."""
_WIDTH = 110


def conversation_lines(result: Result, marked: Collection[int]) -> Iterator[str]:
    """One or more lines for each step, `>` before those marked; far from a marked step they are only counted."""
    sessions = result.sessions
    width = max((len(name) for name in sessions), default=0) if len(sessions) > 1 else 0
    near = _near(result, marked)
    left_out = 0
    for step in result.steps:
        if step.index not in near:
            left_out += 1
            continue
        if left_out:
            yield f"       … {left_out} step{'s' * (left_out != 1)}"
            left_out = 0
        yield from _step_lines(step, step.index in marked, width)
    if left_out:
        yield f"       … {left_out} step{'s' * (left_out != 1)}"
    if result.not_run:
        yield f"       {result.not_run} step{'s' * (result.not_run != 1)} not run"


def _near(result: Result, marked: Collection[int]) -> set[int]:
    indexes = [step.index for step in result.steps]
    if len(indexes) <= 12:
        return set(indexes)
    middle = sorted(marked)[:3] or indexes[-1:]
    return {i for i in indexes if any(abs(i - one) <= _AROUND for one in middle)} | set(indexes[:1])


def _step_lines(step: Step, marked: bool, width: int) -> Iterator[str]:
    mark = ">" if marked else " "
    session = f"{step.session:<{width}}  " if width else ""
    head = f" {mark} {step.index:>3}  {session}"
    margin = " " * len(head)
    if step.kind == "turn":
        yield f"{head}user       {short(step.prompt)}"
        yield from (f"{margin}{line}" for line in _answer_lines(step))
    else:
        yield f"{head}{step.label}"
    if step.refused:
        yield f"{margin}refused    {step.refused.code}: {short(step.refused.message)}"
    if step.crash:
        yield f"{margin}crashed    {short(step.crash)}"
    if step.hung:
        yield f"{margin}hung       after {short(step.hung)}"


def _answer_lines(step: Step) -> Iterator[str]:
    for said in step.said:
        yield from _said_lines(said)
    if any(one.missed for one in step.requests):
        yield "(no answer: nothing recorded answers this request)"
        return
    ending = step.ending if step.ending is not None and step.ending.ended != "complete" else None
    if ending is not None:
        yield f"({ending.ended}{f': {short(ending.message)}' if ending.message else ''})"
    if step.conduct:
        yield f"({step.conduct})"
    if ending is not None and ending.retried:
        yield f"(tried again: {short(', '.join(ending.retried))})"


def _said_lines(said: Said) -> Iterator[str]:
    match said.kind:
        case "text":
            yield from [f"assistant  {short(said.text)}"] if said.text.strip() else []
        case "tool_use":
            arguments = ", ".join(f"{key}={value!r}" for key, value in said.input.items())
            yield f"tool use   {said.name}({short(arguments)})"
        case "tool_result":
            yield f"{'tool error' if said.error else 'tool result'}  {short(said.text)}"


def short(text: str) -> str:
    """One line of a length that fits a terminal."""
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
