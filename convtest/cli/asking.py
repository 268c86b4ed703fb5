"""What a person at a terminal is asked; nobody is asked elsewhere."""

import sys
from collections.abc import Sequence

import click

from convtest.cli.saying import say


def asks_to_go_on(partials: Sequence[str], command: str) -> bool:
    """Whether recordings that broke off are gone on with; elsewhere than at a terminal they are kept aside. Exits where
    a person wants neither."""
    many = len(partials) > 1
    for one in partials:
        say(f"a recording broke off: {one}", err=True)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        them = "them" if many else "it"
        say(f"{them} stays beside the new one; to go on with {them}: {command} --resume", err=True)
        return False
    chosen = click.prompt(
        "go on with what is there, keep it aside and begin anew, or stop?",
        type=click.Choice(["resume", "anew", "stop"]),
        default="resume",
        err=True,
    )
    if chosen == "stop":
        sys.exit(2)
    return bool(chosen == "resume")
