"""Interactions as a cassette: vcrpy's format, with what it has no place for under `response["x-convtest"]`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any, Literal, get_args

import msgspec

from convtest.cassettes.foreign import foreign
from convtest.cassettes.forms import Fields, NotACassette, interactions_of, shortened, status_of
from convtest.cassettes.naming import Names
from convtest.cassettes.scrubbing import NOTHING_KNOWN
from convtest.cassettes.yaml_text import dump
from convtest.errors import MissingDecoder
from convtest.events import kinds_of_runs, runs_of_kinds
from convtest.limits import DEFAULTS, Limits
from convtest.wire.encoding import TooMuch, Undecodable, claimed, decoded_body
from convtest.wire.interaction import Chunk, Interaction, Request, StreamEnd
from convtest.wire.unread import decoded

KEY = "x-convtest"
NO_RESPONSE = 599
"""The status of an interaction that had no response at all."""
_ROLES: Mapping[str, Literal["main", "side"]] = {"main": "main", "side": "side"}
_CUT = re.compile(r"\s*(?:\d{1,15}(?:\.\d{1,9})?(?:e[+-]?\d\d?)?:\d{1,15}(?:\s+|$))*")
_REQUEST, _RESPONSE = ["method", "uri", "body", "headers"], ["status", "headers", "body"]
"""The keys as they are written, in their order."""
_MOST_EVENTS = 1_000_000
_RUNS = re.compile(r"\s*(?:[^\s*]+(?:\*\d{1,6})?(?:\s+|$))*")


@dataclass(frozen=True, slots=True)
class Recording:
    """What a cassette holds, in the order of sending, and the data that stands in the file."""

    interactions: list[Interaction]
    plain: Any

    @property
    def rows(self) -> list[Any]:
        """The data of each interaction, in their order."""
        found = list(enumerate(interactions_of(self.plain) or [], 1))
        return [row for _, row in sorted(found, key=_sent)]


def _sent(numbered: tuple[int, Any]) -> int:
    index, row = numbered
    try:
        return int((row["response"].get(KEY) or {}).get("sent", index))
    except (AttributeError, LookupError, TypeError, ValueError):
        return index


def to_text(interactions: Iterable[Interaction], names: Names | None = None) -> str:
    """The cassette's text; what must not be stored is scrubbed, before the lengths of chunks are computed."""
    kept = list(interactions)
    names = names or Names(NOTHING_KNOWN).learn(kept)
    return dump({"interactions": [_to_plain(one, names) for one in kept], "version": 1})


def from_plain(data: Any, *, may_be_cut: bool = True, limits: Limits = DEFAULTS) -> list[Interaction]:
    """Interactions in the order of sending. `may_be_cut`: a beginning of its text would have been read, too.

    Raises NotACassette.
    """
    if problem := foreign(data):
        raise NotACassette(problem)
    given = interactions_of(data)
    if given is None:
        raise NotACassette("it has no list of interactions")
    _check_version(data, given, may_be_cut)
    found = []
    for index, one in enumerate(given, 1):
        try:
            found.append(_from_plain(Fields(one), index, limits.body))
        except NotACassette as error:
            raise NotACassette(f"interaction {index}: {error}") from None
    found.sort(key=lambda one: one.number)
    for position, interaction in enumerate(found):
        interaction.before = partial(_first, found, position)
    return found


def _check_version(data: Mapping[str, Any], given: Sequence[Any], may_be_cut: bool) -> None:
    version = data.get("version")
    if version is None:
        # Serializers of others leave it out. We write it last, so that a file of ours that was cut off is known.
        if may_be_cut and any(map(_is_ours, given)):
            raise NotACassette("its last line, version, is missing: the file was cut off")
    elif str(version) not in {"1", "1.0"}:
        raise NotACassette(f"version {shortened(version)} is not known, only 1 is")


