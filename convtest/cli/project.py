"""What several commands need to know of the project they are called in."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from convtest.config import Config, find_root, load_config
from convtest.errors import ConfigError


def project() -> Config:
    """The configuration of the folder that the command is called in. Raises ConfigError."""
    root = find_root(Path.cwd())
    config = load_config(root) if root else None
    if config is None:
        raise ConfigError("there is no [tool.convtest] here", where=str(Path.cwd()), help="start with: convtest init")
    if str(config.root) not in sys.path:
        # As under pytest: `target = "module:attr"` is looked for beside pyproject.toml, last of all.
        sys.path.append(str(config.root))
    return config


def missing_folders(config: Config) -> list[str]:
    """What is wrong with the folders that the configuration names for scenarios."""
    return [
        f"there is no folder {config.shown(root)}: see scenarios in [tool.convtest]"
        for root in config.scenarios
        if not root.is_dir()
    ]


def scenario_files(config: Config, paths: Iterable[Path]) -> Iterator[Path]:
    """The scenario files that the paths name or hold; all of the project's where there are none."""
    for path in list(paths) or [root for root in config.scenarios if root.is_dir()]:
        if path.is_dir():
            yield from sorted(
                found
                for found in path.rglob("*.y*ml")
                if found.suffix in {".yaml", ".yml"} and not found.resolve().is_relative_to(config.cassettes)
            )
        else:
            yield path
