"""What all shapes of the language have in common."""

from typing import Annotated

from msgspec import Meta, Struct

EventsOrTime = Annotated[int | str, Meta(description="a number of events, or a time with its unit: 250ms, 2s, 5m")]
Duration = Annotated[str | float, Meta(description="seconds, or a number with its unit: 250ms, 2s, 5m")]
OneOrMore = str | list[str]


class Shape(Struct, forbid_unknown_fields=True, frozen=True):
    """Base of every mapping in the language: unknown keys are errors."""
