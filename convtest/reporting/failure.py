"""What a person reads when an item failed: the conversation, each finding, the one thing to do."""

import shlex
from collections.abc import Iterator

from convtest.reporting.conversation import conversation_lines
from convtest.results.model import Found, Result
from convtest.results.ranking import side
from convtest.textmatch import visible

_MOST = 6


def failure_text(result: Result, *, whole: bool = False) -> str:
    """The report of a failed item, plain text; `whole` leaves out no step, no word and no finding."""
    return visible("\n".join(_lines(result, whole)))


def _lines(result: Result, whole: bool) -> Iterator[str]:
    about, found = result.about, result.found
    yield f"{about.file}:{about.line}: {about.title} ({result.source})"
    yield f"  {side(found)}"
    yield ""
    yield from conversation_lines(result, {one.step for one in found if one.step}, whole=whole)
    ordered = sorted(found, key=lambda one: one.check == "miss")
    most = len(ordered) if whole else _MOST
    for one in ordered[:most]:
        yield ""
        yield from finding_lines(one)
        yield from (f"    {line}" for line in one.difference)
    if len(ordered) > most:
        yield ""
        yield f"  … and {len(ordered) - most} findings more: -v shows them"
    if result.edited:
        yield "  the cassette was edited by hand: chunk lengths do not add up, event boundaries are used"
    for blind in result.not_seen:
        yield f"  not seen: {blind.check} ({blind.why})"
    yield ""
    if any(one.check in {"miss", "unplayed"} for one in found):
        yield f"  if the change is meant, record it: {about.record_command}"
    yield f"  run just this item: pytest {shlex.quote(about.item)}"


def finding_lines(found: Found) -> Iterator[str]:
    """Layer, check and place in one line; then what, expected, seen, and what to do."""
    where = [found.place]
    if found.step:
        where.append(f"step {found.step}{f' ({found.step_id})' if found.step_id else ''}")
    if found.session:
        where.append(f"session {found.session}")
    layer = f"  layer {found.layer}" if found.layer else ""
    yield f"  {found.check}{layer}  {', '.join(where)}"
    yield f"    {found.message}"
    if found.expected:
        yield f"      expected  {_indented(found.expected)}"
    if found.seen:
        yield f"      seen      {_indented(found.seen)}"
    if found.advice:
        yield f"    {found.advice}"


def _indented(text: str) -> str:
    return text.strip().replace("\n", "\n                ")
