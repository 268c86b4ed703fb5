"""Content encodings, undone chunk by chunk, so that a cassette holds text and keeps the boundaries."""

import importlib
import zlib
from collections.abc import Callable
from typing import Any

Decoder = Callable[[bytes], bytes]


def decoder_for(encoding: str) -> Decoder:
    """What turns each chunk as it came into plain bytes; unknown encodings are left as they are.

    gzip and deflate are the standard library's; br and zstd need the packages that httpx needs for them too.
    """
    names = [name.strip().lower() for name in encoding.split(",") if name.strip()]
    decoders = [_DECODERS[name]() for name in reversed(names) if name in _DECODERS]

    def decode(data: bytes) -> bytes:
        for one in decoders:
            data = one(data)
        return data

    return decode


def _gzip() -> Decoder:
    return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress


def _deflate() -> Decoder:
    """Some servers send raw deflate where RFC 9110 section 8.4.1.2 asks for the zlib format."""
    made: list[Any] = []

    def decode(data: bytes) -> bytes:
        if not made:
            raw = bool(data) and (data[0] & 0x0F != 8)
            made.append(zlib.decompressobj(-zlib.MAX_WBITS if raw else zlib.MAX_WBITS))
        return bytes(made[0].decompress(data))

    return decode


def _brotli() -> Decoder:
    for name in ("brotli", "brotlicffi"):
        try:
            decompressor = importlib.import_module(name).Decompressor()
        except ImportError:
            continue
        return getattr(decompressor, "process", None) or decompressor.decompress  # type: ignore[no-any-return]
    return bytes


def _zstd() -> Decoder:
    try:
        return importlib.import_module("zstandard").ZstdDecompressor().decompressobj().decompress  # type: ignore[no-any-return]
    except ImportError:
        return bytes


_DECODERS: dict[str, Callable[[], Decoder]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
