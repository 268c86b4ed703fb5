"""`convtest record`: plays scenarios against their upstream under pytest and keeps the cassettes."""

import sys
from collections import Counter

import click

from convtest.cli.project import missing_folders, project
from convtest.cli.running import NOTHING_COLLECTED, Fact, run_pytest
from convtest.errors import ConfigError

_WORDS = {"passed": "recorded", "failed": "failed", "error": "error", "skipped": "skipped"}


@click.command(name="record")
@click.argument("items", nargs=-1)
@click.option("-k", "expression", help="Only items that match, as pytest's -k.")
@click.option(
    "--mode",
    type=click.Choice(["once", "new_episodes", "all"]),
    default="once",
    show_default=True,
    help="once: what has no cassette; new_episodes: what is not recorded yet; all: anew.",
)
@click.option("--client", help="Record with this client profile.")
@click.option("--resume", is_flag=True, help="Go on with recordings that broke off.")
@click.option("--max-usd", type=float, metavar="USD", help="Send no further request once this much is spent.")
def command(
    items: tuple[str, ...], expression: str | None, mode: str, client: str | None, resume: bool, max_usd: float | None
) -> None:
    """Record ITEMS (files, folders or pytest ids); all scenarios of the project without any.

    Starts pytest with the fitting options, so fixtures and conftest files apply.
    """
    config = project()
    if not items and (missing := missing_folders(config)):
        raise ConfigError(missing[0], where="[tool.convtest]")
    arguments = list(items) or [str(root) for root in config.scenarios if root.is_dir()]
    options = [f"--convtest-record={mode}", *(["-k", expression] if expression else [])]
    options += [f"--convtest-client={client}"] if client else []
    options += ["--convtest-resume"] if resume else []
    options += [f"--convtest-max-usd={max_usd}"] if max_usd is not None else []
    counts: Counter[str] = Counter()

    def finished(fact: Fact) -> str:
        word = _word(fact)
        counts[word] += 1
        return _line(fact, word)

    ran = run_pytest([*options, *arguments], finished)
    if ran.code not in (0, NOTHING_COLLECTED):
        click.echo(ran.output)
    _finish(ran.code, counts, narrowed=bool(items or expression))


def _finish(code: int, counts: Counter[str], *, narrowed: bool) -> None:
    empty = code == NOTHING_COLLECTED and narrowed
    nothing = "no item matches what was named: nothing is recorded" if empty else "nothing to record"
    click.echo(", ".join(f"{count} {word}" for word, count in counts.items()) or nothing, err=empty)
    bad = 2 if counts["error"] or code in (2, 3, 4) or empty else 1 if counts["failed"] or code == 1 else 0
    sys.exit(bad)


def _word(fact: Fact) -> str:
    word = _WORDS.get(fact["outcome"], str(fact["outcome"]))
    return "kept" if word == "recorded" and not fact.get("cassette") else word


def _line(fact: Fact, word: str) -> str:
    usd = fact.get("usd")
    cost = f"{usd:.4f} USD" if usd is not None else "cost unknown"
    spent = f"  {fact.get('tokens', 0)} tokens, {cost}" if "tokens" in fact and word != "kept" else ""
    return f"{word:<9} {fact['item']}  {fact['seconds']:.2f}s{spent}"
