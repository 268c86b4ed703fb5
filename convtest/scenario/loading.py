"""Scenario files as a project has them: with its clients, and its default one."""

from pathlib import Path

from convtest.config import Config
from convtest.errors import ConvtestError
from convtest.limits import SECTION, within
from convtest.scenario.loader import load
from convtest.scenario.model import Scenario
from convtest.scenario.sweeping import Asked


def load_file(path: Path, config: Config, client: str | None = None, sweep: Asked | None = None) -> list[Scenario]:
    """The scenarios of a file, with one client or sweep for all where it is named. Raises ScenarioError, OutOfTime."""
    shown = config.shown(path.resolve())
    with within(config.limits.collecting, f"{shown}: reading it", f"make it smaller, or raise collecting, {SECTION}"):
        return load(
            path,
            shown=shown,
            default_client=config.client,
            clients=config.clients,
            only_client=client,
            sweep=sweep,
        )


def tags_of(path: Path, config: Config) -> tuple[str, ...]:
    """The tags in a file; none if it cannot be loaded, which collection will report."""
    try:
        return tuple(tag for scenario in load_file(path, config) for tag in scenario.tags)
    except ConvtestError:
        return ()
