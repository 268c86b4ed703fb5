"""A fresh session knows nobody: its first request holds its prompt, and what all sessions of its client begin with."""

from collections.abc import Iterator, Mapping
from typing import Any

from convtest.checks.result import Finding, at_step
from convtest.transcript import ActRecord, Transcript, TurnRecord
from convtest.wire.blocks import collapsed
from convtest.wire.canonical import Canonical, message_texts

_NOT_FRESH = frozenset({"resume", "continue", "restore", "fork"})
_SETTINGS = frozenset({"system", "developer"})


def fresh(transcript: Transcript) -> Iterator[Finding]:
    """Nothing stands before the prompt but the declared history, words of the options, and as many messages as the
    client's first session in this process had, before anyone was told anything."""
    openings = dict(transcript.openings)
    for record in first_turns(transcript):
        sent, before = record.sent(), opening_of(transcript, record)
        if sent is None or before is None:
            continue
        expected = openings.setdefault(record.client, len(before))
        if len(before) > expected and record.policy.memory_across == "none":
            yield _finding(transcript, record, before, expected)


def first_turns(transcript: Transcript) -> Iterator[TurnRecord]:
    """Of each session that begins anew, where its requests can be seen."""
    for session in transcript.sessions():
        if session in transcript.origins:
            continue
        mine = [record for record in transcript.records if record.session == session]
        if isinstance(mine[0], ActRecord) and mine[0].act.kind in _NOT_FRESH:
            continue
        first = next((record for record in mine if isinstance(record, TurnRecord)), None)
        if first is not None and first.wire == "history" and not first.unsure:
            yield first


def opening_of(transcript: Transcript, record: TurnRecord) -> list[str] | None:
    """What stands before the message with the prompt, a text for each message, but for what was declared; None where no
    request with it was sent."""
    sent = record.sent()
    place = _place(sent, record.turn.prompt) if sent is not None else None
    if sent is None or place is None:
        return None
    declared = {collapsed(text) for _, text in transcript.preset(record.session)}
    words = _words(record.options)
    earlier = (message for message in sent.messages[:place] if message.get("role") not in _SETTINGS)
    texts = (collapsed(" ".join(message_texts(message))) for message in earlier)
    return [text for text in texts if text not in declared and not any(text and text in one for one in words)]


def _place(sent: Canonical, prompt: str) -> int | None:
    wanted = collapsed(prompt)
    holding = (
        index
        for index, message in reversed(list(enumerate(sent.messages)))
        if message.get("role") == "user" and wanted in collapsed(" ".join(message_texts(message)))
    )
    return next(holding, None)


def _words(options: Mapping[str, Any]) -> list[str]:
    """Every text in the options that the session was given."""
    waiting: list[Any] = list(options.values())
    found: list[str] = []
    while waiting:
        match waiting.pop():
            case str(text):
                found.append(collapsed(text))
            case list() | tuple() as items:
                waiting += items
            case dict() as fields:
                waiting += fields.values()
    return found


def _finding(transcript: Transcript, record: TurnRecord, before: list[str], expected: int) -> Finding:
    stranger = next((item for text in before for said, item in transcript.elsewhere_said.items() if said in text), None)
    what = f": what was said in {stranger}" if stranger else ""
    usual = "its own prompt alone" if not expected else f"{expected} messages before its prompt, as in other sessions"
    return at_step(
        record,
        "fresh",
        "wire",
        f"a fresh session begins with a history{what}",
        expected=usual,
        seen=" | ".join(text[:100] for text in before[:4]) + (" …" if len(before) > 4 else ""),
        advice='sessions share state in the client; if it remembers its user on purpose: memory_across = "user"',
        key="user",
    )
