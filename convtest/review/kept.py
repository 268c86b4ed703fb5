"""Snapshots that a run found changed, kept as results until somebody has looked at them.

They stand in a folder that version control does not see, and that is gone when it is empty.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from convtest.errors import ResultsError
from convtest.results.lines import append, read_results
from convtest.results.model import Result

FOLDER = ".convtest_cache"
_IGNORED = "# Kept by convtest for `convtest review`; nothing in it is to be committed.\n*\n"
_TRIES = 3


def keep(root: Path, result: Result) -> bool:
    """Keep what a snapshot would become; false where nothing can be written."""
    path = _path(root, result)
    temporary = path.with_suffix(".tmp")
    for _ in range(_TRIES):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            (root / FOLDER / ".gitignore").write_text(_IGNORED, encoding="utf-8")
            temporary.unlink(missing_ok=True)
            append(temporary, result)
            temporary.replace(path)
        except FileNotFoundError:
            continue  # another worker found the folder empty, and took it away
        except OSError:
            return False
        return True
    return False


def forget(root: Path, snapshot: str) -> None:
    """Nothing waits for this snapshot any more; the folder goes with the last."""
    folder = root / FOLDER / "review"
    with contextlib.suppress(OSError):
        (folder / _name(snapshot)).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
        (root / FOLDER / ".gitignore").unlink(missing_ok=True)
        (root / FOLDER).rmdir()


def waiting(root: Path) -> Iterator[Result]:
    """All that is kept. What cannot be read is of another version: the next run makes it anew."""
    folder = root / FOLDER / "review"
    for path in sorted(folder.glob("*.jsonl")) if folder.is_dir() else ():
        with contextlib.suppress(ResultsError, OSError):
            yield from read_results(path)


def _path(root: Path, result: Result) -> Path:
    assert result.snapshot is not None
    return root / FOLDER / "review" / _name(result.snapshot.path)


def _name(snapshot: str) -> str:
    return f"{hashlib.sha256(snapshot.encode()).hexdigest()[:24]}.jsonl"
