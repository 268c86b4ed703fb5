"""Bodies kept in chunks, rewritten where something was found: also what a boundary cuts or several events spell."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Protocol

import msgspec

from convtest.cassettes.edits import Edits
from convtest.wire.interaction import Chunk
from convtest.wire.marks import Found, Mark
from convtest.wire.unread import decoded

_SPELLING = frozenset({"text", "content", "partial_json", "thinking", "reasoning_content", "delta", "arguments"})
"""Keys in a delta whose values are pieces of one text."""
_DELTAS = re.compile(
    rb'"(?:text|content|partial_json|thinking|reasoning_content|delta|arguments)": ?"((?:[^"\\]|\\.)*)"'
)
_BEFORE = 24
"""Letters before a cut that tell its place."""
_OF_JSON = frozenset({"partial_json", "arguments"})
_ARGUMENTS = re.compile(r'"(?:partial_json|arguments)": ?"((?:[^"\\]|\\.)*+)"')
_NUMBERS = ("index", "output_index", "content_index", "summary_index")
_OTHER_ROWS = re.compile(rb'"(?:index|output_index)": ?[1-9]')
"""Pieces of several texts may come by turns."""


class Looks(Protocol):
    """Finds what is to be replaced."""

    def may_hold(self, text: str) -> bool:
        """Whether something may stand in it; cheap."""
        ...

    def found(self, text: str) -> Sequence[Found]: ...


def rewritten(
    chunks: Sequence[Chunk], looks: Looks, put: Callable[[Mark], str], ends: Callable[[str], int] | None = None
) -> list[Chunk]:
    """The chunks with `put` in the place of what `looks` finds. Where an answer broke off, `ends` says how much of its
    last text is kept. The number of events stays as it is."""
    edits = Edits(b"".join(chunk.data for chunk in chunks))
    last = last_text(edits.body) if ends is not None else ""
    edits.apply(_over_events(edits.body, looks, put, ends))
    if ends is not None:
        edits.apply(_cut_repeated(edits.body, last, ends(last)))
        text = edits.body.decode("utf-8", "surrogateescape")
        kept = len(_bytes(text[: ends(text)]))
        edits.apply([(kept, len(edits.body), b"")] if kept < len(edits.body) else [])
    edits.apply(_contiguous(edits.body, looks, put))
    return edits.chunks(chunks) if edits.changed else list(chunks)


def last_text(body: bytes) -> str:
    """The text that an answer broke off in, as far as its deltas had spelled it, or it had told it as a whole."""
    return (texts_of(body) or _texts_of_whole(body) or [""])[-1]


def texts_of(body: bytes) -> list[str]:
    """What the deltas of a stream spell, text by text."""
    return ["".join(piece.value for piece in row) for row in _rows(body)]


def _contiguous(body: bytes, looks: Looks, put: Callable[[Mark], str]) -> list[tuple[int, int, bytes]]:
    text = body.decode("utf-8", "surrogateescape")
    edits, at, size = [], 0, 0
    for one in looks.found(text):
        start = size + len(_bytes(text[at : one.start]))
        end = start + len(_bytes(text[one.start : one.end]))
        at, size = one.end, end
        new = _bytes(_spelled(put(one.mark), text, one.start))
        if body[start:end] != new:
            edits.append((start, end, new))
    return edits


def _spelled(value: str, text: str, at: int) -> str:
    """As JSON has it; what stands in the arguments of a tool is JSON in JSON."""
    once = _in_json(value)
    if once == value:
        return once
    inside = any(found.start(1) <= at < found.end(1) for found in _ARGUMENTS.finditer(text))
    return _in_json(once) if inside else once


def _in_json(text: str) -> str:
    return msgspec.json.encode(text).decode()[1:-1]


def _over_events(
    body: bytes, looks: Looks, put: Callable[[Mark], str], ends: Callable[[str], int] | None
) -> list[tuple[int, int, bytes]]:
    together = b"".join(_DELTAS.findall(body)).decode("utf-8", "replace")
    if ends is None and not _OTHER_ROWS.search(body) and not looks.may_hold(together):
        return []
    changed: dict[int, _Piece] = {}
    rows = _rows(body)
    for row in rows:
        if ends is not None and row is rows[-1]:
            cut = _cut(row, ends("".join(piece.value for piece in row)))
            changed.update((piece.start, piece) for piece in cut)
        changed.update((piece.start, piece) for piece in _replaced(row, looks, put))
    return [(piece.start, piece.end, piece.line()) for _, piece in sorted(changed.items())]


def _replaced(row: list["_Piece"], looks: Looks, put: Callable[[Mark], str]) -> Iterator["_Piece"]:
    """What lies over several pieces is put there again over as many."""
    whole = "".join(piece.value for piece in row)
    starts = [0, *accumulate(len(piece.value) for piece in row)]
    for one in reversed(looks.found(whole) if len(row) > 1 else ()):
        over = [(max(one.start, a) - a, min(one.end, b) - a, n) for n, (a, b) in enumerate(pairwise(starts))]
        touched = [(a, b, n) for a, b, n in over if a < b]
        new = _in_json(put(one.mark)) if row[0].is_json else put(one.mark)
        if new == whole[one.start : one.end] or (len(touched) == 1 and _finds_alone(row[touched[0][2]], one, looks)):
            continue
        for (a, b, n), part in zip(touched, _spread(new, len(touched)), strict=True):
            row[n].put(row[n].value[:a] + part + row[n].value[b:])
            yield row[n]


def _finds_alone(piece: "_Piece", one: Found, looks: Looks) -> bool:
    """Whether it is found in its piece alone: what tells it may stand in another."""
    return any(found.mark == one.mark for found in looks.found(piece.value))


def _spread(text: str, count: int) -> list[str]:
    """Nearly all of it first, and a letter for each of the others: a client may yield nothing for an empty piece."""
    first = max(1, len(text) - count + 1)
    return [text[:first], *(text[first + n : first + n + 1] for n in range(count - 1))]


def _cut(row: list["_Piece"], keep: int) -> Iterator["_Piece"]:
    """The row up to `keep` letters. A piece that would be empty gets the last letter of those before it: a client may
    yield nothing for an empty one, and the number of events is part of the recording."""
    whole = "".join(piece.value for piece in row)[:keep]
    ends = list(accumulate(len(piece.value) for piece in row))
    if ends[-1] <= keep:
        return
    at = len(whole)
    for index in range(len(row) - 1, -1, -1):
        start = min(ends[index - 1] if index else 0, max(at - 1, 0))
        if row[index].value != whole[start:at]:
            row[index].put(whole[start:at])
            yield row[index]
        at = start


def _cut_repeated(body: bytes, text: str, kept: int) -> list[tuple[int, int, bytes]]:
    """Where an answer tells the text that it broke off in as a whole, in its last event too."""
    before, left = text[max(0, kept - _BEFORE) : kept], text[kept:]
    found: set[tuple[int, int, bytes]] = set()
    for spelled in (_in_json, lambda part: json.dumps(part)[1:-1]) if left else ():
        start, end = _bytes(spelled(before)), _bytes(spelled(left))
        found |= {
            (at.start(1), at.end(1), b"") for at in re.finditer(re.escape(start) + b"(" + re.escape(end) + b')"', body)
        }
    return sorted(found)


def _texts_of_whole(body: bytes) -> list[str]:
    if not body.lstrip().startswith(b"{"):
        return []
    try:
        found = _strings(decoded(body), ())
        return [text for keys, text in found if keys[-1] in _SPELLING]
    except ValueError:
        return []


class _Piece:
    """One string in the JSON of one `data:` line."""

    def __init__(self, start: int, end: int, data: Any, keys: tuple[Any, ...], value: str) -> None:
        self.start, self.end, self.data, self.keys, self.original = start, end, data, keys, value
        self.value = value

    @property
    def path(self) -> str:
        """Of the text that it is a piece of: choices, blocks and tools may come by turns, each with its own number."""
        holder, numbers = self.data, [self.data.get(name) for name in _NUMBERS]
        for key in self.keys[:-1]:
            holder = holder[key]
            if isinstance(holder, dict):
                numbers.append(holder.get("index"))
        return f"{self.keys}@{numbers}"

    @property
    def is_json(self) -> bool:
        """Whether it is a piece of JSON: of a tool's input."""
        return self.keys[-1] in _OF_JSON or (self.keys[-1] == "delta" and "arguments" in str(self.data.get("type")))

    def put(self, value: str) -> None:
        self.value = value
        holder = self.data
        for key in self.keys[:-1]:
            holder = holder[key]
        holder[self.keys[-1]] = value

    def line(self) -> bytes:
        return b"data: " + msgspec.json.encode(self.data)


def _rows(body: bytes) -> list[list[_Piece]]:
    """The pieces of each text, those of the one that ended last at the end."""
    rows: dict[str, list[_Piece]] = {}
    for piece in _pieces(body):
        rows.setdefault(piece.path, []).append(piece)
    return sorted(rows.values(), key=lambda row: row[-1].start)


def _pieces(body: bytes) -> Iterator[_Piece]:
    for found in re.finditer(rb"^data: ?(\{.*\})[^\S\n]*$", body, re.MULTILINE):
        try:
            data = decoded(found[1])
        except ValueError:
            continue
        for keys, value in _strings(data, ()):
            if "delta" in keys and keys[-1] in _SPELLING:
                yield _Piece(found.start(), found.end(), data, keys, value)


def _strings(value: Any, keys: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(value, str):
        yield keys, value
    elif isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _strings(one, (*keys, key))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
