"""What a session asks with beside its messages: system, tools, model, sampling; it changes where a step says so."""

from collections.abc import Iterable, Iterator
from typing import Any

from convtest.checks.histories import Seen, follow
from convtest.checks.offered import lacking
from convtest.checks.result import Finding, at_step
from convtest.checks.sends import sends
from convtest.textmatch import apart, cut
from convtest.transcript import ActRecord, StepRecord, Transcript, TurnRecord
from convtest.wire.blocks import collapsed, encoded
from convtest.wire.canonical import Canonical

_FIXED = (
    "model", "system", "tools", "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens",
    "stop_sequences", "stop", "thinking", "tool_choice", "response_format",
)  # fmt: skip
"""What a client whose settings are fixed sends alike in every main request."""
_LOOSER = {"fixed": "vary", "vary": "free"}
_NEVER_GONE = ("tools",)
"""What no client takes away in mid-conversation; the system prompt is the business of `history`."""


_LONG = 300
"""Characters of a setting that are shown whole."""


def settings(transcript: Transcript) -> Iterator[Finding]:
    """No tools are gone and no other model is asked; where the policy says fixed, nothing changes at all. Stand-ins are
    offered with their parameters."""
    cut = set[str]()
    for seen in follow(transcript):
        for name, wanted, offered in lacking(seen, transcript.scenario.tools):
            if name not in cut:
                cut.add(name)
                yield _without_parameters(seen, name, wanted, offered)
        before = seen.before.sent
        policy = seen.record.policy.settings
        if before is None or seen.before.failed or policy == "free" or _is_set(transcript, seen.record):
            continue
        for name, expected, found in _changed(before, seen):
            other = f"{name} is another one than in the session's last request"
            yield at_step(
                seen.record,
                "settings",
                "wire",
                other if found else f"{name} is no longer sent",
                **_told(expected, found),
                advice=f"a set: step may change it; if the client does so on purpose: settings = {_LOOSER[policy]!r}",
                key="user",
            )
    yield from sends(transcript)


def _without_parameters(seen: Seen, name: str, wanted: list[str], offered: list[str]) -> Finding:
    return at_step(
        seen.record,
        "settings",
        "wire",
        f"the tool {name} is offered without all its parameters",
        expected=", ".join(wanted),
        seen=", ".join(offered) or "no parameters",
        advice="send the input_schema of opening.tools: what it does not name, the model does not give",
        key="user",
    )


def _changed(before: Canonical, seen: Seen) -> Iterator[tuple[str, Any, Any]]:
    fixed = seen.record.policy.settings == "fixed"
    for name in _FIXED:
        old, new = _value(before, name), _value(seen.sent, name)
        if old == new or (name == "system" and not new):
            continue
        gone = name in _NEVER_GONE and not new
        if fixed or gone or (name == "model" and old and new):
            yield name, old, new


def _value(sent: Canonical, name: str) -> Any:
    if name == "system":
        return collapsed(sent.system)
    if name == "tools":
        return sorted(map(encoded, sent.fields.get("tools") or []))
    return sent.fields.get(name)


def _told(expected: Any, seen: Any) -> dict[str, str]:
    """Whole where they are short; long ones read alike but for the place where they part."""
    before, now = (str(one) if one not in (None, "", []) else "nothing" for one in (expected, seen))
    if min(len(before), len(now)) > _LONG:
        before, now = apart(before, now)
    return {"expected": cut(before, _LONG), "seen": cut(now, _LONG)}


def _is_set(transcript: Transcript, record: StepRecord) -> bool:
    """Whether a step gave the session options since its last turn, or made it with some."""
    position = next(i for i, one in enumerate(transcript.records) if one is record)
    mine = set(transcript.lineage(record.session))
    for one in reversed(transcript.records[:position]):
        if isinstance(one, ActRecord) and mine & {one.session, one.act.target} and one.act.options:
            return True
        if one.session in mine and not isinstance(one, ActRecord):
            return False
    return False


def are_fixed(turns: Iterable[TurnRecord]) -> bool | None:
    """Whether all main requests of these turns of one session ask alike; None where there are not two of them."""
    sent = [one.canonical for turn in turns for one in turn.main() if 200 <= one.status < 300]
    if len(sent) < 2:
        return None
    return all(_value(one, name) == _value(sent[0], name) for one in sent for name in _FIXED)
