"""`convtest show`: a cassette as a readable conversation."""

from pathlib import Path

import click

from convtest.cassettes.store import load
from convtest.cli.saying import say
from convtest.reporting.cassette import cassette_lines
from convtest.textmatch import visible


@click.command(name="show")
@click.argument("cassettes", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--times/--no-times", default=True, help="A line of time for each stream (on).")
def command(cassettes: tuple[Path, ...], times: bool) -> None:
    """Show CASSETTES as conversations: asked and answered, in which lane, chunk by chunk, and how each stream ended."""
    for index, path in enumerate(cassettes):
        if index:
            say()
        for line in cassette_lines(str(path), load(path, shown=str(path)), timeline=times):
            say(visible(line))
