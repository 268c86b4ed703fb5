"""Interactions as a cassette: vcrpy's format, with what it has no place for under `response["x-convtest"]`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import msgspec

from convtest.cassettes.naming import Names
from convtest.cassettes.scrubbing import NOTHING_KNOWN
from convtest.cassettes.yaml_text import dump
from convtest.events import kinds_of_runs, runs_of_kinds
from convtest.wire.encoding import decoder_for
from convtest.wire.interaction import Chunk, Interaction, Request, StreamEnd

KEY = "x-convtest"
NO_RESPONSE = 599
"""The status of an interaction that had no response at all."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a cassette holds, in the order of sending, and the data that stands in the file."""

    interactions: list[Interaction]
    plain: Any

    @property
    def rows(self) -> list[Any]:
        """The data of each interaction, in their order."""
        rows = self.plain.get("interactions") if isinstance(self.plain, dict) else None
        found = list(enumerate(rows if isinstance(rows, list) else [], 1))
        return [row for _, row in sorted(found, key=_sent)]


def _sent(numbered: tuple[int, Any]) -> int:
    index, row = numbered
    try:
        return int((row["response"].get(KEY) or {}).get("sent", index))
    except (AttributeError, LookupError, TypeError, ValueError):
        return index


class NotACassette(ValueError):
    """The data is YAML, and not a cassette."""


def to_text(interactions: Iterable[Interaction], names: Names | None = None) -> str:
    """The cassette's text; what must not be stored is scrubbed, before the lengths of chunks are computed."""
    kept = list(interactions)
    names = names or Names(NOTHING_KNOWN).learn(kept)
    return dump({"interactions": [_to_plain(one, names) for one in kept], "version": 1})


def from_plain(data: Any) -> list[Interaction]:
    """Interactions in the order of sending. Raises NotACassette."""
    if not isinstance(data, dict) or not isinstance(data.get("interactions"), list):
        raise NotACassette("it has no list of interactions")
    if "version" not in data:
        raise NotACassette("its last line, version, is missing: the file was cut off")
    if data["version"] != 1:
        raise NotACassette(f"version {data['version']!r} is not known, only 1 is")
    found = []
    for index, one in enumerate(data["interactions"], 1):
        try:
            found.append(_from_plain(one, index))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NotACassette(f"interaction {index}: {type(error).__name__}: {error}") from None
    found.sort(key=lambda one: one.number)
    for position, interaction in enumerate(found):
        interaction.before = partial(_first, found, position)
    return found


def _first(found: Sequence[Interaction], count: int) -> Sequence[Interaction]:
    return found[:count]


def _to_plain(one: Interaction, names: Names) -> dict[str, Any]:
    chunks = names.chunks(one)
    return {
        "request": {
            "method": one.request.method,
            "uri": names.text(one.request.url),
            "body": _request_body(one, names),
            "headers": _grouped(names.headers(one.request.headers)),
        },
        "response": {
            "status": {"code": one.status or NO_RESPONSE, "message": one.reason},
            "headers": _grouped(names.headers(one.headers)),
            "body": {"string": _text_or_bytes(b"".join(chunk.data for chunk in chunks))},
            KEY: _extra(one, chunks),
        },
    }


def _extra(one: Interaction, chunks: list[Chunk]) -> dict[str, Any]:
    extra: dict[str, Any] = {"sent": one.number, "ended": one.ended or "closed_by_client"}
    if one.lane is not None:
        extra["lane"] = one.lane
    if one.turn is not None:
        extra["turn"] = one.turn
    if one.first_byte is not None:
        extra["first_byte"] = _ms(one.first_byte)
    extra["chunks"] = " ".join(f"{_ms(chunk.ms)}:{len(chunk.data)}" for chunk in chunks)
    extra["events"] = runs_of_kinds(one.yielded)
    if one.role:
        extra["role"] = one.role
    if one.digest:
        extra["digest"] = one.digest
    return extra


def _ms(value: float) -> str:
    return f"{round(value, 1):g}" if value < 100_000 else str(round(value))


def _request_body(one: Interaction, names: Names) -> str | bytes:
    """Indented, with real letters, where that changes nothing in canonical form."""
    body = one.request.body
    try:
        plain = names.value(msgspec.json.decode(body))
        pretty = msgspec.json.format(msgspec.json.encode(plain), indent=1)
        if msgspec.json.decode(pretty) == plain:
            return _text_or_bytes(pretty)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        pass
    return _text_or_bytes(names.data(body))


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _grouped(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        grouped.setdefault(name, []).append(value)
    return grouped


def _from_plain(one: Mapping[str, Any], index: int) -> Interaction:
    request, response = one["request"], one["response"]
    extra: Mapping[str, Any] = response.get(KEY) or {}
    headers = _flat(response.get("headers"))
    body = _decoded(_bytes((response.get("body") or {}).get("string")), headers)
    ended = str(extra.get("ended", "complete"))
    if ended not in get_args(StreamEnd):
        raise ValueError(f"unknown end {ended!r}")
    return Interaction(
        number=int(extra.get("sent", index)),
        lane=extra.get("lane"),
        turn=extra.get("turn"),
        request=Request(
            method=request["method"],
            url=request["uri"],
            headers=_flat(request.get("headers")),
            body=_bytes(request.get("body")),
        ),
        status=int(response["status"]["code"]),
        reason=str(response["status"].get("message") or ""),
        headers=headers,
        first_byte=float(extra["first_byte"]) if "first_byte" in extra else None,
        chunks=_chunks(body, str(extra.get("chunks", ""))),
        ended=ended,  # type: ignore[arg-type]
        yielded=kinds_of_runs(str(extra.get("events", ""))),
        digest=str(extra.get("digest", "")),
        role=extra["role"] if extra.get("role") in {"main", "side"} else "",
        origin="replayed",
        edited=bool(extra.get("chunks")) and not _adds_up(str(extra["chunks"]), body),
    )


def _adds_up(spelled: str, body: bytes) -> bool:
    return sum(int(part.partition(":")[2]) for part in spelled.split()) == len(body)


def _decoded(body: bytes, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Plain vcrpy stores bodies as they came over the wire; one that is plain already is left alone."""
    encoding = next((value for name, value in headers if name == "content-encoding"), "")
    try:
        return decoder_for(encoding)(body) if encoding else body
    except Exception:  # each decoder has its own exception, and all of them mean that it is not encoded
        return body


def _bytes(value: Any) -> bytes:
    if value is None:
        return b""
    return value if isinstance(value, bytes) else str(value).encode()


def _flat(headers: Any) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for name, values in (headers or {}).items():
        found += [(name.lower(), str(value)) for value in (values if isinstance(values, list) else [values])]
    return tuple(found)


def _chunks(body: bytes, spelled: str) -> list[Chunk]:
    """The recorded cut; at event boundaries and without times where there is none, or where it does not add up."""
    pairs = [part.partition(":") for part in spelled.split()]
    if pairs and _adds_up(spelled, body):
        chunks, start = [], 0
        for ms, _, size in pairs:
            chunks.append(Chunk(float(ms), body[start : start + int(size)]))
            start += int(size)
        return chunks
    return [Chunk(0.0, part) for part in re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", body) if part]
