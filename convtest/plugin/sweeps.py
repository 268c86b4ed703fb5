"""Sweeps in pytest's report: the grid of points by kind, and failures grouped by what they have in common."""

import json
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

import pytest

from convtest.errors import told
from convtest.structs import Struct, field

if TYPE_CHECKING:
    from convtest.scenario.model import Point, Scenario
    from convtest.scenario.sweeping import Asked

SWEEP = "convtest_sweep"
CAUSES = "convtest_causes"
"""What failed at a point, each cause in one line; it travels with the report."""
_YIELDED = {"before_request", "request", "text", "thinking", "tool_use", "tool_result", "end"}
"""Kinds of points in what a client yields; all others are types of the server's events."""
_MOST = 5
"""Causes shown of one sweep; points named of one cause."""


def point_facts(item: pytest.Item, scenario: "Scenario", point: "Point") -> str:
    """What the summary needs to know of a point; it travels with the report, from a worker too."""
    turn = next(step for step in scenario.steps if step.index == point.turn)
    base = f"{item.nodeid.rpartition('::')[0]}::{point.base}"
    after = None if point.do.isdigit() else -1 if point.kind == "before_request" else point.after
    facts = {"base": base, "turn": turn.id, "do": point.do, "kind": point.kind, "after": after, "label": point.label}
    return json.dumps({**facts, "ms": point.ms})


def asked_sweep(config: pytest.Config) -> "Asked | None":
    """The sweep that the command line asks for."""
    turn, at = config.getoption("--convtest-sweep-turn"), config.getoption("--convtest-sweep-at")
    disturb = tuple(config.getoption("--convtest-sweep-disturb") or ())
    if not (turn or at or disturb):
        return None
    from convtest.scenario.grammar import SweepAt
    from convtest.scenario.sweeping import Asked, unknown

    for one in disturb:
        if (wrong := unknown(one)) is not None:
            raise pytest.UsageError(told(f"--convtest-sweep-disturb: {': '.join(wrong)}", "sweeps#the-keys"))
    if at is not None and at not in get_args(SweepAt):
        known = ", ".join(get_args(SweepAt))
        raise pytest.UsageError(told(f"--convtest-sweep-at: unknown points {at!r}: one of {known}", "sweeps#the-keys"))
    return Asked(turn=turn, disturb=disturb, at=at)


class _Cell(Struct):
    held: int = 0
    played: int = 0
    first: float = math.inf
    """The earliest of its points."""


class _Sweep(Struct):
    turn: str
    cells: dict[str, dict[str, _Cell]] = field(default_factory=dict)
    """By disturbance, then by the kind of event it came after."""
    failed: dict[str, dict[str, str]] = field(default_factory=dict)
    """By point: its causes, the root first; the key is what they have in common from point to point."""
    stretch: set[int] = field(default_factory=set)
    """Milliseconds after the prompt at which it was tried."""


class Sweeps:
    """What the reports of a run say of sweeps."""

    def __init__(self) -> None:
        self._sweeps: dict[str, _Sweep] = {}

    def note(self, report: pytest.TestReport, headline: str) -> str | None:
        """Count a point. For one that fails as an earlier one did, the line that stands for its whole report."""
        found = dict(report.user_properties).get(SWEEP)
        if not found or report.skipped or not (report.when == "call" or report.failed):
            return None
        facts = json.loads(str(found))
        sweep = self._sweeps.setdefault(facts["base"], _Sweep(facts["turn"]))
        cell = sweep.cells.setdefault(facts["do"], {}).setdefault(facts["kind"], _Cell())
        cell.played, cell.held = cell.played + 1, cell.held + report.passed
        sweep.stretch |= {facts["ms"]} - {None}
        cell.first = min(cell.first, math.inf if facts["after"] is None else facts["after"])
        if report.passed:
            return None
        properties = dict(report.user_properties)
        causes = json.loads(str(properties.get(CAUSES, json.dumps([headline]))))
        mine = {_without_numbers(cause): cause for cause in causes}
        like = next((label for label, other in sweep.failed.items() if _explains(other, mine)), None)
        sweep.failed[facts["label"]] = mine
        return None if like is None else f"as at {like}: {headline}"

    def lines(self) -> Iterator[str]:
        for base, sweep in self._sweeps.items():
            cells = [cell for row in sweep.cells.values() for cell in row.values()]
            held, played = sum(cell.held for cell in cells), sum(cell.played for cell in cells)
            yield f"sweep of {sweep.turn} in {base}: {held} of {played} points hold"
            yield from _grid(sweep)
            yield from _stretch(sweep)
            yield from _causes(sweep)


