"""Which folder's `[tool.convtest]` a run of pytest goes by, and those that it leaves out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from convtest.config import find_root
from convtest.errors import ConfigError
from convtest.structs import Struct, field


def root_of(config: pytest.Config) -> Path:
    """pytest's root; where it has no such section, as in a repository of many projects, the one project in which
    everything stands that pytest was asked for. Raises ConfigError for a pyproject.toml on the way that is none."""
    top = config.rootpath
    if find_root(top) == top:
        return top
    asked = [config.invocation_params.dir / one.split("::")[0] for one in config.args]
    found = {root for path in asked if (root := find_root(path.resolve())) is not None and root.is_relative_to(top)}
    return found.pop() if len(found) == 1 else top


class LeftOut(Struct):
    """Projects below pytest's root whose scenarios are not played, since the root is not theirs."""

    top: Path
    roots: list[Path] = field(default_factory=list)

    def see(self, path: Path) -> None:
        """A pyproject.toml that pytest comes by while it collects."""
        try:
            if find_root(path.parent) == path.parent:
                self.roots.append(path.parent)
        except ConfigError:
            return  # of whatever tool it is: nobody asked for it

    def lines(self) -> Iterator[str]:
        for root in sorted(set(self.roots)):
            shown = root.relative_to(self.top).as_posix()
            yield f"convtest: the scenarios of {shown}/pyproject.toml were not played; play them by: pytest {shown}"


LEFT_OUT = pytest.StashKey[LeftOut]()
"""Of a run that no section is for."""
