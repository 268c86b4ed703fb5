"""What a run of pytest says of all its items together."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from convtest.plugin.state import HEADLINE, PROPERTY, Crash, Shown, State
from convtest.plugin.sweeps import headline_of


class Counting:
    """Counts what the reports say; registered for one run, so that no state outlives it."""

    def __init__(self, state: State) -> None:
        self._state = state

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counted where the report is shown: under xdist that is the controller, not the worker."""
        properties = dict(report.user_properties)
        if HEADLINE in properties and isinstance(report.longrepr, str):
            # xdist sends text; make it again what the worker had.
            report.longrepr = Shown(report.longrepr, Crash(*json.loads(str(properties[HEADLINE]))))  # type: ignore[assignment]
        same = self._state.sweeps.note(report, headline_of(report)) or self._state.cells.note(report)
        if same is not None and isinstance(report.longrepr, Shown):
            report.longrepr = Shown(same, report.longrepr.reprcrash)
        found: Any = properties.get(PROPERTY)
        if report.when != "call" or not found:
            return
        facts = json.loads(found)
        self._state.sources[facts["source"]] += 1
        self._state.tokens += facts["tokens"]
        self._state.usd += facts["usd"] or 0.0
        self._state.unpriced += facts["usd"] is None
        self._state.unseen += facts["unseen"]
        self._state.aside += [facts["aside"]] if "aside" in facts else []


def summary(state: State, *, live: bool) -> Iterator[str]:
    """The lines of one run: the sweeps, then what was played, from what, and at what cost."""
    yield from state.sweeps.lines()
    yield from state.cells.lines()
    if not state.sources:
        return
    parts = [f"{count} {source}" for source, count in sorted(state.sources.items())]
    text = f"convtest: {', '.join(parts)}"
    if state.sources["simulated"] and not live:
        text += " (no cassette: the simulator answered; record them, or refuse them with --convtest-strict)"
    if state.sources["recorded"] or state.sources["live"]:
        cost = f"{state.usd:.4f} USD" + (f", {state.unpriced} items without a price" if state.unpriced else "")
        text += f"; {state.tokens} tokens, {cost}"
    if state.unseen:
        text += f"; wire not seen in {state.unseen}"
    yield text
    for path in state.aside:
        yield f"convtest: turns of a recording that broke off and was not gone on with are kept aside: {path}"
