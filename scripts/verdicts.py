"""How often the verdict of live retention is wrong, and what it sees: `scripts/verdicts [COMPARISONS]`.

Writes the tables of docs/retention-statistics.md between their marks. Runs are simulated, their true rates are
known, and every number stands beside the seed that makes it again.
"""

import sys
from collections.abc import Iterator
from math import sqrt
from pathlib import Path

from convtest.retention.intervals import wilson
from tests.retention_runs import Shape, Truth, regressed, regressed_by_probe

DOCS = Path(__file__).parent.parent / "docs" / "retention-statistics.md"
SHAPES = Shape(4, 5, 10), Shape(10, 5, 10), Shape(20, 5, 10)
RATES = 0.98, 0.90, 0.70
DERAILED = 0.0, 0.05, 0.20
DROPS = 0.05, 0.10, 0.20
MOST = 0.05
"""What the test allows; what is counted may be above it by chance, by two standard errors."""
AGAIN = 10
"""How many times as many comparisons are made anew where a number is above it, with seeds of their own."""


def false_alarms(count: int, above: list[tuple[Truth, Shape, int]]) -> Iterator[str]:
    """Notes in `above` which numbers are more than the test allows."""
    yield "| held | Beta | derailed | " + " | ".join(map(str, SHAPES)) + " | by probe | seed |"
    yield "|---" * (5 + len(SHAPES)) + "|"
    for number, (rate, derailed) in enumerate((rate, derailed) for rate in RATES for derailed in DERAILED):
        truth, seed = Truth(rate=rate, derailed=derailed), 100 + number
        found = [regressed(truth, 0.0, shape, count, seed) for shape in SHAPES]
        if max(found) > MOST + 2 * sqrt(MOST * (1 - MOST) / count):
            sys.exit(f"more false alarms than {MOST}: {truth}: {found}")
        above += [(truth, shape, seed) for shape, part in zip(SHAPES, found, strict=True) if part > MOST]
        alone = regressed_by_probe(truth, SHAPES[1], count, seed)
        yield _row(truth, f"{derailed:.0%}", *[f"{one:.3f}" for one in found], f"{alone:.3f}", seed)


def recounted(count: int, above: list[tuple[Truth, Shape, int]]) -> Iterator[str]:
    yield "| held | Beta | derailed | shape | counted anew | 95 % | seed |"
    yield "|---|---|---|---|---|---|---|"
    for truth, shape, seed in above:
        found = regressed(truth, 0.0, shape, count, seed + 5000)
        low, high = wilson(round(found * count), count)
        told = f"{found:.4f}", f"{low:.4f} to {high:.4f}", seed + 5000
        yield _row(truth, f"{truth.derailed:.0%}", shape, *told)


def power(count: int) -> Iterator[str]:
    yield "| held | Beta | drop | derailed | " + " | ".join(map(str, SHAPES)) + " | seed |"
    yield "|---" * (5 + len(SHAPES)) + "|"
    cases = [(rate, drop, derailed) for rate in RATES for drop in DROPS for derailed in DERAILED[:2]]
    for number, (rate, drop, derailed) in enumerate(cases):
        truth, seed = Truth(rate=rate, derailed=derailed), 200 + number
        found = [f"{regressed(truth, drop, shape, count, seed):.2f}" for shape in SHAPES]
        yield _row(truth, f"{drop:.2f}", f"{derailed:.0%}", *found, seed)


def _row(truth: Truth, *more: object) -> str:
    beta = f"{truth.rate * truth.both:g}, {(1 - truth.rate) * truth.both:g}"
    return "| " + " | ".join(map(str, (f"{truth.rate:.2f}", beta, *more))) + " |"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    text = DOCS.read_text(encoding="utf-8")
    above: list[tuple[Truth, Shape, int]] = []
    tables = {
        "false alarms": false_alarms(count, above),
        "recount": recounted(AGAIN * count, above),
        "power": power(count // 2),
    }
    for name, lines in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = text.partition(begin)
        text = before + begin + "\n".join(lines) + "\n" + end + rest.partition(end)[2]
    DOCS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
