"""What never reaches a file or a terminal: keys, cookies, accounts, organisations, projects, home folders."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from convtest.cassettes.kinds import BEGUN, Rule, by_shape, by_value, homes, of_the_item
from convtest.wire.marks import (
    HOME,
    ITEM,
    PLACEHOLDER,
    Found,
    Mark,
    formed,
    may_hold_placeholders,
    placeholders_in,
)

_LONG = 20_000
"""Letters of a text that is not kept in mind."""
_FIRST = 4
"""Letters of a value that tell that it has begun."""
OWN = f"{PLACEHOLDER}_OWN"
RUN_TOKEN = "RUN_TOKEN"


class Scrubber:
    """Finds secrets in a text. What stands in the scenario's own file is none: its author wrote it on purpose."""

    def __init__(self, values: Mapping[str, str] | None = None, patterns: Sequence[str] = ()) -> None:
        given = [by_value(name, value) for name, value in (values or {}).items()]
        own = [Rule(re.compile(pattern), OWN) for pattern in patterns]
        self._open: frozenset[str] = frozenset()
        self._rules = [*given, *by_shape(), *own, *homes()]
        self._forget()

    def _forget(self) -> None:
        # Conversations repeat themselves: each request holds the texts of the one before.
        self._known: Callable[[str], Sequence[Found]] = lru_cache(maxsize=2048)(self._found)

    def within(self, folder: Path, token: str = "") -> "Scrubber":
        """The same, and the item's own folder as `/ITEM`, the run's token as a key: they are other ones in each run."""
        key = [by_value(RUN_TOKEN, token)] if token else []
        return self._with([*key, *of_the_item(folder), *self._rules], self._open)

    def but_for(self, texts: Iterable[str]) -> "Scrubber":
        """The same without what stands in these texts as a whole token."""
        return self._with(self._rules, self._open | {word for text in texts for word in self.tokens(text)})

    def _with(self, rules: Sequence[Rule], without: frozenset[str]) -> "Scrubber":
        made = copy(self)
        made._rules, made._open = list(rules), without
        made._forget()
        return made

    def tokens(self, text: str) -> set[str]:
        """The secrets that stand in a text whole, with nothing of a word before or after them."""
        return {
            one.mark.token
            for one in self._found(text)
            if not one.mark.is_placeholder and not re.match(r"\w", text[one.end :]) and not _goes_on(text, one.start)
        }

    def may_hold(self, text: str) -> bool:
        """Whether a secret, or a placeholder, may stand in it: cheaper than looking for it."""
        return may_hold_placeholders(text) or any(rule.may_be_in(text) for rule in self._rules)

    def found(self, text: str) -> Sequence[Found]:
        """Secrets and placeholders, in their order."""
        return self._known(text) if len(text) < _LONG else self._found(text)

    def begun(self, text: str, values: Iterable[str] = ()) -> int:
        """Where a secret begins that the text breaks off in, one of these values or of a known shape; else its end."""
        end = len(text)
        while not any(text[:end].endswith(value) for value in self.named):
            shape = BEGUN.search(text[:end])
            starts = [shape.start()] if shape else []
            starts += [at for one in {*self.named, *values} if (at := _begins(text[:end], one)) is not None]
            if not starts:
                break
            end = min(starts)
        return end

    @property
    def named(self) -> list[str]:
        """The secrets that are known by their value."""
        return [rule.value for rule in self._rules if rule.value is not None and rule.kind != ITEM]

    def finds(self, text: str) -> bool:
        """Whether there is something in it to scrub."""
        return any(not one.mark.is_placeholder for one in self.found(text))

    def text(self, text: str) -> str:
        """With secrets as their kinds."""
        return str(formed(text, self))

    def _found(self, text: str) -> Sequence[Found]:
        """In their order; the earlier rule first where two overlap."""
        taken = list(placeholders_in(text)) if may_hold_placeholders(text) else []
        for rule in self._rules:
            for found in rule.pattern.finditer(text) if rule.may_be_in(text) else ():
                start, end = found.span()
                value = rule.value if rule.value is not None else _plain(found[0], rule.kind)
                if start < end and value not in self._open and all(end <= a.start or start >= a.end for a in taken):
                    taken.append(Found(start, end, Mark(rule.kind, value)))
        return sorted(taken, key=lambda one: one.start)


def _goes_on(text: str, start: int) -> bool:
    return start > 0 and re.match(r"\w", text[start - 1]) is not None


def _begins(text: str, value: str) -> int | None:
    """Where the value begins that the text breaks off in."""
    sizes = range(min(len(value) - 1, len(text)), _FIRST - 1, -1)
    return next((len(text) - size for size in sizes if text.endswith(value[:size])), None)


def _plain(text: str, kind: str) -> str:
    """A home folder as it is, where it stands in a URL or in JSON."""
    if kind != HOME:
        return text
    return unquote(text).replace("\\\\", "\\")


NOTHING_KNOWN = Scrubber()
"""Knows secrets by their shape alone."""
