"""`convtest check`: lint scenario files without playing them."""

import json
import sys
from pathlib import Path

import click

from convtest.cassettes.leaks import Leak
from convtest.cli.project import missing_folders, project, scenario_files
from convtest.cli.saying import say
from convtest.config import Config
from convtest.errors import ConfigError, ConvtestError, ScenarioError
from convtest.play.inventory import leaked, orphans, stale, written
from convtest.play.own_tools import unknown_calls
from convtest.play.prepare import check as check_play
from convtest.scenario.loading import load_file
from convtest.scenario.model import Scenario
from convtest.structs import Struct, to_builtins


@click.command(name="check")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--strict", is_flag=True, help="Warnings count as failures (exit 1).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--environment", is_flag=True, help="Print what a bug report needs, and check nothing.")
def command(paths: tuple[Path, ...], strict: bool, as_json: bool, environment: bool) -> None:
    """Check scenario files (syntax, names, clients, what would never fail), and cassettes and snapshots for secrets.

    Without PATHS all scenarios of the project are checked. Exits 2 if something is wrong.
    """
    if environment:
        _show_environment(as_json=as_json)
        return
    config = project()
    found, pages = _checked(config, paths)
    if as_json:
        say(json.dumps(to_builtins(found), indent=2))
    else:
        for text in found.errors:
            say(f"error: {text}", err=True)
        for page in dict.fromkeys(pages):
            say(f"more: convtest docs {page}", err=True)
        for text in found.warnings:
            say(f"warning: {text}", err=True)
        marked = f", proposed: {found.proposed}" if found.proposed else ""
        say(f"items: {found.items}, errors: {len(found.errors)}, warnings: {len(found.warnings)}{marked}")
    sys.exit(2 if found.errors else 1 if found.warnings and strict else 0)


class Checked(Struct, frozen=True):
    """What `--json` prints."""

    items: int
    errors: list[str]
    warnings: list[str]
    secrets: list[Leak]
    """Those of the errors that say where a secret stands."""
    proposed: int
    """Expectations that were proposed and that nobody has read yet."""


def _show_environment(*, as_json: bool) -> None:
    """Also where there is no project, or its configuration is wrong: that may be what is to be reported."""
    from convtest.cli.environment import facts

    try:
        config = project()
    except ConvtestError:
        config = None
    found = facts(config)
    if as_json:
        say(json.dumps(found, indent=2))
        return
    width = max(map(len, found))
    for name, value in found.items():
        say(f"{name:<{width}}  {value}")


def _checked(config: Config, paths: tuple[Path, ...]) -> tuple[Checked, list[str]]:
    """What was found, and the pages that tell more of the errors."""
    errors = [] if paths or config.scenarios_by_default else missing_folders(config)
    warnings: list[str] = []
    pages = [ConfigError.page] if errors else []
    loaded: list[Scenario] = []
    for path in scenario_files(config, paths):
        try:
            scenarios = load_file(path, config)
        except ScenarioError as error:
            errors += [str(problem) for problem in error.problems]
            pages.append(error.page)
            continue
        except ConvtestError as error:
            errors.append(str(error))
            pages.append(error.page)
            continue
        loaded += scenarios
        for scenario in scenarios:
            warnings += [*scenario.warnings, *unknown_calls(config, scenario)]
            try:
                check_play(config, scenario)
            except ConvtestError as error:
                errors.append(str(error))
                pages.append(error.page)
    secrets = list(dict.fromkeys(leaked(config, loaded)))
    errors += map(str, secrets)
    pages += ["secrets"] if secrets else []
    warnings += written(config, loaded)
    warnings += stale(config, loaded)
    if not paths:
        warnings += orphans(config, loaded)
    told = list(dict.fromkeys(errors)), list(dict.fromkeys(warnings))
    return Checked(len(loaded), *told, secrets, _proposed(loaded)), pages


def _proposed(loaded: list[Scenario]) -> int:
    """One that several items share counts once."""
    steps = {step.place: step for one in loaded for step in one.steps}
    return sum(len(step.expect.proposed or ()) for step in steps.values() if step.expect)
