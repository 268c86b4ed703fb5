"""`convtest review`: what changed, one by one, old beside new: accepted, rejected or skipped."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from convtest.cli.project import project
from convtest.cli.saying import say
from convtest.cli.showing import show, shower
from convtest.errors import ConvtestError, ReviewError
from convtest.review.ci import in_ci
from convtest.review.views import view_of
from convtest.review.waiting import Found, Waiting, find

_KEYS = {"a": "accepted", "r": "rejected", "s": "skipped"}
_ASKED = "[a]ccept  [r]eject  [s]kip  [w]hole  [q]uit "


@click.command(name="review")
@click.argument("results", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print what waits as one JSON object.")
@click.option("--accept", multiple=True, metavar="ID", help="Accept this change (repeatable).")
@click.option("--reject", multiple=True, metavar="ID", help="Reject this change (repeatable).")
def command(results: tuple[Path, ...], as_json: bool, accept: tuple[str, ...], reject: tuple[str, ...]) -> None:
    """Look at changed cassettes and snapshots, old beside new, and accept or reject each.

    RESULTS are files of pytest --convtest-results, such as a CI run's, whose changed snapshots are looked at too. On a
    terminal it asks; elsewhere it shows what waits. In CI it never changes a file. Exits 0 if nothing is left waiting,
    else 1.
    """
    config = project()
    found = find(config, results)
    for name in found.outdated:
        say(f"{name} is another one since it was compared: run pytest again", err=True)
    if accept or reject:
        _decide(found, accept, reject)
    elif as_json:
        say(
            json.dumps(
                {"waiting": [view_of(one.changed).plain() for one in found.waiting]}, indent=2, ensure_ascii=False
            )
        )
    elif found.waiting and sys.stdin.isatty() and sys.stdout.isatty() and not in_ci():
        sys.exit(_ask(found.waiting))
    else:
        _list(found.waiting)
    sys.exit(1 if found.waiting and not (accept or reject) else 0)


def _decide(found: Found, accept: Sequence[str], reject: Sequence[str]) -> None:
    if in_ci():
        raise ReviewError(
            "in CI nothing is accepted or rejected", help="take the results home: convtest review RESULTS"
        )
    if both := sorted({*accept} & {*reject}):
        raise ReviewError(f"{both[0]!r} cannot be both accepted and rejected")
    accepted, rejected = found.named(accept), found.named(reject)
    for one in accepted:
        one.accept()
        say(f"accepted  {one.id}")
    for one in rejected:
        one.reject()
        say(f"rejected  {one.id}")


def _list(waiting: Sequence[Waiting]) -> None:
    console = shower()
    for one in waiting:
        show(console, view_of(one.changed))
        console.print()
    if not waiting:
        say("nothing waits for a review")
        return
    count = f"{len(waiting)} wait{'s' * (len(waiting) == 1)}"
    say(f"{count}: convtest review --accept ID or --reject ID; on a terminal by key")


def _ask(waiting: Sequence[Waiting]) -> int:
    """One by one, until all are decided or somebody has had enough; the exit code."""
    console, counts = shower(), dict.fromkeys(_KEYS.values(), 0)
    try:
        for number, one in enumerate(waiting, 1):
            console.rule(f"{number} of {len(waiting)}")
            word = _one(one)
            if word is None:
                break
            counts[word] += 1
    except (KeyboardInterrupt, EOFError):
        say()
    left = len(waiting) - counts["accepted"] - counts["rejected"]
    say(", ".join(f"{count} {word}" for word, count in counts.items() if count) or "nothing was decided")
    return 1 if left else 0


def _one(one: Waiting) -> str | None:
    """What became of it: accepted, rejected, skipped; None where it ends here."""
    console, view, whole = shower(), view_of(one.changed), False
    show(console, view)
    while True:
        say(f"\n{_ASKED}", nl=False)
        key = click.getchar().lower()
        say(key if key.isprintable() else "")
        if key == "q":
            return None
        if key == "w":
            whole = not whole
            show(console, view, whole=whole)
        elif key in _KEYS:
            return _did(one, key)


def _did(one: Waiting, key: str) -> str:
    try:
        if key == "a":
            one.accept()
        elif key == "r":
            one.reject()
    except ConvtestError as error:
        say(f"error: {error}", err=True)
        return "skipped"
    return _KEYS[key]
