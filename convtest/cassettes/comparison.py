"""Two cassettes of one conversation: whose side changed, the request's, the answer's, or the wire's shape."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

import msgspec

from convtest.cassettes.bindings import Bindings
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

_ALWAYS = {"status", "ended", "events"}
_SAID = {"delta", "message"}
"""Objects that have the keys of what was said: text, tool calls."""
_FREE = {"input", "metadata"}
"""Objects whose keys are the user's own."""


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
    bound = Bindings(renames=True)
    for lane in lanes:
        pairs = zip_longest([a for a in first if a.lane == lane], [b for b in second if b.lane == lane])
        for number, (one, other) in enumerate(pairs, 1):
            if one is None or other is None:
                yield Change(verdict="new" if one is None else "missing", lane=lane, number=number)
            else:
                yield from _changes(lane, number, one, other, bound)


def _changes(lane: str | None, number: int, one: Interaction, other: Interaction, bound: Bindings) -> Iterator[Change]:
    if one.canonical.key != other.canonical.key or not bound.binds(one.canonical.marks, other.canonical.marks):
        lines = tuple(difference(one.canonical, other.canonical))
        yield Change(verdict="request", lane=lane, number=number, lines=lines)
    before, after = _said(one), _said(other)
    if before != after:
        lines = (f"- {before[:200]}", f"+ {after[:200]}")
        yield Change(verdict="answer", lane=lane, number=number, lines=lines)
    if lines := tuple(_wire_changes(_shape(one), _shape(other))):
        yield Change(verdict="wire", lane=lane, number=number, lines=lines)


def _said(one: Interaction) -> str:
    """What was answered, and how it ended for the model."""
    message = one.reply()
    blocks = [
        {k: v for k, v in block.items() if k not in {"id", "signature"}} for block in message.get("content") or []
    ]
    said = msgspec.json.encode([blocks, message.get("stop_reason")], order="deterministic").decode()
    return said if message else one.body.decode("utf-8", "replace")


def _wire_changes(old: dict[str, set[str]], new: dict[str, set[str]]) -> Iterator[str]:
    for name in {**old, **new}:
        before, after = old.get(name), new.get(name)
        if before != after and ((before and after) or name in _ALWAYS):
            yield f"- {name}: {', '.join(sorted(before or ()))}"
            yield f"+ {name}: {', '.join(sorted(after or ()))}"


def _shape(one: Interaction) -> dict[str, set[str]]:
    """Status, end, kinds of events, and the keys of each kind of object.

    Words and their number do not count, nor does a kind of object that only one of the two has: that is the answer.
    """
    shape = {"status": {str(one.status)}, "ended": {str(one.ended)}}
    if one.is_stream:
        events = list(parse([one.body]))
        shape["events"] = {str(event.event) for event in events}
        for event in events:
            _gather(event.data, shape)
    else:
        _gather(one.body.decode("utf-8", "replace"), shape)
    return shape


def _gather(text: str, shape: dict[str, set[str]]) -> None:
    try:
        data = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return
    waiting = [("body", data)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, list):
            waiting += [(name, item) for item in value]
        elif isinstance(value, dict):
            kind = value.get("type")
            if name not in _SAID or kind:
                shape.setdefault(str(kind or name), set()).update(value)
            waiting += [(key, item) for key, item in value.items() if key not in _FREE]
