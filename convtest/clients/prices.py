"""What tokens cost, by model: a dated table that `[tool.convtest.prices]` overrides."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from convtest.events import Usage

AS_OF = "2026-10-10"
"""The day this table was taken from https://platform.claude.com/docs/en/about-claude/pricing."""


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens."""

    input: float
    output: float
    cache_read: float
    cache_write: float


def _standard(input: float, output: float, cache_read: float | None = None) -> Price:
    return Price(input, output, input * 0.1 if cache_read is None else cache_read, input * 1.25)


PRICES: Mapping[str, Price] = {
    "claude-fable-5-1": _standard(10, 50, 0.25),
    "claude-fable-5": _standard(10, 50),
    "claude-opus-5-5": _standard(4, 20, 0.2),
    "claude-opus-5": _standard(5, 25),
    "claude-opus-4-8": _standard(5, 25),
    "claude-opus-4-7": _standard(5, 25),
    "claude-opus-4-6": _standard(5, 25),
    "claude-opus-4-5": _standard(5, 25),
    "claude-opus-4-1": _standard(15, 75),
    "claude-opus-4-0": _standard(15, 75),
    "claude-sonnet-5-5": _standard(2, 10, 0.1),
    "claude-sonnet-5": _standard(2, 10),
    "claude-sonnet-4-6": _standard(3, 15),
    "claude-sonnet-4-5": _standard(3, 15),
    "claude-sonnet-4-0": _standard(3, 15),
    "claude-haiku-4-5": _standard(1, 5),
    "claude-3-5-haiku": _standard(0.8, 4),
}
"""By model family. Models whose price depends on the length of the prompt are left out: their cost is unknown here."""


def usd(model: str, usage: Usage, overrides: Mapping[str, Any] | None = None) -> float | None:
    """The cost in USD, or None for a model without a price; dated names (`-20251001`) count as their family."""
    price = _find(model, overrides or {})
    if price is None:
        return None
    return (
        usage.input_tokens * price.input
        + usage.output_tokens * price.output
        + usage.cache_read_tokens * price.cache_read
        + usage.cache_write_tokens * price.cache_write
    ) / 1_000_000


def _find(model: str, overrides: Mapping[str, Any]) -> Price | None:
    if model in overrides:
        own = overrides[model]
        base = _standard(float(own["input"]), float(own["output"]))
        return Price(
            base.input,
            base.output,
            float(own.get("cache_read", base.cache_read)),
            float(own.get("cache_write", base.cache_write)),
        )
    family, _, date = model.rpartition("-")
    return PRICES.get(model) or (PRICES.get(family) if len(date) == 8 and date.isdigit() else None)
