"""Exact tests over trunks: a trunk is exchanged as a whole, since the probes of one conversation fail together."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from math import comb, prod, sqrt
from statistics import NormalDist, fmean, variance

from convtest.structs import Struct


class Stratum(Struct, frozen=True):
    """The trunks of one template: how many probes each held, in the baseline and now."""

    base: tuple[int, ...]
    now: tuple[int, ...]
    probes: int
    parts: int = 1
    """What a held probe counts; more than 1 where one without a reply counts as some part of it."""

    @property
    def full(self) -> int:
        return self.probes * self.parts


def p_of_drop(strata: Iterable[Stratum]) -> float:
    """How likely it is that now holds as little as seen, or less, if nothing changed: the exact one-sided p-value.

    If nothing changed, which of a template's trunks are the baseline's and which are today's is chance. Every such
    choice is counted, template by template. With one probe a trunk this is the stratified exact conditional test,
    with one trunk a side McNemar's.
    """
    told = [one for one in strata if one.base and one.now and len({*one.base, *one.now}) > 1]
    if not told:
        return 1.0
    # Where most is held, what was lost is the smaller number: the same test, seen from the other end.
    lost = 2 * sum(map(_held, told)) > sum(one.full * (len(one.base) + len(one.now)) for one in told)
    sides = [(_lost(one.base, one.full), _lost(one.now, one.full)) if lost else (one.base, one.now) for one in told]
    seen = sum(sum(now) for _, now in sides)
    ways = prod(comb(len(base) + len(now), len(now)) for base, now in sides)
    width = ways.bit_length() // 8 + 1
    every = prod(_choices([*base, *now], len(now), width) for base, now in sides)
    counts = every.to_bytes((every.bit_length() // 8 // width + 1) * width, "little")
    # One long number holds how many choices have each sum: `width` bytes for sum 0, as many for 1, and so on.
    tail = counts[seen * width :] if lost else counts[: (seen + 1) * width]
    found = sum(int.from_bytes(tail[at : at + width], "little") for at in range(0, len(tail), width))
    return float(Fraction(found, ways))


def p_about(strata: Sequence[Stratum]) -> float:
    """About the same, by the mean and the variance of all choices; for many trunks, and where it need not be exact."""
    away = spread = 0.0
    for one in strata:
        every = [*one.base, *one.now]
        away += sum(one.now) - len(one.now) * fmean(every)
        spread += len(one.now) * len(one.base) / len(every) * variance(every)
    return NormalDist().cdf((away + 0.5) / sqrt(spread)) if spread else 1.0


def _held(one: Stratum) -> int:
    return sum(one.base) + sum(one.now)


def _lost(held: Sequence[int], full: int) -> tuple[int, ...]:
    return tuple(full - one for one in held)


def _choices(counts: Sequence[int], size: int, width: int) -> int:
    """How many choices of `size` of the counts have each sum, as one number in which each sum has `width` bytes."""
    ways = [1] + [0] * size
    for done, count in enumerate(counts):
        for taken in range(min(size, done + 1), 0, -1):
            ways[taken] += ways[taken - 1] << (8 * width * count)
    return ways[size]


def holm(found: Mapping[str, float]) -> dict[str, float]:
    """p-values adjusted for that there are several (Holm 1979): each may be held against alpha by itself."""
    ordered = sorted(found, key=lambda name: (found[name], name))
    scaled = [min(1.0, found[name] * (len(ordered) - rank)) for rank, name in enumerate(ordered)]
    return dict(zip(ordered, accumulate(scaled, max), strict=True))
