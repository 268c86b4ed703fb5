"""What waits for somebody to look at it: recordings beside their cassettes, snapshots that a run found changed."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from convtest.cassettes.store import only_writer, recording
from convtest.config import Config
from convtest.errors import ReviewError
from convtest.reporting.snapshot import snapshot_text
from convtest.results.merging import merged
from convtest.results.model import Result
from convtest.review import kept
from convtest.review.changed import Changed, digest
from convtest.structs import Struct, field


class Waiting(Struct, frozen=True, kw_only=True):
    """A change that can be accepted or rejected."""

    changed: Changed
    target: Path
    """What it would replace."""
    recorded: Path | None = None
    """Where a recording waits; a snapshot is made of its result."""
    root: Path
    """Of the project, where what a run kept is forgotten once it is decided."""

    @property
    def id(self) -> str:
        return self.changed.id

    def accept(self) -> None:
        """Put it in the place of what was there, in one rename. Raises ReviewError where either is another by now."""
        if digest(_bytes_of(self.target)) != digest(self.changed.old):
            raise ReviewError(f"{self.id} is another one by now", help="look at it again: convtest review")
        if self.recorded is None:
            _replace(self.target, self.changed.new or b"")
            kept.forget(self.root, self.id)
            return
        with only_writer(self.target, shown=self.id):
            if _bytes_of(self.recorded) != self.changed.new:
                raise ReviewError(f"{self.id}.new is another one by now", help="look at it again: convtest review")
            recording(self.changed.new or b"", shown=f"{self.id}.new")
            self.recorded.replace(self.target)

    def reject(self) -> None:
        """Leave what is there, and nothing of the change."""
        if self.recorded is not None:
            self.recorded.unlink(missing_ok=True)
        kept.forget(self.root, self.id)


class Found(Struct):
    """What waits, and what cannot be decided any more."""

    waiting: list[Waiting] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)
    """Snapshots that are others by now than those that a run compared with."""

    def named(self, ids: Iterable[str]) -> list[Waiting]:
        """Those of these ids. Raises ReviewError for one that does not wait."""
        by_id = {one.id: one for one in self.waiting}
        unknown = [one for one in ids if one not in by_id]
        if unknown:
            known = f"what waits: {', '.join(by_id)}" if by_id else "nothing waits for a review"
            raise ReviewError(f"nothing waits under the name {unknown[0]!r}", help=known)
        return [by_id[one] for one in dict.fromkeys(ids)]


def find(config: Config, results: Sequence[Path] = ()) -> Found:
    """What waits in the project, and what `results` of runs elsewhere say of its snapshots. Raises ResultsError."""
    found = Found()
    folder = config.cassettes
    for path in sorted(folder.rglob("*.yaml.new")) if folder.is_dir() else ():
        target = path.with_suffix("")
        made = Changed(id=config.shown(target), kind="cassette", old=_bytes_of(target), new=path.read_bytes(), item="")
        found.waiting.append(Waiting(changed=made, target=target, recorded=path, root=config.root))
    told = [*kept.waiting(config.root), *(merged(results).results if results else ())]
    for one in {one.snapshot.path: one for one in told if one.snapshot is not None}.values():
        _snapshot(config, one, found)
    return found


def _snapshot(config: Config, result: Result, found: Found) -> None:
    assert result.snapshot is not None
    name = result.snapshot.path
    target = (config.root / name).resolve()
    if not _is_a_snapshot(config, target):
        raise ReviewError(
            f"{name!r} is no place of a snapshot of this project", help="look at where the results are from"
        )
    old, new = _bytes_of(target), snapshot_text(result).encode()
    if old == new:
        kept.forget(config.root, name)
    elif digest(old) != result.snapshot.kept:
        kept.forget(config.root, name)
        found.outdated.append(name)
    else:
        made = Changed(id=name, kind="snapshot", old=old, new=new, item=result.about.item)
        found.waiting.append(Waiting(changed=made, target=target, root=config.root))


def _is_a_snapshot(config: Config, path: Path) -> bool:
    """Results may come from anywhere; what they name is written to."""
    inside = any(path.is_relative_to(root) for root in (config.root, *config.scenarios))
    return inside and path.suffix == ".txt" and "__snapshots__" in path.parts and not path.is_dir()


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _replace(path: Path, data: bytes) -> None:
    """Whoever reads it sees the old one or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
