"""`convtest show`: a cassette as a readable conversation."""

from pathlib import Path

import click

from convtest.cassettes.store import load
from convtest.reporting.cassette import cassette_lines


@click.command(name="show")
@click.argument("cassettes", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def command(cassettes: tuple[Path, ...]) -> None:
    """Show CASSETTES as conversations: what was asked and answered, in which lane, and how each stream ended."""
    for index, path in enumerate(cassettes):
        if index:
            click.echo()
        for line in cassette_lines(str(path), load(path, shown=str(path))):
            click.echo(line)
