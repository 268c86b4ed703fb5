"""`convtest diff`: two recordings of one conversation, or what changed since a revision, and whose side changed."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from convtest.cassettes.store import load_recording
from convtest.cli.project import project
from convtest.cli.saying import say
from convtest.cli.showing import show, shower
from convtest.review.revisions import changes
from convtest.review.views import View, view_of, view_of_recordings

_FILE = click.Path(exists=True, path_type=Path)


@click.command(name="diff")
@click.argument("paths", nargs=-1, type=_FILE)
@click.option("--git", "revisions", metavar="REV", help="What changed since REV; A..B, or A...B since they parted.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--whole", is_flag=True, help="Leave nothing out, however much is the same.")
def command(paths: tuple[Path, ...], revisions: str | None, as_json: bool, whole: bool) -> None:
    """Compare two cassettes as conversations, lane by lane; with --git, all cassettes and snapshots with a revision's.

    \b
    convtest diff FIRST SECOND
    convtest diff --git main [PATHS]...

    What changed is the request, the answer, the shape of the wire, or something else that stands in them; ids, times
    and what else each run has anew are no changes. Exits 0 if no conversation changed, else 1.
    """
    if revisions is not None:
        found = [view_of(one) for one in changes(project(), revisions, paths)]
        if as_json:
            say(_json({"files": [one.plain() for one in found]}))
    else:
        found = [_of_two(paths)]
        if as_json:
            say(_json(found[0].plain()))
    if not as_json:
        _show(found, whole=whole)
    sys.exit(1 if any(one.differs for one in found) else 0)


def _of_two(paths: Sequence[Path]) -> View:
    if len(paths) != 2 or any(path.is_dir() for path in paths):
        raise click.UsageError("name two cassettes, or a revision: convtest diff --git REV")
    return view_of_recordings(*(load_recording(path, shown=str(path)) for path in paths))


def _show(views: Sequence[View], *, whole: bool) -> None:
    console = shower()
    for number, view in enumerate(views):
        if number:
            console.print()
        show(console, view, whole=whole)
    if not views:
        say("no cassette and no snapshot changed")


def _json(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)
