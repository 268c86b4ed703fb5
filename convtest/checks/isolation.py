"""Unrelated sessions: what one was told or heard does not stand in the other's requests or replies."""

from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cached_property
from typing import Any

from convtest.checks.mixing import declared, exchange, exchanges, swapped
from convtest.checks.result import Finding, at_step
from convtest.structs import Struct, replace
from convtest.textmatch import contains_value, folded, sentences
from convtest.transcript import ActRecord, Transcript, TurnRecord
from convtest.wire.canonical import Canonical, message_texts
from convtest.wire.interaction import Interaction
from convtest.wire.messages import once

MIN_LETTERS = 8
"""A shorter fact may stand anywhere by chance, unless it is declared unique."""
_MIN_SENTENCE = (3, 12)
"""Words and letters; shorter sentences are said by everybody."""


class _Known(Struct, frozen=True):
    """What one session and its relatives said or heard."""

    said: frozenset[str]
    """Or what the scenario declares, its answers too."""
    heard: frozenset[str]
    facts: frozenset[str]
    answered: frozenset[str]
    """Of what it heard, the words of models and tools; the others are the client's own, which it may tell everybody."""
    exchanges: frozenset[tuple[str, str]]


def isolation(transcript: Transcript) -> Iterator[Finding]:
    """No fact and no whole sentence that is only another session's stands in a session's requests or replies."""
    sessions = transcript.sessions()
    known = _known(transcript, sessions)
    forked = {one.session for one in transcript.records if isinstance(one, ActRecord) and one.act.kind == "fork"}
    talk = _Talk(transcript)
    for record in transcript.turns():
        yield from swapped(transcript, record)
        requests = [_Request(one.canonical) for one in [*record.interactions, *record.borrowed]]
        for other in sessions:
            if not transcript.related(record.session, other):
                finding = _leak(transcript, record, requests, known[record.session], (other, known[other]))
            elif record.wire == "history" and _are_apart(transcript, record.session, other, forked):
                finding = _of_the_other_side(talk, record, requests, other)
            else:
                continue
            if finding:
                yield finding


def _are_apart(transcript: Transcript, one: str, other: str, forked: set[str]) -> bool:
    """Relatives that a fork has parted: each goes its own way from there, a parent and its fork as two of its forks."""
    return not forked.isdisjoint({*transcript.lineage(one)} ^ {*transcript.lineage(other)})


class _Talk:
    """The sentences of each turn and session, each read once: a matrix has hundreds of forks."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._turns: dict[int, frozenset[str]] = {}
        self._sessions: dict[str, frozenset[str]] = {}
        self._mine: tuple[int, frozenset[str]] = (0, frozenset())

    def said_in(self, session: str) -> frozenset[str]:
        """The long ones of all its turns."""
        if session not in self._sessions:
            self._sessions[session] = frozenset(_long(self._of(self._transcript.turns(session))))
        return self._sessions[session]

    def known_to(self, record: TurnRecord) -> frozenset[str]:
        """All that was said before it or in its session."""
        if self._mine[0] != id(record):
            turns = [*self._transcript.heard(record), *self._transcript.turns(record.session)]
            self._mine = id(record), self._of(turns)
        return self._mine[1]

    def _of(self, turns: list[TurnRecord]) -> frozenset[str]:
        for turn in turns:
            if id(turn) not in self._turns:
                self._turns[id(turn)] = _sentences(turn)
        return frozenset().union(*(self._turns[id(turn)] for turn in turns))


class _Request(Struct, frozen=True, dict=True):
    """What stands in one request; it is compared with every other session."""

    sent: Canonical

    @cached_property
    def sentences(self) -> frozenset[str]:
        beside = (*self.sent.before(), *self.sent.reminders)
        said = [once(message, "sentences", _message_sentences) for message in self.sent.messages]
        return frozenset(line for text in beside for line in sentences(text)).union(*said)

    def first(self, facts: Sequence[str], lines: Set[str]) -> str | None:
        """What stands in it first of these facts and whole sentences."""
        if not facts and lines.isdisjoint(self.sentences):
            return None
        return _first(self.sent.texts(), facts, lines)


def _message_sentences(message: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(line for text in message_texts(message) for line in sentences(text))


def _of_the_other_side(talk: _Talk, record: TurnRecord, requests: list[_Request], other: str) -> Finding | None:
    """Nothing that the other one says from the fork on stands in this one's requests."""
    theirs = talk.said_in(other)
    for one in requests:
        there = theirs & one.sentences
        found = one.first([], there - talk.known_to(record)) if there else None
        if found:
            return _finding(record, "wire", "request", other, found)
    return None


