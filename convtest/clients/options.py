"""What the options of a client profile must be, where a wrong one would only show while a conversation is played."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from convtest.structs import Struct


class Wanted(Struct, frozen=True):
    """What an option must be, in words and as a check."""

    words: str
    fits: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


TEXT = Wanted("a text", lambda value: isinstance(value, str))
TEXTS = Wanted(
    "a list of texts", lambda value: isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
)
TABLE_OF_TEXTS = Wanted(
    "a table of texts", lambda value: isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
)
COUNT = Wanted("a whole number, 0 or more", lambda value: _is_number(value) and isinstance(value, int))
SECONDS = Wanted("a number of seconds, 0 or more", _is_number)
MESSAGES = {
    "model": TEXT,
    "max_turns": COUNT,
    "max_messages": COUNT,
    "max_retries": COUNT,
    "read_timeout": SECONDS,
    "python_tools": TEXTS,
}
"""Options of the kinds that keep the history in our hand."""


def unfit(options: Mapping[str, Any], wanted: Mapping[str, Wanted]) -> Iterator[str]:
    """A line for each option that is not what it must be; None, which only a fixture can give, is left to clients."""
    for name, value in options.items():
        if name in wanted and value is not None and not wanted[name].fits(value):
            yield f"{name} is {wanted[name].words}, and not {value!r}"
