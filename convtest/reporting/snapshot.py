"""A transcript as a snapshot: what can regress, without ids, times and costs."""

from collections.abc import Iterator
from typing import Any

from convtest.checks.histories import Block, blocks_of
from convtest.events import kind_of, runs_of_kinds
from convtest.transcript import ActRecord, StepRecord, Transcript, TurnRecord
from convtest.wire.canonical import Canonical

_SHOWN_SETTINGS = ("model", "system", "temperature", "max_tokens", "tools")
HEADERS = {"replayed": "# source: cassette", "simulated": "# source: simulator"}


def snapshot_text(transcript: Transcript) -> str:
    """All turns, or those that ask for it; one section for each session, in the order of first use."""
    return "\n".join([*_lines(transcript), ""])


def source_of(snapshot: str) -> str:
    """The line of a snapshot that names where its answers came from."""
    return next((line for line in snapshot.splitlines() if line.startswith("# source:")), "")


def _lines(transcript: Transcript) -> Iterator[str]:
    yield f"# {transcript.scenario.title}"
    yield HEADERS.get(transcript.source, f"# source: {transcript.source}")
    for session in transcript.sessions():
        yield ""
        yield f"session {session}"
        last: Canonical | None = None
        for record in transcript.records:
            if record.session != session:
                continue
            shown = _is_shown(transcript, record)
            if isinstance(record, TurnRecord):
                lines = list(_turn(record, last))
                last = record.sent() or last
                if shown:
                    yield from lines
            elif isinstance(record, ActRecord) and shown:
                yield from _act(record)


def _is_shown(transcript: Transcript, record: StepRecord) -> bool:
    if transcript.scenario.snapshot:
        return True
    return bool(record.step.expect and record.step.expect.snapshot)


def _act(record: ActRecord) -> Iterator[str]:
    yield ""
    yield f"  {record.step.index}. {record.step.label}{f' -> refused: {record.error.code}' if record.error else ''}"


def _turn(record: TurnRecord, last: Canonical | None) -> Iterator[str]:
    yield ""
    yield f"  {record.step.index}. user: {_one_line(record.turn.prompt)}"
    for one in record.main():
        yield from (f"     {line}" for line in _sent(one.canonical, last))
        last = one.canonical
    if not record.main():
        yield "     sent: nothing seen"
    yield f"     events: {runs_of_kinds(kind_of(event) for event in record.events)}"
    for call in record.calls:
        yield f"     call: {call.name} {_one_line(str(dict(call.input)))}"
    for result in record.results:
        yield f"     tool {'error' if result.is_error else 'result'}: {_one_line(result.text)}"
    if record.error:
        yield f"     refused: {record.error.code}"
    yield f"     ended: {record.end.ended if record.end else 'without a turn end'}"
    yield f"     reply: {_one_line(record.text) or '(no text)'}"


def _sent(sent: Canonical, last: Canonical | None) -> Iterator[str]:
    roles = ", ".join(str(message.get("role")) for message in sent.messages)
    yield f"sent: {len(sent.messages)} message{'s' * (len(sent.messages) != 1)} ({_runs(roles)})"
    before = last.fields if last else {}
    for key in _SHOWN_SETTINGS:
        value = _setting(sent, key)
        if value is not None and (last is None or sent.fields.get(key) != before.get(key)):
            yield f"  {key}: {value}"
        elif value is None and before.get(key) is not None:
            yield f"  {key}: no longer sent"
    old, new = (_parts(last) if last else []), _parts(sent)
    kept = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    yield from (f"  - {_part(block)}" for block in old[kept:])
    yield from (f"  + {_part(block)}" for block in new[kept:])


def _setting(sent: Canonical, key: str) -> str | None:
    if key == "tools":
        return ", ".join(sent.tool_names) or None
    if key == "system":
        return _one_line(sent.system) or None
    value: Any = sent.fields.get(key)
    return None if value is None else str(value)


def _parts(sent: Canonical) -> list[Block]:
    return [block for message in sent.messages for block in blocks_of(message)]


def _part(block: Block) -> str:
    return f"{block.role}{'' if block.kind == 'text' else f' {block.kind}'}: {block.text}"


def _runs(roles: str) -> str:
    names = roles.split(", ")
    return roles if len(names) <= 6 else f"{', '.join(names[:2])}, … {', '.join(names[-2:])}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
