"""`convtest sweep`: disturbs one turn at every event, under pytest, and shows the grid of what holds."""

import json
import re
import sys

import click

from convtest.cli.project import missing_folders, project
from convtest.cli.running import NOTHING_COLLECTED, Fact, run_pytest
from convtest.errors import ConfigError

_DOTS = re.compile(r"^[.FEsxX]+( +\[ *\d+%\])?$|^bringing up nodes")


def _for_pytest(expression: str) -> str:
    """pytest's -k knows no `@`: a point is named by both sides of it."""
    return re.sub(r"(\w+)@([\w-]+)", r"(\1 and \2)", expression)


@click.command(name="sweep")
@click.argument("items", nargs=-1)
@click.option("--turn", metavar="ID", help="The turn to disturb, by its id:; default: the one the scenario sweeps.")
@click.option("--disturb", multiple=True, metavar="NAME", help="What by: interrupt, kill, reset, 529 … (repeatable).")
@click.option("--at", metavar="POINTS", help="Where: every event (default), every change, or a kind of event.")
@click.option("--client", help="Play with this client profile.")
@click.option("-k", "expression", help="Only points that match, as pytest's -k.")
@click.option("--workers", type=int, metavar="N", help="Points to play at once (needs pytest-xdist).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object in place of the text.")
def command(
    items: tuple[str, ...],
    turn: str | None,
    disturb: tuple[str, ...],
    at: str | None,
    client: str | None,
    expression: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Sweep ITEMS (scenario files, folders or pytest ids); all that the project's scenarios sweep without any.

    Each point plays the recorded turn up to its event, disturbs it there, and asks afterwards what must still be known.
    Starts pytest with the fitting options, so fixtures and conftest files apply; writes nothing.
    """
    config = project()
    if not items and (missing := missing_folders(config)):
        raise ConfigError(missing[0], where="[tool.convtest]")
    options = [
        "-m",
        "sweep",
        *(["-k", _for_pytest(expression)] if expression else []),
        *(["-n", str(workers)] if workers else []),
    ]
    options += [f"--convtest-sweep-turn={turn}"] if turn else []
    options += [f"--convtest-sweep-disturb={one}" for one in disturb]
    options += [f"--convtest-sweep-at={at}"] if at else []
    options += [f"--convtest-client={client}"] if client else []
    played: list[Fact] = []

    def finished(fact: Fact) -> str | None:
        played.append(fact)
        return None if fact["outcome"] == "passed" or as_json else f"{fact['outcome']:<7} {fact['item']}"

    arguments = list(items) or [str(root) for root in config.scenarios if root.is_dir()]
    ran = run_pytest([*options, *arguments], finished)
    if ran.code == NOTHING_COLLECTED:
        click.echo("nothing to sweep: name a turn (--turn ID), or give a scenario sweep: {turn: ID}", err=True)
        sys.exit(2)
    if as_json:
        points = [{key: one[key] for key in ("item", "outcome", "seconds")} for one in played]
        click.echo(json.dumps({"points": points, "held": sum(one["outcome"] == "passed" for one in played)}))
    else:
        click.echo("\n".join(line for line in ran.output.splitlines() if not _DOTS.match(line)).strip())
    errors = any(one["outcome"] == "error" for one in played) or ran.code in (2, 3, 4)
    sys.exit(2 if errors else min(ran.code, 1))
