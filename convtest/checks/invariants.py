"""What must hold in every conversation; each has a way to fail and a name that `invariants: skip` takes."""

from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any

from convtest.checks.clearing import come_back
from convtest.checks.fresh import fresh
from convtest.checks.habits import is_kept
from convtest.checks.histories import Seen, follow
from convtest.checks.isolation import isolation
from convtest.checks.kept import kept_text
from convtest.checks.prompts import prompts_once
from convtest.checks.result import Finding, at_step
from convtest.checks.said import said
from convtest.checks.sealed import unsealed
from convtest.checks.settings import settings
from convtest.checks.spacing import respaced
from convtest.checks.threads import extends
from convtest.checks.tool_use import tool_pairs
from convtest.checks.weights import mass_of, settings_of
from convtest.checks.whole import whole_answer
from convtest.textmatch import apart, cut
from convtest.transcript import ActRecord, Transcript, TurnRecord, ends_in
from convtest.wire.blocks import Block
from convtest.wire.canonical import Canonical


def history(transcript: Transcript) -> Iterator[Finding]:
    """Each request extends the last one and what was answered to it."""
    for seen in follow(transcript):
        before, found = seen.bound, seen.blocks
        if back := come_back(seen, found):
            message = "what was cleared is sent again"
            key = "user"
            yield at_step(seen.record, "history", "wire", message, expected="nothing of it", seen=repr(back), key=key)
        elif before is not None and not extends(found, before):
            yield _broken(seen, before, found)
        elif seen.before.system and not seen.sent.system:
            yield at_step(
                seen.record,
                "history",
                "wire",
                "the system prompt is gone",
                expected=repr(cut(seen.before.system, 200)),
                seen="no system prompt",
                key="user",
            )
        else:
            yield from unsealed(seen)

    yield from respaced(transcript)
    yield from _without_history(transcript)


def _without_history(transcript: Transcript) -> Iterator[Finding]:
    """A request beside the one that extends the conversation, which asks as it does and carries nothing of it."""
    for record in transcript.turns():
        for one in record.astray:
            yield at_step(
                record,
                "history",
                "wire",
                "the prompt is also sent without the conversation so far, as if that were the conversation",
                expected="one request that ends in the prompt, with all that was said before",
                seen=f"request {one.number} with {len(one.canonical.messages)} messages",
                advice="the client lost history for one of its requests; a side request asks with settings of its own",
                key="user",
            )


def _broken(seen: Seen, before: tuple[Block, ...], found: tuple[Block, ...]) -> Finding:
    pairs = enumerate(zip_longest(before, found[: len(before)]), 1)
    alone = not seen.record.disturbed and not seen.record.yielded(seen.interaction)
    position, (wanted, got) = next((i, pair) for i, pair in pairs if None in pair or not is_kept(*pair))
    lost = [block for block in before if block not in found]
    expected, now = str(wanted) if wanted else "nothing more", str(got) if got else ""
    if wanted and got and expected == now:
        expected, now = apart(wanted.text, got.text)
    what = "reorders" if not lost else "does not extend"
    return at_step(
        seen.record,
        "history",
        "wire",
        f"the request {what} the conversation so far: part {position} of {len(before)} differs",
        expected=expected,
        seen=now or f"nothing: the request has {len(found)} parts",
        advice=_BY_ITSELF if alone else _BOUNDARY,
        key="user",
    )


_BOUNDARY = "the client lost or changed history; if it means to, declare boundary: on this turn"
_BY_ITSELF = (
    "the client lost or changed history; if it answered this turn by itself on purpose: policy = "
    '{unsent = ["how the prompt begins"]}'
)


def one_end(transcript: Transcript) -> Iterator[Finding]:
    """One turn end per turn, nothing after it, nothing of an earlier turn."""
    for record in transcript.turns():
        if record.hung or record.crash or record.error:
            continue
        if record.end is None:
            seen = f"{len(record.events)} events and no turn end"
            yield at_step(
                record, "one_end", None, "the turn has no end", expected="one turn end", seen=seen, key="user"
            )
        if record.late:
            kinds = ", ".join(type(event).__name__ for event in record.late[:5])
            message = f"{len(record.late)} events came after the turn end"
            yield at_step(record, "one_end", None, message, expected="nothing", seen=kinds, key="user")
        yield from _stale(transcript, record)


