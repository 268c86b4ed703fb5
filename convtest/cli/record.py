"""`convtest record`: plays scenarios against their upstream under pytest and keeps the cassettes."""

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from convtest.cli.project import missing_folders, project
from convtest.errors import ConfigError

_NOTHING_COLLECTED = 5
"""pytest's exit code of that meaning."""
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
    with tempfile.TemporaryDirectory(prefix="convtest-record-") as folder:
        progress, output = Path(folder) / "progress.jsonl", Path(folder) / "output.txt"
        progress.touch()
        run = [sys.executable, "-m", "pytest", "-q", "--no-header", *options, f"--convtest-progress={progress}"]
        with output.open("w", encoding="utf-8") as sink:
            child = subprocess.Popen([*run, *arguments], stdout=sink, stderr=subprocess.STDOUT)
            try:
                counts = _follow(child, progress)
            finally:
                if child.poll() is None:
                    child.terminate()
                    child.wait()
        if child.returncode not in (0, _NOTHING_COLLECTED):
            click.echo(output.read_text(encoding="utf-8"))
    _finish(child.returncode, counts, narrowed=bool(items or expression))


def _finish(code: int, counts: Counter[str], *, narrowed: bool) -> None:
    empty = code == _NOTHING_COLLECTED and narrowed
    nothing = "no item matches what was named: nothing is recorded" if empty else "nothing to record"
    click.echo(", ".join(f"{count} {word}" for word, count in counts.items()) or nothing, err=empty)
    bad = 2 if counts["error"] or code in (2, 3, 4) or empty else 1 if counts["failed"] or code == 1 else 0
    sys.exit(bad)


def _follow(child: "subprocess.Popen[bytes]", progress: Path) -> Counter[str]:
    """Show each item as it finishes; on a terminal also the one in progress."""
    console = Console(highlight=False)
    counts: Counter[str] = Counter()
    with (
        Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as bar,
        progress.open(encoding="utf-8") as lines,
    ):
        task = bar.add_task("collecting")
        for fact in _facts(child, lines):
            if fact["what"] == "started":
                bar.update(task, description=fact["item"])
                continue
            word = _word(fact)
            counts[word] += 1
            bar.console.print(_line(fact, word), markup=False, soft_wrap=True)
    return counts


def _facts(child: "subprocess.Popen[bytes]", lines: IO[str]) -> Iterator[dict[str, Any]]:
    """Progress as the child writes it, to its end."""
    rest = ""
    while True:
        ended = child.poll() is not None
        rest += lines.read()
        *whole, rest = rest.split("\n")
        yield from (json.loads(line) for line in whole)
        if ended:
            return
        time.sleep(0.05)


def _word(fact: dict[str, Any]) -> str:
    word = _WORDS.get(fact["outcome"], fact["outcome"])
    return "kept" if word == "recorded" and not fact.get("cassette") else word


def _line(fact: dict[str, Any], word: str) -> str:
    usd = fact.get("usd")
    cost = f"{usd:.4f} USD" if usd is not None else "cost unknown"
    spent = f"  {fact.get('tokens', 0)} tokens, {cost}" if "tokens" in fact and word != "kept" else ""
    return f"{word:<9} {fact['item']}  {fact['seconds']:.2f}s{spent}"