def _stretch(sweep: _Sweep) -> Iterator[str]:
    if sweep.stretch:
        later = [f"{ms}" for ms in sorted(sweep.stretch) if ms]
        times = f"{', '.join(later[:-1])} and {later[-1]}" if later[1:] else "".join(later)
        said = [*(["with the prompt"] if 0 in sweep.stretch else []), *([f"{times} ms after it"] if later else [])]
        yield f"  before_request: {' and '.join(said)}; when the client's request leaves is for the machine to say"


def _grid(sweep: _Sweep) -> Iterator[str]:
    """Disturbances down, kinds of events across, how many points hold in each cell."""
    on_wire = [do for do, row in sweep.cells.items() if set(row) - _YIELDED]
    for names in ([do for do in sweep.cells if do not in on_wire], on_wire):
        if names:
            yield from _table({do: sweep.cells[do] for do in sorted(names)})


def _table(rows: dict[str, dict[str, _Cell]]) -> Iterator[str]:
    firsts: dict[str, float] = {}
    for row in rows.values():
        for kind, cell in row.items():
            firsts[kind] = min(cell.first, firsts.get(kind, cell.first))
    kinds = sorted(firsts, key=lambda kind: (kind != "before_request", kind != "request", firsts[kind], kind))
    first = max(len(do) for do in rows)
    widths = [max(len(kind), *(len(_shown(row.get(kind))) for row in rows.values())) for kind in kinds]
    yield "  " + "  ".join([" " * first, *(f"{k:>{w}}" for k, w in zip(kinds, widths, strict=True))]).rstrip()
    for do, row in rows.items():
        shown = (f"{_shown(row.get(kind)):>{width}}" for kind, width in zip(kinds, widths, strict=True))
        yield "  " + "  ".join([f"{do:<{first}}", *shown]).rstrip()


def _shown(cell: _Cell | None) -> str:
    return "" if cell is None else f"{cell.held}/{cell.played}"


def _explains(other: dict[str, str], mine: dict[str, str]) -> bool:
    """Whether a point's report says all that there is to say of another."""
    return next(iter(other)) == next(iter(mine)) and set(mine) <= set(other)


def _without_numbers(cause: str) -> str:
    return re.sub(r"\d+", "#", cause)


class _Cause(Struct):
    headline: str
    points: list[str] = field(default_factory=list)
    also: dict[str, None] = field(default_factory=dict)
    """Checks that fail at its points beside it, and nowhere else."""


def _grouped(sweep: _Sweep) -> list[_Cause]:
    """By the root cause of each point; what fails beside several of them stands for itself."""
    roots = dict.fromkeys(next(iter(mine)) for mine in sweep.failed.values())
    found: dict[str, _Cause] = {}
    for label, mine in sweep.failed.items():
        for cause, line in mine.items():
            found.setdefault(cause, _Cause(line)).points.append(label)
    for cause in [cause for cause in found if cause not in roots]:
        around = [root for root in roots if set(found[cause].points) <= set(found[root].points)]
        if around:
            found[around[0]].also[cause.split(" ")[0].rstrip(":")] = None
            del found[cause]
    return list(found.values())


def _causes(sweep: _Sweep) -> Iterator[str]:
    causes = _grouped(sweep)
    if causes:
        yield f"  {len(causes)} cause{'s' * (len(causes) != 1)}:"
    for cause in causes[:_MOST]:
        named = ", ".join(sorted(cause.points, key=_position)[:_MOST])
        more = f", and {len(cause.points) - _MOST} more" if len(cause.points) > _MOST else ""
        yield f"    {cause.headline}"
        yield f"      {len(cause.points)} point{'s' * (len(cause.points) != 1)}: {named}{more}"
        if cause.also:
            yield f"      there too: {', '.join(cause.also)}"
    if len(causes) > _MOST:
        yield f"    … and {len(causes) - _MOST} more"


def _position(label: str) -> tuple[str, float]:
    """Workers report in any order."""
    do, _, where = label.partition("@")
    kind, _, later = where.partition("+")
    if kind == "before_request":
        return do, float(later.removesuffix("ms") or 0) / 1000 - 1
    after = where.partition("-")[0]
    return do, float(after) if after.isdigit() else math.inf


def headline_of(report: Any) -> str:
    """The one line of a failed report."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message) if crash is not None else ""
