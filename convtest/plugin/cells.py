"""Cells and trunks of a matrix as items: a trunk is played once a process, by the first item that needs it."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from convtest.config import Config
from convtest.errors import ConversationFailed, ConvtestError
from convtest.plugin.items import ScenarioItem
from convtest.plugin.matrices import CELL, TRUNK
from convtest.plugin.properties import properties_of
from convtest.plugin.state import STATE, mode_of
from convtest.retention.journal import Journal
from convtest.retention.matrix import Cell, Trunk
from convtest.scenario.model import Scenario
from convtest.scenario.trunks import named
from convtest.structs import replace, to_builtins
from convtest.temporary import room

if TYPE_CHECKING:
    from convtest.play.retention import Outcome


def asked_of(config: pytest.Config, base: Scenario) -> Iterator[tuple[Trunk, list[Cell]]]:
    """The trunks of the scenario's matrix with their cells, as many as the command line wants."""
    from convtest.play.retention import asked_cells

    loaded = config.stash[STATE].config
    repeat, most = config.getoption("--convtest-repeat"), config.getoption("--convtest-cells")
    cells, left_out = asked_cells(loaded, base, repeat, most)
    config.stash[STATE].left_out[f"{loaded.shown(base.file)}::{base.name}"] = left_out
    for trunk, group in groupby(cells, key=lambda cell: cell.trunk):
        yield trunk, list(group)


class MatrixItem(ScenarioItem):
    """What a trunk and its cells have in common."""

    base: Scenario
    trunk: Trunk

    @classmethod
    def made(cls, parent: pytest.File, base: Scenario, trunk: Trunk, label: str) -> Self:
        shown = replace(base, name=named(base, label), sweep=None, xfail=None, snapshot=False, steps=())
        item: Self = cls.of(parent, shown)  # type: ignore[assignment]
        item.base, item.trunk = base, trunk
        item.add_marker(pytest.mark.retention)
        return item

    @property
    def _matrix(self) -> str:
        return f"{self.config.stash[STATE].config.shown(self.base.file)}::{self.base.name}"

    @property
    def _key(self) -> tuple[str, str]:
        return self._matrix, self.trunk.label

    def setup(self) -> None:
        """Without a cassette: a matrix is simulated, or live."""
        self._config = self.begin()

    _config: Config

    @property
    def _trunk_node(self) -> str:
        return f"{self._matrix.rpartition('::')[0]}::{named(self.base, self.trunk.label)}"

    def _progress(self, what: str, **more: Any) -> None:
        """With how much there is to be played, of the trunk and in all: trunks are what takes time."""
        items, cells = _asked(self.session)
        more |= {"trunk": self._trunk_node, "items": items[self._key], "cells": cells[self._key], "of": cells.total()}
        super()._progress(what, cell=isinstance(self, CellItem), **more)

    def _became(self) -> "Outcome":
        """What became of its trunk, which is played now if it was not yet."""
        state = self.config.stash[STATE]
        if self._key not in state.trunks:
            state.trunks[self._key] = self._play_trunk()
        found: Outcome = state.trunks[self._key]
        return found

    def _play_trunk(self) -> "Outcome":
        from convtest.play.retention import Asking, Outcome, finished, play_trunk

        others = [item for item in self.session.items if isinstance(item, CellItem) and item._key == self._key]
        with ExitStack() as rooms:

            def made() -> Path:
                return rooms.enter_context(room())

            door = self.config.stash[STATE].gateway.door
            asking = Asking(config=self._config, mode=mode_of(self.config), door=door, room=made)
            if self._is_finished():
                return Outcome(skip="its trunk was finished before: it stands in the journal")
            outcome = play_trunk(asking, self.base, self.trunk, [item.cell for item in others])
        done = finished(asking, self.base, outcome)
        if done is not None and self._journal is not None and others:
            self._journal.add(done)
        if self.config.getoption("--convtest-live"):
            for one in outcome.plays:
                self.user_properties += properties_of(one)
        outcome.plays.clear()
        return outcome

    @property
    def _journal(self) -> Journal | None:
        path = self.config.getoption("--convtest-retention")
        return Journal(self.config.invocation_params.dir / path) if path else None

    def _is_finished(self) -> bool:
        """An earlier run of the same command has played it."""
        matrix = self.base.retention
        key = named(self.base, self.trunk.label), self.base.row, matrix.seed if matrix else 0, self.trunk.repeat
        return self._journal is not None and key in self._journal.finished()

    def _note(self, name: str, **more: Any) -> None:
        state = self.config.stash[STATE]
        facts = {"matrix": self._matrix, "node": self._node, "left_out": state.left_out.get(self._matrix, 0), **more}
        self.user_properties.append((name, json.dumps(facts)))

    def _playable(self, name: str, **more: Any) -> "Outcome":
        """What became of its trunk. Skips what cannot be asked of the client. Raises what kept it from being played."""
        outcome = self._became()
        self._note(name, in_full=outcome.in_full, **more)
        if outcome.skip:
            pytest.skip(outcome.skip)
        if outcome.trouble is not None:
            self._tell(outcome.trouble)
        return outcome

    def _tell(self, trouble: ConvtestError) -> None:
        raise trouble


