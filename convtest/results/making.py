"""From a transcript and its verdict to the result: the only place that reads both."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, Literal

from convtest.cassettes.difference import against_nearest
from convtest.checks.conduct import conduct_of
from convtest.checks.limits import is_uncounted
from convtest.checks.result import Finding, Verdict
from convtest.events import Event, TextDelta, Thinking, ToolResult, ToolUse, kind_of, runs_of_kinds, text_of
from convtest.results.model import (
    SCHEMA,
    About,
    Blind,
    Ending,
    Found,
    Part,
    Point,
    Refused,
    Request,
    Result,
    Said,
    Step,
)
from convtest.results.ranking import causes, headline, layer_of, ranked
from convtest.scenario.model import Scenario
from convtest.transcript import ActRecord, StepRecord, Transcript, TurnRecord
from convtest.wire.blocks import Block, blocks_of
from convtest.wire.canonical import Canonical
from convtest.wire.interaction import Interaction

_SETTINGS = ("model", "system", "temperature", "max_tokens", "tools")


def result_of(about: About, transcript: Transcript, verdict: Verdict, written: str | None = None) -> Result:
    """What became of an item that was played and judged."""
    found = ranked([_found(finding, transcript) for finding in verdict.findings], _moments(transcript))
    return Result(
        schema=SCHEMA,
        about=about,
        outcome="passed" if verdict.passed else "failed",
        source=transcript.source,
        layer=layer_of(found),
        headline=headline(found),
        causes=causes(found),
        steps=list(_steps(transcript)),
        not_run=len(transcript.not_run),
        found=found,
        not_seen=[Blind(check=one.check, why=one.why) for one in verdict.not_seen],
        edited=any(one.recorded is not None and one.recorded.edited for one in transcript.interactions),
        usage=transcript.usage(),
        usd=transcript.usd(),
        written=written,
    )


def _moments(transcript: Transcript) -> dict[int, float]:
    """By a step's index: the number of the first request since it began, which is in the order of time."""
    found: dict[int, float] = {}
    last: dict[object, float] = {}
    for record in transcript.records:
        sent = [*record.interactions, *record.borrowed] if isinstance(record, TurnRecord) else []
        branch = record.step.group
        before = last.get(branch, max(last.values(), default=0.0))
        found[record.step.index] = last[branch] = min((float(one.number) for one in sent), default=before)
    return found


def about_of(scenario: Scenario, *, item: str, record_command: str = "") -> About:
    """Which item it is, by its pytest id."""
    at = scenario.point
    return About(
        item=item,
        title=scenario.title,
        file=scenario.place.file,
        line=scenario.place.line,
        client=scenario.client,
        row=scenario.row,
        tags=list(scenario.tags),
        point=Point(base=at.base, turn=at.turn, do=at.do, kind=at.kind, after=at.after) if at is not None else None,
        record_command=record_command,
    )


def _found(finding: Finding, transcript: Transcript) -> Found:
    missed, nearest = transcript.missed(), transcript.nearest
    difference: list[str] = []
    if finding.check == "miss" and missed is not None and nearest is not None:
        difference = list(against_nearest(nearest.canonical, missed.canonical))
    expected, seen = finding.expected, finding.seen
    if expected == seen and len(difference) > 2:
        expected, seen = _parted(difference[1:])
    return Found(
        check=finding.check,
        layer=finding.layer,
        message=finding.message,
        expected=expected,
        seen=seen,
        advice=finding.advice,
        place=str(finding.place.line_only),
        session=finding.session,
        step=finding.step,
        step_id=finding.step_id,
        difference=difference,
    )


def _parted(difference: list[str]) -> tuple[str, str]:
    """The first difference of two requests that read alike in one line each."""
    lines = [line.strip() for line in difference]
    if lines[0].endswith("differs:") and len(lines) > 2:
        return f"{lines[0]} {lines[1]}", lines[2]
    return lines[0], lines[1]


def _steps(transcript: Transcript) -> Iterator[Step]:
    last: dict[str, Canonical] = {}
    for record in transcript.records:
        more = _turn(record, last) if isinstance(record, TurnRecord) else {}
        shown = transcript.scenario.snapshot or bool(record.step.expect and record.step.expect.snapshot)
        yield Step(
            index=record.step.index,
            kind=record.act.kind if isinstance(record, ActRecord) else "turn",
            label=record.step.label,
            session=record.session,
            client=record.client,
            id=record.step.id,
            place=str(record.step.place.line_only),
            branch=record.step.group,
            session_id=record.session_id,
            refused=_refused(record),
            crash=record.crash,
            hung=record.hung,
            in_snapshot=shown,
            **more,
        )


