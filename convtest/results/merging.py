"""Results of several files as one: of the shards of a run, or of what a run wrote before it was killed."""

from collections.abc import Sequence
from pathlib import Path

from convtest.errors import ResultsError
from convtest.results.lines import read_results
from convtest.results.model import Result
from convtest.structs import Struct, field


class Merged(Struct):
    """Results in the order of the files and their lines; of an item that was played again the last one."""

    results: list[Result] = field(default_factory=list)
    again: int = 0
    """How many were replaced by a later one of the same item."""
    cut_off: list[Path] = field(default_factory=list)
    """Files that end in mid-line: what wrote them was killed."""


def merged(paths: Sequence[Path]) -> Merged:
    """All results of these files. Raises ResultsError for a line that is none, but for a last one that is cut off."""
    made, found = Merged(), dict[str, Result]()
    for path in paths:
        for result in _whole(path, made):
            made.again += found.pop(result.about.item, None) is not None
            found[result.about.item] = result
    made.results = list(found.values())
    return made


def _whole(path: Path, made: Merged) -> list[Result]:
    found: list[Result] = []
    try:
        for result in read_results(path):
            found.append(result)  # noqa: PERF402  what came before a line that is none is kept
    except ResultsError:
        if not _ends_in_mid_line(path, len(found)):
            raise
        made.cut_off.append(path)
    except OSError as error:
        raise ResultsError(f"it cannot be read: {error.strerror}", where=str(path)) from None
    return found


def _ends_in_mid_line(path: Path, read: int) -> bool:
    lines = path.read_bytes().split(b"\n")
    return bool(lines[-1].strip()) and sum(1 for line in lines[:-1] if line.strip()) == read
