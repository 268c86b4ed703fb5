"""What commands print: nothing in it may steer a terminal, whoever wrote it."""

import re

import click

from convtest.textmatch import visible


def say(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """A line, or several, with control characters as escapes."""
    click.echo(visible(text), err=err, nl=nl)


_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")


def pass_on(output: str) -> None:
    """What pytest printed, with the colours that it was asked for."""
    click.echo("".join(part if _COLOUR.fullmatch(part) else visible(part) for part in _COLOUR.split(output)))
