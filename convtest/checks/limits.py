"""Expectations about what a turn used: tokens, cost and time."""

from collections.abc import Iterator

from convtest.checks.result import Asked, Finding, at_step
from convtest.events import Usage
from convtest.scenario.durations import seconds
from convtest.scenario.expectations import BudgetShape, RangeShape
from convtest.transcript import Transcript, TurnRecord


def in_range(value: float, wanted: float | RangeShape) -> bool:
    """Whether the number is the one, or between the two, that is wanted."""
    if isinstance(wanted, RangeShape):
        return (wanted.min is None or value >= wanted.min) and (wanted.max is None or value <= wanted.max)
    return value == wanted


def range_text(wanted: float | RangeShape) -> str:
    """As people write it."""
    if isinstance(wanted, RangeShape):
        return f"{'' if wanted.min is None else f'{wanted.min:g}'}…{'' if wanted.max is None else f'{wanted.max:g}'}"
    return f"{wanted:g}"


def usage(asked: Asked) -> Iterator[Finding]:
    """Tokens and cost, exact or in a range; unknown ones are not as expected."""
    record, wanted = asked.turn, asked.wanted
    for name in wanted.__struct_fields__:
        limit = getattr(wanted, name)
        used, hidden = _used(record, name)
        if limit is not None and (hidden or not in_range(used, limit)):
            seen = hidden or f"{used:g}"
            message = f"{name} is not as expected"
            yield at_step(record, "usage", None, message, expected=range_text(limit), seen=seen)


def _used(record: TurnRecord, name: str) -> tuple[float, str]:
    """How much, and why nobody can tell where that is so."""
    if name == "usd":
        return record.usd or 0.0, _why_unknown([record]) if record.usd is None else ""
    return getattr(record.usage, name), _hidden([record])


def budget(asked: Asked) -> Iterator[Finding]:
    """Upper limits of the turn."""
    for what, limit, used in over_budget(asked.wanted, asked.transcript, [asked.turn]):
        yield at_step(asked.record, "budget", None, f"over budget: {what}", expected=limit, seen=used)


def over_budget(
    budget: BudgetShape, transcript: Transcript, records: list[TurnRecord]
) -> Iterator[tuple[str, str, str]]:
    """(what, limit, used) of every limit that is exceeded by the turns together; a price not known counts as over."""
    for name in ("input_tokens", "output_tokens"):
        limit, used = getattr(budget, name), sum(getattr(record.usage, name) for record in records)
        if limit is not None and (used > limit or _hidden(records)):
            yield name, f"at most {limit}", str(used) if used > limit else _hidden(records)
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


_UNCOUNTED = "unknown: a streamed answer reports no usage (ask for it: stream_options = {include_usage = true})"


def is_uncounted(record: TurnRecord) -> bool:
    """Whether nobody tells what some answer of the turn used."""
    told = record.end is not None and record.end.usage != Usage()
    return not told and any(one.usage() is None for one in record.interactions or record.borrowed)


def _hidden(records: list[TurnRecord]) -> str:
    """Why nobody can tell what the turns used that came to their end; empty if all of it is known."""
    ended = [one for one in records if one.end is not None and one.end.ended == "complete"]
    if any(map(is_uncounted, ended)):
        return _UNCOUNTED
    return _HIDDEN if any(one.usage == Usage() for one in ended) else ""


def _why_unknown(records: list[TurnRecord]) -> str:
    if any(map(is_uncounted, records)):
        return _UNCOUNTED
    models = list(dict.fromkeys(model for record in records for model in record.models()))
    if not models:
        return _HIDDEN
    names = ", ".join(repr(model) for model in models)
    return f"unknown: no price is known for {names} (add it to [tool.convtest.prices])"


def _time(record: TurnRecord, name: str) -> float:
    return (record.first_event_ms if name == "first_event" else record.total_ms) or 0.0
