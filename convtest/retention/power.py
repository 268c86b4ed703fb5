"""How likely a drop would be seen: by simulation of both runs, with the gates that decide."""

from collections.abc import Sequence
from math import ceil, comb, prod, sqrt
from random import Random
from statistics import fmean, variance

from convtest.retention.exact import Stratum, p_about, p_of_drop
from convtest.retention.intervals import wilson
from convtest.structs import Struct

_Z_ALPHA, _Z_POWER = 1.645, 0.842
_SEED = 20
_RUNS = 400
_STEP = 25
_LEAST_SPREAD = 0.05
_MOST_REPEATS = 400
_COUNTED = 10**12
"""Choices of trunks that are counted in each simulated run; beyond, the normal curve is close."""


class Gates(Struct, frozen=True):
    """What decides. `min_drop` must be seen, `detect` is the drop that a run should be able to see."""

    alpha: float = 0.05
    min_drop: float = 0.05
    detect: float = 0.10
    power: float = 0.80
    trunks: int = 20
    """The fewest of them, on each side, for a change to be ruled out."""


def drop_of(strata: Sequence[Stratum]) -> float:
    """How much less is held now, as a part of 1; each template counts by its probes."""
    told = [one for one in strata if one.base and one.now]
    probes = sum(one.probes for one in told)
    lost = ((sum(one.base) / len(one.base) - sum(one.now) / len(one.now)) / one.parts for one in told)
    return sum(lost) / probes if probes else 0.0


def is_regressed(strata: Sequence[Stratum], gates: Gates) -> bool:
    return _drops(strata, gates) and p_of_drop(strata) < gates.alpha


def _drops(strata: Sequence[Stratum], gates: Gates) -> bool:
    return drop_of(strata) >= gates.min_drop - 1e-12


def _would_be(strata: Sequence[Stratum], gates: Gates) -> bool:
    """As `is_regressed`, of a run that is made up: nearly, where it would take long."""
    if not _drops(strata, gates):
        return False
    ways = prod(comb(len(one.base) + len(one.now), len(one.now)) for one in strata)
    return (p_of_drop(strata) if ways <= _COUNTED else p_about(strata)) < gates.alpha


class Spread(Struct, frozen=True):
    """How trunks of one template differ: the rate, and the correlation of two probes of one trunk (0: they are
    independent, 1: a trunk holds all or nothing)."""

    rate: float
    correlation: float

    @classmethod
    def seen(cls, strata: Sequence[Stratum]) -> "Spread":
        """As both sides show it; the rate is the baseline's. At least a little is taken to be there: a run without a
        loss cannot show how losses would come."""
        trials = sum(one.probes * len(one.base) for one in strata)
        rate = (sum(sum(one.base) / one.parts for one in strata) + 1) / (trials + 2)
        every = [([count / one.parts for count in side], one.probes) for one in strata for side in (one.base, one.now)]
        sides = [one for one in every if len(one[0]) > 1]
        if not sides and len(strata) > 1:
            sides = [([side[0] for side, _ in every[::2]], round(fmean(one.probes for one in strata)))]
        usual = sum(probes * rate * (1 - rate) for _, probes in sides)
        probes = fmean(probes for _, probes in sides) if sides else 1.0
        seen = sum(variance(side) for side, _ in sides) / usual if usual else 1.0
        return cls(rate, min(0.95, max(_LEAST_SPREAD, (seen - 1) / (probes - 1) if probes > 1 else 0.0)))

    def weight(self, probes: float) -> float:
        """How many probes of a trunk tell as much as one that stands alone (the design effect)."""
        return 1 + (probes - 1) * self.correlation

    def trunk(self, rate: float, probes: int, chance: Random) -> int:
        """What one trunk would hold."""
        if rate <= 0 or rate >= 1:
            return probes if rate >= 1 else 0
        both = 1 / self.correlation - 1
        own = chance.betavariate(rate * both, (1 - rate) * both)
        return sum(chance.random() < own for _ in range(probes))


def power_of(strata: Sequence[Stratum], gates: Gates, spread: Spread, repeats: int | None = None) -> float:
    """How often a drop of `detect` would be called regressed; `repeats`: with that many trunks a template and side.

    The runs are the same ones each time. It stops early where the answer is plain.
    """
    chance = Random(_SEED)
    lower = spread.rate - gates.detect
    found = 0
    for run in range(1, _RUNS + 1):
        found += _would_be([_drawn(one, spread, lower, repeats, chance) for one in strata], gates)
        if run % _STEP == 0:
            low, high = wilson(found, run)
            if high < gates.power or low > gates.power:
                return found / run
    return found / _RUNS


def _drawn(one: Stratum, spread: Spread, lower: float, repeats: int | None, chance: Random) -> Stratum:
    def side(rate: float, count: int) -> tuple[int, ...]:
        return tuple(spread.trunk(rate, one.probes, chance) for _ in range(count))

    return Stratum(side(spread.rate, repeats or len(one.base)), side(lower, repeats or len(one.now)), one.probes)


def repeats_for(strata: Sequence[Stratum], gates: Gates, spread: Spread) -> int | None:
    """How many trunks a template and side would see a drop of `detect`; None where no sensible number does."""
    if spread.rate <= gates.detect:
        return None
    lower = spread.rate - gates.detect
    probes = fmean(one.probes for one in strata)
    noise = (spread.rate * (1 - spread.rate) + lower * (1 - lower)) * spread.weight(probes) / probes
    trunks = noise * ((_Z_ALPHA + _Z_POWER) / gates.detect) ** 2
    repeats = max(1, ceil(gates.trunks / len(strata)), round(0.8 * trunks / len(strata)))
    while repeats <= _MOST_REPEATS:
        if power_of(strata, gates, spread, repeats) >= gates.power:
            return repeats
        repeats = max(repeats + 1, round(repeats * sqrt(1.5)))
    return None
