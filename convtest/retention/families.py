"""Families of questions that need no judge: what is told for each, what is asked, and what has to come."""

from collections.abc import Callable, Mapping
from typing import Literal

from convtest.retention.pools import Pool
from convtest.retention.wording import Wording
from convtest.structs import Struct

Family = Literal[
    "recall", "unknown", "overwrite", "retract", "order", "two_hop", "arithmetic", "instruction", "own_choice", "leak"
]
MAIN, OTHER = "main", "other"


class Telling(Struct, frozen=True):
    """One turn in which something is told. `values` have to stand in what is sent of it later."""

    text: str
    values: tuple[str, ...] = ()
    session: str = MAIN
    late: bool = False
    """After everything else has been told."""


class Ask(Struct, frozen=True, kw_only=True):
    """One question; `answer` is None where nothing is to be answered."""

    text: str
    answer: str | None
    older: tuple[str, ...] = ()
    other: str = ""
    """What must not be named before the answer."""
    old: bool = False
    """It asks for a value that holds no more: whoever condenses may have dropped it."""


class Question(Struct, frozen=True, kw_only=True):
    """A slot of a family: its tellings in order, all of which the wire needs, and what is asked for it."""

    family: str
    slot: str
    asks: tuple[Ask, ...]
    needs: tuple[Telling, ...] = ()
    foreign: tuple[str, ...] = ()
    """Values told in another session only: nowhere in this one."""
    options: tuple[str, ...] = ()
    """The assistant was to choose among these; which, its answer to the telling says."""
    rule: str = ""
    """A word in which every answer has to end."""

    @property
    def name(self) -> str:
        return f"{self.family}.{self.slot}"

    @property
    def values(self) -> tuple[str, ...]:
        """All values that its tellings hold."""
        return tuple(dict.fromkeys(value for one in self.needs for value in one.values))


class Maker(Struct, frozen=True):
    """Makes the questions of one trunk of values and words of its own."""

    pool: Pool
    words: Wording

    def slot(self, number: int) -> str:
        return self.words.slots[number]

    def tell(self, slot: str, version: int = 0, session: str = MAIN, late: bool = False) -> Telling:
        value = self.pool.value(session, slot, version)
        phrase = self.words.change if version else self.words.tell
        return Telling(phrase.format(slot=slot, value=value), (value,), session, late)

    def ask(self, slot: str, answer: str | None, *older: str) -> Ask:
        return Ask(text=self.words.ask.format(slot=slot), answer=answer, older=older)


def _recall(made: Maker) -> list[Question]:
    told = made.tell(made.slot(0))
    return [Question(family="recall", slot="word", needs=(told,), asks=(made.ask(made.slot(0), *told.values),))]


def _unknown(made: Maker) -> list[Question]:
    return [Question(family="unknown", slot="word", asks=(made.ask(made.slot(1), None),))]


def _overwrite(made: Maker) -> list[Question]:
    late, twice, first, last = (made.slot(number) for number in (2, 3, 4, 5))
    found = []
    for slot, name in ((late, "late"), (first, "old_first"), (last, "old_last")):
        told = made.tell(slot), made.tell(slot, 1, late=True)
        (old,), (new,) = told[0].values, told[1].values
        now = made.ask(slot, new, old)
        before = Ask(text=made.words.ask_old.format(slot=slot), answer=old, old=True)
        asks = {"late": (now,), "old_first": (before, now), "old_last": (now, before)}[name]
        found.append(Question(family="overwrite", slot=name, needs=told, asks=asks))
    thrice = tuple(made.tell(twice, version) for version in range(3))
    values = [one.values[0] for one in thrice]
    found.insert(
        1, Question(family="overwrite", slot="twice", needs=thrice, asks=(made.ask(twice, values[2], *values[:2]),))
    )
    return found


def _retract(made: Maker) -> list[Question]:
    slot = made.slot(6)
    told = made.tell(slot)
    back = Telling(made.words.forget.format(slot=slot), (), MAIN, True)
    return [Question(family="retract", slot="word", needs=(told, back), asks=(made.ask(slot, None, *told.values),))]


def _order(made: Maker) -> list[Question]:
    first, second = made.tell(made.slot(7)), made.tell(made.slot(8))
    one, other = sorted((*first.values, *second.values))
    ask = Ask(text=made.words.first.format(value=one, other=other), answer=first.values[0], other=second.values[0])
    return [Question(family="order", slot="first", needs=(first, second), asks=(ask,))]


def _two_hop(made: Maker) -> list[Question]:
    slot = made.slot(9)
    keeper, house = made.pool.value(MAIN, slot), made.pool.value(MAIN, slot, 1)
    needs = (
        Telling(made.words.belongs.format(slot=slot, value=keeper), (keeper,)),
        Telling(made.words.lives.format(value=keeper, other=house), (keeper, house)),
    )
    ask = Ask(text=made.words.hop.format(slot=slot), answer=house)
    return [Question(family="two_hop", slot="keeper", needs=needs, asks=(ask,))]


def _arithmetic(made: Maker) -> list[Question]:
    boxes = [made.pool.value(MAIN, "box", version) for version in range(2)]
    numbers = [made.pool.number(MAIN, "box", version) for version in range(2)]
    needs = tuple(
        Telling(made.words.holds.format(value=box, number=number), (box, str(number)))
        for box, number in zip(boxes, numbers, strict=True)
    )
    ask = Ask(text=made.words.total.format(value=boxes[0], other=boxes[1]), answer=str(sum(numbers)))
    return [Question(family="arithmetic", slot="sum", needs=needs, asks=(ask,))]


def _instruction(made: Maker) -> list[Question]:
    word = made.pool.value(MAIN, "rule")
    told = Telling(made.words.rule.format(value=word), (word,))
    ask = Ask(text=made.words.calm, answer=word)
    return [Question(family="instruction", slot="ending", needs=(told,), asks=(ask,), rule=word)]


def _own_choice(made: Maker) -> list[Question]:
    options = tuple(made.pool.value(MAIN, "choice", version) for version in range(3))
    told = Telling(made.words.choose.format(value=options[0], other=options[1], third=options[2]), options)
    ask = Ask(text=made.words.chosen, answer=None)
    return [Question(family="own_choice", slot="pick", needs=(told,), asks=(ask,), options=options)]


def _leak(made: Maker) -> list[Question]:
    told = made.tell(made.slot(10), session=OTHER)
    ask = made.ask(made.slot(10), None)
    return [Question(family="leak", slot="other", asks=(ask,), foreign=told.values)]


FAMILIES: Mapping[str, Callable[[Maker], list[Question]]] = {
    "recall": _recall,
    "unknown": _unknown,
    "overwrite": _overwrite,
    "retract": _retract,
    "order": _order,
    "two_hop": _two_hop,
    "arithmetic": _arithmetic,
    "instruction": _instruction,
    "own_choice": _own_choice,
    "leak": _leak,
}
"""By name; each makes its questions anew for a trunk."""
