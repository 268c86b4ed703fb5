"""Server-sent events, parsed incrementally (WHATWG HTML, section 9.2.6): the cut into chunks changes nothing."""

import re
from collections.abc import Iterable, Iterator

from convtest.structs import Struct

_BEGINS = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*(?:(?:event|data|id|retry):|:.*[\r\n])")
_ENOUGH = 256
"""Bytes that tell how a body begins."""


class ServerEvent(Struct, frozen=True):
    event: str
    data: str


class SSEParser:
    """Feed it bytes as they arrive; it returns the events that became whole."""

    def __init__(self) -> None:
        self._rest = b""
        self._started = False
        self._event = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[ServerEvent]:
        self._rest += data
        if not self._started:
            if self._rest in (b"", b"\xef", b"\xef\xbb"):
                return []
            self._rest = self._rest.removeprefix(b"\xef\xbb\xbf")
            self._started = True
        if b"\r" in self._rest:
            return list(self._lines())
        *lines, self._rest = self._rest.split(b"\n")
        return self._events(lines)

    def _lines(self) -> Iterator[ServerEvent]:
        start, rest = 0, self._rest
        while True:
            end = _line_end(rest, start)
            if end is None:
                break
            stop, following = end
            yield from self._events((rest[start:stop],))
            start = following
        self._rest = rest[start:]

    def _events(self, lines: Iterable[bytes]) -> list[ServerEvent]:
        """Those that these lines end."""
        found = []
        for line in lines:
            if not line:
                if self._data:
                    found.append(ServerEvent(self._event or "message", "\n".join(self._data)))
                    self._data = []
                self._event = ""
                continue
            name, _, value = line.decode("utf-8", "replace").partition(":")
            if name == "data":
                self._data.append(value.removeprefix(" "))
            elif name == "event":
                self._event = value.removeprefix(" ")
        return found


def _line_end(data: bytes, start: int) -> tuple[int, int] | None:
    """Where the line ends and the next begins; None while a CR at the end may still become a CRLF."""
    newline = data.find(b"\n", start)
    carriage = data.find(b"\r", start, newline if newline >= 0 else len(data))
    if carriage >= 0:
        if carriage + 1 == len(data):
            return None
        return carriage, carriage + (2 if data[carriage + 1 : carriage + 2] == b"\n" else 1)
    return (newline, newline + 1) if newline >= 0 else None


def parse(chunks: Iterable[bytes]) -> list[ServerEvent]:
    """All events of a whole stream; a last one without its blank line is dropped, as the standard says."""
    parser = SSEParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return events + parser.feed(b"\n") if parser._rest.endswith(b"\r") else events


def begins_stream(chunks: Iterable[bytes]) -> bool:
    """Whether a body begins as a stream of events: with a field of one, or a comment."""
    head = b""
    for chunk in chunks:
        head += chunk[:_ENOUGH]
        if len(head) >= _ENOUGH:
            break
    return _BEGINS.match(head) is not None
