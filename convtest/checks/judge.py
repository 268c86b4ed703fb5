"""The verdict on a transcript: every expectation, every invariant, the budget; then xfail."""

from collections.abc import Iterable, Iterator
from typing import Any

from convtest.checks.invariants import INVARIANTS, NEED_THE_WIRE
from convtest.checks.replies import listed, reply_findings, shown
from convtest.checks.result import Finding, NotSeen, Verdict, at_step, unique_not_seen
from convtest.checks.sent import knows_findings, not_knows_findings, sent_findings, summary, unseen
from convtest.checks.session_history import history_findings
from convtest.checks.ways import (
    broken_findings,
    ended_findings,
    file_findings,
    over_budget,
    own_findings,
    session_findings,
    way_findings,
)
from convtest.scenario.grammar import ExpectShape, SentShape, XfailShape
from convtest.transcript import StepRecord, Transcript, TurnRecord
from convtest.wire.interaction import Interaction

NEGATABLE = (
    "contains",
    "lacks",
    "matches",
    "equals",
    "one_of",
    "json",
    "json_schema",
    "sent",
    "events",
    "calls",
    "session",
    "history",
    "ended",
    "files",
)


def judge(transcript: Transcript) -> Verdict:
    """All findings in the order of the conversation. Raises CheckError from a user's own check."""
    findings: list[Finding] = []
    for record in transcript.records:
        findings += _of_step(transcript, record)
    findings += _invariants(transcript)
    findings += _whole(transcript)
    findings.sort(key=lambda finding: finding.step or 1_000_000)
    return _expected_failure(transcript, Verdict(findings=tuple(findings), not_seen=_not_seen(transcript)))


def _of_step(transcript: Transcript, record: StepRecord) -> Iterator[Finding]:
    expect = record.step.expect
    missed = transcript.missed()
    here = isinstance(record, TurnRecord) and missed is not None and missed in [*record.interactions, *record.borrowed]
    yield from broken_findings(record)
    if here and isinstance(record, TurnRecord):
        # After a miss the reply is ours, not the model's: only what was sent can be judged.
        yield from _sent_side(transcript, record, expect)
        return
    if isinstance(record, TurnRecord):
        yield from ended_findings(record, expect)
    if record.hung or record.crash or (record.error and not expect):
        return
    if expect is not None:
        yield from _expected(transcript, record, expect)


def _sent_side(transcript: Transcript, record: TurnRecord, expect: ExpectShape | None) -> Iterator[Finding]:
    if expect is None:
        return
    if expect.sent is not None and unseen(record, "sent") is None:
        yield from sent_findings(record, expect.sent)
    for name in listed(expect.knows):
        yield from knows_findings(transcript, record, name, wire_only=True)


def _expected(transcript: Transcript, record: StepRecord, expect: ExpectShape) -> Iterator[Finding]:
    if expect.error is not None and record.error is None and not isinstance(record, TurnRecord):
        yield at_step(record, "error", None, "nothing was refused", expected=expect.error, seen="no error")
    yield from session_findings(record, expect)
    yield from history_findings(transcript, record, expect)
    yield from file_findings(record, expect)
    if isinstance(record, TurnRecord):
        yield from reply_findings(record, expect)
        for name in listed(expect.knows):
            yield from knows_findings(transcript, record, name, wire_only=False)
        if expect.sent is not None and unseen(record, "sent") is None:
            yield from sent_findings(record, expect.sent)
        yield from way_findings(transcript, record, expect)
        if expect.not_ is not None:
            yield from _not(transcript, record, expect.not_)
    yield from own_findings(transcript, record, expect)


def _not(transcript: Transcript, record: TurnRecord, unwanted: ExpectShape) -> Iterator[Finding]:
    """None of what it holds may be so."""
    for name in listed(unwanted.knows):
        yield from not_knows_findings(transcript, record, name)
    for key in NEGATABLE:
        for value in _parts(getattr(unwanted, key)):
            alone = ExpectShape(**{key: value})
            if [one for one in _expected_or_ended(transcript, record, alone) if one.check == key]:
                continue
            yield at_step(
                record,
                "not",
                "wire" if key == "sent" else None,
                f"{key} holds, and must not",
                expected=f"not {key}: {_spelled(value)}",
                seen=shown(record.text),
                key=f"expect not {key}",
            )


def _parts(value: Any) -> Iterator[Any]:
    """Each of the things that must not be so, on its own."""
    match value:
        case None:
            return
        case SentShape():
            for name in value.__struct_fields__:
                wanted = getattr(value, name)
                parts = listed(wanted) if name in {"contains", "lacks"} else [wanted]
                yield from (SentShape(**{name: one}) for one in parts if one is not None)
        case dict():
            yield from ({key: one} for key, one in value.items())
        case _:
            yield value


def _spelled(value: Any) -> str:
    if isinstance(value, SentShape):
        return ", ".join(
            f"{n}: {getattr(value, n)!r}" for n in value.__struct_fields__ if getattr(value, n) is not None
        )
    return repr(value)


def _expected_or_ended(transcript: Transcript, record: TurnRecord, expect: ExpectShape) -> Iterator[Finding]:
    yield from ended_findings(record, expect)
    yield from _expected(transcript, record, expect)


