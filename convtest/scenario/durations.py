"""A duration is a number of seconds or has its unit, everywhere."""

import re

_FORM = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h)?\s*")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def seconds(value: str | float) -> float:
    """`250ms` is 0.25. Raises ValueError for anything that is not a duration."""
    if isinstance(value, int | float):
        return float(value)
    found = _FORM.fullmatch(value)
    if not found:
        raise ValueError(f"{value!r} is not a duration: write seconds or a unit, as in 250ms, 2s or 5m")
    return float(found[1]) * _SECONDS[found[2]]
