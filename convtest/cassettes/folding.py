"""Requests as "as before, and …": what a request's body shares with that of an earlier one of its session is told once.

`as_before: 3 model tools messages:4` says: `model` and `tools` are those of the request that was sent as number 3, and
`messages` begins with its first four. The body then holds the rest.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import msgspec

from convtest.cassettes.forms import NotACassette, interactions_of, shortened

AS_BEFORE = "as_before"
_TOLD = re.compile(r"(\d{1,9})((?: [\w-]+(?::\d{1,9})?)+)")
_NAME = re.compile(r"[\w-]+")
Body = dict[str, Any]


def folded(plain: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The data of a cassette that is whole, with its requests so; `key` is that of our own data in a response.

    A body stays whole where another reader of it would not get back the same text.
    """
    before: dict[tuple[Any, Any], tuple[int, Body]] = {}
    rows = []
    for row in plain["interactions"]:
        request, extra = row["request"], row["response"][key]
        body, lane = _body(request["body"]), (extra.get("lane"), request["uri"])
        if body is not None:
            number, base = before.get(lane, (0, {}))
            told, rest = _difference(body, base)
            before[lane] = extra["sent"], body
            if ":" in told and _text(_whole(told, base, rest)) == request["body"]:
                row = _with(row, _text(rest), key, extra | {AS_BEFORE: f"{number} {told}"})
        rows.append(row)
    return {**plain, "interactions": rows}


def unfolded(plain: Any, key: str, most: int) -> Any:
    """The data with every body whole; `most` is how many bytes they may have together. Raises NotACassette."""
    rows = interactions_of(plain) if isinstance(plain, Mapping) and "interactions" in plain else None
    if rows is None or not any(_told(row, key) for row in rows):
        return plain
    bodies: dict[int, Body] = {}
    made, size = [], 0
    for index, row in enumerate(rows, 1):
        where = f"interaction {index}: response.{key}.{AS_BEFORE}"
        body = _body(_at(row, "request", "body"))
        if told := _told(row, key):
            number, shared = _parted(told, where)
            if body is None or number not in bodies:
                raise NotACassette(f"{where}: no request {number} of JSON stands before it")
            body = _whole(shared, bodies[number], body, where)
            size += len(text := _text(body))
            if size > most:
                raise NotACassette(f"{where}: requests unfold to more than {most:,} bytes")
            extra = {name: value for name, value in row["response"][key].items() if name != AS_BEFORE}
            row = _with(row, text, key, extra)
        number = _at(row, "response", key, "sent")
        if body is not None and isinstance(number, int):
            bodies[number] = body
        made.append(row)
    return {**plain, "interactions": made}


def _difference(body: Body, base: Body) -> tuple[str, Body]:
    """What is as in `base`, in words, and the rest."""
    told, rest = [], {}
    for name, value in body.items():
        shared = base.get(name)
        if not _NAME.fullmatch(name) or name not in base:
            rest[name] = value
        elif isinstance(value, list) and isinstance(shared, list) and (count := _same(value, shared)):
            told.append(f"{name}:{count}")
            if value[count:]:
                rest[name] = value[count:]
        elif msgspec.json.encode(value) == msgspec.json.encode(shared):
            told.append(name)
        else:
            rest[name] = value
    return " ".join(told), rest


def _same(value: Sequence[Any], other: Sequence[Any]) -> int:
    """How many at the beginning are the same; as text: 1, 1.0 and true are not."""
    pairs = zip(value, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: msgspec.json.encode(pair[0]) == msgspec.json.encode(pair[1]), pairs))


def _whole(told: str, base: Body, rest: Body, where: str = "") -> Body:
    """In the order of `base`, then what is new. Raises NotACassette where `base` has not what is told of it."""
    shared = {}
    for one in told.split():
        name, _, count = one.partition(":")
        held = base.get(name)
        if name not in base or (count and (not isinstance(held, list) or len(held) < int(count))):
            raise NotACassette(f"{where}: what it goes on from has no {shortened(one)}")
        shared[name] = [*held[: int(count)], *rest.get(name, [])] if count and isinstance(held, list) else held
    merged = {**rest, **shared}
    order = [*(name for name in base if name in merged), *(name for name in rest if name not in base)]
    return {name: merged[name] for name in order}


def _parted(told: Any, where: str) -> tuple[int, str]:
    found = _TOLD.fullmatch(told) if isinstance(told, str) else None
    if found is None:
        raise NotACassette(f"{where}: a number and keys were expected, not {shortened(told)!r}")
    return int(found[1]), found[2]


def _told(row: Any, key: str) -> Any:
    return _at(row, "response", key, AS_BEFORE)


def _at(row: Any, *keys: str) -> Any:
    for key in keys:
        row = row.get(key) if isinstance(row, Mapping) else None
    return row


def _body(text: Any) -> Body | None:
    """A body that is an object of JSON, written as we write one."""
    if not isinstance(text, str) or not text.startswith("{"):
        return None
    try:
        found = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(body: Body) -> str:
    return msgspec.json.format(msgspec.json.encode(body), indent=1).decode()


def _with(row: Mapping[str, Any], body: str, key: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "request": {**row["request"], "body": body},
        "response": {**row["response"], key: dict(extra)},
    }
