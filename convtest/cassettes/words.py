"""The long words of a text: a key stands in one, and ordinary text has few."""

import re
from collections.abc import Iterable, Iterator

Span = tuple[int, int]

_WORD = re.compile(r"[A-Za-z0-9_+/=.~:%?&;-]{16,}+")
_DIGITS = frozenset("0123456789")
_LONG = 4000
_PICTURE = re.compile(rf"[A-Za-z0-9+/=]{{{_LONG},}}+")
_LOOKED_AT = 500
"""Letters at both ends of a picture in base64; what is between them is chance, in which everything short stands."""


class Words:
    """Where they stand in the text, and what they are."""

    def __init__(self, text: str) -> None:
        spans = [span for word in _WORD.finditer(text) for span in _without_pictures(text, *word.span())]
        self._each = [(start, end, text[start:end]) for start, end in spans]
        self.all = "\n".join([word for _, _, word in self._each])

    def having(self, letters: Iterable[str]) -> list[Span]:
        """Where those stand that hold one of these."""
        return [(start, end) for start, end, word in self._each if any(one in word for one in letters)]

    def with_digits(self) -> list[Span]:
        return [(start, end) for start, end, word in self._each if not _DIGITS.isdisjoint(word)]


def _without_pictures(text: str, start: int, end: int) -> Iterator[Span]:
    at = start
    for picture in _PICTURE.finditer(text, start, end) if end - start >= _LONG else ():
        yield at, picture.start() + _LOOKED_AT
        at = picture.end() - _LOOKED_AT
    yield at, end
