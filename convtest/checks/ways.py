"""Expectations about how a step went: its end, calls, retries, session, files and a user's own check."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from convtest.checks.conduct import EARLY, Conduct, conduct_of
from convtest.checks.limits import in_range, range_text
from convtest.checks.replies import listed, shown
from convtest.checks.result import Asked, Finding, at_step
from convtest.errors import CheckError
from convtest.events import kind_of, runs_of_kinds
from convtest.scenario.durations import seconds
from convtest.scenario.expectations import EndedShape, ExpectShape
from convtest.transcript import StepRecord, TurnRecord
from convtest.wire.counting import served

_MANY_TRIES = 10


def broken_findings(record: StepRecord) -> Iterator[Finding]:
    """A step that hung, crashed or was refused, whatever was expected of it."""
    expected = record.step.expect.error if record.step.expect else None
    if record.hung:
        again, read_on = _asked_again(record), _read_on(record)
        yield at_step(
            record,
            "timeout",
            None,
            "the step did not end in time",
            seen=f"the last thing seen: {record.hung}{_how_far(record)}{again}{read_on}",
            advice=_way_out(again, read_on),
            key="user",
        )
    if record.crash:
        yield at_step(record, "client", None, "the client raised an exception", seen=record.crash, key="user")
    if record.error and record.error.code != expected:
        message = f"the client refused: {record.error.code}"
        yield at_step(record, "error", None, message, expected=expected or "no error", seen=record.error.message)


def _how_far(record: StepRecord) -> str:
    """What had passed on the wire, and what the client had made of it."""
    if not isinstance(record, TurnRecord) or record.wire != "history":
        return ""
    sent, yielded = record.interactions, _counted(len(record.events), "event")
    if not sent:
        return "; it sent no request" + (f" and yielded {yielded}" if record.events else "")
    answered = sum(one.ended == "complete" for one in sent)
    last = "" if answered == len(sent) else f", {_counted(len(served(sent[-1])), 'event')} of the last answer came"
    return f"; {_counted(len(sent), 'request')} sent, {answered:,} answered{last}, {yielded} yielded"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _way_out(again: str, read_on: str) -> str:
    if read_on:
        return "have the client stop reading once it is disturbed"
    return "have the client give up" if again else "raise timeout: if the client is only slow"


def _read_on(record: StepRecord) -> str:
    """Of a client that waits for what the recorded one never read."""
    past = [one.read_on for one in record.interactions if one.read_on] if isinstance(record, TurnRecord) else []
    return f"; the client reads on after event {past[-1]}, where the recorded one closed" if past else ""


def _asked_again(record: StepRecord) -> str:
    """Of a client that does not give up."""
    tries = len(conduct_of(record).waits) if isinstance(record, TurnRecord) else 0
    return f"; it asked for the same {tries:,} times more" if tries >= _MANY_TRIES else ""


def ended_findings(record: TurnRecord, expect: ExpectShape | None, *, swept: bool = False) -> Iterator[Finding]:
    """How the turn ended; `complete` where nothing else is said, and in a swept turn where all had been read before."""
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
    if swept and record.read_before and "complete" not in wanted:
        wanted.append("complete")  # there was nothing left to interrupt
    if end.ended not in wanted:
        yield at_step(
            record,
            "ended",
            None,
            f"the turn ended {end.ended}",
            expected=" or ".join(wanted),
            seen=f"{end.ended}{f': {end.message}' if end.message else ''}",
        )


def error(asked: Asked) -> Iterator[Finding]:
    """An act is refused by that name; a turn's error is judged with its end."""
    if asked.record.error is None and not isinstance(asked.record, TurnRecord):
        yield at_step(asked.record, "error", None, "nothing was refused", expected=asked.wanted, seen="no error")


def _ends(expect: ExpectShape | None) -> list[str]:
    if expect is None or expect.ended is None:
        return ["complete"]
    return list(expect.ended.one_of) if isinstance(expect.ended, EndedShape) else [expect.ended]


def _other(record: StepRecord, check: str, message: str, expected: str, seen: str) -> Finding:
    return at_step(record, check, None, message, expected=expected, seen=seen)


