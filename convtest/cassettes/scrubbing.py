"""What never reaches a file or a terminal: keys, cookies, accounts, organisations, projects, home folders."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import lru_cache
from pathlib import Path

from convtest.cassettes.contexts import by_context, by_name
from convtest.cassettes.kinds import begins, by_value, homes, of_the_item
from convtest.cassettes.rules import Finds, Own
from convtest.cassettes.shapes import Shapes
from convtest.cassettes.unescaped import views
from convtest.cassettes.words import Words
from convtest.wire.marks import (
    PLACEHOLDER,
    Found,
    formed,
    may_hold_placeholders,
    placeholders_in,
)

_LONG = 20_000
"""Letters of a text of which few are kept in mind."""
_FIRST = 4
"""Letters of a value that tell that it has begun."""
OWN = f"{PLACEHOLDER}_OWN"
RUN_TOKEN = "RUN_TOKEN"
_SHAPES: tuple[Finds, ...] = (*by_context(), Shapes(), *by_name())


_BETWEEN = "\n\0\n"
"""Stands between texts that are looked through together."""


class Scrubber:
    """Finds secrets in a text. What stands in the scenario's own file is none: its author wrote it on purpose."""

    def __init__(self, values: Mapping[str, str] | None = None, patterns: Sequence[str] = ()) -> None:
        self._values = list((values or {}).values())
        given = [rule for name, value in (values or {}).items() for rule in by_value(name, value)]
        own = [Own(pattern, OWN) for pattern in patterns]
        self._open: frozenset[str] = frozenset()
        self._rules: list[Finds] = [*given, *_SHAPES, *own, *homes()]
        self._forget()

    def _forget(self) -> None:
        # Conversations repeat themselves: each request holds the texts of the one before.
        self._known: Callable[[str], Sequence[Found]] = lru_cache(maxsize=2048)(self._found)
        self._known_long: Callable[[str], Sequence[Found]] = lru_cache(maxsize=8)(self._found)
        self._whole: Callable[[str], frozenset[str]] = lru_cache(maxsize=8)(self._tokens)

    def within(self, folder: Path, token: str = "") -> "Scrubber":
        """The same, and the item's own folder as `/ITEM`, the run's token as a key: they are other ones in each run."""
        key = by_value(RUN_TOKEN, token) if token else []
        made = self._with([*key, *of_the_item(folder), *self._rules], self._open)
        made._values = [*([token] if token else []), *self._values]
        return made

    def but_for(self, texts: Iterable[str]) -> "Scrubber":
        """The same without what stands in these texts as a whole token."""
        # The items of a file share its text.
        return self._with(self._rules, self._open | self._whole(_BETWEEN.join(texts)))

    def _with(self, rules: Sequence[Finds], without: frozenset[str]) -> "Scrubber":
        made = copy(self)
        made._rules, made._open = list(rules), without
        made._forget()
        return made

    def tokens(self, text: str) -> frozenset[str]:
        """The secrets that stand in a text whole, with nothing of a word before or after them."""
        return self._whole(text)

    def _tokens(self, text: str) -> frozenset[str]:
        return frozenset(
            one.mark.token
            for one in self._found(text)
            if not one.mark.is_placeholder and not re.match(r"\w", text[one.end :]) and not _goes_on(text, one.start)
        )

    def may_hold(self, text: str) -> bool:
        """Whether a secret, or a placeholder, stands in it."""
        return bool(self.found(text))

    def found(self, text: str) -> Sequence[Found]:
        """Secrets and placeholders, in their order."""
        return self._known(text) if len(text) < _LONG else self._known_long(text)

    def begun(self, text: str, values: Iterable[str] = ()) -> int:
        """Where a secret begins that the text breaks off in, one of these values or of a known shape; else its end."""
        end = len(text)
        while not any(text[:end].endswith(value) for value in self.named):
            shape = begins(text[:end])
            starts = [] if shape is None else [shape]
            starts += [at for one in {*self.named, *values} if (at := _begins(text[:end], one)) is not None]
            if not starts:
                break
            end = min(starts)
        return end

    @property
    def named(self) -> list[str]:
        """The secrets that are known by their value."""
        return self._values

    def finds(self, text: str) -> bool:
        """Whether there is something in it to scrub."""
        return any(not one.mark.is_placeholder for one in self.found(text))

    def text(self, text: str) -> str:
        """With secrets as their kinds."""
        return str(formed(text, self))

    def _found(self, text: str) -> Sequence[Found]:
        """In their order; as it reads with its escapes undone first, and the earlier rule first where two overlap."""
        taken = list(placeholders_in(text)) if may_hold_placeholders(text) else []
        for view in views(text):
            for one in self._in(view.text):
                _take(taken, Found(view.place(one.start), view.place(one.end), one.mark))
        for one in self._in(text):
            _take(taken, one)
        return sorted(taken, key=lambda one: one.start)

    def _in(self, text: str) -> Iterator[Found]:
        words = Words(text)
        for rule in self._rules:
            for one in rule.found(text, words):
                if one.mark.token not in self._open:
                    yield one


def _take(taken: list[Found], one: Found) -> None:
    if one.start < one.end and all(one.end <= other.start or one.start >= other.end for other in taken):
        taken.append(one)


def _goes_on(text: str, start: int) -> bool:
    return start > 0 and re.match(r"\w", text[start - 1]) is not None


def _begins(text: str, value: str) -> int | None:
    """Where the value begins that the text breaks off in."""
    sizes = range(min(len(value) - 1, len(text)), _FIRST - 1, -1)
    return next((len(text) - size for size in sizes if text.endswith(value[:size])), None)


NOTHING_KNOWN = Scrubber()
"""Knows secrets by their shape alone."""
