"""Plays broken clients over scenarios; exits 1 where what is found of them is not as it is written down."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from convtest.config import load_config
from convtest.mutate.account import Account, markdown
from convtest.mutate.catalogue import ALL
from convtest.mutate.playing import SOURCES
from convtest.mutate.running import Job, files_of, run

ROOT = Path(__file__).parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", default="", help="only mutators whose name has this")
    parser.add_argument("-j", type=int, default=1, help="processes")
    parser.add_argument("--quick", action="store_true", help="no more scenarios than it takes to find each")
    parser.add_argument("--kind", default="messages", choices=["messages", "chat_completions"])
    parser.add_argument("--source", action="append", choices=SOURCES, help="replayed, simulated; default: both")
    parser.add_argument("--least", type=float, metavar="SHARE", help="all that is asked: this share is found")
    parser.add_argument(
        "--but", action="append", default=[], metavar="CHECK", help="what this check finds is not counted"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="all trials")
    parser.add_argument("--markdown", action="store_true", help="print what docs/checks.md says, and play nothing")
    parser.add_argument("files", nargs="*", type=Path, help="scenario files; default: all")
    given = parser.parse_args()
    if given.markdown:
        sys.stdout.write(markdown(ALL) + "\n")
        return 0
    config = load_config(ROOT)
    assert config is not None
    job = Job(
        root=ROOT,
        files=tuple(given.files or files_of(config)),
        names=tuple(one.name for one in ALL if given.k in one.name),
        sources=tuple(given.source or SOURCES),
        every=not given.quick,
        kind=given.kind,
    )
    account = run(job, given.j)
    sys.stdout.write(account.table() + "\n")
    problems = list(account.problems() if given.least is None else _too_few(account, given.least, given.but))
    for problem in problems:
        sys.stdout.write(f"! {problem}\n")
    if given.json is not None:
        given.json.write_text(json.dumps(account.plain(), indent=1) + "\n", encoding="utf-8")
    return 1 if problems else 0


def _too_few(account: Account, least: float, but: list[str]) -> Iterator[str]:
    for source in account.sources:
        share = account.share(source, frozenset(but))
        sys.stdout.write(f"{source}: {share:.1%} without {', '.join(but) or 'nothing'}\n")
        if share < least:
            yield f"{source}: {least:.1%} have to be found"


if __name__ == "__main__":
    sys.exit(main())
