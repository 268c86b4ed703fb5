"""Records, replays, sweeps and serves in one process, over and over; exits 1 where it grew.

Memory, file descriptors, threads, children and temporary files are sampled between rounds. The first quarter of the
time is for caches to fill; after it the medians of the first and of the last quarter must be the same, memory within
3 per cent.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.soaking import Sample, Soak, grown, table


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", nargs="?", type=float, default=30.0, help="default: 30")
    parser.add_argument("--every", type=float, default=30.0, metavar="SECONDS", help="between samples (default: 30)")
    given = parser.parse_args()

    def tell(sample: Sample) -> None:
        sys.stderr.write(f"{sample}\n")

    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        room = Path(folder)
        (room / "tmp").mkdir()
        tempfile.tempdir = str(room / "tmp")
        try:
            soak = Soak(room)
            soak.run(given.minutes, tell, given.every)
        finally:
            tempfile.tempdir = None
    for line in table(soak.samples):
        say(line)
    problems = grown(soak.samples)
    for problem in problems:
        say(f"! {problem}")
    say(f"{soak.rounds} rounds, {'not flat' if problems else 'flat'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
