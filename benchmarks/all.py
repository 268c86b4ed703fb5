"""Every row with a limit, in one table: `items`, `growth` and `runs`, one after another in one run.

    .venv/bin/pip install pytest-recording respx pytest-httpx
    .venv/bin/python benchmarks/all.py [--rounds N] [--items N] [--json FILE] [--write]

Takes half an hour. Exits with 1 where a limit is exceeded. docs/performance.md says what each row is.
"""

import argparse
import compileall
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import growth, items, runs  # noqa: E402
from benchmarks.rows import Row, reported, say  # noqa: E402

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--json", type=Path, metavar="FILE", help="the rows")
    parser.add_argument("--write", action="store_true", help="make them the table of docs/performance.md")
    given = parser.parse_args()
    # As pip does where it installs; without it each run would compile this project, and none of the others.
    compileall.compile_dir(ROOT / "convtest", quiet=1)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    where = f"Python {platform.python_version()}, {machine}; {', '.join(items.versions())}"
    say(where)
    rows = reported(found(given.rounds, given.items), given.json)
    if given.write:
        written(rows, where)
    limited = [row for row in rows if row.most is not None]
    missed = sum(not row.held for row in limited)
    say(f"{len(limited)} limits, {missed} missed; load {os.getloadavg()[0]:.1f} at the end")
    return 1 if missed else 0


def found(rounds: int, many: int) -> Iterator[Row]:
    yield from items.found(rounds)
    yield from growth.found(growth.TURNS, many, rounds)
    yield from runs.found(many)


def written(rows: Sequence[Row], where: str) -> None:
    """Raises ValueError where the page has no place for it."""
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.index(BEGIN) + len(BEGIN), text.index(END)
    lines = ["| what | found | limit | |", "|---|---|---|---|"]
    for row in rows:
        limit, held = ("", "") if row.most is None else (f"{row.most:.4g}", "held" if row.held else "missed")
        lines.append(f"| {row.what} | {row.found:.4g} {row.unit} | {limit} | {held} |")
    table = "\n".join(("", f"{where}.", "", *lines, ""))
    PAGE.write_text(text[:before] + table + text[after:], encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
