"""What a benchmark has found, a row of a table each."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    what: str
    found: float
    most: float | None
    unit: str

    @property
    def held(self) -> bool:
        return self.most is None or self.found <= self.most

    def show(self) -> None:
        limit = "" if self.most is None else f"{'held' if self.held else 'MISSED'}: at most {self.most:.4g}"
        say(f"{self.what:58} {self.found:9.2f} {self.unit:6} {limit}".rstrip())


def reported(found: Iterable[Row], file: Path | None) -> list[Row]:
    """Each as soon as it is there; in the file, those so far."""
    rows: list[Row] = []
    for row in found:
        row.show()
        rows.append(row)
        if file is not None:
            file.write_text(json.dumps([asdict(one) for one in rows], indent=1) + "\n", encoding="utf-8")
    return rows


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
