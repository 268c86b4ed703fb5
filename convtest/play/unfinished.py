"""Recordings of scenarios that broke off."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from convtest.cassettes.store import Cassette
from convtest.config import Config
from convtest.errors import ScenarioError
from convtest.play.prepare import cassette_of
from convtest.scenario.loading import load_file
from convtest.scenario.model import Scenario


def unfinished(config: Config, arguments: Iterable[str], client: str | None = None) -> list[str]:
    """Where the turns stand, as it is shown, of what the arguments of pytest name: files, folders, ids."""
    found: list[Cassette] = []
    for argument in arguments:
        name, _, item = argument.partition("::")
        found += [
            cassette_of(config, scenario).partial
            for scenario in _scenarios(config, Path(name), client)
            if item in ("", scenario.name) or scenario.name.startswith(f"{item}[")
        ]
    return list(dict.fromkeys(one.shown for one in found if one.is_there))


def _scenarios(config: Config, path: Path, client: str | None) -> Iterator[Scenario]:
    """What cannot be read is for pytest to say."""
    files = sorted(one for one in path.rglob("*.y*ml")) if path.is_dir() else [path] if path.is_file() else []
    for file in files:
        if file.resolve().is_relative_to(config.cassettes):
            continue
        try:
            yield from load_file(file.resolve(), config, client)
        except (ScenarioError, ValueError):
            continue
