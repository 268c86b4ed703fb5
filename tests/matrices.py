"""Plays retention matrices in process, without pytest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from textwrap import dedent

from convtest.checks.retention import Judged
from convtest.config import Config, Profile
from convtest.play.mode import Mode
from convtest.play.retention import Asking, Outcome, asked_cells, finished, play_trunk
from convtest.retention.baseline import Run
from convtest.retention.journal import Journal
from convtest.retention.matrix import Cell
from convtest.scenario.loader import load
from convtest.scenario.model import Scenario

GOOD = "convtest.clients.messages.client:MessagesClient"


@dataclass
class Played:
    """What became of a matrix."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    cells: dict[str, Judged | None] = field(default_factory=dict)
    journal: Journal = field(default_factory=lambda: Journal(Path(mkdtemp()) / "run.jsonl"))

    @property
    def red(self) -> dict[str, tuple[str, ...]]:
        """The layers of the cells that do not hold, by name."""
        found = {name: one.findings if one else () for name, one in self.cells.items()}
        return {
            name: tuple(str(finding.layer) for finding in findings)
            for name, findings in found.items()
            if findings or self.cells[name] is None
        }

    @property
    def trunks(self) -> dict[str, list[tuple[str, str | None]]]:
        """What was found in the conversations themselves."""
        return {
            name: [(one.check, one.layer) for one in outcome.played.verdict.findings]
            for name, outcome in self.outcomes.items()
            if outcome.played is not None
        }

    def run(self) -> Run:
        """As `convtest retention` keeps it."""
        made = self.journal.run("0.1.0")
        assert made is not None
        return made

    @property
    def letters(self) -> dict[str, str]:
        return {name: one.probe.outcome for name, one in self.cells.items() if one is not None}


def config(root: Path, target: str, kind: str, policy: Mapping[str, str | list[str]], system: str) -> Config:
    options = {"model": "claude-haiku-4-5", **({"system": system} if system else {})}
    target_of = target if kind == "python" else None
    one = Profile(
        name="assistant", kind=kind, target=target_of, upstream="simulator", options=options, policy=dict(policy)
    )  # fmt: skip
    return Config(
        root=root,
        scenarios=(root,),
        cassettes=root / "cassettes",
        client="assistant",
        clients={"assistant": one},
        volatile=frozenset(),
    )


def scenario(root: Path, text: str) -> Scenario:
    path = root / "matrix.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    (one,) = load(path, shown="matrix.yaml", default_client="assistant", clients=("assistant",))
    return one


def play(
    root: Path, text: str, target: str = GOOD, kind: str = "python", only: str = "", system: str = "",
    policy: Mapping[str, str | list[str]] | None = None,
) -> Played:  # fmt: skip
    """Every cell of the matrix, or those whose names hold `only`."""
    base, made = scenario(root, text), config(root, target, kind, policy or {}, system)
    asking = Asking(config=made, mode=Mode(), door=None, room=lambda: Path(mkdtemp(dir=root)))
    found = Played()
    cells: dict[str, list[Cell]] = {}
    for cell in asked_cells(made, base)[0]:
        if only in cell.label:
            cells.setdefault(cell.trunk.label, []).append(cell)
    for label, group in cells.items():
        found.outcomes[label] = outcome = play_trunk(asking, base, group[0].trunk, group)
        found.cells |= outcome.cells
        if (done := finished(asking, base, outcome)) is not None:
            found.journal.add(done)
    return found
