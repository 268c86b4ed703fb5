"""What a conversation holds of what was told in the phrases of retention, and answers made of it alone."""

import re
from functools import lru_cache, partial

from convtest.retention.wording import WORDINGS, Wording, pattern_of
from convtest.simulator.conversation import Conversation, Said
from convtest.structs import Struct
from convtest.textmatch import folded

_STATEMENTS = ("change", "tell", "forget", "belongs", "lives", "holds", "rule", "picked")
_QUESTIONS = ("ask_old", "ask", "hop", "total", "first", "chosen", "choose")


class Statement(Struct, frozen=True):
    """A phrase that was said, with what stood in its places, in the order of the conversation."""

    kind: str
    places: dict[str, str]

    def about(self, name: str, value: str) -> bool:
        return folded(self.places.get(name, "")) == folded(value)


class Memory:
    """What stands in a conversation before its prompt, in one language."""

    def __init__(self, conversation: Conversation, wording: Wording) -> None:
        self._words = wording
        said = conversation.said.so_far(("statements", wording), _NOTHING, partial(_statements, wording))[1]
        before = (one for index, one in said if index < len(conversation.said) - 1)
        self.statements = [*_read("user", conversation.system, wording), *before]

    def current(self, slot: str) -> str | None:
        """The value told last, None where it was never told or is to be forgotten."""
        found: str | None = None
        for one in self.statements:
            if one.kind in {"tell", "change", "forget"} and one.about("slot", slot):
                found = one.places.get("value")
        return found

    def before(self, slot: str) -> str | None:
        """The value that the last change took the place of."""
        values = [
            one.places["value"] for one in self.statements if one.kind in {"tell", "change"} and one.about("slot", slot)
        ]
        return values[-2] if len(values) > 1 else None

    def knows_more(self, slot: str) -> bool:
        return any(one.kind in {"change", "forget"} and one.about("slot", slot) for one in self.statements)

    def last(self, kind: str, place: str, value: str, wanted: str) -> str | None:
        """Of the last phrase of a kind that is about a value: what stands in another of its places."""
        for one in reversed(self.statements):
            if one.kind == kind and one.about(place, value):
                return one.places[wanted]
        return None

    def total(self, one: str, other: str) -> str | None:
        counts = [self.last("holds", "value", box, "number") for box in (one, other)]
        return str(sum(int(count) for count in counts if count)) if all(counts) else None

    def first(self, one: str, other: str) -> str | None:
        """Which of two values was told first; None unless both were."""
        told = [folded(found.places.get("value", "")) for found in self.statements if found.kind in {"tell", "change"}]
        known = [value for value in (one, other) if folded(value) in told]
        return min(known, key=lambda value: told.index(folded(value))) if len(known) == 2 else None

    def rule(self) -> str | None:
        return next((one.places["value"] for one in reversed(self.statements) if one.kind == "rule"), None)

    def picked(self) -> str | None:
        return next((one.places["value"] for one in reversed(self.statements) if one.kind == "picked"), None)

    def summary(self) -> str:
        """All that holds now, in the phrases that tell it."""
        kept: dict[tuple[str, str], str] = {}
        for one in self.statements:
            key = (one.kind.replace("change", "tell"), folded(one.places.get("slot") or one.places.get("value", "")))
            if one.kind == "forget":
                kept.pop(("tell", key[1]), None)
                continue
            kind = "tell" if one.kind == "change" else one.kind
            kept[(kind, "") if kind in {"rule", "picked"} else key] = getattr(self._words, kind).format(**one.places)
        return " ".join(kept.values())


_Stated = tuple[int, tuple[tuple[int, Statement], ...]]
"""How many texts were looked at, and each statement with the index of its text."""
_NOTHING: _Stated = (0, ())


def _statements(wording: Wording, before: _Stated, said: list[Said]) -> _Stated:
    count, found = before
    new = ((index, one) for index, text in enumerate(said, count) for one in _read(text.role, text.text, wording))
    return count + len(said), (*found, *new)


@lru_cache(maxsize=8192)
def _read(role: str, text: str, wording: Wording) -> tuple[Statement, ...]:
    """The statements in a text, in order; the assistant's own are its picks and its summaries, not what it quotes."""
    found: list[tuple[int, Statement]] = []
    taken: list[tuple[int, int]] = []
    for kind in _STATEMENTS:
        if (kind == "picked") != (role == "assistant") and SUMMARY not in text:
            continue
        for match in pattern_of(getattr(wording, kind)).finditer(text):
            if not any(start <= match.start() < end for start, end in taken):
                taken.append(match.span())
                found.append((match.start(), Statement(kind, match.groupdict())))
    return tuple(statement for _, statement in sorted(found, key=lambda pair: pair[0]))


SUMMARY = "Summary:"
"""How the simulator begins a summary; in it stands what holds, whoever brings it back."""


def recalled(conversation: Conversation, *, at_last: bool = False) -> str | None:
    """An answer to a question about what was told in these phrases; None where none is asked. Everyday talk comes
    before it where English has other ways to tell it; `at_last`: it had no answer."""
    for language, wording in WORDINGS.items():
        for kind in _QUESTIONS:
            asked = pattern_of(getattr(wording, kind)).search(conversation.prompt)
            if asked is not None:
                memory, places = Memory(conversation, wording), asked.groupdict()
                if kind == "ask" and language == "en" and not (at_last or memory.knows_more(places["slot"])):
                    return None
                return _answer(memory, wording, kind, places)
    return None


def _answer(memory: Memory, wording: Wording, kind: str, places: dict[str, str]) -> str:
    if kind == "ask":
        value = memory.current(places["slot"])
        return wording.gives.format(slot=places["slot"], value=value) if value else wording.unknown
    if kind == "choose":
        options = sorted(places.values(), key=folded)
        return wording.picked.format(value=options[sum(map(ord, "".join(options))) % len(options)])
    found: str | None = {
        "ask_old": lambda: memory.before(places["slot"]),
        "hop": lambda: _hop(memory, places["slot"]),
        "total": lambda: memory.total(places["value"], places["other"]),
        "first": lambda: memory.first(places["value"], places["other"]),
        "chosen": memory.picked,
    }[kind]()
    return f"{found}." if found else wording.unknown


def _hop(memory: Memory, slot: str) -> str | None:
    keeper = memory.last("belongs", "slot", slot, "value")
    return memory.last("lives", "value", keeper, "other") if keeper else None


def is_summary_asked(conversation: Conversation) -> bool:
    """Whether the prompt asks for a summary of all that was said."""
    return any(re.search(one.summary, conversation.prompt, re.IGNORECASE) for one in WORDINGS.values())


def summarised(conversation: Conversation) -> str:
    """Every current value that stands in the conversation, in phrases that are read again; empty where none does."""
    return " ".join(filter(None, (Memory(conversation, one).summary() for one in WORDINGS.values())))


def ruled(conversation: Conversation, text: str) -> str:
    """The text as the last rule in the conversation wants it ended."""
    for wording in WORDINGS.values():
        rule = Memory(conversation, wording).rule()
        if rule is not None and text:
            return f"{text} {rule}"
    return text
