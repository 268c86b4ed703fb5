"""Two cassettes of one conversation: whose side changed, the request's, the answer's, or the wire's shape."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, Literal

import msgspec

from convtest.cassettes.bindings import Bindings
from convtest.cassettes.difference import difference, in_short
from convtest.cassettes.format import Recording
from convtest.cassettes.residue import residue
from convtest.structs import Struct
from convtest.wire.interaction import Interaction
from convtest.wire.sse import parse

Verdict = Literal["request", "answer", "wire", "missing", "new", "rest"]
HEADLINES: dict[Verdict, str] = {
    "request": "the request changed (your client or your scenario)",
    "answer": "the answer changed (the model)",
    "wire": "the wire shape changed (the API or its SDK)",
    "missing": "only the first has this request",
    "new": "only the second has this request",
    "rest": "something else changed (nothing that was asked or answered)",
}

_ALWAYS = {"status", "ended", "events"}
_SAID = {"delta", "message"}
"""Objects that have the keys of what was said: text, tool calls."""
_FREE = {"input", "metadata"}
"""Objects whose keys are the user's own."""


class Change(Struct, frozen=True, kw_only=True):
    """One way in which two interactions differ."""

    verdict: Verdict
    lane: str | None
    number: int
    """Counts the lane's requests from 1."""
    lines: tuple[str, ...] = ()


class Comparison(Struct, frozen=True, kw_only=True):
    """All changes, and what is only anew in each recording: ids, times, signatures, limits."""

    changes: tuple[Change, ...]
    anew: tuple[str, ...] = ()


def compared(first: Recording, second: Recording) -> Comparison:
    """Two recordings as conversations, then all else that stands in them: where nothing is said to have changed, the
    files differ in nothing but what each run has anew."""
    found = list(compare(first.interactions, second.interactions))
    known, anew = {(one.lane, one.number) for one in found}, set[str]()
    for lane, number, one, other in _rows(first, second):
        left = residue(one, other)
        anew |= left.anew
        if left.lines and (lane, number) not in known:
            found.append(Change(verdict="rest", lane=lane, number=number, lines=tuple(left.lines)))
    return Comparison(changes=tuple(found), anew=tuple(sorted(anew)))


def _rows(first: Recording, second: Recording) -> Iterator[tuple[str | None, int, Any, Any]]:
    """(lane, number, data, data) of what both have; then the whole of the files, which has no lane."""
    lanes = [[one.lane for one in recording.interactions] for recording in (first, second)]
    for lane in dict.fromkeys(lanes[0] + lanes[1]):
        mine, theirs = (
            [row for row, of in zip(recording.rows, those, strict=False) if of == lane]
            for recording, those in zip((first, second), lanes, strict=True)
        )
        yield from ((lane, number, *pair) for number, pair in enumerate(zip(mine, theirs, strict=False), 1))
    around = [{k: v for k, v in one.plain.items() if k != "interactions"} for one in (first, second)]
    same_lanes = sorted(map(str, lanes[0])) == sorted(map(str, lanes[1]))
    if same_lanes:
        around = [{**more, "order of the sessions' requests": of} for more, of in zip(around, lanes, strict=True)]
    yield None, 0, around[0], around[1]


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
        old, new = in_short(before, after)
        lines = (f"- {old}", f"+ {new}")
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
    except (msgspec.DecodeError, RecursionError):
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
