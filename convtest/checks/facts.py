"""What counts for a probe: the values that its session was told, and those told in others."""

from collections.abc import Iterable

from convtest.retention.outcomes import Values
from convtest.scenario.model import Fact
from convtest.textmatch import contains_value, folded, tokens
from convtest.transcript import Transcript, TurnRecord


def told_version(transcript: Transcript, record: TurnRecord, fact: Fact) -> int | None:
    """Which of the slot's values this session was told last, by `tell` or in a prompt's own words; None if never."""
    told: int | None = None
    for role, text in transcript.preset(record.session):
        for index, answer in enumerate(fact.answers):
            if role == "user" and contains_value(text, answer):
                told = index
    for turn in [*transcript.heard(record), record]:
        if turn.turn.tells and turn.turn.tells[0] == fact.name:
            told = turn.turn.tells[1]
            continue
        for index, answer in enumerate(fact.answers):
            if turn is not record and contains_value(turn.turn.prompt, answer):
                told = index
    return told


def values_for(transcript: Transcript, record: TurnRecord, fact: Fact) -> Values:
    """What counts for a probe of this fact at this turn."""
    version = told_version(transcript, record, fact)
    current = fact.answers[version if version is not None else 0]
    others = _told_answers(transcript, record, related=True) - set(fact.answers)
    foreign = _told_answers(transcript, record, related=False) - others - set(fact.answers)
    words = _words([record.turn.prompt, *(record.sent().texts() if record.sent() else [])])  # type: ignore[union-attr]
    return Values(
        current=current,
        older=tuple(answer for answer in fact.answers if answer != current),
        others=tuple(sorted(others)),
        foreign=tuple(sorted(_own_only(foreign, others, current))),
        known_words=words,
    )


def _told_answers(transcript: Transcript, record: TurnRecord, *, related: bool) -> set[str]:
    found: set[str] = set()
    for turn in transcript.turns():
        if turn.turn.tells and transcript.related(turn.session, record.session) == related:
            name, version = turn.turn.tells
            found.add(transcript.scenario.facts[name].answers[version])
    return found


def _own_only(foreign: Iterable[str], own: set[str], current: str) -> list[str]:
    kept = {folded(value) for value in [*own, current]}
    return [value for value in foreign if folded(value) not in kept]


def _words(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(token.text for text in texts for token in tokens(text))
