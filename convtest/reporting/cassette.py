"""A cassette as people read it."""

from collections.abc import Iterator, Sequence

from convtest.events import runs_of_kinds
from convtest.reporting.conversation import short
from convtest.wire.blocks import Block, blocks_of
from convtest.wire.interaction import Interaction

_TIMELINE = 60
"""Columns; `.` is one chunk, `#` several."""


def cassette_lines(name: str, interactions: Sequence[Interaction], *, timeline: bool = False) -> Iterator[str]:
    """One block of lines per interaction; of each request only what its lane had not sent before."""
    lanes = list(dict.fromkeys(one.lane or "unknown lane" for one in interactions))
    yield f"{name}: {len(interactions)} interaction{'s' * (len(interactions) != 1)}, {', '.join(lanes) or 'no lanes'}"
    known: dict[str | None, list[Block]] = {}
    for one in interactions:
        yield ""
        turn = f", step {one.turn}" if one.turn else ""
        yield f"  {one.number}. {one.lane or 'unknown lane'}{turn}  {one.canonical.method} {one.canonical.url}"
        blocks = [block for message in one.canonical.messages for block in blocks_of(message)]
        before = known.get(one.lane, [])
        new = blocks[len(before) :] if blocks[: len(before)] == before else blocks
        if len(new) < len(blocks):
            yield f"     … as before: {len(blocks) - len(new)}"
        yield from (f"     {_label(block)}  {short(block.text)}" for block in new)
        reply = blocks_of({"role": "assistant", "content": one.reply().get("content") or []})
        known[one.lane] = [*blocks, *reply]
        yield from (f"     {line}" for line in _answer(one, timeline))


def _label(block: Block) -> str:
    names = {"tool_use": "tool use", "tool_result": "tool result"}
    return f"{names.get(block.kind, block.role):<11}"


def _timeline(one: Interaction) -> str:
    """One mark for each chunk on a line of time, and how the stream ended."""
    if not one.chunks:
        return f"| {one.ended}"
    last = max(one.chunks[-1].ms, 1.0)
    marks = [" "] * _TIMELINE
    for chunk in one.chunks:
        at = min(_TIMELINE - 1, int(chunk.ms / last * (_TIMELINE - 1)))
        marks[at] = "#" if marks[at] != " " else "."
    return f"0 ms |{''.join(marks)}| {last:g} ms, {one.ended}"


def _answer(one: Interaction, timeline: bool) -> Iterator[str]:
    message = one.reply()
    for block in blocks_of({"role": "assistant", "content": message.get("content") or []}):
        yield f"-> {_label(block)}  {short(block.text)}"
    if not message and one.body:
        yield f"-> {short(one.body.decode('utf-8', 'replace'))}"
    if timeline:
        yield f"   {_timeline(one)}"
    size = f"{len(one.chunks)} chunks, {len(one.body)} bytes"
    times = f", {one.first_byte or 0:g} to {one.chunks[-1].ms:g} ms" if one.chunks else ""
    if one.edited:
        yield "   edited by hand: the lengths of its chunks do not add up, event boundaries are used"
    kinds = f", events: {runs_of_kinds(one.yielded)}" if one.yielded else ""
    yield f"   status {one.status}, {one.ended}; {size}{times}{kinds}"
