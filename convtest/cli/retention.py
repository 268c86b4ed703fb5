"""`convtest retention`: how memory holds over distance and disturbance, and whether that is worse than a baseline."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from convtest.cli.project import project
from convtest.cli.running import pace_options
from convtest.cli.saying import say
from convtest.cli.trunks import Playing
from convtest.config import Config
from convtest.importing.benchmarks import KINDS, benchmarks, write
from convtest.retention.baseline import Run, load, save
from convtest.retention.comparing import Comparison, compare
from convtest.retention.journal import Journal
from convtest.retention.pictures import draw, pictures
from convtest.retention.shipped import SHIPPED
from convtest.retention.telling import as_junit, as_markdown, counts, json_text, strips, verdict_lines
from convtest.review.kept import FOLDER
from convtest.structs import Struct
from convtest.version import VERSION
from convtest.wire.spending import Ledger

_FILE = click.Path(dir_okay=False, path_type=Path)


class _Asked(Struct, frozen=True, kw_only=True):
    """The command line."""

    items: tuple[str, ...]
    expression: str | None
    client: str | None
    repeats: int | None
    saved: Path | None
    against: Path | None
    live: bool
    max_usd: float | None
    concurrency: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    anew: bool
    pictures: Path | None
    summary: Path | None
    junit: Path | None
    imported: tuple[str, Path] | None
    output: Path | None
    force: bool
    as_json: bool


@click.command(name="retention")
@click.argument("items", nargs=-1)
@click.option("-k", "expression", help="Only cells that match, as pytest's -k.")
@click.option("--client", help="Play with this client profile.")
@click.option("--repeats", type=click.IntRange(1), metavar="K", help="Trunks of each template: 5 live, 1 simulated.")
@click.option("--save", "saved", type=_FILE, help="Keep this run as a baseline.")
@click.option("--against", type=_FILE, help="Compare with this baseline; the verdict is the exit code.")
@click.option("--live", is_flag=True, help="Ask the upstream; without it the simulator answers.")
@click.option("--max-usd", type=float, metavar="USD", help="Send no further request once this much is spent.")
@click.option("--concurrency", type=click.IntRange(1), metavar="N", help="Trunks, and requests, at once.")
@click.option("--requests-per-minute", type=click.IntRange(1), metavar="N", help="Of all processes together.")
@click.option("--tokens-per-minute", type=click.IntRange(1), metavar="N", help="Prompts and answers, as requests are.")
@click.option("--anew", is_flag=True, help="Begin anew where a live run broke off, and leave what it has.")
@click.option("--pictures", type=click.Path(file_okay=False, path_type=Path), help="Draw SVG files into this folder.")
@click.option("--summary", type=_FILE, help="Write Markdown for a pull request.")
@click.option("--junit", type=_FILE, help="Write the verdict as JUnit's XML.")
@click.option(
    "--import",
    "imported",
    type=(click.Choice(list(KINDS)), click.Path(exists=True, path_type=Path)),
    metavar="KIND PATH",
    help="Make scenarios of published questions instead: bfcl-memory or locomo.",
)
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), help="The folder that --import writes to.")
@click.option("--force", is_flag=True, help="Let --import write over files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(**given: Any) -> None:
    """Play the retention cells of ITEMS (files, folders or pytest ids) and say what is still known; without any those
    of the matrix that comes with convtest.

    With --against the exit code is the verdict's: 1 regressed, 0 not, 2 where the runs cannot be compared.
    """
    config, asked = project(), _Asked(**given)
    if asked.imported:
        _import(*asked.imported, asked.output or _scenarios(config), config, force=asked.force)
        return
    base = load(asked.against) if asked.against else None
    journal = _journal(config, live=asked.live, anew=asked.anew)
    arguments = asked.items or tuple(_shipped(config))
    playing = Playing(journal, repeats=asked.repeats or (5 if asked.live else 1), quiet=asked.as_json)
    code = playing.play([*_options(asked), *arguments])
    _end_where_unplayed(playing)
    run = _run(journal, code)
    found = compare(base, run) if base is not None else None
    _show(run, base, found, asked, Ledger(journal.ledger).total())
    if asked.live:
        _remove(journal)  # the run came to its end: nothing is gone on with
    sys.exit(2 if code not in (0, 1) else code if found is None else found.verdict.code)


def _scenarios(config: Config) -> Path:
    return config.scenarios[0] if config.scenarios else config.root


def _shipped(config: Config) -> Iterator[str]:
    """The packaged matrix. It stands outside of the project, so pytest has to be told where that is."""
    say(f"playing the matrix of convtest: {SHIPPED}", err=True)
    yield f"--rootdir={config.root}"
    names = "pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml"
    yield f"--config-file={next(one for name in names if (one := config.root / name).is_file())}"
    yield str(SHIPPED)


def _options(asked: _Asked) -> list[str]:
    at_once = asked.concurrency or 1
    return [
        *["-m", "retention", *(["-k", asked.expression] if asked.expression else [])],
        *([f"--convtest-client={asked.client}"] if asked.client else []),
        *([f"--convtest-max-usd={asked.max_usd}"] if asked.max_usd is not None else []),
        *pace_options(asked.concurrency, asked.requests_per_minute, asked.tokens_per_minute),
        *(["--convtest-live"] if asked.live else []),
        *(["-n", str(at_once), "--dist", "loadgroup"] if at_once > 1 else []),
    ]


def _end_where_unplayed(playing: Playing) -> None:
    """Exits 2 where a conversation could not be played: what is left of the run says too little."""
    if not playing.unplayed:
        return
    count, first = len(playing.unplayed), playing.unplayed[0]
    say(f"{count} trunks could not be played to their end, the first: {first}", err=True)
    say("nothing is compared or saved; what is finished of a live run is kept: go on with the same command", err=True)
    sys.exit(2)


def _run(journal: Journal, code: int) -> Run:
    """What was played. Exits 2 where that is nothing."""
    run = journal.run(VERSION)
    if run is None:
        say("no cell was played to its end" if code == 1 else "no cell was played: no scenario has any", err=True)
        sys.exit(2)
    return run


def _import(kind: str, path: Path, folder: Path, config: Config, *, force: bool) -> None:
    for made in benchmarks(kind, path):
        left = f"; left out {made.left_out}, which only a judge could compare" if made.left_out else ""
        shown = config.shown(write(made, folder, force=force))
        say(f"written  {shown}: {made.asked} questions{left}")
    say(f"licence: {KINDS[kind]}")


def _journal(config: Config, *, live: bool, anew: bool) -> Journal:
    """Of a live run beside pyproject.toml, where it outlives whatever ends it; what is simulated is played again."""
    folder = config.root / FOLDER
    journal = Journal(folder / ("retention.jsonl" if live else "simulated.jsonl"))
    if anew or not live:
        _remove(journal)
    elif count := len(journal.finished()):
        say(f"going on: {count} trunks were finished before; to begin anew: convtest retention --live --anew", err=True)
    return journal


def _remove(journal: Journal) -> None:
    for path in (journal.path, journal.ledger):
        path.unlink(missing_ok=True)


def _show(run: Run, base: Run | None, found: Comparison | None, asked: _Asked, usd: float) -> None:
    if asked.as_json:
        say(json_text(run, found, usd))
    else:
        for line in [*strips(run), "", *counts(run), *(verdict_lines(found) if found else [])]:
            say(line)
    for warning in found.warnings if found else ():
        say(f"warning: {warning}", err=True)
    if found is not None and found.verdict.word == "underpowered":
        say(f"warning: underpowered: {found.verdict.why[-1]}", err=True)
    if asked.saved:
        save(asked.saved, run)
        say(f"saved    {asked.saved}", err=asked.as_json)
    if asked.pictures:
        draw(asked.pictures, pictures(run, base, found.verdict if found else None))
        say(f"drawn    {asked.pictures}", err=asked.as_json)
    if asked.summary:
        asked.summary.write_text(as_markdown(run, found), encoding="utf-8")
    if asked.junit and found:
        asked.junit.write_text(as_junit(run, found), encoding="utf-8")
