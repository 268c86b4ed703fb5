"""`convtest sweep`: disturbs one turn at every event, under pytest, and shows the grid of what holds."""

import json
import re
import sys
from collections.abc import Iterator
from typing import get_args

import click

from convtest.cli.project import missing_folders, project
from convtest.cli.running import NOTHING_COLLECTED, Fact, run_pytest
from convtest.cli.saying import say
from convtest.errors import ConfigError
from convtest.scenario.grammar import SweepAt
from convtest.scenario.sweeping import unknown

_NOISE = re.compile(r"^[.FEsxX]+( +\[ *\d+%\])?$|^bringing up nodes|^FAILED |^=+ short test summary info")
"""Dots, and the list of what failed."""
_WORKER = re.compile(r"^\[gw\d+\] ")
"""Below a heading: which worker played it."""


def _check(disturb: tuple[str, ...]) -> None:
    for one in disturb:
        if (wrong := unknown(one)) is not None:
            raise click.BadParameter(": ".join(wrong), param_hint="--disturb")


def _nothing(turn: str | None, expression: str | None) -> str:
    if expression:
        return f"nothing to sweep: no point matches -k {expression!r}"
    if turn:
        return f"nothing to sweep: no turn of steps itself (in no repeat or together) has the id {turn!r}"
    return "nothing to sweep: name a turn (--turn ID), or give a scenario sweep: {turn: ID}"


def _report(output: str) -> Iterator[str]:
    """What pytest printed, without its dots and without the points that failed as an earlier one did: the grid names
    them."""
    lines = [line for line in output.splitlines() if not _WORKER.match(line)]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        repeated = line.startswith("as at ") or (line.startswith("___") and following.startswith("as at "))
        if not (repeated or _NOISE.match(line)):
            yield line


def _for_pytest(expression: str) -> str:
    """pytest's -k knows no `@`: a point is named by both sides of it."""
    return re.sub(r"(\w+)@([\w-]+)", r"(\1 and \2)", expression)


def _show(output: str, played: list[Fact], *, as_json: bool) -> None:
    if as_json:
        points = [{key: one.get(key) for key in ("item", "outcome", "seconds", "cause")} for one in played]
        say(json.dumps({"points": points, "held": sum(one["outcome"] == "passed" for one in played)}))
    else:
        say("\n".join(_report(click.unstyle(output))).strip())


@click.command(name="sweep")
@click.argument("items", nargs=-1)
@click.option("--turn", metavar="ID", help="The turn to disturb, by its id:; default: the one the scenario sweeps.")
@click.option("--disturb", multiple=True, metavar="NAME", help="What by: interrupt, kill, reset, 529 … (repeatable).")
@click.option("--at", type=click.Choice(get_args(SweepAt)), help="Where; default: every event.")
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
    _check(disturb)
    options = ["-m", "sweep", *(["-k", _for_pytest(expression)] if expression else [])]
    options += ["-n", str(workers)] if workers else []
    options += [f"--convtest-sweep-turn={turn}"] if turn else []
    options += [f"--convtest-sweep-disturb={one}" for one in disturb]
    options += [f"--convtest-sweep-at={at}"] if at else []
    options += [f"--convtest-client={client}"] if client else []
    played: list[Fact] = []

    def finished(fact: Fact) -> str | None:
        played.append(fact)
        return None

    arguments = list(items) or [str(root) for root in config.scenarios if root.is_dir()]
    ran = run_pytest([*options, *arguments], finished)
    if ran.code == NOTHING_COLLECTED:
        say(_nothing(turn, expression), err=True)
        sys.exit(2)
    _show(ran.output, played, as_json=as_json)
    errors = any(one["outcome"] == "error" for one in played) or ran.code in (2, 3, 4)
    sys.exit(2 if errors else min(ran.code, 1))
