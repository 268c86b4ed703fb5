"""Thinking with its signature, pictures, documents: a client sends them back as they are, or leaves them out."""

from collections.abc import Iterable, Iterator

from convtest.checks.histories import Seen
from convtest.checks.result import Finding, at_step
from convtest.wire.blocks import THOUGHT, Sealed, sealed_of


def unsealed(seen: Seen) -> Iterator[Finding]:
    """A block that is another one than it was, or that the policy does not let go."""
    for what, expected, found in _problems(seen):
        advice = "send such blocks back as they came; what the client leaves out on purpose, its policy declares"
        yield at_step(seen.record, "history", "wire", what, expected=expected, seen=found, advice=advice, key="user")


def _problems(seen: Seen) -> Iterator[tuple[str, str, str]]:
    """(what, expected, seen)"""
    if seen.before.blocks is None:
        return
    before, found = seen.before.sealed, sealed_of(seen.sent.messages)
    known, there = _keys(before), _keys(found)
    policy = seen.record.policy
    bound = [one for one in before if (policy.thinking if one.kind in THOUGHT else policy.images) == "kept"]
    gone = next((one for one in bound if not one.unsigned and not one.keys & there), None)
    earlier = (one for one in found if _is_earlier(one, len(seen.before.blocks or ())))
    other = next((one for one in earlier if not one.keys & known), None)
    late = next((one for one in found if one.role == "assistant" and one.keys & known and _is_moved(one, seen)), None)
    if other is not None:
        was = next((one for one in before if one.kind == other.kind and not one.keys & there), None)
        yield f"{_named(other)} is not what it was", str(was) if was else "nothing of that kind", str(other)
    elif gone is not None:
        choice = "thinking" if gone.kind in THOUGHT else "images"
        yield f"{_named(gone)} is gone, and the policy says {choice}: kept", str(gone), "nothing of it"
    elif late is not None:
        yield f"{_named(late)} stands after words that came later", "it in its place", str(late)


def _is_moved(one: Sealed, seen: Seen) -> bool:
    return one.place > len(seen.before.blocks or ())


def _keys(sealed: Iterable[Sealed]) -> frozenset[str]:
    return frozenset(key for one in sealed for key in one.keys)


def _is_earlier(one: Sealed, known: int) -> bool:
    """Whether it stands among what was there before: what comes with a new prompt may be anything."""
    return one.place <= known if one.role == "assistant" else one.place < known


def _named(one: Sealed) -> str:
    kind = "thinking" if "thinking" in one.kind else "picture" if "image" in one.kind else one.kind
    return f"a block of the conversation so far ({kind})"
