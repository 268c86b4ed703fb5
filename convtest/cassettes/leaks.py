"""What is left in a cassette or another file of what writing would have replaced."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from convtest.cassettes.bodies import last_text, texts_of
from convtest.cassettes.dummies import is_dummy
from convtest.cassettes.naming import breaks_off, is_secret_header
from convtest.cassettes.scrubbing import Scrubber
from convtest.structs import Struct
from convtest.wire.interaction import Interaction
from convtest.wire.marks import PLACEHOLDER, Found

_BEGINNING = 12
"""Letters of the beginning of a secret that are worth a word."""
_PLACEHOLDER = re.compile(rf"{PLACEHOLDER}(?:_[A-Za-z0-9_]+(?:-\d+)?)?")


class Leak(Struct, frozen=True):
    """One secret that stands somewhere; never the secret itself."""

    file: str
    kind: str
    """As its placeholder has it, such as KEY; HEADER for one that its header's name tells."""
    place: str
    """Where in the interaction, or what the line is without the secret."""
    line: int | None = None
    interaction: int | None = None

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        within = "" if self.interaction is None else f" interaction {self.interaction}:"
        return f"{where}:{within} a secret stands here: {self.place}"


def in_text(text: str, file: str, scrubber: Scrubber) -> Iterator[tuple[Leak, str]]:
    """Each with the secret itself."""
    found = [one for one in scrubber.found(text) if not one.mark.is_placeholder]
    lines = text.splitlines(keepends=True) if found else []
    starts = [0, *accumulate(map(len, lines))]
    told: set[tuple[int, str]] = set()
    for one in found:
        number = bisect_right(starts, one.start)
        if (number, one.mark.kind) not in told:
            told.add((number, one.mark.kind))
            shown = _line_of(text, one, starts[number - 1], starts[number], scrubber)
            yield Leak(file, _kind(one), shown, line=number), one.mark.token


def in_recording(recorded: Sequence[Interaction], file: str, scrubber: Scrubber) -> Iterator[tuple[Leak, str]]:
    """What its headers, its decoded bodies and its streams hold; each with the secret itself."""
    for number, one in enumerate(recorded, 1):
        for name in dict.fromkeys(_headers_kept(one)):
            yield Leak(file, "HEADER", f"the header {name}, as it was sent", interaction=number), name
        for place, text in _texts(one):
            for found in scrubber.found(text):
                if not found.mark.is_placeholder:
                    yield Leak(file, _kind(found), f"{place}, {_kind(found)}", interaction=number), found.mark.token
        if breaks_off(one) and len(begun := _begun(one, scrubber)) >= _BEGINNING and not is_dummy(begun):
            yield Leak(file, "BEGINNING", "the end of the answer, where a secret begins", interaction=number), begun


def _begun(one: Interaction, scrubber: Scrubber) -> str:
    text = last_text(one.body)
    return text[scrubber.begun(text) :]


def _headers_kept(one: Interaction) -> Iterator[str]:
    """What other recorders leave in the headers that are never kept: of any shape, so only their names tell."""
    for name, value in (*one.request.headers, *one.headers):
        if is_secret_header(name) and not is_dummy(_PLACEHOLDER.sub(" ", value)):
            yield name


def _texts(one: Interaction) -> Iterator[tuple[str, str]]:
    yield "the address", one.request.url
    for name, value in (*one.request.headers, *one.headers):
        if not is_secret_header(name):
            yield f"the header {name}", value
    yield "the request", one.request.body.decode("utf-8", "replace")
    yield "the answer", one.body.decode("utf-8", "replace")
    for text in texts_of(one.body):
        yield "the stream of the answer", text


def _kind(found: Found) -> str:
    return found.mark.kind.removeprefix(f"{PLACEHOLDER}_")


def _line_of(text: str, one: Found, start: int, end: int, scrubber: Scrubber) -> str:
    """The line that it begins in, without it."""
    before, after = text[start : one.start], text[one.end : end] if one.end < end else ""
    return scrubber.text(f"{before}{one.mark.kind}{after}").strip()[:80]
