"""A recording made anew, with the words of the old one wherever nothing changed: its times, ids and order stay.

So a pull request shows what changed and nothing else. An interaction stays as it was where only what each run has anew
differs (`residue`), and where nothing that did change names one of its new ids.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from convtest.cassettes.comparison import compare
from convtest.cassettes.format import KEY, Recording, from_plain
from convtest.cassettes.naming import Names
from convtest.cassettes.reading import UNREADABLE, read
from convtest.cassettes.residue import SECRETS, leaves, residue
from convtest.structs import Struct
from convtest.wire.interaction import Interaction

_BEGIN, _END = "interactions:\n", "version: 1\n"
_EXTRA = f"\n    {KEY}:\n"
_SENT = re.compile(r"^      sent: (\d+)$", re.MULTILINE)
_DIGEST = re.compile(r"^      digest: .*\n", re.MULTILINE)
Place = tuple[str | None, int]
"""A lane, and the position of a request in it."""


class _Kept(Struct, frozen=True):
    """One interaction as it stands in the file, as data, and as it is read."""

    text: str
    row: Any
    read: Interaction


def steadied(old: str, new: str, names: Names) -> str:
    """The text of the new recording, with that of the old one for each interaction that is the same. `names` finds what
    may not be stored, in the old one too."""
    before, after = _opened(old), _opened(new)
    if before is None or after is None:
        return new
    same = _without_named(before, after, set(_unchanged(before, after, names)))
    ordered = after if {*before} != {*after} else before
    blocks = [before[place].text if place in same else after[place].text for place in ordered]
    made = _BEGIN + "".join(_numbered(blocks, [_number(one) for one in ordered.values()], next(iter(after.values()))))
    merged = _opened(f"{made}{_END}")
    # One id may stand in the place of another only throughout.
    fits = merged is not None and not list(compare(_reads(merged), _reads(after)))
    return f"{made}{_END}" if fits else new


def _opened(text: str) -> dict[Place, _Kept] | None:
    """By lane and position, in the order of the file; None for a file that we have not written so."""
    try:
        plain = read(text.encode())
        found = Recording(from_plain(plain), plain)
    except UNREADABLE:
        return None
    if not text.startswith(_BEGIN) or not text.endswith(_END):
        return None
    blocks = re.split(r"^(?=- )", text[len(_BEGIN) : -len(_END)], flags=re.MULTILINE)[1:]
    if len(blocks) != len(found.interactions) or plain["interactions"] != found.rows or not blocks:
        return None
    if any(
        one.foreign or len(_SENT.findall(_extra(text))) != 1
        for one, text in zip(found.interactions, blocks, strict=True)
    ):
        return None
    counts: dict[str | None, int] = {}
    placed: dict[Place, _Kept] = {}
    for text, row, one in zip(blocks, found.rows, found.interactions, strict=True):
        counts[one.lane] = counts.get(one.lane, 0) + 1
        placed[one.lane, counts[one.lane]] = _Kept(text, row, one)
    return placed


def _unchanged(before: Mapping[Place, _Kept], after: Mapping[Place, _Kept], names: Names) -> Iterator[Place]:
    changed = {(one.lane, one.number) for one in compare(_reads(before), _reads(after))}
    for place in before:
        if place in after and place not in changed:
            one, other = before[place], after[place]
            left = residue(_bare(one.row), _bare(other.row))
            if not left.lines and SECRETS not in left.anew and _is_clean(one, names):
                yield place


def _without_named(before: Mapping[Place, _Kept], after: Mapping[Place, _Kept], same: set[Place]) -> set[Place]:
    """Those whose new ids and signatures stand in none that is written anew."""
    anew = {place: _values_anew(before[place].row, after[place].row) for place in same}
    while True:
        written = "".join(after[place].text for place in after if place not in same)
        kept = {place for place in same if not any(value in written for value in anew[place])}
        if kept == same:
            return same
        same = kept


def _values_anew(one: Any, other: Any) -> set[str]:
    """The texts in the bodies that only the new run has."""
    found = (new for path, _, new in leaves(one, other) if "body" in path[:2])
    return {new for new in found if isinstance(new, str) and new}


def _is_clean(one: _Kept, names: Names) -> bool:
    """Whether nothing stands in it that may not be stored by now."""
    chunks = names.chunks(one.read)
    return names.text(one.text) == one.text and b"".join(chunk.data for chunk in chunks) == one.read.body


def _numbered(blocks: Sequence[str], numbers: Sequence[int], first: _Kept) -> Iterator[str]:
    """With these numbers of sending; what the scenario asked for stands in the first one only."""
    digest = _DIGEST.search(_extra(first.text))
    for position, (block, number) in enumerate(zip(blocks, numbers, strict=True)):
        extra = _extra(block)
        changed = _DIGEST.sub("", _SENT.sub(f"      sent: {number}", extra))
        asked = digest[0] if digest is not None and position == 0 else ""
        yield f"{block[: len(block) - len(extra)]}{changed}{asked}"


def _extra(block: str) -> str:
    """What stands under our own key: the end of it."""
    at = block.rfind(_EXTRA)
    return block[at:] if at >= 0 else ""


def _number(one: _Kept) -> int:
    return one.read.number


def _bare(row: Mapping[str, Any]) -> Any:
    """Without what stands in a first one only."""
    response = row["response"]
    extra = {key: value for key, value in response[KEY].items() if key != "digest"}
    return {**row, "response": {**response, KEY: extra}}


def _reads(placed: Mapping[Place, _Kept]) -> list[Interaction]:
    return [one.read for one in placed.values()]
