"""The verdict on a transcript: every expectation, every invariant, the budget; then xfail."""

from collections.abc import Iterable, Iterator

from convtest.checks.adoption import nobodys
from convtest.checks.expectations import EXPECTATIONS, after_miss, judged
from convtest.checks.histories import assign
from convtest.checks.invariants import INVARIANTS, NEED_THE_WIRE
from convtest.checks.limits import over_budget
from convtest.checks.result import Asked, Finding, NotSeen, Verdict, at_step, unique_not_seen
from convtest.checks.sent import summary, unseen
from convtest.checks.ways import broken_findings, ended_findings
from convtest.scenario.expectations import ExpectShape
from convtest.scenario.grammar import XfailShape
from convtest.transcript import StepRecord, Transcript, TurnRecord
from convtest.wire.interaction import Interaction


def judge(transcript: Transcript) -> Verdict:
    """All findings in the order of the conversation. Raises CheckError from a user's own check."""
    assign(transcript)
    findings: list[Finding] = []
    for record in transcript.records:
        findings += _of_step(transcript, record)
    findings += _invariants(transcript)
    findings += _whole(transcript)
    findings.sort(key=lambda finding: finding.step or 1_000_000)
    if findings:
        findings += _blocked(transcript)
    failed = {finding.check for finding in findings}
    not_seen = tuple(one for one in _not_seen(transcript) if one.check not in failed)
    return _expected_failure(transcript, Verdict(findings=tuple(findings), not_seen=not_seen))


def _blocked(transcript: Transcript) -> Iterator[Finding]:
    """Beside what did not hold: alone it is an error of the set-up, not a verdict."""
    for host, advice in transcript.blocked:
        yield Finding(
            check="network",
            layer=None,
            message=f"a connection to {host!r} was blocked: nothing leaves this machine while it replays or simulates",
            advice=advice,
            place=transcript.scenario.place,
        )


def _of_step(transcript: Transcript, record: StepRecord) -> Iterator[Finding]:
    expect = record.step.expect
    missed = transcript.missed()
    yield from broken_findings(record)
    if isinstance(record, TurnRecord) and missed in [*record.interactions, *record.borrowed]:
        # After a miss the reply is ours, not the model's: only what was sent can be judged.
        if expect is not None:
            yield from after_miss(Asked(transcript=transcript, record=record, expect=expect, wanted=None))
        return
    if isinstance(record, TurnRecord):
        yield from ended_findings(record, expect, swept=_is_swept(transcript, record))
    if expect is not None and not record.hung and not record.crash:
        yield from judged(Asked(transcript=transcript, record=record, expect=expect, wanted=None))


def _is_swept(transcript: Transcript, record: StepRecord) -> bool:
    point = transcript.scenario.point
    return point is not None and point.turn == record.step.index


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
    elif not transcript.not_run:
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
        one.turn == left.turn and one.canonical.key == left.canonical.key and one.status != 200
        for one in transcript.interactions
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
        if (blind := _blind(record, name)) is not None
    ]
    return unique_not_seen([*found, *([laneless] if laneless else [])])


def _blind(record: TurnRecord, check: str) -> NotSeen | None:
    """Why a check could not look at a turn, if it could not."""
    return (
        unseen(record, check)
        or _unsent(record, check)
        or _silent(record, check)
        or _condensed(record, check)
        or _unsure(record, check)
        or _earlier(record, check)
    )


def _unsent(record: TurnRecord, check: str) -> NotSeen | None:
    """Left to the client itself, as its policy permits: what its request would have held is not known."""
    if check not in {"knows", "sent"} or record.main() or not record.policy.may_be_unsent(record.turn.prompt):
        return None
    return NotSeen(check=check, why=f"step {record.step.index} went without a request, as the policy permits")


def _condensed(record: TurnRecord, check: str) -> NotSeen | None:
    """The requests of a client that condenses what was said do not hold its messages."""
    silent = {"messages": (), "condensed": ("history", "prompts_once", "mass"), "summary": ("history", "prompts_once")}
    if check not in silent[record.policy.memory]:
        return None
    return NotSeen(check=check, why=f'client {record.client!r} declares memory = "{record.policy.memory}"')


def _laneless(transcript: Transcript) -> NotSeen | None:
    unknown = [one.number for one in nobodys(transcript)]
    if not unknown:
        return None
    return NotSeen(check="isolation", why=f"no session could be told for request {', '.join(map(str, unknown[:5]))}")


def _silent(record: TurnRecord, check: str) -> NotSeen | None:
    """A client that answers and sends nothing is not what it declares, or does not use its transport."""
    if not record.text.strip() or record.interactions or record.borrowed:
        return None
    if record.policy.may_be_unsent(record.turn.prompt):
        return None
    return NotSeen(check=check, why=f"client {record.client!r} answered a turn and sent nothing through its transport")


def _unsure(record: TurnRecord, check: str) -> NotSeen | None:
    if not record.unsure:
        return None
    why = f"which request of step {record.step.index} is the conversation cannot be told: several end in its prompt"
    return NotSeen(check=check, why=why)


def _earlier(record: TurnRecord, check: str) -> NotSeen | None:
    """What the server knew before the item began was not seen."""
    found = next((named for one in record.main() if (named := one.unknown)), None)
    if found is None:
        return None
    return NotSeen(check=check, why=f"the session goes on from {found!r}, which no answer of this item had")


def _wire_expectations(expect: ExpectShape | None) -> list[str]:
    names = [name for name, one in EXPECTATIONS.items() if one.needs_the_wire]
    return [name for name in names if expect and getattr(expect, name)]


def _expected_failure(transcript: Transcript, verdict: Verdict) -> Verdict:
    """Strict: it passes only if exactly that check fails there."""
    wanted = transcript.scenario.xfail
    if wanted is None:
        return verdict
    matching = [one for one in verdict.findings if _is_expected(one, wanted)]
    others = [one for one in verdict.findings if not _is_expected(one, wanted)]
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