class TrunkItem(MatrixItem):
    """A conversation of a matrix: what is found in it but for its questions."""

    @classmethod
    def in_matrix(cls, parent: pytest.File, base: Scenario, trunk: Trunk) -> Self:
        return cls.made(parent, base, trunk, trunk.label)

    def play(self, snapshot: object) -> None:
        """Raises ConversationFailed where the conversation does not hold."""
        __tracebackhide__ = True
        from convtest.reporting.failure import failure_text

        outcome = self._became()
        record = {"trunk": to_builtins(outcome.record)} if outcome.record is not None else {}
        self._playable(TRUNK, **record)
        if outcome.played is None:
            return
        self.outcome = outcome.played
        result = outcome.played.result()
        raise ConversationFailed(failure_text(result, whole=self.config.get_verbosity() > 0), headline=result.headline)


class CellItem(MatrixItem):
    """One question of a matrix."""

    cell: Cell

    @classmethod
    def asking(cls, parent: pytest.File, base: Scenario, cell: Cell) -> Self:
        item = cls.made(parent, base, cell.trunk, cell.label)
        item.cell = cell
        return item

    def _tell(self, trouble: ConvtestError) -> None:
        """In a line: its trunk tells all of it."""
        from convtest.play.retention import TrunkFailed

        raise TrunkFailed(trunk=self._trunk_node, why=str(trouble).splitlines()[0]) from None

    def play(self, snapshot: object) -> None:
        """Raises ConversationFailed for a question that was not answered as it must be, TrunkFailed where that tells
        nothing."""
        __tracebackhide__ = True
        from convtest.play.retention import TrunkFailed

        outcome = self._became()
        judged = outcome.cells.get(self.cell.label)
        self._playable(CELL, **({"probe": to_builtins(judged.probe)} if judged is not None else {}))
        node = self._trunk_node
        if judged is None:
            raise TrunkFailed(trunk=node, why="its conversation broke off before it was asked")
        if judged.findings:
            from convtest.reporting.failure import failure_text

            result = outcome.told[self.cell.label](self._node)
            text = failure_text(result, whole=self.config.get_verbosity() > 0)
            raise ConversationFailed(text, headline=result.headline)
        if outcome.played is not None:
            raise TrunkFailed(trunk=node, why="its conversation did not hold, so its answer proves nothing")


_Counts = tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]
_ASKED = pytest.StashKey[_Counts]()


def _asked(session: pytest.Session) -> _Counts:
    """By trunk: the items that are to be played, and those of them that are cells."""
    if _ASKED not in session.stash:
        items = [item for item in session.items if isinstance(item, MatrixItem)]
        cells = [item for item in items if isinstance(item, CellItem)]
        session.stash[_ASKED] = Counter(one._key for one in items), Counter(one._key for one in cells)
    return session.stash[_ASKED]
