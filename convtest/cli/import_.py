"""`convtest import`: recordings, sessions and logs become scenarios."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from convtest.cli.project import project
from convtest.cli.saying import say
from convtest.config import Config
from convtest.importing.importer import Import, made_of
from convtest.importing.reading.formats import FORMATS
from convtest.importing.writing import Written, target_of, written


@click.command(name="import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--format", "forced", type=click.Choice(list(FORMATS)), help="What the files are; found out by content without."
)
@click.option(
    "--client", metavar="NAME", help="The profile that is to play them; one that speaks the recorded API without."
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="The scenario file; named after FILE without."
)
@click.option("--force", is_flag=True, help="Write over files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    files: tuple[Path, ...], forced: str | None, client: str | None, output: Path | None, force: bool, as_json: bool
) -> None:
    """Make scenarios, and cassettes where the answers are there, of conversations in FILES.

    \b
    Formats, found out by content:
      cassette     cassettes of vcrpy, pytest-recording and Ruby's VCR
      har          HAR files, as browsers and proxies save them
      otel         OpenTelemetry spans or logs with gen_ai attributes
      claude-code  session files of Claude Code
      messages     message lists of OpenAI and Anthropic

    Each scenario is played before it is written. Secrets are replaced, and what was left out is said. Exits 1 if a
    conversation could not be made into a scenario that holds, 2 for a file that cannot be imported.
    """
    if output is not None and len(files) > 1:
        raise click.UsageError("--output takes one FILE")
    config = project()
    results = []
    for path in files:
        made = made_of(path, config, forced=forced, client=client)
        done = written(made, config, target_of(config, path.name, output), force=force)
        results.append(_as_data(made, done, config))
        if not as_json:
            _show(made, done, config)
    if as_json:
        say(json.dumps({"imports": results}, indent=2, ensure_ascii=False))
    failed = any(one["state"] == "not written" for result in results for one in result["conversations"])
    sys.exit(1 if failed else 0)


def _show(made: Import, done: list[Written], config: Config) -> None:
    many = len(made.outcomes)
    say(f"{made.file}: {made.found.format}; {many} conversation{'s' if many > 1 else ''}")
    for one in done:
        if one.outcome is None:
            say(f"written     {config.shown(one.path)}: {one.scenarios} scenario{'s' if one.scenarios > 1 else ''}")
    cassettes = {id(one.outcome): config.shown(one.path) for one in done if one.outcome is not None}
    for outcome in made.outcomes:
        say(f"{outcome.state:<11} {outcome.title}: {outcome.conversation.where}" + _marked(outcome.proposed))
        if id(outcome) in cassettes:
            say(f"            from {cassettes[id(outcome)]}")
        if outcome.why:
            say(f"            {'no cassette' if outcome.state == 'simulates' else 'why'}: {outcome.why}")
        for note in outcome.notes:
            say(f"            {note}")
    for line in made.found.left_out:
        say(f"left out    {line}")
    if done:
        target = config.shown(done[0].path)
        say(f"next:       read {target}, take away the marks `proposed`, and play it: pytest {target}")


def _marked(count: int) -> str:
    return f"; {count} expectation{'s' if count > 1 else ''} proposed" if count else ""


def _as_data(made: Import, done: list[Written], config: Config) -> dict[str, Any]:
    cassettes = {id(one.outcome): config.shown(one.path) for one in done if one.outcome is not None}
    return {
        "file": made.file,
        "format": made.found.format,
        "scenarios": [config.shown(one.path) for one in done if one.outcome is None],
        "conversations": [
            {
                "scenario": one.title,
                "where": one.conversation.where,
                "state": one.state,
                "client": one.client,
                "cassette": cassettes.get(id(one)),
                "why": one.why,
                "notes": one.notes,
                "proposed": one.proposed,
            }
            for one in made.outcomes
        ],
        "left_out": made.found.left_out,
    }
