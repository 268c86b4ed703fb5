"""Trunks of a retention matrix as they are played: what became of each, how many are left, and what that costs."""

import time
from collections.abc import Callable

from convtest.cli.running import NOTHING_COLLECTED, Fact, Stopped, run_pytest
from convtest.cli.saying import pass_on, say
from convtest.retention.journal import Journal
from convtest.structs import Struct, field
from convtest.wire.spending import Ledger


class _Trunk(Struct):
    """One in one repeat, with those of its items that have finished."""

    name: str
    items: int
    """That are to be played; it holds `cells` questions, the other one is the conversation itself."""
    cells: int
    outcomes: list[str] = field(default_factory=list)
    held: int = 0

    @property
    def word(self) -> str:
        bad = [one for one in self.outcomes if one in {"failed", "error"}]
        return bad[0] if bad else "passed" if "passed" in self.outcomes else "skipped"


class Playing(Struct):
    """pytest, once for each repeat."""

    journal: Journal
    repeats: int
    quiet: bool
    """Only what went wrong is shown."""
    unplayed: list[str] = field(default_factory=list)
    """Trunks that were not played to their end, and are not in the journal."""
    _begun: float = field(default_factory=time.monotonic)
    _open: dict[tuple[int, str], _Trunk] = field(default_factory=dict)
    _failed: list[tuple[int, str]] = field(default_factory=list)
    _done: int = 0
    """Probes of the trunks that have come to their end."""
    _played: int = 0
    """Those of them that were asked, and took their time."""

    def play(self, options: list[str]) -> int:
        """pytest's worst exit code. What is finished stands in the journal, whatever ends this."""
        worst = 0
        for repeat in range(1, self.repeats + 1):
            given = [f"--convtest-retention={self.journal.path}", f"--convtest-repeat={repeat}", *options]
            try:
                ran = run_pytest(given, self._finished(repeat))
            except Stopped:
                finished = len(self.journal.finished())
                say(f"stopped; {finished} trunks are finished; go on with the same command", err=True)
                raise
            if ran.code == NOTHING_COLLECTED:
                return ran.code if not self.journal.finished() else worst
            if ran.code not in (0, 1) or (ran.code == 1 and not self.quiet and repeat == 1):
                pass_on(ran.output)
            self._look_for_unplayed(repeat)
            worst = max(worst, ran.code)
            if worst > 1:
                break
        return worst

    def _look_for_unplayed(self, repeat: int) -> None:
        finished = [one.trunk.id for one in self.journal.finished().values() if one.trunk.repeat == repeat]
        failed = [name for at, name in self._failed if at == repeat]
        self.unplayed += [name for name in failed if not any(name.endswith(f"::{one}") for one in finished)]

    def _finished(self, repeat: int) -> Callable[[Fact], str | None]:
        def told(fact: Fact) -> str | None:
            if "trunk" not in fact:
                return None
            key = repeat, str(fact["trunk"])
            trunk = self._open.setdefault(key, _Trunk(key[1], fact["items"], fact["cells"]))
            trunk.outcomes.append(fact["outcome"])
            trunk.held += fact["cell"] and fact["outcome"] == "passed"
            if len(trunk.outcomes) < trunk.items:
                return None
            del self._open[key]
            if trunk.word in {"failed", "error"}:
                self._failed.append(key)
            self._done += trunk.cells
            self._played += trunk.cells if trunk.word != "skipped" else 0
            return None if self.quiet else self._line(trunk, repeat, fact["of"] * self.repeats)

        return told

    def _line(self, trunk: _Trunk, repeat: int, total: int) -> str:
        held = f"{trunk.held} of {trunk.cells} held" if trunk.word != "skipped" else f"{trunk.cells} not asked"
        again = f", repeat {repeat} of {self.repeats}" if self.repeats > 1 else ""
        spent = Ledger(self.journal.ledger).total()
        cost = f", {spent:.4f} USD spent" if spent else ""
        rest = f"{self._done} of {total} probes{self._left(total)}{cost}"
        return f"{trunk.word:<8} {trunk.name}: {held}{again}  [{rest}]"

    def _left(self, total: int) -> str:
        """How long the rest will take, as long as a probe took so far."""
        if not self._played or self._done >= total:
            return ""
        seconds = (time.monotonic() - self._begun) / self._played * (total - self._done)
        return f", {_time(seconds)} left"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
