"""Two cassettes of one conversation: whose side changed, the request's, the answer's, or the wire's shape."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

import msgspec

from convtest.cassettes.difference import difference
from convtest.wire.interaction import Interaction
from convtest.wire.sse import parse

Verdict = Literal["request", "answer", "wire", "missing", "new"]
HEADLINES: dict[Verdict, str] = {
    "request": "the request changed (your client or your scenario)",
    "answer": "the answer changed (the model)",
    "wire": "the wire shape changed (the API or its SDK)",
    "missing": "only the first has this request",
    "new": "only the second has this request",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One way in which two interactions differ."""

    verdict: Verdict
    lane: str | None
    number: int
    """Counts the lane's requests from 1."""
    lines: tuple[str, ...] = ()


def compare(first: Sequence[Interaction], second: Sequence[Interaction]) -> Iterator[Change]:
    """Lane by lane, in the order of sending."""
    lanes = dict.fromkeys([one.lane for one in [*first, *second]])
    for lane in lanes:
        pairs = zip_longest([a for a in first if a.lane == lane], [b for b in second if b.lane == lane])
        for number, (one, other) in enumerate(pairs, 1):
            if one is None or other is None:
                yield Change(verdict="new" if one is None else "missing", lane=lane, number=number)
            else:
                yield from _changes(lane, number, one, other)


def _changes(lane: str | None, number: int, one: Interaction, other: Interaction) -> Iterator[Change]:
    if one.canonical != other.canonical:
        lines = tuple(difference(one.canonical, other.canonical))
        yield Change(verdict="request", lane=lane, number=number, lines=lines)
    before, after = _said(one), _said(other)
    if before != after:
        lines = (f"- {before[:200]}", f"+ {after[:200]}")
        yield Change(verdict="answer", lane=lane, number=number, lines=lines)
    old, new = _shape(one), _shape(other)
    if old != new:
        lines = (f"- {' '.join(old)}", f"+ {' '.join(new)}")
        yield Change(verdict="wire", lane=lane, number=number, lines=lines)


def _said(one: Interaction) -> str:
    """What was answered, and how it ended for the model."""
    message = one.reply()
    blocks = [
        {k: v for k, v in block.items() if k not in {"id", "signature"}} for block in message.get("content") or []
    ]
    said = msgspec.json.encode([blocks, message.get("stop_reason")], order="deterministic").decode()
    return said if message else one.body.decode("utf-8", "replace")


def _shape(one: Interaction) -> list[str]:
    """Status, end, and the kinds of events with their keys, each once: words and their number do not count."""
    kinds: dict[str, None] = {}
    if one.is_stream:
        for event in parse([one.body]):
            kinds.setdefault(f"{event.event}{_keys(event.data)}")
    else:
        kinds.setdefault(_keys(one.body.decode("utf-8", "replace")))
    return [str(one.status), str(one.ended), *kinds]


def _keys(text: str) -> str:
    try:
        data = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return "(no JSON)"
    return f"({','.join(sorted(data))})" if isinstance(data, dict) else "(no object)"
