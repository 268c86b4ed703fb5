"""Regular expressions that users wrote, by the regex package: one that backtracks without end is ended."""

from functools import cache
from typing import Any


class PatternError(ValueError):
    """Not a regular expression."""


@cache
def compiled(pattern: str) -> Any:
    """Raises PatternError. The language is that of the standard library's `re`."""
    # Imported when one is used: most runs have none.
    import regex

    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise PatternError(f"not a regular expression: {error}") from None


def stands_in(pattern: str, text: str, seconds: float) -> bool:
    """Whether the pattern is found anywhere in the text. Raises PatternError; TimeoutError after so many seconds."""
    return compiled(pattern).search(text, timeout=seconds) is not None
