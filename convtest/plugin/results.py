"""`--convtest-results`: what became of each scenario's item leaves the process as a line of JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from convtest.errors import told

if TYPE_CHECKING:
    from convtest.results.model import Result, SnapshotChange
    from convtest.scenario.model import Scenario


KEPT = "convtest_results"
"""In the input of a worker: where its results go that nobody asked to keep."""
KEPT_FILE = pytest.StashKey[Path]()
"""The same in the process that the workers report to."""


def begin_results(config: pytest.Config) -> None:
    """An empty file for this run, made by the process that the workers report to. Raises pytest.UsageError."""
    path = results_file(config)
    if path is None or hasattr(config, "workerinput"):
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    except OSError as error:
        text = f"--convtest-results: cannot write {path}: {error.strerror}"
        raise pytest.UsageError(told(text, "results")) from None


def results_file(config: pytest.Config) -> Path | None:
    """Where results go: as asked for, relative to where pytest was started, or where other outputs are made of them."""
    given: str | None = config.getoption("--convtest-results")
    if given:
        return config.invocation_params.dir / given
    told: str | None = getattr(config, "workerinput", {}).get(KEPT)
    return Path(told) if told else config.stash.get(KEPT_FILE, None)


def hand_out(
    path: Path,
    report: pytest.TestReport,
    scenario: "Scenario",
    node: str,
    played: "Result | None",
    snapshot: "SnapshotChange | None",
) -> None:
    """Add the item's line. `played` is what was judged; an item that was not played has none."""
    from msgspec.structs import replace

    from convtest.results.lines import append
    from convtest.results.making import about_of
    from convtest.results.model import SCHEMA, Result

    result = played or Result(schema=SCHEMA, about=about_of(scenario, item=node), outcome="error")
    outcome = _outcome(report)
    message = "" if report.passed or result.found else _message(report)
    append(
        path,
        replace(
            result,
            outcome=outcome,
            seconds=round(report.duration, 6),
            message=message,
            snapshot=snapshot,
            headline=result.headline or message.partition("\n")[0],
        ),
    )


def _outcome(report: pytest.TestReport) -> Literal["passed", "failed", "error", "skipped"]:
    if report.skipped:
        return "skipped"
    if report.failed:
        return "failed" if report.when == "call" else "error"
    return "passed"


def _message(report: pytest.TestReport) -> str:
    """The reason of a skip, or all that is shown of an error."""
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    return str(report.longrepr or "")
