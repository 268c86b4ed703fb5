"""A fresh session knows nobody: its first request holds its prompt, and what all sessions of its client begin with."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from convtest.checks.result import Finding, at_step
from convtest.transcript import ActRecord, Transcript, TurnRecord
from convtest.wire.blocks import collapsed
from convtest.wire.canonical import Canonical, message_texts

_NOT_FRESH = frozenset({"resume", "continue", "restore", "fork"})
_SETTINGS = frozenset({"system", "developer"})


def fresh(transcript: Transcript) -> Iterator[Finding]:
    """Nothing stands before the prompt but the declared history, words of the options, and the opening that the
    profile declares; else as many messages as the client's first session in this process had, before anyone was told
    anything."""
    openings = dict(transcript.openings)
    for record in first_turns(transcript):
        sent, before = record.sent(), opening_of(transcript, record)
        if sent is None or before is None:
            continue
        strange = beyond(before, openings.setdefault(record.client, len(before)))
        if strange and record.policy.memory_across == "none":
            yield _finding(transcript, record, strange, openings[record.client])


def usual_opening(transcript: Transcript, client: str) -> int | tuple[str, ...]:
    """What the client's sessions begin with: as declared or seen before, else as its first session here begins."""
    if client in transcript.openings:
        return transcript.openings[client]
    first = next((one for one in first_turns(transcript) if one.client == client), None)
    return len(opening_of(transcript, first) or ()) if first is not None else 0


def beyond(before: list[str], opening: int | tuple[str, ...]) -> list[str]:
    """What stands before a first prompt and is no part of the opening: messages of other words, or all of more than
    there should be."""
    if isinstance(opening, int):
        return before if len(before) > opening else []
    declared = Counter(map(collapsed, opening))
    return [text for text in before if not _taken(declared, text)]


def _taken(declared: Counter[str], text: str) -> bool:
    declared[text] -= 1
    return declared[text] >= 0


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
    texts = before_prompt(sent, record.turn.prompt) if sent is not None else None
    if texts is None:
        return None
    declared = {collapsed(text) for _, text in transcript.preset(record.session)}
    words = option_words(record.options)
    return [text for text in texts if text not in declared and not any(text and text in one for one in words)]


def before_prompt(sent: Canonical, prompt: str) -> list[str] | None:
    """A text for each message before the one with the prompt, settings apart; None where none holds it."""
    place = _place(sent, prompt)
    if place is None:
        return None
    earlier = (message for message in sent.messages[:place] if message.get("role") not in _SETTINGS)
    return [collapsed(" ".join(message_texts(message))) for message in earlier]


def _place(sent: Canonical, prompt: str) -> int | None:
    wanted = collapsed(prompt)
    holding = (
        index
        for index, message in reversed(list(enumerate(sent.messages)))
        if message.get("role") == "user" and wanted in collapsed(" ".join(message_texts(message)))
    )
    return next(holding, None)


def option_words(options: Mapping[str, Any]) -> list[str]:
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


def _finding(transcript: Transcript, record: TurnRecord, before: list[str], opening: int | tuple[str, ...]) -> Finding:
    stranger = next((item for text in before for said, item in transcript.elsewhere_said.items() if said in text), None)
    what = f": what was said in {stranger}" if stranger else ""
    usual = f"{opening} messages before its prompt, as in other sessions"
    if not opening:
        usual = "its own prompt alone"
    elif not isinstance(opening, int):
        usual = f"its prompt after the declared opening: {' | '.join(text[:60] for text in opening)}"
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
