"""`convtest diff`: two recordings of one conversation, and whose side changed."""

import json
import sys
from pathlib import Path

import click

from convtest.cassettes.comparison import HEADLINES, Change, compare
from convtest.cassettes.store import load

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(name="diff")
@click.argument("first", type=_FILE)
@click.argument("second", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(first: Path, second: Path, as_json: bool) -> None:
    """Compare the cassettes FIRST and SECOND, lane by lane.

    Three verdicts: the request changed, the answer changed, the wire shape changed. Exits 0 if nothing did, else 1.
    """
    changes = list(compare(load(first, shown=str(first)), load(second, shown=str(second))))
    if as_json:
        rows = [{"verdict": c.verdict, "lane": c.lane, "request": c.number, "lines": list(c.lines)} for c in changes]
        click.echo(json.dumps({"changes": rows}, indent=2, ensure_ascii=False))
    else:
        for change in changes:
            _show(change)
        if not changes:
            click.echo("the same conversation")
    sys.exit(1 if changes else 0)


def _show(change: Change) -> None:
    click.echo(f"{change.lane or 'unknown lane'}, request {change.number}: {HEADLINES[change.verdict]}")
    for line in change.lines:
        click.echo(f"    {line}")
