"""Scenario files for pytest: which items each of their scenarios makes."""

from collections.abc import Iterator
from types import ModuleType

import pytest

from convtest.errors import ConvtestError
from convtest.later import resting
from convtest.plugin.items import ScenarioItem
from convtest.plugin.state import STATE, register_tags
from convtest.plugin.sweeps import asked_sweep
from convtest.scenario.loading import load_file
from convtest.scenario.model import Scenario
from convtest.structs import replace
from convtest.textmatch import visible


class ScenarioFile(pytest.Module):
    """A YAML file of scenarios; a module for pytest, so that fixtures of a module's scope have something to live as
    long as, those of other plugins too."""

    def _getobj(self) -> ModuleType:
        module = ModuleType(self.path.stem)
        module.__file__ = str(self.path)
        return module

    def collect(self) -> Iterator["ScenarioItem"]:
        state = self.config.stash[STATE]
        try:
            client, asked = self.config.getoption("--convtest-client"), asked_sweep(self.config)
            with resting():
                scenarios = load_file(self.path, state.config, client, asked)
        except ConvtestError as error:
            raise self.CollectError(visible(error.told)) from None
        for scenario in scenarios:
            register_tags(self.config, scenario.tags)
            if scenario.steps:
                yield ScenarioItem.of(self, scenario)
            if scenario.retention is not None and not self.config.getoption("--convtest-record"):
                yield from self._cells(scenario)
            if scenario.sweep is not None and not self._asks_upstream():
                yield from self._points(scenario)

    def _asks_upstream(self) -> bool:
        """Points of a sweep are played offline and write nothing."""
        return bool(self.config.getoption("--convtest-live") or self.config.getoption("--convtest-record"))

    def _points(self, base: Scenario) -> Iterator["ScenarioItem"]:
        from convtest.play.sweeping import points

        try:
            found = points(self.config.stash[STATE].config, base)
        except ConvtestError as error:
            # One item that says what is missing: the file's other scenarios are none the worse.
            item = ScenarioItem.of(self, replace(base, name=f"{base.name}[sweep]", sweep=None, snapshot=False))
            item.add_marker(pytest.mark.sweep)
            item.trouble = error
            yield item
            return
        for scenario in found:
            yield ScenarioItem.of(self, scenario)

    def _cells(self, base: Scenario) -> Iterator["ScenarioItem"]:
        """The conversations of its matrix, each before the cells that are asked in it."""
        from convtest.plugin.cells import CellItem, TrunkItem, asked_of

        for trunk, cells in asked_of(self.config, base):
            yield TrunkItem.in_matrix(self, base, trunk)
            for cell in cells:
                yield CellItem.asking(self, base, cell)