def _is_ours(one: Any) -> bool:
    """By the key that only we write; it is the last of an interaction, so by the order of those before it too."""
    request, response = (one.get(key) if isinstance(one, Mapping) else None for key in ("request", "response"))
    if not isinstance(request, Mapping) or not isinstance(response, Mapping):
        return False
    return KEY in response or (list(request) == _REQUEST and list(response) == _RESPONSE[: len(response)])


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
        plain = names.value(decoded(body))
        pretty = msgspec.json.format(msgspec.json.encode(plain), indent=1)
        if msgspec.json.decode(pretty) == plain:
            return _text_or_bytes(pretty)
    except ValueError:
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


def _from_plain(one: Fields, index: int, most: int) -> Interaction:
    request, response = one.at("request"), one.at("response")
    extra = response.at(KEY) if response.has(KEY) else Fields({})
    headers, sent_headers = response.headers(), request.headers()
    body = _body(response, headers, most, by_shape=not response.has(KEY))
    status, reason = status_of(response)
    cut, edited = _chunks(body, extra.text("chunks", ""), extra)
    return Interaction(
        number=extra.number("sent", 0, 10**9) if extra.has("sent") else index,
        lane=extra.text("lane") if extra.has("lane") else None,
        turn=extra.number("turn", 0, 10**9) if extra.has("turn") else None,
        request=Request(
            method=request.text("method"),
            url=request.text("uri", request.text("url", "")) or request.text("uri"),
            headers=sent_headers,
            body=_body(request, sent_headers, most, by_shape=not response.has(KEY)),
        ),
        status=status,
        reason=reason,
        headers=headers,
        first_byte=extra.milliseconds("first_byte"),
        chunks=cut,
        ended=_ended(extra),
        yielded=_kinds(extra),
        digest=extra.text("digest", ""),
        role=_ROLES.get(extra.text("role", ""), ""),
        origin="replayed",
        edited=edited,
        foreign=not response.has(KEY),
    )


def _body(one: Fields, headers: tuple[tuple[str, str], ...], most: int, *, by_shape: bool) -> bytes:
    """Decoded: vcrpy keeps bodies as they came over the wire."""
    try:
        return decoded_body(one.body(), claimed(headers), by_shape=by_shape, limit=most)
    except (Undecodable, TooMuch, MissingDecoder) as error:
        raise NotACassette(f"{one.where}.body: {error}") from None


def _ended(extra: Fields) -> StreamEnd:
    ended = extra.text("ended", "complete")
    for known in get_args(StreamEnd):
        if ended == known:
            return known  # type: ignore[no-any-return]
    raise NotACassette(f"response.{KEY}.ended: unknown end {shortened(ended)!r}")


def _kinds(extra: Fields) -> list[str]:
    text = extra.text("events", "")
    if not _RUNS.fullmatch(text) or sum(map(int, re.findall(r"\*(\d+)", text))) > _MOST_EVENTS:
        raise NotACassette(f"response.{KEY}.events: kinds with counts were expected, not {shortened(text)!r}")
    return kinds_of_runs(text)


def _chunks(body: bytes, spelled: str, extra: Fields) -> tuple[list[Chunk], bool]:
    """The recorded cut; at event boundaries and without times where there is none, or where somebody edited the body
    so that it does not add up, which is said."""
    if not _CUT.fullmatch(spelled):
        raise NotACassette(f"response.{KEY}.chunks: ms:bytes were expected, not {shortened(spelled)!r}")
    pairs = [(float(ms), int(size)) for ms, _, size in (part.partition(":") for part in spelled.split())]
    if pairs and sum(size for _, size in pairs) == len(body):
        ends = list(accumulate(size for _, size in pairs))
        starts = [0, *ends[:-1]]
        return [Chunk(ms, body[a:b]) for (ms, _), a, b in zip(pairs, starts, ends, strict=True)], False
    cut = [Chunk(0.0, part) for part in re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", body) if part]
    return cut, bool(pairs)
