"""Content encodings (RFC 9110, section 8.4), undone piece by piece and never beyond a limit.

So a cassette holds text, matching compares words and scrubbing finds secrets in them. gzip and deflate are the standard
library's; br and zstd need the packages that httpx needs for them too (extra `encodings`).
"""

import importlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any, Protocol

from convtest.errors import MissingDecoder
from convtest.limits import DEFAULTS

_PIECE = 1 << 20
"""Bytes that are decoded at once: a small body may hold a very large one."""
_SIP = 256
"""Bytes that are fed at once to zstd, which cannot be told how much to give: it makes some 10 MB of them at most."""
_DEEPEST = 4
"""Encodings around one another that are undone."""


class Undecodable(ValueError):
    """The bytes are not in the encoding that they are said to be in."""


class TooMuch(ValueError):
    """A body has more bytes than it may have, decoded."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"it has more than {limit:,} bytes, decoded")


class _Step(Protocol):
    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Plain bytes, as they come out; raises whatever its library does."""
        ...

    @property
    def over(self) -> bool:
        """Whether it has come to the end of what was encoded."""
        ...


class Decoding:
    """Turns each chunk as it came into plain bytes; encodings that nobody knows are left as they are."""

    def __init__(self, names: Sequence[str], limit: int = DEFAULTS.body) -> None:
        """`names` as `claimed` gives them. Raises MissingDecoder."""
        self._limit, self._given = limit, 0
        self._steps = [_STEPS[name]() for name in reversed(names[:_DEEPEST]) if name in _STEPS]

    def feed(self, data: bytes) -> bytes:
        """Raises Undecodable, TooMuch."""
        found = []
        for piece in _through(self._steps, data):
            self._given += len(piece)
            if self._given > self._limit:
                raise TooMuch(self._limit)
            found.append(piece)
        return b"".join(found)

    @property
    def over(self) -> bool:
        """Whether all that was encoded has come."""
        return all(step.over for step in self._steps)


def claimed(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The encodings of a body as its headers say them, in the order in which they were applied."""
    said = [value for name, value in headers if name.lower() == "content-encoding"]
    names = [name.strip().lower() for value in said for name in value.split(",")]
    return tuple(name for name in names if name not in {"", "identity"})


def decoded_body(body: bytes, names: Sequence[str], *, by_shape: bool = False, limit: int = DEFAULTS.body) -> bytes:
    """A whole body in plain. What is not in the encoding that it claims is left as it is: recorders decode bodies and
    keep the header. With `by_shape` one that claims nothing is known by how it begins: recorders filter headers.

    Raises Undecodable for a body that begins as an encoded one and breaks, TooMuch, MissingDecoder.
    """
    for name in reversed(names[:_DEEPEST]):
        body = _undone(body, name, limit)
    return _by_shape(body, limit) if by_shape else body


def _by_shape(body: bytes, limit: int) -> bytes:
    for _ in range(_DEEPEST):
        try:
            body = _undone(body, shape_of(body), limit)
        except Undecodable:
            # Nobody said that it was encoded.
            break
    return body


@cache
def decodable() -> frozenset[str]:
    """The encodings that can be undone here."""
    missing = {name for name, needs in _NEEDS.items() if find_spec(needs) is None}
    return frozenset({*_STEPS, "identity"} - missing)


def shape_of(body: bytes) -> str:
    """The encoding that the body begins as; empty where it begins as none."""
    return next((name for begin, name in _BEGINS.items() if body.startswith(begin)), "")


def _undone(body: bytes, name: str, limit: int) -> bytes:
    if name not in _STEPS or not body:
        return body
    name = name.removeprefix("x-")
    is_one = shape_of(body) == name
    if not is_one and name in _BEGINS.values():
        return body
    decoding = Decoding([name], limit)
    try:
        plain = decoding.feed(body)
        if not decoding.over:
            raise Undecodable(f"it is {name} that was cut off")
    except Undecodable:
        if is_one:
            raise
        return body
    return plain


def _through(steps: Sequence[_Step], data: bytes) -> Iterator[bytes]:
    if not steps:
        yield data
        return
    pieces = steps[0].pieces(data)
    while True:
        try:
            piece = next(pieces, None)
        except Exception as error:  # each library has its own, and all of them mean the same
            raise Undecodable(f"it is not what it is said to be: {error}") from None
        if piece is None:
            return
        yield from _through(steps[1:], piece)


class _Zlib:
    """gzip in one or several parts, deflate in the zlib format or raw, as some servers send it."""

    def __init__(self, wbits: Callable[[bytes], int]) -> None:
        self._wbits = wbits
        self._made: Any = None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._made is None:
                self._made = zlib.decompressobj(self._wbits(data))
            yield self._made.decompress(data, _PIECE)
            data = self._made.unconsumed_tail
            if self._made.eof and self._made.unused_data[:2] == b"\x1f\x8b":
                data, self._made = self._made.unused_data, None

    @property
    def over(self) -> bool:
        return self._made is not None and bool(self._made.eof)


class _Brotli:
    def __init__(self) -> None:
        self._made: Any = _module("br").Decompressor()
        if not hasattr(self._made, "can_accept_more_data"):
            raise MissingDecoder("br")  # before 1.2 it could not be told how much to give

    def pieces(self, data: bytes) -> Iterator[bytes]:
        yield self._made.process(data, output_buffer_limit=_PIECE)
        while not self._made.can_accept_more_data():
            yield self._made.process(b"", output_buffer_limit=_PIECE)

    @property
    def over(self) -> bool:
        return bool(self._made.is_finished())


class _Zstd:
    def __init__(self) -> None:
        self._made: Any = _module("zstd").ZstdDecompressor().decompressobj()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _SIP):
            if self._made.eof:
                return
            yield self._made.decompress(data[start : start + _SIP])

    @property
    def over(self) -> bool:
        return bool(self._made.eof)


def _module(encoding: str) -> Any:
    try:
        return importlib.import_module(_NEEDS[encoding])
    except ImportError:
        raise MissingDecoder(encoding) from None


def _raw_or_not(data: bytes) -> int:
    """RFC 9110 asks for the zlib format, whose first byte ends in 8."""
    return -zlib.MAX_WBITS if data[0] & 0x0F != 8 else zlib.MAX_WBITS


_STEPS: dict[str, Callable[[], _Step]] = {
    "gzip": lambda: _Zlib(lambda data: zlib.MAX_WBITS | 16),
    "x-gzip": lambda: _Zlib(lambda data: zlib.MAX_WBITS | 16),
    "deflate": lambda: _Zlib(_raw_or_not),
    "br": _Brotli,
    "zstd": _Zstd,
}
_NEEDS = {"br": "brotli", "zstd": "zstandard"}
_BEGINS = {b"\x1f\x8b\x08": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