def _refused(record: StepRecord) -> Refused | None:
    return Refused(code=record.error.code, message=record.error.message) if record.error is not None else None


def _turn(record: TurnRecord, last: dict[str, Canonical]) -> dict[str, Any]:
    end, main = record.end, {id(one) for one in record.main()}
    requests: list[Request] = []
    for one in record.interactions or record.borrowed:
        is_main = id(one) in main
        requests.append(_request(one, last.get(record.session), is_main=is_main))
        if is_main:
            last[record.session] = one.canonical
    return {
        "prompt": record.turn.prompt,
        "disturbances": [str(one) for one in record.turn.disturbances],
        "unreached": [str(one) for one in record.unreached],
        "said": list(_said(record)),
        "events": runs_of_kinds(kind_of(event) for event in record.events),
        "text": record.text,
        "ending": _ending(record),
        "conduct": str(conduct_of(record)) if record.wire == "history" else "",
        "first_event_ms": record.first_event_ms,
        "total_ms": record.total_ms,
        "usage": None if is_uncounted(record) else record.usage,
        "usd": record.usd if end is not None else None,
        "requests": requests,
    }


def _ending(record: TurnRecord) -> Ending | None:
    end = record.end
    if end is None:
        return None
    return Ending(ended=end.ended, error=end.error, message=end.message, retried=list(end.retried))


def _said(record: TurnRecord) -> Iterator[Said]:
    """In its order; pieces of one text as one, in which alone a secret can be seen that is spread over them."""
    kinds: dict[type[Any], Literal["text", "thinking"]] = {TextDelta: "text", Thinking: "thinking"}
    for kind, run in groupby(record.events, type):
        if kind in kinds:
            yield Said(kind=kinds[kind], text=_joined(list(run)))
            continue
        for event in run:
            match event:
                case ToolUse(name=name, input=given):
                    yield Said(kind="tool_use", name=name, input=dict(given))
                case ToolResult(text=text, is_error=is_error):
                    yield Said(kind="tool_result", text=text, error=is_error)


def _joined(events: list[Event]) -> str:
    return text_of(events) or "".join(event.text for event in events if isinstance(event, Thinking))


def _request(one: Interaction, last: Canonical | None, *, is_main: bool) -> Request:
    sent = one.canonical
    old, new = (_parts(last) if last is not None else []), _parts(sent)
    kept = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    return Request(
        number=one.number,
        main=is_main,
        lane=one.lane,
        method=sent.method,
        url=sent.url,
        model=str(sent.fields.get("model") or ""),
        roles=[str(message.get("role")) for message in sent.messages],
        settings=_settings(sent, last),
        kept=kept,
        removed=[_part(block) for block in old[kept:]],
        added=[_part(block) for block in new[kept:]],
        status=one.status,
        ended=one.ended or "",
        origin=one.origin,
        missed=one.missed,
        sent_ms=one.sent_at,
        first_byte_ms=one.first_byte,
        chunks_ms=[chunk.ms for chunk in one.chunks],
        usage=one.usage(),
    )


def _settings(sent: Canonical, last: Canonical | None) -> dict[str, str | None]:
    """Those that changed, in a fixed order."""
    before, found = last.fields if last is not None else {}, dict[str, str | None]()
    for key in _SETTINGS:
        value = _setting(sent, key)
        if value is not None and (last is None or sent.fields.get(key) != before.get(key)):
            found[key] = value
        elif value is None and before.get(key) is not None:
            found[key] = None
    return found


def _setting(sent: Canonical, key: str) -> str | None:
    if key == "tools":
        return ", ".join(sent.tool_names) or None
    if key == "system":
        return " ".join(sent.system.split()) or None
    value: Any = sent.fields.get(key)
    return None if value is None else str(value)


def _parts(sent: Canonical) -> list[Block]:
    return [block for message in sent.messages for block in blocks_of(message)]


def _part(block: Block) -> Part:
    return Part(role=block.role, kind=block.kind, text=block.text)
