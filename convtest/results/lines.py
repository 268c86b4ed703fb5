"""Results on disk: one line of JSON each, appended by every worker as its items end."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from convtest.errors import ResultsError
from convtest.results.model import SCHEMA, Result

_ENCODER = msgspec.json.Encoder()


class _Version(msgspec.Struct):
    schema: int


def append(path: Path, result: Result) -> None:
    """Add a line. It is written at once: lines of several processes do not mix."""
    line = _ENCODER.encode(result) + b"\n"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line)
    finally:
        os.close(handle)


def as_array(results: Iterable[Result]) -> str:
    """All of them as one JSON text."""
    return (b"[" + b",\n".join(map(_ENCODER.encode, results)) + b"]").decode()


def read_results(path: Path) -> Iterator[Result]:
    """The results in a file, in the order in which they came. Raises ResultsError for what is none, with its line."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _result(line, f"{path}:{number}")


def schema() -> dict[str, Any]:
    """The JSON Schema of a line (draft 2020-12)."""
    made = msgspec.json.schema(Result)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "convtest result", **made}


def _result(line: bytes, where: str) -> Result:
    try:
        version = msgspec.json.decode(line, type=_Version).schema
        if version != SCHEMA:
            raise ResultsError(f"results of version {version}, and not {SCHEMA}", where=where)
        return msgspec.json.decode(line, type=Result)
    except msgspec.DecodeError as error:
        raise ResultsError(f"this is no result: {error}", where=where) from None
