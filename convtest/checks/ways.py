"""Expectations about how a step went: its end, calls, usage, budget, session, files and a user's own check."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from convtest.checks.conduct import Conduct, conduct_of
from convtest.checks.replies import listed, shown
from convtest.checks.result import Finding, at_step
from convtest.errors import CheckError
from convtest.events import Usage, kind_of, runs_of_kinds
from convtest.scenario.durations import seconds
from convtest.scenario.grammar import (
    BudgetShape,
    ConductShape,
    EndedShape,
    ExpectShape,
    RangeShape,
    RetriesShape,
    UsageShape,
)
from convtest.transcript import StepRecord, Transcript, TurnRecord

_MANY_TRIES = 10


def broken_findings(record: StepRecord) -> Iterator[Finding]:
    """A step that hung, crashed or was refused, whatever was expected of it."""
    expected = record.step.expect.error if record.step.expect else None
    if record.hung:
        again = _asked_again(record)
        yield at_step(
            record,
            "timeout",
            None,
            "the step did not end in time",
            seen=f"the last thing seen: {record.hung}{again}",
            advice="have the client give up" if again else "raise timeout: if the client is only slow",
            key="user",
        )
    if record.crash:
        yield at_step(record, "client", None, "the client raised an exception", seen=record.crash, key="user")
    if record.error and record.error.code != expected:
        message = f"the client refused: {record.error.code}"
        yield at_step(record, "error", None, message, expected=expected or "no error", seen=record.error.message)


def _asked_again(record: StepRecord) -> str:
    """Of a client that does not give up."""
    tries = len(conduct_of(record).waits) if isinstance(record, TurnRecord) else 0
    return f"; it asked for the same {tries:,} times more" if tries >= _MANY_TRIES else ""


def ended_findings(record: TurnRecord, expect: ExpectShape | None) -> Iterator[Finding]:
    """How the turn ended; `complete` where nothing else is said."""
    if record.hung or record.crash or record.error:
        return
    replayed = any(one.origin == "replayed" for one in record.interactions)
    for interrupt in record.unreached:
        if interrupt.on_the_wire and replayed:
            continue  # what was recorded is what the fault made of it
        ended = record.end.ended if record.end else "without a turn end"
        count = len(record.events) - (record.end is not None)
        message = f"point not reached: the turn ended {ended} after {count} events"
        yield at_step(record, "disturb", None, message, expected=str(interrupt), key="disturb")
    end = record.end
    if end is None:
        return
    if expect is not None and expect.error is not None:
        if end.error != expect.error:
            seen = f"{end.error or 'no error'} (ended {end.ended}) {end.message}".strip()
            yield at_step(record, "error", None, "the turn has another error", expected=expect.error, seen=seen)
        if expect.ended is None:
            return
    wanted = _ends(expect)
    if end.ended not in wanted:
        yield at_step(
            record,
            "ended",
            None,
            f"the turn ended {end.ended}",
            expected=" or ".join(wanted),
            seen=f"{end.ended}{f': {end.message}' if end.message else ''}",
        )


def _ends(expect: ExpectShape | None) -> list[str]:
    if expect is None or expect.ended is None:
        return ["complete"]
    return list(expect.ended.one_of) if isinstance(expect.ended, EndedShape) else [expect.ended]


def way_findings(transcript: Transcript, record: TurnRecord, expect: ExpectShape) -> Iterator[Finding]:
    """events, calls, denied, usage, budget, retries and conduct."""
    if expect.events is not None:
        kinds = [run.split("*")[0] for run in runs_of_kinds(kind_of(event) for event in record.events).split()]
        if kinds != expect.events:
            yield _other(record, "events", "other events came", " ".join(expect.events), " ".join(kinds))
    if expect.calls is not None:
        yield from _calls(record, expect.calls)
    if expect.denied is not None:
        denied = list(record.end.denied) if record.end else []
        if denied != expect.denied:
            yield _other(record, "denied", "other tools were denied", repr(expect.denied), repr(denied))
    if expect.usage is not None:
        yield from _usage(record, expect.usage)
    if expect.budget is not None:
        for what, limit, used in over_budget(expect.budget, transcript, [record]):
            yield _other(record, "budget", f"over budget: {what}", limit, used)
    if expect.retries is not None:
        yield from _retries(record, expect.retries)
    if expect.conduct is not None:
        yield from _conduct(record, expect.conduct)


def _other(record: StepRecord, check: str, message: str, expected: str, seen: str) -> Finding:
    return at_step(record, check, None, message, expected=expected, seen=seen)


def _calls(record: TurnRecord, wanted: list[Any]) -> Iterator[Finding]:
    asked = [(one, {}) if isinstance(one, str) else next(iter(one.items())) for one in wanted]
    fits = len(asked) == len(record.calls) and all(
        call.name == name and all(call.input.get(key) == value for key, value in (given or {}).items())
        for call, (name, given) in zip(record.calls, asked, strict=True)
    )
    if not fits:
        expected = ", ".join(f"{name}({_arguments(given or {})})" for name, given in asked) or "no calls"
        seen = ", ".join(f"{call.name}({_arguments(call.input)})" for call in record.calls) or "no calls"
        yield _other(record, "calls", "other tools were called", expected, seen)


def _arguments(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in given.items())


def in_range(value: float, wanted: float | RangeShape) -> bool:
    if isinstance(wanted, RangeShape):
        return (wanted.min is None or value >= wanted.min) and (wanted.max is None or value <= wanted.max)
    return value == wanted


def _range(wanted: float | RangeShape) -> str:
    if isinstance(wanted, RangeShape):
        return f"{'' if wanted.min is None else f'{wanted.min:g}'}…{'' if wanted.max is None else f'{wanted.max:g}'}"
    return f"{wanted:g}"


def _usage(record: TurnRecord, wanted: UsageShape) -> Iterator[Finding]:
    hidden = _is_hidden([record])
    for name in wanted.__struct_fields__:
        limit, used = getattr(wanted, name), getattr(record.usage, name)
        if limit is not None and (hidden or not in_range(used, limit)):
            seen = _HIDDEN if hidden else str(used)
            yield _other(record, "usage", f"{name} is not as expected", _range(limit), seen)


def over_budget(
    budget: BudgetShape, transcript: Transcript, records: list[TurnRecord]
) -> Iterator[tuple[str, str, str]]:
    """(what, limit, used) of every limit that is exceeded by the turns together; a price not known counts as over."""
    for name in ("input_tokens", "output_tokens"):
        limit, used = getattr(budget, name), sum(getattr(record.usage, name) for record in records)
        if limit is not None and (used > limit or _is_hidden(records)):
            yield name, f"at most {limit}", str(used) if used > limit else _HIDDEN
    if budget.usd is not None:
        ended = [record for record in records if record.end is not None]
        unknown = [record for record in ended if record.usd is None]
        if unknown:
            yield "usd", f"at most {budget.usd:g} USD", _why_unknown(unknown)
        elif (spent := sum(record.usd or 0.0 for record in ended)) > budget.usd:
            yield "usd", f"at most {budget.usd:g} USD", f"{spent:.6f} USD"
    for name in ("first_event", "total"):
        limit = getattr(budget, name)
        times = [_time(record, name) for record in records]
        if limit is not None and sum(times) > seconds(limit) * 1000:
            yield name, f"at most {limit}", f"{sum(times) / 1000:.3f}s"


_HIDDEN = "unknown: the client reports no usage, and none is seen on its wire"


def _is_hidden(records: list[TurnRecord]) -> bool:
    """Of a turn that came to its end nobody tells what it used."""
    return any(one.end is not None and one.end.ended == "complete" and one.usage == Usage() for one in records)


def _why_unknown(records: list[TurnRecord]) -> str:
    models = list(dict.fromkeys(model for record in records for model in record.models()))
    if not models:
        return _HIDDEN
    names = ", ".join(repr(model) for model in models)
    return f"unknown: no price is known for {names} (add it to [tool.convtest.prices])"


def _time(record: TurnRecord, name: str) -> float:
    return (record.first_event_ms if name == "first_event" else record.total_ms) or 0.0


def _retries(record: TurnRecord, wanted: RetriesShape) -> Iterator[Finding]:
    """A retry is a request equal to one before it; `after` is the least time from the answer to the next try."""
    gaps = conduct_of(record).waits
    if wanted.count is not None and not in_range(len(gaps), wanted.count):
        message = "the client tried again another number of times"
        yield _other(record, "retries", message, _range(wanted.count), str(len(gaps)))
    if wanted.after is not None and gaps and min(gaps) < seconds(wanted.after):
        message = "the client tried again too soon"
        yield _other(record, "retries", message, f"after {wanted.after} or later", f"after {min(gaps):.3f}s")


def _conduct(record: TurnRecord, wanted: ConductShape) -> Iterator[Finding]:
    """What the client did when the wire failed it."""
    found: Conduct = conduct_of(record)
    for name in wanted.__struct_fields__:
        expected, seen = getattr(wanted, name), getattr(found, name)
        if expected is not None and seen != expected:
            yield at_step(
                record,
                "conduct",
                None,
                f"{name} is not as expected",
                expected=f"{name}: {expected}",
                seen=f"{name}: {seen}" if seen else f"{name}: nothing showed it in this turn",
                key=f"expect conduct {name}",
            )


def session_findings(record: StepRecord, expect: ExpectShape) -> Iterator[Finding]:
    """`session: same | new`."""
    if expect.session is None or record.error:
        return
    before, after = record.session_id_before, record.session_id
    is_same = before is not None and before == after
    if is_same != (expect.session == "same"):
        wanted = f"{'the same id as' if expect.session == 'same' else 'another id than'} {before}"
        yield _other(record, "session", f"the session is {'the same' if is_same else 'a new one'}", wanted, str(after))


def file_findings(record: StepRecord, expect: ExpectShape) -> Iterator[Finding]:
    """`files`: the workspace after the step; null for a file that must not be there."""
    for name, wanted in (expect.files or {}).items():
        found = record.files.get(name)
        if (found is None) != (wanted is None) or (found or "").strip() != (wanted or "").strip():
            expected = "no such file" if wanted is None else shown(wanted)
            seen = "no such file" if found is None else shown(found)
            yield at_step(
                record, "files", None, f"{name} differs", expected=expected, seen=seen, key=f"expect files {name}"
            )


def own_findings(transcript: Transcript, record: StepRecord, expect: ExpectShape) -> Iterator[Finding]:
    """`check: module:function`, handed the transcript; it fails by AssertionError or by returning False.

    Raises CheckError if it cannot be found or raises anything else.
    """
    for target in listed(expect.check):
        place = record.step.place_of("expect", "check")
        module, _, name = target.partition(":")
        try:
            function = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise CheckError(f"cannot import the check {target!r}: {error}", place=place) from error
        try:
            if function(transcript) is False:
                yield _other(record, "check", f"{target} returned False", "True", "False")
        except AssertionError as error:
            yield _other(record, "check", f"{target} failed", "no AssertionError", str(error) or "AssertionError")
        except Exception as error:
            raise CheckError(f"the check {target!r} raised {type(error).__name__}: {error}", place=place) from error
