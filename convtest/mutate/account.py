"""What became of mutators: shares by class, survivors by name, and whatever is not as it is written down."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from convtest.mutate.mutator import Mutator
from convtest.mutate.playing import SOURCES, Source, Trial
from convtest.mutate.survivors import LEAST, SURVIVORS, Survivor
from convtest.structs import Struct


class Account(Struct, frozen=True):
    """All trials of some mutators. One is found in a source if any scenario that it concerns goes red there."""

    mutators: Sequence[Mutator]
    trials: Sequence[Trial]
    written: Sequence[Survivor] = SURVIVORS

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(one for one in SOURCES if any(trial.source == one for trial in self.trials))

    def concerning(self, source: Source, kind: str = "") -> list[Mutator]:
        """Broken ones that did anything in any scenario, but for those that are written down as equivalent."""
        did = {trial.mutator for trial in self.trials if trial.source == source}
        same = {one.mutator for one in self.written if one.equivalent and source in one.sources}
        broken = [one for one in self.mutators if not one.honest and kind in {"", one.kind}]
        return [one for one in broken if one.name in did - same]

    def found(self, source: Source, kind: str = "", but: frozenset[str] = frozenset()) -> list[Mutator]:
        """Those that a check found, other than the checks in `but`."""
        red = {trial.mutator for trial in self.trials if trial.source == source and set(trial.found) - but}
        return [one for one in self.concerning(source, kind) if one.name in red]

    def survivors(self, source: Source) -> list[str]:
        found = {one.name for one in self.found(source)}
        return [one.name for one in self.concerning(source) if one.name not in found]

    def share(self, source: Source, but: frozenset[str] = frozenset()) -> float:
        """Of 1."""
        concerning = self.concerning(source)
        return len(self.found(source, but=but)) / len(concerning) if concerning else 1.0

    def nowhere(self) -> list[str]:
        """Mutators that did nothing in any scenario of any source."""
        did = {trial.mutator for trial in self.trials}
        return [one.name for one in self.mutators if not one.honest and one.name not in did]

    def false_alarms(self) -> list[Trial]:
        """Honest ones that went red."""
        honest = {one.name for one in self.mutators if one.honest}
        return [trial for trial in self.trials if trial.mutator in honest and trial.found]

    def problems(self) -> Iterator[str]:
        """Survivors that are not written down, and what is written down and not so."""
        names = {one.name for one in self.mutators}
        for source in self.sources:
            survive = set(self.survivors(source))
            red = {trial.mutator for trial in self.trials if trial.source == source and trial.found}
            known = {one.mutator: one for one in self.written if source in one.sources}
            for name in sorted(survive - known.keys()):
                yield f"{name} survives, {source}, and no reason is written down"
            for name in sorted(known.keys() & red & names):
                yield f"{name} is found, {source}, and written down as a survivor: take it out of survivors.py"
            if self.share(source) < LEAST[source]:
                yield f"{source}: {self.share(source):.1%} were found, and {LEAST[source]:.1%} have to be"
        for trial in self.false_alarms():
            found = ", ".join(trial.found)
            yield f"{trial.mutator} is honest and goes red in {trial.scenario}, {trial.source}: {found}"

    def table(self) -> str:
        """For a terminal: a row for each class."""
        kinds = list(dict.fromkeys(one.kind for one in self.mutators if not one.honest))
        rows = [("class", "mutators", *(f"found {source}" for source in self.sources), "concern nothing")]
        idle = set(self.nowhere())
        for kind in (*kinds, ""):
            mine = [one.name for one in self.mutators if not one.honest and kind in {"", one.kind}]
            found = (f"{len(self.found(s, kind))} of {len(self.concerning(s, kind))}" for s in self.sources)
            rows.append((kind or "all", str(len(mine)), *found, str(len(idle & set(mine)))))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, *self._below()])

    def _below(self) -> Iterator[str]:
        for source in self.sources:
            pairs = [one for one in self._pairs() if one.source == source]
            red = sum(bool(one.found) for one in pairs)
            yield f"{source}: {self.share(source):.1%} of the mutators; {red} of {len(pairs)} plays were red"
        for one in self.written:
            sources = [source for source in one.sources if source in self.sources]
            if sources and one.mutator in {mutator.name for mutator in self.mutators}:
                kind = "equivalent" if one.equivalent else "survives"
                yield f"{kind}, {' and '.join(sources)}: {one.mutator}: {one.reason}"

    def _pairs(self) -> list[Trial]:
        broken = {one.name for one in self.mutators if not one.honest}
        return [trial for trial in self.trials if trial.mutator in broken]

    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "mutators": [
                {"name": one.name, "class": one.kind, "bug": one.bug, "honest": one.honest} for one in self.mutators
            ],
            "shares": {source: self.share(source) for source in self.sources},
            "survivors": {source: self.survivors(source) for source in self.sources},
            "concern_nothing": self.nowhere(),
            "problems": list(self.problems()),
            "trials": [_plain(trial) for trial in self.trials],
        }


def _plain(trial: Trial) -> dict[str, Any]:
    found = list(trial.found)
    return {"mutator": trial.mutator, "scenario": trial.scenario, "source": trial.source, "found": found}


def joined(parts: Iterable[Sequence[Trial]]) -> list[Trial]:
    return [trial for part in parts for trial in part]


def markdown(mutators: Sequence[Mutator], written: Sequence[Survivor] = SURVIVORS) -> str:
    """What docs/checks.md says of them: found is all that is not written down, which a whole run proves."""
    broken = [one for one in mutators if not one.honest]
    kinds = list(dict.fromkeys(one.kind for one in broken))
    lost = {source: {one.mutator for one in written if source in one.sources} for source in SOURCES}
    rows = ["| class | mutators | found, replayed | found, simulated |", "|---|---|---|---|"]
    for kind in (*kinds, "all"):
        names = {one.name for one in broken if kind in {one.kind, "all"}}
        found = " | ".join(str(len(names - lost[source])) for source in SOURCES)
        rows.append(f"| {kind} | {len(names)} | {found} |")
    reasons = [f"| {one.mutator} | {' and '.join(one.sources)} | {one.reason} |" for one in written]
    return "\n".join([*rows, "", "| survives | where | because |", "|---|---|---|", *reasons])
