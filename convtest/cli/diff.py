"""`convtest diff`: two recordings of one conversation, and whose side changed."""

import json
import sys
from pathlib import Path

import click

from convtest.cassettes.comparison import HEADLINES, Change, compared
from convtest.cassettes.store import load_recording
from convtest.textmatch import visible

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(name="diff")
@click.argument("first", type=_FILE)
@click.argument("second", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(first: Path, second: Path, as_json: bool) -> None:
    """Compare the cassettes FIRST and SECOND, lane by lane.

    What changed is the request, the answer, the shape of the wire, or something else that stands in them; ids, times
    and what else each run has anew are no changes. Exits 0 if nothing changed, else 1.
    """
    found = compared(*(load_recording(path, shown=str(path)) for path in (first, second)))
    changes = found.changes
    if as_json:
        rows = [{"verdict": c.verdict, "lane": c.lane, "request": c.number, "lines": list(c.lines)} for c in changes]
        click.echo(json.dumps({"changes": rows, "anew": found.anew}, indent=2, ensure_ascii=False))
    else:
        for change in changes:
            _show(change)
        if not changes:
            anew = f", but for {', '.join(found.anew)}" if found.anew else ""
            click.echo(f"the same conversation{anew}")
    sys.exit(1 if changes else 0)


def _show(change: Change) -> None:
    where = f"{change.lane or 'unknown lane'}, request {change.number}" if change.number else "the file"
    click.echo(visible(f"{where}: {HEADLINES[change.verdict]}"))
    for line in change.lines:
        click.echo(visible(f"    {line}"))
