"""Intervals of rates and of their differences."""

from math import sqrt

_Z = 1.959963984540054
"""Of the standard normal distribution: 95 % lie between -z and z."""


def wilson(held: float, trials: float) -> tuple[float, float]:
    """The 95 % interval of a rate (Wilson 1927); all there is where nothing was tried. Counts may be fractions:
    those of probes that fail together are worth less."""
    if trials <= 0:
        return 0.0, 1.0
    rate = held / trials
    middle = rate + _Z**2 / (2 * trials)
    half = _Z * sqrt(rate * (1 - rate) / trials + _Z**2 / (4 * trials**2))
    scale = 1 + _Z**2 / trials
    low, high = (middle - half) / scale, (middle + half) / scale
    return (0.0 if held <= 0 else max(0.0, low)), (1.0 if held >= trials else min(1.0, high))


def newcombe(base: tuple[float, float], now: tuple[float, float]) -> tuple[float, float]:
    """The 95 % interval of how much less now holds than the baseline did (Newcombe 1998, method 10); each side is
    (held, trials)."""
    if base[1] <= 0 or now[1] <= 0:
        return -1.0, 1.0
    first, second = base[0] / base[1], now[0] / now[1]
    (low1, high1), (low2, high2) = wilson(*base), wilson(*now)
    drop = first - second
    return (
        max(-1.0, drop - sqrt((first - low1) ** 2 + (high2 - second) ** 2)),
        min(1.0, drop + sqrt((high1 - first) ** 2 + (second - low2) ** 2)),
    )
