"""What a person reads when an item failed: the conversation, each finding, the one thing to do."""

import shlex
from collections.abc import Iterator

from convtest.cassettes.difference import against_nearest
from convtest.checks.result import Finding, Verdict
from convtest.reporting.conversation import conversation_lines
from convtest.transcript import Transcript

_MOST = 6
_CAUSES = ("ended", "error", "timeout", "client", "disturb")
_CONSEQUENCES = ("miss", "unplayed")
_SIDES = {
    "wire": "the client sent something else than it should (layer wire)",
    "mass": "the client sent less than it should (layer mass)",
    "reply": "the answer is wrong, what was sent is not to blame (layer reply)",
}


def failure_text(transcript: Transcript, verdict: Verdict, *, node: str, record_command: str) -> str:
    """The whole report of a failed item, plain text."""
    return "\n".join(_lines(transcript, verdict, node, record_command))


def _lines(transcript: Transcript, verdict: Verdict, node: str, record_command: str) -> Iterator[str]:
    scenario = transcript.scenario
    yield f"{scenario.place.line_only}: {scenario.title} ({transcript.source})"
    yield f"  {side(verdict)}"
    yield ""
    yield from conversation_lines(transcript, {finding.step for finding in verdict.findings if finding.step})
    missed = transcript.missed()
    ordered = sorted(_causes_first(verdict), key=lambda finding: finding.check == "miss")
    for finding in ordered[:_MOST]:
        yield ""
        yield from finding_lines(finding)
        if finding.check == "miss" and missed is not None and transcript.nearest is not None:
            lines = against_nearest(transcript.nearest.canonical, missed.canonical)
            yield from (f"    {line}" for line in lines)
    if len(ordered) > _MOST:
        yield ""
        yield f"  … and {len(ordered) - _MOST} findings more"
    if any(one.recorded is not None and one.recorded.edited for one in transcript.interactions):
        yield "  the cassette was edited by hand: chunk lengths do not add up, event boundaries are used"
    for blind in verdict.not_seen:
        yield f"  not seen: {blind.check} ({blind.why})"
    yield ""
    if any(finding.check in {"miss", "unplayed"} for finding in verdict.findings):
        yield f"  if the change is meant, record it: {record_command}"
    yield f"  run just this item: pytest {shlex.quote(node)}"


def headline(verdict: Verdict) -> str:
    """The finding that says most, in one line: the wire first, then mass, then the reply."""
    order = {layer: rank for rank, layer in enumerate(("wire", "mass", "reply", None))}
    first = min(verdict.findings, key=lambda one: (one.check in _CONSEQUENCES, order[one.layer]))
    layer = f" (layer {first.layer})" if first.layer else ""
    return f"{first.check}{layer}: {first.message}"


def side(verdict: Verdict) -> str:
    """Which side broke."""
    layers = [finding.layer for finding in verdict.findings]
    first = next(iter(_causes_first(verdict)), None)
    if first is not None and first.check in _CAUSES:
        return headline(Verdict(findings=(first,)))
    return next((_SIDES[layer] for layer in ("wire", "mass", "reply") if layer in layers), headline(verdict))


def _causes_first(verdict: Verdict) -> list[Finding]:
    """In the order of the conversation; in each step what was sent wrong before what came of it."""

    def rank(finding: Finding) -> tuple[float, bool]:
        return finding.step or float("inf"), finding.layer != "wire" or finding.check in _CONSEQUENCES

    return sorted(verdict.findings, key=rank)


def finding_lines(finding: Finding) -> Iterator[str]:
    """Layer, check and place in one line; then what, expected, seen, and what to do."""
    where = [str(finding.place.line_only)]
    if finding.step:
        where.append(f"step {finding.step}{f' ({finding.step_id})' if finding.step_id else ''}")
    if finding.session:
        where.append(f"session {finding.session}")
    layer = f"  layer {finding.layer}" if finding.layer else ""
    yield f"  {finding.check}{layer}  {', '.join(where)}"
    yield f"    {finding.message}"
    if finding.expected:
        yield f"      expected  {_indented(finding.expected)}"
    if finding.seen:
        yield f"      seen      {_indented(finding.seen)}"
    if finding.advice:
        yield f"    {finding.advice}"


def _indented(text: str) -> str:
    return text.strip().replace("\n", "\n                ")
