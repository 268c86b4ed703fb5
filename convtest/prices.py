"""`[tool.convtest.prices]`: what a model's tokens cost, where the table that comes with convtest does not know it."""

from collections.abc import Mapping
from typing import Any

from convtest.errors import ConfigError


def prices_of(value: Any, where: str) -> Mapping[str, Mapping[str, float]]:
    """The table of prices as it stands there. Raises ConfigError."""
    example = '"my-model" = {input = 1.0, output = 5.0}  # USD per million tokens'
    if not isinstance(value, dict):
        raise ConfigError("prices is a table of prices by model", where=where, help=example)
    for model, price in value.items():
        if not isinstance(price, dict) or not {"input", "output"} <= price.keys():
            raise ConfigError(f"the price of {model!r} needs input and output", where=where, help=example)
        for key, number in price.items():
            if not _is_price(number):
                what = f"the price of {model!r}: {key} is a number, 0 or more, and not {number!r}"
                raise ConfigError(what, where=where, help=example)
    return value


def _is_price(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
