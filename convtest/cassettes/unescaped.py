"""Text that stands in JSON or in an address, as it reads there; also JSON in JSON, and letters spelled `\\u0073`."""

import re
from bisect import bisect_right
from collections.abc import Iterator

_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[\"\\/bfnrt])"
    r"|%[2-7][0-9a-fA-F]"
)
_LETTERS = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_DEEPEST = 3
"""JSON in JSON in JSON: the arguments of a tool, in an event, in what quotes that."""


class View:
    """A text with its escapes undone, which still knows where each letter stood."""

    def __init__(self, text: str, under: "View | None" = None) -> None:
        parts, at, size = [], 0, 0
        self._under = under
        self._here, self._there = [0], [0]
        for found in _ESCAPE.finditer(text):
            start, end = found.span()
            letter = chr(int(found[0][1:], 16)) if found[0][0] == "%" else _letter(found[0][1:])
            parts += [text[at:start], letter]
            size += start - at
            self._here += [size, size + 1]
            self._there += [start, end]
            at, size = end, size + 1
        self.text = "".join([*parts, text[at:]])

    def place(self, offset: int) -> int:
        """Where what stands at this offset stands in the text that was undone first."""
        index = bisect_right(self._here, offset) - 1
        there = self._there[index] + offset - self._here[index]
        return there if self._under is None else self._under.place(there)


def _letter(escape: str) -> str:
    if escape[0] != "u":
        return _LETTERS[escape]
    code = int(escape[1:5], 16)
    if len(escape) > 5:
        return chr(0x10000 + ((code - 0xD800) << 10) + int(escape[7:], 16) - 0xDC00)
    return chr(code) if not 0xD800 <= code < 0xE000 else "\ufffd"


def views(text: str) -> Iterator[View]:
    """The text with its escapes undone, again and again while some are left: the deepest first."""
    found: list[View] = []
    while ("\\" in text or "%" in text) and len(found) < _DEEPEST:
        view = View(text, found[-1] if found else None)
        if view.text == text:
            break
        found.append(view)
        text = view.text
    yield from reversed(found)
