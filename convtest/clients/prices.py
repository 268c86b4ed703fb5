"""What tokens cost, by model: a dated table that `[tool.convtest.prices]` overrides."""

from collections.abc import Mapping
from typing import Any

from convtest.events import Usage
from convtest.structs import Struct

SOURCE = "https://platform.claude.com/docs/en/about-claude/pricing"
AS_OF = "2026-10-10"
"""The day this table was taken from `SOURCE`. Models that are missing there are in the catalogue of the CLI that
claude-agent-sdk 0.2.186 bundles, whose prices these are."""


class Price(Struct, frozen=True):
    """USD per million tokens."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    long_prompt: "Price | None" = None
    """What all tokens of a request cost whose prompt has more than `LONG_PROMPT` tokens."""


LONG_PROMPT = 100_000
"""Tokens."""


def _standard(input: float, output: float, cache_read: float | None = None, above: "Price | None" = None) -> Price:
    return Price(input, output, input * 0.1 if cache_read is None else cache_read, input * 1.25, above)


PRICES: Mapping[str, Price] = {
    "claude-fable-5-2": _standard(8, 40, 0.2),
    "claude-fable-5-1": _standard(10, 50, 0.25),
    "claude-fable-5": _standard(10, 50),
    "claude-mythos-5-2": _standard(8, 40, 0.2),
    "claude-mythos-5-1": _standard(10, 50, 0.25),
    "claude-mythos-5": _standard(10, 50),
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
    "claude-3-7-sonnet": _standard(3, 15),
    "claude-3-5-sonnet": _standard(3, 15),
    "claude-haiku-5-5": _standard(0.1, 0.5, above=_standard(0.5, 2.5)),
    "claude-haiku-4-5": _standard(1, 5),
    "claude-3-5-haiku": _standard(0.8, 4),
}
"""By model family."""


def usd(model: str, usage: Usage, overrides: Mapping[str, Any] | None = None) -> float | None:
    """The cost of one request in USD, or None for a model without a price; dated names (`-20251001`) count as their
    family."""
    price = _find(model, overrides or {})
    if price is None:
        return None
    if price.long_prompt is not None and usage.prompt_tokens > LONG_PROMPT:
        price = price.long_prompt
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
