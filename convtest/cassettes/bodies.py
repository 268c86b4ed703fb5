"""Bodies kept in chunks, rewritten where something was found: also what a boundary cuts or several events spell."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Protocol

import msgspec

from convtest.cassettes.edits import Edits
from convtest.wire.interaction import Chunk
from convtest.wire.marks import Found, Mark

_SPELLING = frozenset({"text", "content", "partial_json", "thinking", "reasoning_content", "delta", "arguments"})
"""Keys in a delta whose values are pieces of one text."""
_DELTAS = re.compile(
    rb'"(?:text|content|partial_json|thinking|reasoning_content|delta|arguments)": ?"((?:[^"\\]|\\.)*)"'
)


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
    edits.apply(_over_events(edits.body, looks, put, ends))
    if ends is not None:
        text = edits.body.decode("utf-8", "surrogateescape")
        kept = len(_bytes(text[: ends(text)]))
        edits.apply([(kept, len(edits.body), b"")] if kept < len(edits.body) else [])
    edits.apply(_contiguous(edits.body, looks, put))
    return edits.chunks(chunks) if edits.changed else list(chunks)


def last_text(body: bytes) -> str:
    """What the deltas of a stream had spelled of the text that it broke off in."""
    return (texts_of(body) or [""])[-1]


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
        new = _bytes(msgspec.json.encode(put(one.mark)).decode()[1:-1])
        if body[start:end] != new:
            edits.append((start, end, new))
    return edits


def _over_events(
    body: bytes, looks: Looks, put: Callable[[Mark], str], ends: Callable[[str], int] | None
) -> list[tuple[int, int, bytes]]:
    together = b"".join(_DELTAS.findall(body)).decode("utf-8", "replace")
    if ends is None and not looks.may_hold(together):
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
        new = put(one.mark)
        if len(touched) < 2 or new == whole[one.start : one.end]:
            continue
        for (a, b, n), part in zip(touched, _spread(new, len(touched)), strict=True):
            row[n].put(row[n].value[:a] + part + row[n].value[b:])
            yield row[n]


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


class _Piece:
    """One string in the JSON of one `data:` line."""

    def __init__(self, start: int, end: int, data: Any, keys: tuple[Any, ...], value: str) -> None:
        self.start, self.end, self.data, self.keys, self.original = start, end, data, keys, value
        self.value = value

    @property
    def path(self) -> str:
        return ".".join(str(key) for key in self.keys) + f"@{self.data.get('index', '')}"

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
            data = msgspec.json.decode(found[1])
        except (msgspec.DecodeError, UnicodeDecodeError):
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