def _sentences(turn: TurnRecord) -> frozenset[str]:
    """What was said in a turn, and what the model answered, yielded or not."""
    answers = (_reply_text(one) for one in turn.interactions)
    return frozenset(line for text in (turn.turn.prompt, turn.text, *answers) for line in sentences(text))


def _known(transcript: Transcript, sessions: Sequence[str]) -> dict[str, _Known]:
    """By session. All that are related share what was said in their turns, which is read once."""
    families: dict[str, _Known] = {}
    found: dict[str, _Known] = {}
    for name in sessions:
        first = next((one for one in families if transcript.related(one, name)), name)
        if first not in families:
            families[first] = _told(transcript, first)
        found[name] = _and_declared(transcript, name, families[first])
    return found


def _and_declared(transcript: Transcript, session: str, known: _Known) -> _Known:
    """And what the scenario says of the session and those that it comes from."""
    said: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for name in transcript.lineage(session):
        said.update(sentences(_system(transcript, name)))
        pairs |= declared(transcript.preset(name))
        for _, text in transcript.preset(name):
            said.update(sentences(text))
    if not said and not pairs:
        return known
    return replace(known, said=known.said | said, exchanges=known.exchanges | pairs)


def _told(transcript: Transcript, session: str) -> _Known:
    """What was said and heard in the turns of a session and of all that are related to it."""
    said: set[str] = set()
    answered: set[str] = set()
    heard: set[str] = set()
    facts: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for turn in transcript.turns():
        if transcript.related(turn.session, session):
            said.update(sentences(turn.turn.prompt))
            heard.update(sentences(turn.text))
            pairs |= exchanges(turn)
            answered.update(one for result in turn.results for one in sentences(result.text))
            for sent in turn.interactions:
                answered.update(sentences(_reply_text(sent)))
            if turn.turn.tells:
                name, version = turn.turn.tells
                facts.add(transcript.scenario.facts[name].answers[version])
    return _Known(frozenset(said), frozenset(heard | answered), frozenset(facts), frozenset(answered), frozenset(pairs))


def _leak(
    transcript: Transcript, record: TurnRecord, requests: list[_Request], own: _Known, theirs: tuple[str, _Known]
) -> Finding | None:
    other, foreign = theirs
    facts = [fact for fact in sorted(foreign.facts) if _counts(transcript, fact) and not _owns(own, fact)]
    lines = _long(foreign.said | foreign.heard) - own.said - own.heard
    if record.wire == "history":
        for one in requests:
            found = one.first(facts, lines) or exchange(one.sent, foreign.exchanges - own.exchanges)
            if found:
                return _finding(record, "wire", "request", other, found)
    shown = _long(foreign.said | foreign.answered) - own.said - own.answered
    found = _first([record.text], facts, shown if record.interactions else set())
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


def _first(texts: Sequence[str], facts: Sequence[str], lines: Set[str]) -> str | None:
    for text in texts:
        fact = next((fact for fact in facts if contains_value(text, fact)), None)
        if fact is not None:
            return fact
        whole = lines & set(sentences(text))
        if whole:
            return _as_said(text, min(whole))
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
