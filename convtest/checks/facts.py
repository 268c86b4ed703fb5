"""What a probe found: whether a reply holds a slot's current value, an older one, somebody else's, or none."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from convtest.scenario.model import Fact
from convtest.textmatch import contains_value, find_value, folded, tokens
from convtest.transcript import Transcript, TurnRecord

Outcome = Literal["hit", "miss", "stale", "hedged", "confused", "leak", "invented", "no_reply"]

_DENIAL = re.compile(
    r"\b(?:not|never|no longer|neither|nor|(?:do|does|is|was|did|has|have|ca|wo|are|were)n't|cannot)\b"
)
_CLAUSE = re.compile(r"[;:!?]|\.(?=\s|$)|,|\bbut\b|\bhowever\b|\binstead\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Every value that counts for one probe."""

    current: str
    older: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    """Values of this session's other slots."""
    foreign: tuple[str, ...] = ()
    """Values told only in sessions that have nothing to do with this one."""
    known_words: frozenset[str] = frozenset()
    """Words of the question and the request: they are not inventions."""


def outcome(reply: str, values: Values) -> Outcome:
    """The one word for a reply. An older value beside the current one is never a hit, whatever is said of it."""
    if not reply.strip():
        return "no_reply"
    if any(contains_value(reply, value) for value in values.foreign):
        return "leak"
    if _affirmed(reply, values.current):
        return "hedged" if _alternatives(reply, values) else "hit"
    if contains_value(reply, values.current):
        return "miss"
    if any(contains_value(reply, value) for value in values.older):
        return "stale"
    if any(contains_value(reply, value) for value in values.others):
        return "confused"
    return "invented" if _invented(reply, values) else "miss"


def _affirmed(reply: str, value: str) -> bool:
    """The value stands in at least one clause that does not deny it."""
    text = folded(reply)
    for start, _ in find_value(reply, value):
        clause = _CLAUSE.split(text[:start])[-1]
        if not _DENIAL.search(clause):
            return True
    return False


def _alternatives(reply: str, values: Values) -> bool:
    if any(contains_value(reply, value) for value in values.older):
        return True
    return _is_number(values.current) and any(
        token.text != values.current and len(token.text) == len(values.current) and _is_number(token.text)
        for token in tokens(reply)
    )


def _invented(reply: str, values: Values) -> bool:
    """Something of the value's shape that nobody said: a number for a number, a name for a name."""
    if _is_number(values.current):
        return any(_is_number(token.text) for token in tokens(reply) if token.text not in values.known_words)
    if not values.current[:1].isupper():
        return False
    names = re.findall(r"(?<![.!?…]\s)(?<!^)\b[A-ZÀ-Þ][\w'-]+", reply.strip())
    return any(folded(name) not in values.known_words and name not in {"I", "I'm", "I'll"} for name in names)


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"\d+(?:\.\d+)?", text))


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
