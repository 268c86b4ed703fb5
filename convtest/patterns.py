"""Regular expressions that a project wrote and that run while an item is played, by the regex package: nothing else can
end one there that backtracks without end."""

from collections.abc import Iterator
from functools import cache
from typing import Any


class PatternError(ValueError):
    """Not a regular expression."""


@cache
def compiled(pattern: str) -> Any:
    """Raises PatternError. The language is that of the standard library's `re`."""
    # Imported when one is used: most projects have none.
    import regex

    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise PatternError(str(error)) from None


def spans(pattern: str, text: str, seconds: float) -> Iterator[tuple[int, int]]:
    """Where it stands. Raises PatternError; TimeoutError once it has taken so many seconds."""
    for one in compiled(pattern).finditer(text, timeout=seconds):
        if one.end() > one.start():
            yield one.span()
