"""What of two recordings differs beside what was asked and answered: compared as plain data, key by key.

What each run has anew is told by its kind and is no difference: ids, times, signatures, limits of rates.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from convtest.structs import Struct, field
from convtest.textmatch import apart, cut
from convtest.wire.marks import placeholders_in, replaced
from convtest.wire.sse import parse

_ANEW = {
    "limits": re.compile(r"ratelimit|retry-after"),
    "signatures": re.compile(r"(?:.*_)?signature|encrypted_content|obfuscation|signature_delta"),
    "times": re.compile(
        r"created|.*_at|date|age|expires|time|timestamp|server-timing|first_byte|.*[-_]ms|.*[-_]time|.*duration"
    ),
    "ids": re.compile(
        r"id|.*[-_]ids?|cf-ray|etag|traceparent|tracestate|.*cookie|system_fingerprint|previous_response_id|"
        r"x-cloud-trace-context|container|user|safety_identifier|prompt_cache_key"
    ),
}
"""By kind: the keys of what is new in each run."""
SECRETS = "numbers of secrets"
_DERIVED = frozenset({"content-length", "content-encoding", "transfer-encoding", "connection"})
"""Headers that say how the body came, which is compared itself."""
_TIMED = re.compile(r"([\d.]+):(\d+)")
_MOST = 12
_NOTHING = object()


class Residue(Struct):
    """Lines that say what differs, and the kinds of what is only anew."""

    lines: list[str] = field(default_factory=list)
    anew: set[str] = field(default_factory=set)


def residue(first: Any, second: Any) -> Residue:
    """What differs between two interactions of cassettes as plain data, whatever stands in them."""
    found = Residue()
    for path, one, other in leaves(first, second):
        if path[-1:] == ("chunks",):
            _cuts(found, str(one), str(other), _body_sizes(first, second))
        else:
            _tell(found, path, one, other)
    found.lines[_MOST:] = [f"… and {len(found.lines) - _MOST} lines more"] if len(found.lines) > _MOST else []
    return found


def leaves(first: Any, second: Any) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Where two interactions as plain data differ: the keys, and both values. Texts of JSON and streams count as what
    they hold."""
    waiting: list[tuple[tuple[str, ...], Any, Any]] = [((), first, second)]
    while waiting:
        path, one, other = waiting.pop()
        if path[-1:] != ("chunks",):
            one, other = _opened(one), _opened(other)
        if isinstance(one, dict) and isinstance(other, dict):
            waiting += reversed(list(_by_key(path, one, other)))
        elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            waiting += [(path, *pair) for pair in reversed(list(zip(one, other, strict=True)))]
        elif not _same(one, other):
            yield path, one, other


def _by_key(path: tuple[str, ...], one: Mapping[Any, Any], other: Mapping[Any, Any]) -> Iterator[Any]:
    in_headers = path[-1:] == ("headers",)
    before, after = ({(str(k).lower() if in_headers else str(k)): v for k, v in d.items()} for d in (one, other))
    for key in {**before, **after}:
        if not (in_headers and key in _DERIVED) and not (path[-1:] == ("x-convtest",) and key == "sent"):
            yield (*path, key), before.get(key, _NOTHING), after.get(key, _NOTHING)


def _opened(value: Any) -> Any:
    """What a text holds: JSON, or the events of a stream; anything else as it is."""
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    if not isinstance(data, bytes):
        return value
    start = data.lstrip()[:6]
    if start[:1] in (b"{", b"["):
        return _json(data, value)
    if start in (b"event:", b"data: ") or start[:5] == b"data:":
        return [_json(event.data.encode("utf-8", "surrogatepass"), event.data) for event in parse([data])]
    return value


def _json(data: bytes, otherwise: Any) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return otherwise


def _same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and one == other)


def _tell(found: Residue, path: tuple[str, ...], one: Any, other: Any) -> None:
    key = path[-1] if path else ""
    scalars = all(isinstance(value, str | int | float | bytes | None) or value is _NOTHING for value in (one, other))
    kind = next((name for name, keys in _ANEW.items() if _is_of(keys, key, name)), None) if scalars else None
    if kind is not None:
        found.anew.add(kind)
        return
    if isinstance(one, str) and isinstance(other, str) and _kinds(one) == _kinds(other):
        found.anew.add(SECRETS)
        return
    old, new = _short(one), _short(other)
    if old == new:
        old, new = apart(_text(one), _text(other))
    where = ".".join(path) or "the whole"
    found.lines += [f"- {where}: {old}", f"+ {where}: {new}"]


def _kinds(text: str) -> str:
    """With secrets as their kinds: which is which, the requests tell."""
    return replaced(text, placeholders_in(text), lambda mark: mark.kind)


def _is_of(keys: re.Pattern[str], key: str, kind: str) -> bool:
    return bool(keys.search(key.lower()) if kind == "limits" else keys.fullmatch(key.lower()))


def _cuts(found: Residue, one: str, other: str, sizes: tuple[int, int]) -> None:
    """Milliseconds are times; where the pieces were cut is not, but as far as longer ids move it."""
    before, after = (_TIMED.findall(text) for text in (one, other))
    if one != other:
        found.anew.add("times")
    moved = sizes[0] != sizes[1]
    if len(before) != len(after) or (not moved and [size for _, size in before] != [size for _, size in after]):
        found.lines += [f"- cut into {len(before)} pieces: {cut(one, 120)}", f"+ cut into {len(after)} pieces: "]
        found.lines[-1] += cut(other, 120)


def _body_sizes(first: Any, second: Any) -> tuple[int, int]:
    def size(one: Any) -> int:
        try:
            body = one["response"]["body"]["string"]
        except (KeyError, TypeError, IndexError):
            return 0
        return len(body.encode("utf-8", "surrogatepass")) if isinstance(body, str) else len(body or b"")

    return size(first), size(second)


def _short(value: Any) -> str:
    return cut(_text(value), 158)


def _text(value: Any) -> str:
    if value is _NOTHING:
        return "nothing"
    if isinstance(value, str):
        return value
    return repr(value)
