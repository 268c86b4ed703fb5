"""Runs whose true rates are known: what the verdict of retention says of them is counted."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from convtest.retention.exact import Stratum, p_of_drop
from convtest.retention.power import Gates, is_regressed

GATES = Gates()


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What trunks hold: a trunk's own rate is drawn from Beta(`rate` · `both`, (1 − `rate`) · `both`), then each probe
    by that rate; a derailed trunk loses all."""

    rate: float
    both: float = 20.0
    derailed: float = 0.0

    def trunk(self, probes: int, chance: Random) -> list[bool]:
        own = chance.betavariate(self.rate * self.both, (1 - self.rate) * self.both)
        if chance.random() < self.derailed:
            own = 0.0
        return [chance.random() < own for _ in range(probes)]


@dataclass(frozen=True, slots=True)
class Shape:
    templates: int
    repeats: int
    probes: int

    def __str__(self) -> str:
        return f"{self.templates} × {self.repeats} × {self.probes}"


Run = list[list[list[bool]]]
"""By template, repeat and probe."""


def run_of(truth: Truth, shape: Shape, chance: Random) -> Run:
    return [[truth.trunk(shape.probes, chance) for _ in range(shape.repeats)] for _ in range(shape.templates)]


def by_trunk(base: Run, now: Run) -> list[Stratum]:
    return [
        Stratum(tuple(map(sum, before)), tuple(map(sum, after)), len(before[0]))
        for before, after in zip(base, now, strict=True)
    ]


def by_probe(base: Run, now: Run) -> list[Stratum]:
    """As if the probes of one conversation had nothing to do with each other."""
    return [
        Stratum(tuple(int(trunk[at]) for trunk in before), tuple(int(trunk[at]) for trunk in after), 1)
        for before, after in zip(base, now, strict=True)
        for at in range(len(before[0]))
    ]


def pairs(truth: Truth, drop: float, shape: Shape, count: int, seed: int) -> Iterator[tuple[Run, Run]]:
    chance = Random(seed)
    worse = replace(truth, rate=truth.rate - drop)
    for _ in range(count):
        yield run_of(truth, shape, chance), run_of(worse, shape, chance)


def regressed(truth: Truth, drop: float, shape: Shape, count: int, seed: int) -> float:
    """The part of the comparisons that is called regressed."""
    return sum(is_regressed(by_trunk(*pair), GATES) for pair in pairs(truth, drop, shape, count, seed)) / count


def regressed_by_probe(truth: Truth, shape: Shape, count: int, seed: int) -> float:
    """As much, were each probe taken for a unit of its own."""
    every = [by_probe(*pair) for pair in pairs(truth, 0.0, shape, count, seed)]
    return sum(p_of_drop(one) < GATES.alpha for one in every) / count
