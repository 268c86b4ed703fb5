"""Unrelated sessions: what one was told or heard does not stand in the other's requests or replies."""

from collections.abc import Iterator
from dataclasses import dataclass

from convtest.checks.result import Finding, at_step
from convtest.textmatch import contains_value, folded, sentences
from convtest.transcript import ActRecord, Transcript, TurnRecord
from convtest.wire.interaction import Interaction

MIN_LETTERS = 8
"""A shorter fact may stand anywhere by chance, unless it is declared unique."""
_MIN_SENTENCE = (3, 12)
"""Words and letters; shorter sentences are said by everybody."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What one session and its relatives said or heard."""

    said: frozenset[str]
    heard: frozenset[str]
    facts: frozenset[str]


def isolation(transcript: Transcript) -> Iterator[Finding]:
    """No fact and no whole sentence that is only another session's stands in a session's requests or replies."""
    sessions = transcript.sessions()
    if len(sessions) < 2:
        return
    known = {name: _known(transcript, name) for name in sessions}
    for record in transcript.turns():
        for other in sessions:
            if not transcript.related(record.session, other):
                finding = _leak(transcript, record, other, known[record.session], known[other])
                if finding:
                    yield finding
    yield from _between_forks(transcript)


def _between_forks(transcript: Transcript) -> Iterator[Finding]:
    """After a fork each side goes its own way: nothing that one says from then on stands in the other's requests."""
    for act in transcript.records:
        if not isinstance(act, ActRecord) or act.act.kind != "fork":
            continue
        pair = act.session, act.act.target
        for record in transcript.turns():
            if record.session in pair and record.wire == "history":
                finding = _of_the_other_side(transcript, record, pair[pair[0] == record.session])
                if finding:
                    yield finding


def _of_the_other_side(transcript: Transcript, record: TurnRecord, other: str) -> Finding | None:
    heard = transcript.heard(record)
    mine = [*heard, *transcript.turns(record.session)]
    theirs = [turn for turn in transcript.turns(other) if not any(turn is one for one in mine)]
    lines = _long(_sentences(theirs)) - _sentences(mine)
    for one in [*record.interactions, *record.borrowed]:
        found = _first(one.canonical.texts(), [], sorted(lines))
        if found:
            return _finding(record, "wire", "request", other, found)
    return None


def _sentences(turns: list[TurnRecord]) -> frozenset[str]:
    return frozenset(line for turn in turns for text in (turn.turn.prompt, turn.text) for line in sentences(text))


def _known(transcript: Transcript, session: str) -> _Known:
    said = {one for name in transcript.lineage(session) for one in sentences(_system(transcript, name))}
    heard: set[str] = set()
    for name in transcript.lineage(session):
        for role, text in transcript.preset(name):
            (said if role == "user" else heard).update(sentences(text))
    facts: set[str] = set()
    for turn in transcript.turns():
        if transcript.related(turn.session, session):
            said.update(sentences(turn.turn.prompt))
            heard.update(sentences(turn.text))
            heard.update(one for result in turn.results for one in sentences(result.text))
            if turn.turn.tells:
                name, version = turn.turn.tells
                facts.add(transcript.scenario.facts[name].answers[version])
    return _Known(frozenset(said), frozenset(heard), frozenset(facts))


def _leak(transcript: Transcript, record: TurnRecord, other: str, own: _Known, foreign: _Known) -> Finding | None:
    facts = [fact for fact in sorted(foreign.facts) if _counts(transcript, fact) and not _owns(own, fact)]
    lines = sorted(_long(foreign.said | foreign.heard) - own.said - own.heard)
    if record.wire == "history":
        for one in [*record.interactions, *record.borrowed]:
            found = _first(one.canonical.texts(), facts, lines)
            if found:
                return _finding(record, "wire", "request", other, found)
    answered = {one for sent in record.interactions for one in sentences(_reply_text(sent))}
    shown = _long(foreign.said | foreign.heard) - own.said - answered
    found = _first([record.text], facts, sorted(shown)) if record.interactions else _first([record.text], facts, [])
    return _finding(record, "reply", "reply", other, found) if found else None


def _system(transcript: Transcript, session: str) -> str:
    spec = transcript.scenario.sessions.get(session)
    return str(spec.options.get("system", "")) if spec else ""


def _reply_text(one: Interaction) -> str:
    content = one.reply().get("content") or []
    return "".join(block.get("text") or "" for block in content if block.get("type") == "text")


def _counts(transcript: Transcript, value: str) -> bool:
    unique = any(fact.unique and value in fact.answers for fact in transcript.scenario.facts.values())
    return unique or sum(letter.isalnum() for letter in value) >= MIN_LETTERS


def _owns(own: _Known, value: str) -> bool:
    return value in own.facts or any(contains_value(text, value) for text in own.said)


def _long(found: frozenset[str]) -> set[str]:
    words, letters = _MIN_SENTENCE
    return {one for one in found if len(one.split()) >= words and len(one) >= letters}


def _first(texts: list[str], facts: list[str], lines: list[str]) -> str | None:
    for text in texts:
        fact = next((fact for fact in facts if contains_value(text, fact)), None)
        if fact is not None:
            return fact
        whole = set(sentences(text))
        line = next((line for line in lines if line in whole), None)
        if line is not None:
            return _as_said(text, line)
    return None


def _as_said(text: str, line: str) -> str:
    return next((part.strip() for part in text.splitlines() if folded(part) == line), line)


def _finding(record: TurnRecord, layer: str, where: str, other: str, found: str) -> Finding:
    return at_step(
        record,
        "isolation",
        "wire" if layer == "wire" else "reply",
        f"what only session {other!r} said or heard stands in the {where} of {record.session!r}",
        expected=f"nothing of {other!r}",
        seen=repr(found),
        advice="sessions share state in the client: look for a history, cache or client object used by both",
        key="user",
    )
