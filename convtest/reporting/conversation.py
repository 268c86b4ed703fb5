"""A transcript as a conversation that people read, the failing steps marked."""

from collections.abc import Collection, Iterator
from itertools import groupby

from convtest.checks.conduct import conduct_of
from convtest.events import TextDelta, ToolResult, ToolUse, text_of
from convtest.transcript import StepRecord, Transcript, TurnRecord

_AROUND = 2
"""Steps shown before and after a marked one."""
_WIDTH = 110


def conversation_lines(transcript: Transcript, marked: Collection[int]) -> Iterator[str]:
    """One or more lines for each step, `>` before those marked; far from a marked step they are only counted."""
    many = len(transcript.sessions()) > 1
    width = max((len(name) for name in transcript.sessions()), default=0) if many else 0
    near = _near(transcript, marked)
    left_out = 0
    for record in transcript.records:
        if record.step.index not in near:
            left_out += 1
            continue
        if left_out:
            yield f"       … {left_out} step{'s' * (left_out != 1)}"
            left_out = 0
        yield from _step_lines(record, record.step.index in marked, width)
    if left_out:
        yield f"       … {left_out} step{'s' * (left_out != 1)}"
    if transcript.not_run:
        yield f"       {len(transcript.not_run)} step{'s' * (len(transcript.not_run) != 1)} not run"


def _near(transcript: Transcript, marked: Collection[int]) -> set[int]:
    indexes = [record.step.index for record in transcript.records]
    if len(indexes) <= 12:
        return set(indexes)
    middle = sorted(marked)[:3] or indexes[-1:]
    return {i for i in indexes if any(abs(i - one) <= _AROUND for one in middle)} | set(indexes[:1])


def _step_lines(record: StepRecord, marked: bool, width: int) -> Iterator[str]:
    mark = ">" if marked else " "
    session = f"{record.session:<{width}}  " if width else ""
    head = f" {mark} {record.step.index:>3}  {session}"
    margin = " " * len(head)
    if isinstance(record, TurnRecord):
        yield f"{head}user       {short(record.turn.prompt)}"
        yield from (f"{margin}{line}" for line in _answer_lines(record))
    else:
        yield f"{head}{record.step.label}"
    if record.error:
        yield f"{margin}refused    {record.error.code}: {short(record.error.message)}"
    if record.crash:
        yield f"{margin}crashed    {short(record.crash)}"
    if record.hung:
        yield f"{margin}hung       after {short(record.hung)}"


def _answer_lines(record: TurnRecord) -> Iterator[str]:
    yield from _said_lines(record)
    if any(one.missed for one in [*record.interactions, *record.borrowed]):
        yield "(no answer: nothing recorded answers this request)"
        return
    if record.end is not None and record.end.ended != "complete":
        yield f"({record.end.ended}{f': {short(record.end.message)}' if record.end.message else ''})"
    conduct = str(conduct_of(record)) if record.wire == "history" else ""
    if conduct:
        yield f"({conduct})"
    if record.end is not None and record.end.ended != "complete" and record.end.retried:
        yield f"(tried again: {short(', '.join(record.end.retried))})"


def _said_lines(record: TurnRecord) -> Iterator[str]:
    """What was said and done, in its order; pieces of one text in one line."""
    for kind, run in groupby(record.events, type):
        if kind is TextDelta:
            text = record.scrub(text_of(run))
            yield from [f"assistant  {short(text)}"] if text.strip() else []
            continue
        for event in run:
            match event:
                case ToolUse(name=name, input=given):
                    arguments = ", ".join(f"{key}={value!r}" for key, value in given.items())
                    yield f"tool use   {name}({short(arguments)})"
                case ToolResult(text=text, is_error=is_error):
                    yield f"{'tool error' if is_error else 'tool result'}  {short(text)}"


def short(text: str) -> str:
    """One line of a length that fits a terminal."""
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
