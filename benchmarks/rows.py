"""What a benchmark has found, a row of a table each."""

import sys
from dataclasses import dataclass


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


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
