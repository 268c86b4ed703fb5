"""What grows: long conversations, rows of params, files, and the start of a run. One command, one table, with limits.

    .venv/bin/python benchmarks/growth.py [--turns N …] [--rows N] [--rounds N] [--json FILE]

CPU, of medians over interleaved rounds where there are rounds. Exits with 1 where a limit is exceeded.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import projects, turns  # noqa: E402
from benchmarks.children import ran  # noqa: E402
from benchmarks.projects import environment  # noqa: E402
from benchmarks.rows import Row, reported, say  # noqa: E402

TURNS = (1, 50, 125, 250, 500, 1000, 2000)
FEW = 100
"""Rows and files of the small run, from which the slope is taken."""
WITH = ("-p", "convtest.plugin")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, nargs="+", default=TURNS)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="the rows")
    given = parser.parse_args()
    say(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, CPU")
    rows = reported(found(given.turns, given.rows, given.rounds), given.json)
    return 0 if all(row.held for row in rows) else 1


def found(counts: Sequence[int], rows: int, rounds: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        yield from long_ones(counts)
        yield from collecting(Path(folder), rows, rounds)
        yield from starting(Path(folder), rounds)


def long_ones(counts: Sequence[int]) -> list[Row]:
    """Simulated, the `messages` client; growth is that of the time a turn when the turns double."""
    rows: list[Row] = []
    before: turns.Row | None = None
    for one in turns.curve(counts):
        last = one.turns == max(counts)
        if one.turns > 1:
            rows.append(Row(f"{one.turns:,} turns, each", one.each, 10.0 if last else None, "ms"))
            rows.append(Row(f"{one.turns:,} turns, peak over one", one.peak, 250.0 if last else None, "MB"))
        if before is not None and one.turns == 2 * before.turns:
            grew = one.each / before.each
            rows.append(Row(f"{one.turns:,} turns, each, times {before.turns:,}", grew, 2.0, "times"))
        before = one
    return rows


def collecting(root: Path, count: int, rounds: int) -> list[Row]:
    many = max(count // 10, 2 * FEW)
    sides: list[tuple[str, Callable[[Path, int], None], int, float]] = [
        ("collecting, a row of params", rows_of_params, count, 0.1),
        ("collecting, an item with its own file", files_of_their_own, many, 1.5),
    ]
    slopes: dict[str, list[float]] = {name: [] for name, *_ in sides}
    for number, (_, make, most, _) in enumerate(sides):
        for size in (FEW, most):
            (place := root / f"collect{number}" / str(size)).mkdir(parents=True)
            make(place, size)
    for _ in range(rounds):
        for number, (name, _, most, _) in enumerate(sides):
            places = (root / f"collect{number}" / str(size) for size in (FEW, most))
            few, all_of_them = (cpu(place, "--collect-only", *WITH) for place in places)
            slopes[name].append((all_of_them - few) / (most - FEW) * 1000)
    return [Row(name, statistics.median(slopes[name]), most, "ms") for name, _, _, most in sides]


def rows_of_params(place: Path, count: int) -> None:
    (place / "pyproject.toml").write_text(projects.PROFILE + projects.KINDS["messages"])
    (place / "scenarios").mkdir()
    rows = "".join(f"  - {{name: person{number}, town: town{number}}}\n" for number in range(count))
    (place / "scenarios" / "rows.yaml").write_text(
        f"scenario: rows\nparams:\n{rows}steps:\n"
        "  - user: My name is ${name}.\n  - user: I live in ${town}.\n    expect: {contains: '${town}'}\n"
    )


def files_of_their_own(place: Path, count: int) -> None:
    (place / "pyproject.toml").write_text(projects.PROFILE + projects.KINDS["messages"])
    (place / "scenarios").mkdir()
    for number in range(count):
        (place / "scenarios" / f"talk{number}.yaml").write_text(projects.SCENARIO.format(number=number))


def starting(root: Path, rounds: int) -> list[Row]:
    """Over pytest with the same plugins: a project with no scenario, and one replayed item."""
    (none := root / "none").mkdir()
    (none / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    (none / "pyproject.toml").write_text(projects.PROFILE + projects.KINDS["messages"])
    projects.ours("messages")(one := make_folder(root / "one"), 1)
    spent: dict[str, list[float]] = {"plain": [], "none": [], "one": []}
    for _ in range(rounds):
        spent["plain"].append(cpu(none))
        spent["none"].append(cpu(none, *WITH))
        spent["one"].append(cpu(one, *WITH))
    plain, without, single = (statistics.median(found) * 1000 for found in spent.values())
    return [
        Row("a run of pytest alone", plain, None, "ms"),
        Row("a project with no scenario, over it", without - plain, 20.0, "ms"),
        Row("one replayed item, over it", single - plain, 350.0, "ms"),
    ]


def make_folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def cpu(place: Path, *arguments: str) -> float:
    """CPU seconds of pytest in the project, its own and its children's."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return ran(command, place, environment(PYTHONPATH=str(ROOT))).cpu


if __name__ == "__main__":
    sys.exit(main())