def _invariants(transcript: Transcript) -> Iterator[Finding]:
    for name, check in INVARIANTS.items():
        if name not in transcript.scenario.skipped_invariants:
            yield from check(transcript)


def _whole(transcript: Transcript) -> Iterator[Finding]:
    """What concerns the scenario as a whole: the miss, what was not played, the budget."""
    scenario = transcript.scenario
    if transcript.missed() is not None:
        yield _miss(transcript)
        yield from _unplayed(transcript, [one for one in transcript.unplayed if _is_retry(transcript, one)])
    elif not transcript.trouble and not transcript.not_run:
        yield from _unplayed(transcript, transcript.unplayed)
    if scenario.budget is not None:
        for what, limit, used in over_budget(scenario.budget, transcript, transcript.turns()):
            message, place = f"over budget in total: {what}", scenario.place_of("budget", what)
            yield Finding(check="budget", layer=None, message=message, expected=limit, seen=used, place=place)


def _unplayed(transcript: Transcript, left: Iterable[Interaction]) -> Iterator[Finding]:
    for one in left:
        yield Finding(
            check="unplayed",
            layer="wire",
            message=f"recorded and not asked for: {summary(one.canonical)}",
            expected="the request sent again, as recorded",
            seen="not sent",
            advice="the client no longer tries again" if _is_retry(transcript, one) else "",
            place=transcript.scenario.place,
            session=one.lane or "",
        )


def _is_retry(transcript: Transcript, left: Interaction) -> bool:
    """The same was asked in that turn already, and failed: this is not for want of getting there."""
    return any(
        one.lane == left.lane and one.turn == left.turn and one.canonical == left.canonical and one.status >= 400
        for one in transcript.interactions
        if not one.missed
    )


def _miss(transcript: Transcript) -> Finding:
    missed = transcript.missed()
    assert missed is not None
    record = next((r for r in transcript.turns() if missed in [*r.interactions, *r.borrowed]), None)
    where = f": this is what {transcript.elsewhere!r} was recorded to send" if transcript.elsewhere else ""
    if record is None:
        return Finding(
            check="miss",
            layer="wire",
            message=f"no recorded interaction answers a request that was sent outside of any turn{where}",
            expected=_recorded(transcript),
            seen=summary(missed.canonical),
            place=transcript.scenario.place,
            session=missed.lane or "",
        )
    return at_step(
        record,
        "miss",
        "wire",
        f"no recorded interaction answers this request{where}",
        expected=_recorded(transcript),
        seen=summary(missed.canonical),
        key="user",
    )


def _recorded(transcript: Transcript) -> str:
    return summary(transcript.nearest.canonical) if transcript.nearest else "nothing is recorded for this session"


def _not_seen(transcript: Transcript) -> tuple[NotSeen, ...]:
    wanted = [name for name in NEED_THE_WIRE if name not in transcript.scenario.skipped_invariants]
    laneless = _laneless(transcript)
    found = [
        blind
        for record in transcript.turns()
        for name in [*wanted, *_wire_expectations(record.step.expect)]
        if (blind := unseen(record, name) or _silent(record, name)) is not None
    ]
    return unique_not_seen([*found, *([laneless] if laneless else [])])


def _laneless(transcript: Transcript) -> NotSeen | None:
    unknown = [one.number for one in transcript.interactions if one.lane is None]
    if not unknown:
        return None
    return NotSeen(check="isolation", why=f"no session could be told for request {', '.join(map(str, unknown[:5]))}")


def _silent(record: TurnRecord, check: str) -> NotSeen | None:
    """A client that answers and sends nothing is not what it declares, or does not use its transport."""
    if not record.text.strip() or record.interactions or record.borrowed:
        return None
    return NotSeen(check=check, why=f"client {record.client!r} answered a turn and sent nothing through its transport")


def _wire_expectations(expect: ExpectShape | None) -> list[str]:
    return [name for name in ("sent", "knows") if expect and getattr(expect, name)]


def _expected_failure(transcript: Transcript, verdict: Verdict) -> Verdict:
    """Strict: it passes only if exactly that check fails there."""
    wanted = transcript.scenario.xfail
    if wanted is None:
        return verdict
    matching = [one for one in verdict.findings if _is_expected(one, wanted)]
    others = [one for one in verdict.findings if not _is_expected(one, wanted)]
    if matching and not others:
        return Verdict(not_seen=verdict.not_seen)
    if not matching:
        missing = Finding(
            check="xfail",
            layer=None,
            message=f"expected to fail and did not: {wanted.check}",
            expected=f"{wanted.check} fails{f' at {wanted.at}' if wanted.at else ''}, because {wanted.because}",
            seen="it holds",
            advice="remove xfail: if this is fixed",
            place=transcript.scenario.place_of("xfail"),
        )
        others = [*others, missing]
    return Verdict(findings=tuple(others), not_seen=verdict.not_seen)


def _is_expected(finding: Finding, wanted: XfailShape) -> bool:
    return (
        finding.check == wanted.check and wanted.layer in (None, finding.layer) and wanted.at in (None, finding.step_id)
    )
