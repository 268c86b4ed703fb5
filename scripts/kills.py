"""Kills convtest while it records, resumes, records anew and serves; fills its disk; has two write at once.

Exits 1 where a complete turn was lost, a file harmed, a process left, or a request sent after the kill.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tests.killing import HOWS, TURNS, Account, How, Trials, fake_model

_ROW = "{:10} {:>6} {:>8} {:>11} {:>7} {:>5} {:>6} {:>11}"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=300, help="kills of each kind (default: 300)")
    parser.add_argument("-j", type=int, default=1, help="trials at once")
    parser.add_argument("--how", action="append", choices=HOWS, help="only these (repeatable)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="the counts")
    given = parser.parse_args()
    hows: list[How] = given.how or list(HOWS)
    begun, bad = time.monotonic(), 0
    accounts: dict[str, dict[str, object]] = {}
    say(_ROW.format("", "kills", "in play", "turns lost", "harmed", "left", "after", "unfinished"))
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        for how in hows:
            one = killed(how, Path(folder), given.count, given.j, given.seed)
            say(_ROW.format(how, one.kills, one.in_play, one.lost, one.harmed, one.left, one.after, one.unfinished))
            accounts[how], bad = asdict(one), bad + one.bad
            for problem in one.problems:
                say(f"! {problem}")
        for what, wrong in special(hows, Path(folder), given.seed):
            say(f"{what}: {wrong or 'held'}")
            bad += bool(wrong)
            accounts.setdefault("special", {})[what] = wrong
    say(f"{TURNS} turns a recording; {time.monotonic() - begun:.0f} s")
    if given.json is not None:
        given.json.write_text(json.dumps(accounts, indent=1) + "\n", encoding="utf-8")
    return 1 if bad else 0


def killed(how: How, folder: Path, count: int, workers: int, seed: int) -> Account:
    """Each worker has a model and a project of its own."""
    shares = [count // workers + (number < count % workers) for number in range(workers)]

    def run(number: int) -> Account:
        with fake_model() as upstream:
            return Trials(how, folder / f"{how}-{number}", upstream, seed + number).run(shares[number])

    total = Account()
    with ThreadPoolExecutor(workers) as pool:
        for one in pool.map(run, range(workers)):
            total.add(one)
    return total


def special(hows: list[How], folder: Path, seed: int) -> Iterator[tuple[str, str]]:
    """(what was tried, what was wrong)."""
    for how in hows:
        with fake_model() as upstream:
            room = folder / f"{how}-special"
            yield f"{how}, two writers", Trials(how, room, upstream, seed).two_writers()
            yield f"{how}, files that cannot grow", Trials(how, room, upstream, seed).full_disk()
            with small_disk(room / "disk") as disk:
                if disk is None:
                    say(f"{how}, full disk: not tried, nothing can be mounted here")
                    continue
                yield f"{how}, full disk", Trials(how, room, upstream, seed, disk / "project").full_disk(really=True)


@contextmanager
def small_disk(path: Path) -> Iterator[Path | None]:
    """A file system of a megabyte in memory; None where nothing can be mounted."""
    path.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


if __name__ == "__main__":
    sys.exit(main())
