"""A result as a conversation that people read, the failing steps marked."""

from collections.abc import Callable, Collection, Iterator

from convtest.results.model import Result, Said, Step
from convtest.textmatch import visible

_AROUND = 2
"""Steps shown before and after a marked one."""
_WIDTH = 110
Fit = Callable[[str], str]
"""How a text becomes a line."""


def conversation_lines(result: Result, marked: Collection[int], *, whole: bool = False) -> Iterator[str]:
    """One or more lines for each step, `>` before those marked; far from a marked step they are only counted, and long
    texts are cut, but where `whole` is asked for."""
    sessions = result.sessions
    width = max((len(name) for name in sessions), default=0) if len(sessions) > 1 else 0
    near = {step.index for step in result.steps} if whole else _near(result, marked)
    fit = in_one_line if whole else short
    left_out = 0
    for step in result.steps:
        if step.index not in near:
            left_out += 1
            continue
        if left_out:
            yield f"       … {left_out} step{'s' * (left_out != 1)}"
            left_out = 0
        yield from _step_lines(step, step.index in marked, width, fit)
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


def _step_lines(step: Step, marked: bool, width: int, fit: Fit) -> Iterator[str]:
    mark = ">" if marked else " "
    session = f"{step.session:<{width}}  " if width else ""
    head = f" {mark} {step.index:>3}  {session}"
    margin = " " * len(head)
    if step.kind == "turn":
        yield f"{head}user       {fit(step.prompt)}"
        yield from (f"{margin}{line}" for line in _answer_lines(step, fit))
    else:
        yield f"{head}{step.label}"
    if step.refused:
        yield f"{margin}refused    {step.refused.code}: {fit(step.refused.message)}"
    if step.crash:
        yield f"{margin}crashed    {fit(step.crash)}"
    if step.hung:
        yield f"{margin}hung       after {fit(step.hung)}"


def _answer_lines(step: Step, fit: Fit) -> Iterator[str]:
    for said in step.said:
        yield from _said_lines(said, fit)
    if any(one.missed for one in step.requests):
        yield "(no answer: nothing recorded answers this request)"
        return
    ending = step.ending if step.ending is not None and step.ending.ended != "complete" else None
    if ending is not None:
        yield f"({ending.ended}{f': {fit(ending.message)}' if ending.message else ''})"
    if step.conduct:
        yield f"({step.conduct})"
    if ending is not None and ending.retried:
        yield f"(tried again: {fit(', '.join(ending.retried))})"


def _said_lines(said: Said, fit: Fit) -> Iterator[str]:
    match said.kind:
        case "text":
            yield from [f"assistant  {fit(said.text)}"] if said.text.strip() else []
        case "tool_use":
            arguments = ", ".join(f"{key}={value!r}" for key, value in said.input.items())
            yield f"tool use   {said.name}({fit(arguments)})"
        case "tool_result":
            yield f"{'tool error' if said.error else 'tool result'}  {fit(said.text)}"


def in_one_line(text: str) -> str:
    """White space collapsed, control characters shown."""
    return visible(" ".join(text.split()))


def short(text: str) -> str:
    """One line of a length that fits a terminal."""
    line = in_one_line(text)
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
