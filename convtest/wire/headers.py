"""Headers between text and bytes: whatever stands in a recording can be sent, and comes back as the same text."""

import re
from collections.abc import Iterable

from convtest.wire.encoding import decodable

_BREAKS = re.compile(r"[\r\n\0]+")
"""What would begin another header, or end them all."""


def to_bytes(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """As they go over the wire: ASCII, else UTF-8, which HTTP clients try first."""
    return [(_bytes(name), _bytes(value)) for name, value in headers]


def _bytes(text: str) -> bytes:
    return _BREAKS.sub(" ", text).encode("utf-8", "surrogateescape")


def to_text(data: bytes) -> str:
    """A header's name or value: UTF-8 where it is that, else the bytes as letters of Latin-1."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def without_undecodable(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Without the encodings that nothing here can undo: an answer in one of them could not be kept."""
    return tuple((name, _accepted(value) if name.lower() == "accept-encoding" else value) for name, value in headers)


def _accepted(value: str) -> str:
    given = [one.strip() for one in value.split(",") if one.strip()]
    kept = [one for one in given if one.partition(";")[0].strip().lower() in decodable()]
    return value if len(kept) == len(given) else ", ".join(kept) or "identity"