def _stale(transcript: Transcript, record: TurnRecord) -> Iterator[Finding]:
    """The text belongs to an earlier turn: nobody read that one to its end."""
    text = record.text.strip()
    if not text or record.wire != "history":
        return
    mine = [one for one in record.interactions or record.borrowed if _holds(one.reply(), text)]
    if any(ends_in(one.canonical, record) for one in mine):
        return
    for earlier in transcript.turns(record.session):
        if earlier is record:
            return
        asked = [one for one in mine if _asks(one.canonical, earlier)]
        if asked or (not mine and any(_holds(one.reply(), text) for one in earlier.interactions)):
            yield at_step(
                record,
                "one_end",
                None,
                f"the reply belongs to an earlier turn: {earlier.turn.prompt!r}",
                expected="an answer to this turn's request",
                seen=repr(text[:200]),
                advice="the client is a turn behind: read each turn to its end, also after an interrupt",
                key="user",
            )
            return


def _asks(sent: Canonical, record: TurnRecord) -> bool:
    """The request's last words are the turn's prompt: it was sent late, when nobody read any more."""
    last = sent.messages[-1].get("content") if sent.messages else None
    blocks = last if isinstance(last, list) else []
    return any(isinstance(b, dict) and str(b.get("text", "")).strip() == record.turn.prompt.strip() for b in blocks)


_LONG_ENOUGH = 12
"""Letters from which a text that stands inside an earlier reply is no accident."""


def _holds(reply: dict[str, Any], text: str) -> bool:
    said = "".join(b.get("text") or "" for b in reply.get("content") or [] if b.get("type") == "text").strip()
    return bool(said) and (said in text or (text in said and (len(text) >= _LONG_ENOUGH or said.endswith(text))))


def session_id(transcript: Transcript) -> Iterator[Finding]:
    """The id changes on fork, clear or a fresh session, never otherwise."""
    deleted: set[str] = set()
    for record in transcript.records:
        before, after = record.session_id_before, record.session_id
        if isinstance(record, ActRecord) and record.act.kind == "delete" and not record.error:
            deleted.add(record.session)
        elif after is not None and record.session in deleted:
            deleted.remove(record.session)  # it begins anew
            continue
        if before is None or after is None or record.error:
            continue
        kind = record.act.kind if isinstance(record, ActRecord) else "turn"
        explicit = isinstance(record, ActRecord) and record.act.session_id is not None
        if kind == "fork" and before == after:
            message = "the fork has the id of the session it was forked from"
            yield at_step(record, "session_id", None, message, expected="a new id", seen=after, key=kind)
        elif kind == "clear" and (before == after) == (record.policy.cleared_id == "new"):
            if record.policy.cleared_id != "either":
                message = f'the policy says cleared_id = "{record.policy.cleared_id}"'
                seen = "the same id" if before == after else f"another id: {after}, after {before}"
                yield at_step(record, "session_id", None, message, expected="as declared", seen=seen, key=kind)
        elif kind in {"turn", "resume", "save", "set", "disconnect", "kill"} and not explicit and before != after:
            key = "user" if kind == "turn" else kind
            yield at_step(record, "session_id", None, "the session's id changed", expected=before, seen=after, key=key)


def mass(transcript: Transcript) -> Iterator[Finding]:
    """The prompt does not shrink without a declared boundary."""
    for seen in follow(transcript):
        before, now = seen.before.mass, mass_of(seen.interaction)
        if before is None or seen.before.blocks is None or seen.before.quiet or before.unit != now.unit:
            continue
        if now.value >= before.value or _unlike(seen):
            continue
        yield at_step(
            seen.record,
            "mass",
            "mass",
            "the prompt shrank with no declared boundary",
            expected=f"at least {before.value:g} {before.unit}",
            seen=f"{now.value:g} {now.unit}",
            advice="the client dropped history; if it means to, declare boundary: on this turn",
            key="user",
        )


def _unlike(seen: Seen) -> bool:
    """Tools, system or settings changed: sizes cannot be compared."""
    return settings_of(seen.sent) != seen.before.settings


def no_leftovers(transcript: Transcript) -> Iterator[Finding]:
    """No process and no connection outlives the item."""
    if transcript.leftovers:
        yield Finding(
            check="no_leftovers",
            layer=None,
            message="the client left something running",
            expected="nothing",
            seen="; ".join(transcript.leftovers),
            advice="end what the session started when it is disconnected, and close each response, interrupted or not; "
            "what sessions share on purpose outlives them: shared = true in the profile",
            place=transcript.scenario.place,
        )


INVARIANTS: dict[str, Callable[[Transcript], Iterator[Finding]]] = {
    "history": history,
    "tool_pairs": tool_pairs,
    "one_end": one_end,
    "prompts_once": prompts_once,
    "session_id": session_id,
    "isolation": isolation,
    "mass": mass,
    "kept_text": kept_text,
    "whole_answer": whole_answer,
    "said": said,
    "fresh": fresh,
    "settings": settings,
    "no_leftovers": no_leftovers,
}
NEED_THE_WIRE = tuple(name for name in INVARIANTS if name not in {"one_end", "session_id", "no_leftovers"})
