"""Expectations proposed from what was said: facts told and asked for, words that came back, tools that were called."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from convtest.importing.conversation import Conversation, Turn
from convtest.structs import Struct, field
from convtest.textmatch import contains_value

_WORD = re.compile(r"[^\W_](?:[\w'’-]*[^\W_])?")
_COMMON = frozenset(
    """
    about after again also always and another answer are ask because been before being between both but call can
    come could did does doing done down each even every find first for from gave get give going gone good got
    had has have having hello help her here him his how into its just keep know last let like list live long
    look made make many maybe mean more most much must name need never next nice not now okay one only other our
    out over please put question read really remember right said same say see send set she should show since
    some something still such sure take talk tell than thank thanks that the their them then there these they
    thing things think this those three time told too two under until use user using very want was way well were
    what when where which while who whose why will with word words work would write year yes yet you your
    """.split()
)
_ASKS = re.compile(
    r"\?|^\s*(?:what|which|who|where|when|how|do|did|can|is|are|was|were|tell me|say|name|repeat)\b", re.IGNORECASE
)
_ABOUT = re.compile(
    r"\b(?:my|our|the|which|what)\s+((?!is\b|was\b|do\b|did\b|are\b|were\b)[^\W\d_]{3,20})", re.IGNORECASE
)
_LONGEST_TELL = 400
"""Letters of a prompt that still reads as one statement."""
_READ, _BACK = 4000, 60
"""Letters of a text, and turns before one, in which words are looked for."""
_TELLING = 4
"""The weight of a name or a number: what comes back in an answer to something else than a question has to be one."""
_SHORT = 60
"""Letters of an answer that can be expected as a whole."""


class ProposedFact(Struct, kw_only=True):
    """Told in one turn and asked for in another; both counted from 0."""

    name: str
    answer: str
    told: int
    asked: list[int]


class Proposals(Struct, kw_only=True):
    """What may be expected: facts, and the keys of `expect` by turn."""

    facts: list[ProposedFact] = field(default_factory=list)
    expected: dict[int, dict[str, Any]] = field(default_factory=dict)

    def without(self, turn: int, checks: set[str]) -> bool:
        """Take away what does not hold; whether there was something to take away."""
        before = self._count()
        if "knows" in checks:
            for one in self.facts:
                one.asked = [number for number in one.asked if number != turn]
            self.facts = [one for one in self.facts if one.asked]
        kept = {key: value for key, value in self.expected.get(turn, {}).items() if key not in checks}
        self.expected[turn] = kept
        return before != self._count()

    def ask(self, turns: Sequence[Turn], number: int, answer: str, told: int) -> None:
        """A question for a fact; the same question for the same value asks for the same one."""
        question = turns[number].prompt
        same = (one for one in self.facts if turns[one.asked[0]].prompt == question and one.answer == answer)
        if (known := next(same, None)) is not None:
            known.asked.append(number)
            return
        name = _named(question, {one.name for one in self.facts})
        self.facts.append(ProposedFact(name=name, answer=answer, told=told, asked=[number]))

    def _count(self) -> int:
        return sum(len(one.asked) for one in self.facts) + sum(map(len, self.expected.values()))


def proposals_for(made: Conversation, first: int, *, scripted: bool) -> Proposals:
    """What the conversation shows, from its turn `first` on. `scripted`: its answers are written into the scenario, so
    that to expect their words alone would never fail."""
    found = Proposals()
    for number in range(first, len(made.turns)):
        turn = made.turns[number]
        expected = found.expected.setdefault(number, {})
        if turn.interrupted or any(one.refused for one in turn.rounds):
            continue
        if calls := _calls(turn):
            expected["calls"] = calls
        recalled = _recalled(made.turns, number)
        if recalled is None:
            if not scripted and not calls and (words := _short_answer(turn)):
                expected["contains"] = words
            continue
        answer, told = recalled
        tells = made.turns[told].prompt
        if _ASKS.search(turn.prompt) and told >= first and len(tells) <= _LONGEST_TELL and _is_a_fact(turn, answer):
            found.ask(made.turns, number, answer, told)
        else:
            expected |= (
                {"sent": {"contains": answer}} if scripted else {"contains": answer, "sent": {"contains": answer}}
            )
    return found


def _is_a_fact(turn: Turn, answer: str) -> bool:
    return not turn.calls and contains_value(turn.text, answer)


def _calls(turn: Turn) -> list[Any]:
    """The tools that were called, with the arguments that are short enough to read."""
    found: list[Any] = []
    for call in turn.calls:
        given = {key: value for key, value in call.input.items() if _is_short(value)}
        found.append({call.name: given} if given else call.name)
    return found


def _is_short(value: Any) -> bool:
    return isinstance(value, bool | int | float) or (
        isinstance(value, str) and 0 < len(value) <= 80 and "\n" not in value
    )


def _short_answer(turn: Turn) -> str:
    """An answer of a few words, without the full stop that the next recording may lack."""
    text = turn.text.strip()
    return text.rstrip(".!") if 0 < len(text) <= _SHORT and "\n" not in text and _WORD.search(text) else ""


def _recalled(turns: Sequence[Turn], number: int) -> tuple[str, int] | None:
    """Words of the answer that the user said in an earlier turn and not in this one; and which turn that was."""
    said, now = turns[number].text[:_READ], turns[number].prompt[:_READ]
    if not said or not now:
        return None
    found: list[tuple[int, int, str]] = []
    for earlier in range(max(0, number - _BACK), number):
        for words in _shared(turns[earlier].prompt, said, now):
            others = sum(words in turns[n].prompt for n in range(max(0, number - _BACK), number) if n != earlier)
            found.append((_weight(words, turns[earlier].prompt) - 2 * others, earlier, words))
    best = max(found, default=None)
    least = 1 if _ASKS.search(now) else _TELLING
    return (best[2], best[1]) if best and best[0] >= least else None


def _shared(told: str, said: str, now: str) -> Iterator[str]:
    """Runs of words that both texts have, none of which is common or stands in the prompt of now."""
    here = {word.casefold() for word in _WORD.findall(now)}
    there = {word.casefold() for word in _WORD.findall(said)}
    run: list[re.Match[str]] = []
    for word in [*_WORD.finditer(told[:_READ]), None]:
        fits = word is not None and word[0].casefold() in there - here and not _is_common(word[0])
        if fits and word is not None and (not run or told[run[-1].end() : word.start()] == " "):
            run.append(word)
            continue
        if run:
            yield from _run(told[run[0].start() : run[-1].end()], said, [one[0] for one in run])
        run = [word] if fits and word is not None else []


def _is_common(word: str) -> bool:
    short = len(word) < 3 and word.islower()
    return short or word.casefold() in _COMMON


def _run(words: str, said: str, each: list[str]) -> Iterator[str]:
    if contains_value(said, words) and words in said:
        yield words
        return
    yield from (word for word in each if word in said and contains_value(said, word))


def _weight(words: str, told: str) -> int:
    """How telling words are: names, numbers and long words; those that begin a sentence may be capital by chance."""
    inside = re.search(rf"[\w,;:] {re.escape(words)}", told) is not None
    capital = words[0].isupper() and inside
    digits = any(letter.isdigit() for letter in words)
    long = len(words) >= 5
    return 4 * capital + 4 * (digits and len(words) > 1) + 2 * long + (len(words) >= 4) + words.count(" ")


def _named(prompt: str, taken: set[str]) -> str:
    """A name for a fact: what the question is about."""
    about = next(
        (found[1].lower() for found in _ABOUT.finditer(prompt) if found[1].lower() not in _COMMON - {"name"}), "fact"
    )
    name = about if about.isascii() else "fact"
    return name if name not in taken else next(f"{name}-{n}" for n in range(2, 10_000) if f"{name}-{n}" not in taken)
