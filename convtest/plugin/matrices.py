"""Retention matrices in pytest's report: one line a fact, and what failed by disturbance."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from convtest.errors import told
from convtest.structs import Struct, field

CELL, TRUNK = "convtest_cell", "convtest_trunk"
"""What a cell and a trunk came to, as JSON; they travel with the report."""
_MOST = 60
"""Lines shown of one matrix."""


def begin_probes(config: pytest.Config) -> Path | None:
    """An empty file for the records of this run, where they are asked for. Raises pytest.UsageError."""
    given = config.getoption("--convtest-probes")
    if not given or hasattr(config, "workerinput"):
        return None
    path: Path = config.invocation_params.dir / given
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    except OSError as error:
        text = f"--convtest-probes: cannot write {path}: {error.strerror}"
        raise pytest.UsageError(told(text, "retention")) from None
    return path


class _Matrix(Struct):
    probes: list[dict[str, Any]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    left_out: int = 0
    in_full: bool = False
    failed: dict[tuple[str, str], str] = field(default_factory=dict)
    """The first cell that failed under a disturbance on a layer: all others tell the same story."""


class Cells(Struct):
    """What the reports of a run say of matrices."""

    path: Path | None = None
    """Where their records are written too."""
    _matrices: dict[str, _Matrix] = field(default_factory=dict)

    def note(self, report: pytest.TestReport) -> str | None:
        """Count a cell or a trunk, once. For a cell that fails as an earlier one did, the line that stands for its
        whole report."""
        properties = dict(report.user_properties)
        found = properties.get(CELL) or properties.get(TRUNK)
        if not found or not (report.when == "call" or report.failed or report.skipped):
            return None
        facts = json.loads(str(found))
        matrix = self._matrices.setdefault(facts["matrix"], _Matrix())
        matrix.left_out = max(matrix.left_out, facts.get("left_out", 0))
        matrix.in_full = matrix.in_full or bool(facts.get("in_full"))
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            matrix.skipped[str(reason).removeprefix("Skipped: ")] += CELL in properties
        for kind in ("probe", "trunk"):
            if kind in facts:
                self._write({kind: facts[kind], "matrix": facts["matrix"]})
        if "probe" not in facts:
            return None
        probe = facts["probe"] | {"held": report.passed}
        matrix.probes.append(probe)
        if not report.failed:
            return None
        first = matrix.failed.setdefault((probe["disturb"], _layer(probe)), probe["id"])
        if first == probe["id"]:
            return None
        return f"as {first}, layer {_layer(probe)}; by itself: pytest '{facts['node']}'"

    def _write(self, line: dict[str, Any]) -> None:
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, sort_keys=True) + "\n")

    def lines(self) -> Iterator[str]:
        for name, matrix in self._matrices.items():
            yield from _shown(name, matrix)


def _shown(name: str, matrix: _Matrix) -> Iterator[str]:
    held = sum(one["held"] for one in matrix.probes)
    yield f"retention of {name}: {held} of {len(matrix.probes)} cells hold"
    disturbances = list(dict.fromkeys(one["disturb"] for one in matrix.probes))
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for one in sorted(matrix.probes, key=lambda one: (one["told_at"], one["after"], one["repeat"])):
        row = rows.setdefault((one["row"], one["family"], one["slot"]), {})
        letter = one["outcome"] if one["intact"] else one["outcome"].lower()
        row[one["disturb"]] = row.get(one["disturb"], "") + letter
    if rows:
        yield f"  {'|'.join(disturbances)}  (lower case: the wire is broken)"
    names = {key: " ".join(filter(None, (key[0], f"{key[1]}.{key[2]}"))) for key in rows}
    width = max(map(len, names.values()), default=0)
    for place, (key, row) in enumerate(rows.items()):
        if place == _MOST:
            yield f"  … and {len(rows) - _MOST} more"
            break
        yield f"  {names[key]:<{width}}  {'|'.join(row.get(disturb, '') for disturb in disturbances)}"
    yield from _failed(matrix)
    for reason, count in matrix.skipped.items():
        yield f"  {count} cells skipped: {reason}"
    if matrix.left_out:
        yield f"  {matrix.left_out} cells left out, since each takes processes: --convtest-cells N asks more"
    if matrix.in_full:
        yield "  the client does not fork: each cell was played in full"


def _failed(matrix: _Matrix) -> Iterator[str]:
    """By disturbance and layer, the most first."""
    layers = Counter((one["disturb"], _layer(one)) for one in matrix.probes if not one["held"])
    for (disturb, layer), count in layers.most_common():
        whole = sum(one["disturb"] == disturb for one in matrix.probes)
        yield f"  {disturb}: {count} of {whole} cells fail, layer {layer}"


def _layer(probe: Mapping[str, Any]) -> str:
    """Which side broke, of a cell that does not hold; `trunk`: its conversation did not."""
    return "wire" if not probe["intact"] else "reply" if probe["outcome"] != "H" else "trunk"
