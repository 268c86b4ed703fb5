"""A matrix: its cells, and the conversations (trunks) that they are asked in, as plain data."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from convtest.retention.families import FAMILIES, MAIN, OTHER, Maker, Question, Telling
from convtest.retention.pools import Pool
from convtest.retention.wording import WORDINGS, Language
from convtest.structs import Struct

CHILD = "child"
BETWEEN = ("kill", "resume", "fork", "clear", "compact", "restore")
"""Disturbances that come before the first turn of filler."""
ON_IT = ("interrupt", "kill")
"""Those that come on it, after as many events as `@K` says."""


class Trunk(Struct, frozen=True):
    """One conversation: where its facts are told, and what disturbs it."""

    disturb: str
    told_at: int
    repeat: int = 1
    alone: bool = True
    """The only place where facts are told: it needs no word in names."""

    @property
    def label(self) -> str:
        told = "" if self.alone else f"told@{self.told_at}-"
        return f"trunk-{told}{self.disturb}"


class Cell(Struct, frozen=True):
    """One question in one trunk; after a fork in the parent or in the child."""

    trunk: Trunk
    question: Question
    after: int
    session: str = MAIN

    @property
    def disturb(self) -> str:
        if self.trunk.disturb != "fork":
            return self.trunk.disturb
        return "fork-child" if self.session == CHILD else "fork-parent"

    @property
    def label(self) -> str:
        """What stands in its name, the same in every repeat."""
        return f"{self.question.name}-told@{self.trunk.told_at}-after@{self.after}-{self.disturb}"


class Matrix(Struct, frozen=True, kw_only=True):
    """What `retention` declares, resolved."""

    families: tuple[str, ...]
    facts: tuple[Question, ...] = ()
    """Questions for the scenario's own facts."""
    tell_at: tuple[int, ...]
    ask_after: tuple[int, ...]
    disturb: tuple[str, ...]
    filler: tuple[str, ...]
    """Empty for that of the language."""
    seed: int
    language: Language
    pool: tuple[str, ...] = ()

    def questions(self) -> list[Question]:
        """All of them, the same in each trunk. Raises LookupError when the pool has too few values."""
        return list(_made(self).questions)

    def branch(self) -> tuple[Question, Telling]:
        """What the child of a fork is told, and the parent must not know."""
        return _made(self).branch

    def untold(self) -> tuple[str, ...]:
        """Values of the pool that nobody is told."""
        return _made(self).untold

    def elsewhere(self) -> tuple[Telling, ...]:
        """What another session is told."""
        return _made(self).elsewhere

    def tellings(self) -> list[Telling]:
        """The turns in which this session is told something, in order."""
        needs = [telling for one in self.questions() for telling in one.needs]
        return [one for one in needs if not one.late] + [one for one in needs if one.late]

    def said_between(self, number: int) -> str:
        """The words of a turn of filler, numbered from 1."""
        if self.filler:
            return self.filler[number - 1]
        words = WORDINGS[self.language].filler
        return words[(number + self.seed) % len(words)].format(n=number)

    def closing(self) -> str:
        """The words of a turn after the last one that is needed."""
        return WORDINGS[self.language].calm

    def fillers(self) -> int:
        """The most turns of filler that a trunk has."""
        return max(self.tell_at) - 1 + max(self.ask_after)

    def words(self) -> tuple[object, ...]:
        """All that makes its conversations what they are, as plain data; a digest is made of it."""
        told = [(one.session, one.text) for one in (*self.elsewhere(), *self.tellings(), self.branch()[1])]
        asked = [
            (one.name, [(ask.text, ask.answer) for ask in one.asks]) for one in (*self.questions(), self.branch()[0])
        ]
        between = [self.said_between(number) for number in range(1, self.fillers() + 1)]
        return told, asked, between, self.closing(), self.tell_at, self.ask_after, self.disturb, self.seed

    def trunks(self, repeat: int = 1) -> Iterator[Trunk]:
        """Its conversations, in one repeat."""
        for disturb in self.disturb:
            for told_at in self.tell_at:
                yield Trunk(disturb, told_at, repeat, alone=len(self.tell_at) == 1)

    def cells(self, trunk: Trunk) -> Iterator[Cell]:
        """The questions of a trunk, the nearest first."""
        questions = self.questions()
        for after in self.ask_after:
            if after == 0 and trunk.disturb != "none":
                continue
            for question in questions:
                yield Cell(trunk, question, after)
                if trunk.disturb == "fork":
                    yield Cell(trunk, question, after, CHILD)
            if trunk.disturb == "fork":
                yield Cell(trunk, self.branch()[0], after)


class _Made(Struct, frozen=True):
    questions: tuple[Question, ...]
    branch: tuple[Question, Telling]
    elsewhere: tuple[Telling, ...]
    untold: tuple[str, ...]


@lru_cache(maxsize=64)
def _made(matrix: Matrix) -> _Made:
    made = Maker(Pool(matrix.language, matrix.seed, matrix.pool), WORDINGS[matrix.language])
    questions = (*matrix.facts, *(one for family in matrix.families for one in FAMILIES[family](made)))
    foreign = [value for one in questions for value in one.foreign]
    tell, slot, branch = made.words.tell, made.slot(10), made.slot(11)
    told = made.tell(branch, session=CHILD)
    return _Made(
        questions=questions,
        branch=(
            Question(family="leak", slot="branch", asks=(made.ask(branch, None),), foreign=told.values),
            told,
        ),
        elsewhere=tuple(Telling(tell.format(slot=slot, value=value), (value,), OTHER) for value in foreign),
        untold=made.pool.left(40),
    )


def parted(disturb: str) -> tuple[str, int | None]:
    """The word of a disturbance, and after how many events it comes on the first turn of filler; None: before it."""
    word, _, after = disturb.partition("@")
    if after:
        return word, int(after)
    return word, 1 if word == "interrupt" else 0 if word.isdigit() else None


def wrong_disturbance(disturb: str) -> bool:
    word, at, after = disturb.partition("@")
    if at:
        return word not in ON_IT or not after.isdigit() or int(after) < 1
    return word not in {"none", "interrupt", *BETWEEN} and not (word.isdigit() and 400 <= int(word) <= 599)


def known_disturbances() -> Sequence[str]:
    return ("none", "interrupt", "interrupt@3", *BETWEEN, "kill@1", "529")
