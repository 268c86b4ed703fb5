"""Edits of a body that is kept in chunks: what becomes longer or shorter moves their boundaries."""

from collections.abc import Sequence

from convtest.wire.interaction import Chunk


class Edits:
    """A body under replacement that still knows where its old offsets have gone."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.changed = False
        self._moves: list[list[tuple[int, int, int]]] = []

    def apply(self, edits: list[tuple[int, int, bytes]]) -> None:
        parts, at, moves = [], 0, []
        for start, end, new in edits:
            parts += [self.body[at:start], new]
            moves.append((start, end, len(new)))
            at = end
        if edits:
            self.body = b"".join([*parts, self.body[at:]])
            self._moves.append(moves)
            self.changed = True

    def chunks(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        made, start, old = [], 0, 0
        for chunk in chunks:
            old += len(chunk.data)
            end = max(start, self._moved(old))
            if end > start:
                made.append(Chunk(chunk.ms, self.body[start:end]))
            start = end
        return made

    def _moved(self, offset: int) -> int:
        """Where an old boundary is now; one inside a replaced span goes to its end."""
        for moves in self._moves:
            shift = 0
            for start, end, size in moves:
                if offset <= start:
                    break
                if offset < end:
                    offset = end
                shift += size - (end - start)
            offset += shift
        return offset
