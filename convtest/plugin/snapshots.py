"""Snapshots of scenarios: compared by syrupy; what differs is kept, so that somebody can look at it and accept it."""

import difflib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from convtest.config import Config
from convtest.errors import ConversationFailed
from convtest.structs import Struct

if TYPE_CHECKING:
    from convtest.play.perform import Played
    from convtest.results.model import SnapshotChange
    from convtest.scenario.model import Scenario


class ScenarioSnapshots(SingleFileSnapshotExtension):
    """One readable text file per item."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


class Snapshot(Struct):
    """The snapshot of one item."""

    config: Config
    scenario: "Scenario"
    node: str
    assertion: SnapshotAssertion
    change: "SnapshotChange | None" = None
    """How it differs, once it was compared."""
    written: str = ""
    """Its path, where it was written."""

    @property
    def path(self) -> Path:
        return Path(self.assertion.extension.get_location(test_location=self.assertion.test_location, index=0))

    def forget(self) -> None:
        """Nothing that an earlier run found waits any more."""
        from convtest.review.kept import forget

        forget(self.config.root, self.config.shown(self.path))

    def compare(self, outcome: "Played") -> None:
        """Raises ConversationFailed where it differs, or is not there yet."""
        from convtest.reporting.snapshot import snapshot_text, source_of

        text = snapshot_text(outcome.result())
        source = outcome.transcript.source
        kept = self.path.read_text(encoding="utf-8") if self.path.is_file() else None
        if source not in {"replayed", "simulated"}:
            # Live answers differ from run to run: comparing what is kept with itself only marks it as used.
            comparable, text = kept is not None, kept or ""
        elif kept is not None and source == "simulated" and source_of(kept) != source_of(text):
            comparable, text = True, kept
        else:
            comparable = True
            if kept is not None and not self.assertion.update_snapshots and _body_of(kept) == _body_of(text):
                text = kept
        if comparable and self.assertion != text:
            waits = self._keep(outcome, kept)
            raise ConversationFailed(self._report(kept, text, waits=waits), headline="snapshot: it differs")
        if comparable and self.assertion.update_snapshots and kept != text:
            self.written = self.config.shown(self.path)

    def _keep(self, outcome: "Played", kept: str | None) -> bool:
        """Whether it waits for a review now; in CI nothing does, there the results tell of it."""
        from msgspec.structs import replace

        from convtest.results.model import SnapshotChange
        from convtest.review.changed import digest
        from convtest.review.ci import in_ci
        from convtest.review.kept import keep

        before = digest(self.path.read_bytes()) if kept is not None else None
        self.change = SnapshotChange(path=self.config.shown(self.path), kept=before)
        return not in_ci() and keep(self.config.root, replace(outcome.result(), snapshot=self.change))

    def _report(self, kept: str | None, text: str, *, waits: bool) -> str:
        what = "the snapshot differs" if kept is not None else "there is no snapshot yet"
        diff = difflib.unified_diff((kept or "").splitlines(), text.splitlines(), "kept", "now", lineterm="", n=2)
        return "\n".join(
            [
                f"{self.scenario.place.line_only}: {self.scenario.title}: {what} — {self.config.shown(self.path)}",
                *(f"  {line}" for line in diff),
                *(["  look at it, and accept it: convtest review"] if waits else []),
                f"  if it is meant: pytest --snapshot-update {shlex.quote(self.node)}",
            ]
        )


def _body_of(snapshot: str) -> list[str]:
    """A snapshot without the line that names its source."""
    return [line for line in snapshot.splitlines() if not line.startswith("# source:")]
