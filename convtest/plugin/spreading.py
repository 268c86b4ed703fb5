"""Matrices under pytest-xdist: all that is asked in one conversation goes to one worker."""

import re
from typing import Any

import pytest

_CELL = re.compile(r"(?P<matrix>.+\[(?:.*-)?)[^-]*-told@\d+-after@\d+-(?P<disturb>.+?)(?:-child|-parent)?\]")
_TRUNK = re.compile(r"(?P<matrix>.+\[(?:.*-)?)trunk-(?:told@\d+-)?(?P<disturb>.+)\]")


def scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadgroup`, which knows the items of a matrix by their ids; None where they are spread otherwise."""
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling

    made: Any = LoadGroupScheduling(config, log)
    given = made._split_scope
    made._split_scope = lambda nodeid: scope(nodeid) or given(nodeid)
    return made


def scope(nodeid: str) -> str:
    """The matrix and the disturbance of a trunk or a cell; empty for what is none."""
    found = _CELL.fullmatch(nodeid) or _TRUNK.fullmatch(nodeid)
    return f"{found['matrix']}{found['disturb']}" if found else ""