def events(asked: Asked) -> Iterator[Finding]:
    """The kinds of events, runs of one kind as one."""
    runs = runs_of_kinds(kind_of(event) for event in asked.turn.events).split()
    kinds = [run.split("*")[0] for run in runs]
    if kinds != asked.wanted:
        yield _other(asked.record, "events", "other events came", " ".join(asked.wanted), " ".join(kinds))


def denied(asked: Asked) -> Iterator[Finding]:
    """The tools that were denied, in order."""
    found = list(asked.turn.end.denied) if asked.turn.end else []
    if found != asked.wanted:
        yield _other(asked.record, "denied", "other tools were denied", repr(asked.wanted), repr(found))


def calls(asked: Asked) -> Iterator[Finding]:
    """The tool calls in order, with at least these arguments."""
    record, wanted = asked.turn, asked.wanted
    named = [(one, {}) if isinstance(one, str) else next(iter(one.items())) for one in wanted]
    fits = len(named) == len(record.calls) and all(
        call.name == name and all(call.input.get(key) == value for key, value in (given or {}).items())
        for call, (name, given) in zip(record.calls, named, strict=True)
    )
    if not fits:
        expected = ", ".join(f"{name}({_arguments(given or {})})" for name, given in named) or "no calls"
        seen = ", ".join(f"{call.name}({_arguments(call.input)})" for call in record.calls) or "no calls"
        yield _other(record, "calls", "other tools were called", expected, seen)


def _arguments(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in given.items())


def retries(asked: Asked) -> Iterator[Finding]:
    """A retry is a request equal to one before it; `after` is the least time from the answer to the next try."""
    record, wanted = asked.turn, asked.wanted
    gaps = conduct_of(record).waits
    if wanted.count is not None and not in_range(len(gaps), wanted.count):
        message = "the client tried again another number of times"
        yield _other(record, "retries", message, range_text(wanted.count), str(len(gaps)))
    if wanted.after is not None and gaps and min(gaps) < seconds(wanted.after) - EARLY:
        message = "the client tried again too soon"
        yield _other(record, "retries", message, f"after {wanted.after} or later", f"after {min(gaps):.3f}s")


def conduct(asked: Asked) -> Iterator[Finding]:
    """What the client did when the wire failed it."""
    record, wanted = asked.turn, asked.wanted
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


def session(asked: Asked) -> Iterator[Finding]:
    """`session: same | new`."""
    record, wants_same = asked.record, asked.wanted == "same"
    if record.error:
        return
    before, after = record.session_id_before, record.session_id or _id_later(asked)
    is_same = before is not None and before == after
    if is_same != wants_same:
        wanted = f"{'the same id as' if wants_same else 'another id than'} {before}"
        yield _other(record, "session", f"the session is {'the same' if is_same else 'a new one'}", wanted, str(after))


def _id_later(asked: Asked) -> str | None:
    """Some clients know the id of a session that they continue with its first answer only."""
    records = asked.transcript.records
    start = next(i for i, one in enumerate(records) if one is asked.record)
    later = (one.session_id for one in records[start + 1 :] if one.session == asked.record.session)
    return next((one for one in later if one is not None), None)


def files(asked: Asked) -> Iterator[Finding]:
    """The workspace after the step; null for a file that must not be there."""
    record = asked.record
    for name, wanted in asked.wanted.items():
        found = record.files.get(name)
        if (found is None) != (wanted is None) or (found or "").strip() != (wanted or "").strip():
            expected = "no such file" if wanted is None else shown(wanted)
            seen = "no such file" if found is None else shown(found)
            yield at_step(
                record, "files", None, f"{name} differs", expected=expected, seen=seen, key=f"expect files {name}"
            )


def own(asked: Asked) -> Iterator[Finding]:
    """`check: module:function`, handed the transcript; it fails by AssertionError or by returning False.

    Raises CheckError if it cannot be found or raises anything else.
    """
    record = asked.record
    for target in listed(asked.wanted):
        place = record.step.place_of("expect", "check")
        module, _, name = target.partition(":")
        try:
            function = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise CheckError(f"cannot import the check {target!r}: {error}", place=place) from error
        try:
            if function(asked.transcript) is False:
                yield _other(record, "check", f"{target} returned False", "True", "False")
        except AssertionError as error:
            yield _other(record, "check", f"{target} failed", "no AssertionError", str(error) or "AssertionError")
        except Exception as error:
            raise CheckError(f"the check {target!r} raised {type(error).__name__}: {error}", place=place) from error
