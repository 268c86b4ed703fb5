"""Results as Markdown for a pull request: what failed, where, and what plays it again."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from convtest.results.model import Found, Result
from convtest.textmatch import visible

_MOST = 20
"""Items told in full."""
_LONG = 600
"""Characters of a text that are shown."""


def summary_text(results: Sequence[Result]) -> str:
    """Markdown as GitHub reads it (https://github.github.com/gfm/); what was said stands in it as text only."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Sequence[Result]) -> Iterator[str]:
    counts = Counter(one.outcome for one in results)
    bad = [one for one in results if one.outcome in ("failed", "error")]
    told = ", ".join(f"{counts[word]} {word}" for word in ("failed", "error", "passed", "skipped") if counts[word])
    yield f"### convtest: {told or 'nothing was played'}"
    yield ""
    yield from _costs(results)
    for one in bad[:_MOST]:
        yield from _item(one)
    if len(bad) > _MOST:
        yield f"… and {len(bad) - _MOST} more"


def _costs(results: Sequence[Result]) -> Iterator[str]:
    asked = [one for one in results if one.source in ("live", "recorded")]
    if asked:
        tokens = sum(one.usage.prompt_tokens + one.usage.output_tokens for one in asked)
        usd = sum(one.usd or 0.0 for one in asked)
        yield f"{len(asked)} items asked a model: {tokens:,} tokens, {usd:.4f} USD."
        yield ""


def _item(one: Result) -> Iterator[str]:
    about = one.about
    yield f"<details><summary>{_text(about.item)}: {_text(one.headline or one.outcome)}</summary>"
    yield ""
    yield f"{_text(about.title)} — `{about.file}:{about.line}`"
    yield ""
    for found in one.found[:3]:
        yield from _finding(found)
    if len(one.found) > 3:
        yield f"… and {len(one.found) - 3} findings more"
        yield ""
    if not one.found:
        yield from _fenced(one.message)
    yield from _fenced(f"pytest {shlex.quote(about.item)}")
    yield "</details>"
    yield ""


def _finding(found: Found) -> Iterator[str]:
    layer = f" (layer {found.layer})" if found.layer else ""
    where = ", ".join(filter(None, [found.place, f"session {found.session}" if found.session else ""]))
    yield f"**{_text(found.check)}**{layer} {_text(where)}: {_text(found.message)}"
    yield ""
    told = [f"expected  {found.expected}"] * bool(found.expected) + [f"seen      {found.seen}"] * bool(found.seen)
    if told:
        yield from _fenced("\n".join(told))
    if found.advice:
        yield _text(found.advice)
        yield ""


def _fenced(text: str) -> Iterator[str]:
    """In a fence that is longer than any in the text."""
    text = visible(text)
    fence = "`" * max(3, 1 + max((len(run) for run in _runs_of_ticks(text)), default=0))
    yield f"{fence}text"
    yield text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"
    yield fence
    yield ""


def _runs_of_ticks(text: str) -> list[str]:
    return "".join(char if char == "`" else " " for char in text).split()


def _text(words: str) -> str:
    """In one line; nothing in it is markup."""
    short = visible(" ".join(words.split()))
    escaped = short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{char}" if char in "\\`*_[]|~@#" else char for char in escaped)
