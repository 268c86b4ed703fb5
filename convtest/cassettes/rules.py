"""How one kind of secret is found in a text."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Protocol

from convtest.cassettes.words import Words
from convtest.errors import ConfigError
from convtest.patterns import spans
from convtest.structs import Struct
from convtest.wire.marks import Found, Mark

_PATIENCE = 5.0
"""Seconds for one pattern of the project's own and one text."""


class Finds(Protocol):
    """Finds what is secret in a text; `words` are the long ones of it."""

    def found(self, text: str, words: Words) -> Iterator[Found]: ...


class Rule(Struct, frozen=True):
    """What may stand anywhere in a text."""

    pattern: str
    kind: str
    letters: tuple[str, ...] = ()
    """Where none of these stand, neither does the pattern; empty where that is not known."""
    value: str | None = None
    """What it finds, however it is spelled there; None where each spelling is a value of its own."""
    accepts: Callable[[str], bool] | None = None
    """Whether what it found is one."""
    group: int = 0
    """Of the pattern: that alone is the secret."""
    plain: Callable[[str], str] = str
    """What was found as it is, where it may be spelled in several ways."""

    def found(self, text: str, words: Words) -> Iterator[Found]:
        for letters in self.letters:
            if letters in text:
                break
        else:
            if self.letters:
                return
        yield from self.between(text, 0, len(text))

    def between(self, text: str, start: int, end: int) -> Iterator[Found]:
        for one in compiled(self.pattern).finditer(text, start, end):
            secret = one[self.group]
            if secret and (self.accepts is None or self.accepts(secret)):
                yield Found(*one.span(self.group), Mark(self.kind, self.value or self.plain(secret)))


class InWords(Struct, frozen=True):
    """What stands in one long word with certain letters in it."""

    rule: Rule

    def found(self, text: str, words: Words) -> Iterator[Found]:
        for start, end in words.having(self.rule.letters):
            yield from self.rule.between(text, start, end)


class Named(Struct, frozen=True):
    """A word with digits in it, told by what stands up to `before` letters before it."""

    rule: Rule
    before: int

    def found(self, text: str, words: Words) -> Iterator[Found]:
        for start, end in words.with_digits():
            yield from self.rule.between(text, max(0, start - self.before), end)


class Own(Struct, frozen=True):
    """A pattern of the project's own."""

    pattern: str
    kind: str

    def found(self, text: str, words: Words) -> Iterator[Found]:
        try:
            for start, end in spans(self.pattern, text, _PATIENCE):
                yield Found(start, end, Mark(self.kind, text[start:end]))
        except TimeoutError:
            what = f"scrub: {self.pattern!r} took more than {_PATIENCE:g} s for a text of {len(text):,} characters"
            help = "rewrite it so that what is repeated cannot match the same text in two ways"
            raise ConfigError(what, where="[tool.convtest]", help=help) from None


@lru_cache(maxsize=512)
def compiled(pattern: str) -> "re.Pattern[str]":
    """Most are never looked for: compiling all of them would take longer than an item."""
    return re.compile(pattern)
