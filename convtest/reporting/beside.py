"""Two conversations beside each other: which exchanges, which lines and which words differ."""

import difflib
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Literal, TypeVar

from convtest.reporting.exchanges import Exchange, Line
from convtest.structs import Struct

State = Literal["same", "changed", "gone", "new"]
T = TypeVar("T")
Key = Callable[[T], Hashable]
Span = tuple[str, bool]
"""Words, and whether they are what differs."""

_MOST_WORDS = 4_000_000
"""Of two texts, how many words of one times words of the other are compared one by one: a second's work."""


class Pair(Struct, frozen=True):
    """A line and what became of it."""

    old: Line | None
    new: Line | None

    @property
    def state(self) -> State:
        return _state(self.old, self.new)


class Beside(Struct, frozen=True):
    """An exchange and what became of it, line by line."""

    session: str
    title: str
    state: State
    pairs: tuple[Pair, ...]


def beside(old: Sequence[Exchange], new: Sequence[Exchange]) -> list[Beside]:
    """Session by session, in the order in which the new one has them."""
    found: list[Beside] = []
    for session in dict.fromkeys(one.session for one in [*new, *old]):
        before, after = ([one for one in side if one.session == session] for side in (old, new))
        pairs = _aligned(before, after, (lambda one: one.lines, lambda one: one.prompt, lambda one: one.title))
        found += [_beside(one, other) for one, other in pairs]
    return found


def _beside(one: Exchange | None, other: Exchange | None) -> Beside:
    said = other or one
    assert said is not None
    lines = [*(one.lines if one else ())], [*(other.lines if other else ())]
    pairs = tuple(Pair(a, b) for a, b in _aligned(*lines, (lambda line: line, lambda line: line.label)))
    title = said.title if one is None or other is None or one.title == other.title else f"{one.title} → {other.title}"
    return Beside(said.session, title, _state(one and one.lines, other and other.lines), pairs)


def _state(old: object, new: object) -> State:
    if old is None:
        return "new"
    if new is None:
        return "gone"
    return "same" if old == new else "changed"


def _aligned(old: Sequence[T], new: Sequence[T], keys: Sequence[Key[T]]) -> Iterator[tuple[T | None, T | None]]:
    """What belongs together: what is equal by the first key, then between these by the next, in the order of both. What
    has no like is alone."""
    if not keys:
        yield from ((one, None) for one in old)
        yield from ((None, one) for one in new)
        return
    matcher = difflib.SequenceMatcher(None, [keys[0](o) for o in old], [keys[0](n) for n in new], autojunk=False)
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind == "equal":
            yield from zip(old[i1:i2], new[j1:j2], strict=True)
        else:
            yield from _aligned(old[i1:i2], new[j1:j2], keys[1:])


def words(old: str, new: str) -> tuple[list[Span], list[Span]]:
    """Both texts, with the words that differ told from the others; where no word is the same there is nothing to point
    at."""
    one, other = (re.findall(r"\s+|\w+|[^\w\s]+", text) for text in (old, new))
    start = _common(one, other)
    end = _common(one[start:][::-1], other[start:][::-1])
    middle, others = one[start : len(one) - end], other[start : len(other) - end]
    if len(middle) * len(others) > _MOST_WORDS:
        codes: list[tuple[str, int, int, int, int]] = [("replace", 0, len(middle), 0, len(others))]
    else:
        codes = list(difflib.SequenceMatcher(None, middle, others, autojunk=False).get_opcodes())
    sides: tuple[list[Span], list[Span]] = [], []
    for side, parts, at in ((sides[0], one, 0), (sides[1], other, 2)):
        spans: list[Span] = [("".join(parts[:start]), False)]
        for kind, *ends in codes:
            first, last = ends[at], ends[at + 1]
            spans.append(("".join(parts[start + first : start + last]), kind != "equal"))
        spans.append(("".join(parts[len(parts) - end :]) if end else "", False))
        side += _joined(spans)
    if not any(text.strip() for side in sides for text, differs in side if not differs):
        return [(old, False)], [(new, False)]
    return sides


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Without empty ones; what differs on both sides of a blank is one."""
    found: list[Span] = []
    for text, differs in spans:
        if not text:
            continue
        if len(found) > 1 and differs and found[-2][1] and not found[-1][1] and not found[-1][0].strip():
            found[-2:] = [(found[-2][0] + found[-1][0] + text, True)]
        elif found and found[-1][1] == differs:
            found[-1] = (found[-1][0] + text, differs)
        else:
            found.append((text, differs))
    return found
