"""Plays mutators over scenarios: which of them any check finds, in which scenario, by what."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Literal

from convtest.config import Config
from convtest.errors import ConvtestError
from convtest.mutate.mutant import Mutant
from convtest.mutate.mutator import Mutator
from convtest.play.mode import Mode
from convtest.play.openings import Openings
from convtest.play.perform import Around, Ready, ready
from convtest.scenario.loading import load_file
from convtest.scenario.model import Scenario
from convtest.structs import Struct, field, replace
from convtest.temporary import temporary

Source = Literal["replayed", "simulated"]
SOURCES: tuple[Source, ...] = ("replayed", "simulated")
_NESTED = 30
"""Clients around one another in one play."""
KINDS = ("messages", "chat_completions")
_PATIENCE = 10.0
"""Seconds that a step may take: a mutant that hangs is not to hold the others up."""


class Trial(Struct, frozen=True, kw_only=True):
    """One mutator in one scenario in which it did otherwise. `found` are the checks that failed; none: it survives."""

    mutator: str
    scenario: str
    source: Source
    found: tuple[str, ...]


def scenarios(config: Config, files: Iterable[Path], client: str | None = None) -> list[Scenario]:
    """The scenarios of these files that mutants are played over: quick ones, of kinds that can be wrapped, that are to
    pass. Raises ScenarioError."""
    found = [one for file in sorted(files) for one in load_file(file, config, client)]
    return [
        replace(one, timeout=min(one.timeout, _PATIENCE))
        for one in found
        if one.xfail is None and one.skip is None and not {"slow", "long"} & set(one.tags) and _wrapped(config, one)
    ]


def _wrapped(config: Config, scenario: Scenario) -> bool:
    names = {scenario.client, *(spec.client for spec in scenario.sessions.values())}
    return all(config.profile(name).kind in KINDS for name in names)


def recorded(config: Config, plays: Sequence[Scenario], folder: Path) -> tuple[Config, list[Scenario]]:
    """The configuration with cassettes of its own, recorded with the honest client from the simulator; and those of the
    scenarios that it passes: what one API streams, another may not."""
    made, passed = replace(config, cassettes=folder / "cassettes"), list[Scenario]()
    for number, one in enumerate(plays):
        room = folder / f"recording-{number}"
        room.mkdir()
        if ready(made, one, Mode(record="all")).play(room, openings=Openings()).verdict.passed:
            passed.append(one)
    return made, passed


class Stage(Struct, frozen=True):
    """The scenarios of one source with all that is found of them once, and a folder for plays."""

    items: tuple[tuple[str, Ready], ...]
    source: Source
    folder: Path
    _rooms: Iterator[int] = field(default_factory=lambda: itertools.count())

    def play(self, item: Ready, around: Around, openings: Openings) -> tuple[str, ...]:
        """The checks that failed."""
        room = self.folder / str(next(self._rooms))
        room.mkdir()
        try:
            played = item.play(room, around, openings)
        except ConvtestError as error:
            # An item that cannot be played is red too: pytest says ERROR.
            return (f"error: {type(error).__name__}",)
        return tuple(dict.fromkeys(finding.check for finding in played.verdict.findings))


@contextmanager
def stage(config: Config, plays: Sequence[Scenario], source: Source) -> Iterator[Stage]:
    """What mutants are played on."""
    mode = Mode(live=source == "simulated")
    with temporary("mutate") as folder:
        yield Stage(tuple((one.name, ready(config, one, mode)) for one in plays), source, folder)


def concerned(stage: Stage, mutators: Sequence[Mutator]) -> dict[str, list[str]]:
    """By mutator: the scenarios in which it does anything. The honest client is played, and each mutator only looks:
    up to where it would first do otherwise both are the same."""
    found: dict[str, list[str]] = {one.name: [] for one in mutators}
    for name, item in stage.items:
        for start in range(0, len(mutators), _NESTED):
            dry = [Mutant(one, dry=True) for one in mutators[start : start + _NESTED]]
            broken = stage.play(item, lambda factory: reduce(lambda f, one: one.around(f), dry, factory), Openings())  # noqa: B023
            assert not broken, f"the honest client fails in {name}: {broken}"
            for one in dry:
                if one.applied:
                    found[one.mutator.name].append(name)
    return found


def trials(stage: Stage, mutators: Sequence[Mutator], *, every: bool = True) -> Iterator[Trial]:
    """Each mutator over each scenario that it concerns, as in a process of its own; without `every` over no more
    scenarios than it takes to find it."""
    where = concerned(stage, mutators)
    for mutator in mutators:
        openings = Openings()
        for name, item in stage.items:
            if name not in where[mutator.name]:
                continue
            mutant = Mutant(mutator)
            found = stage.play(item, mutant.around, openings)
            if mutant.applied:
                yield Trial(mutator=mutator.name, scenario=name, source=stage.source, found=found)
            if found and mutant.applied and not every and not mutator.honest:
                break
