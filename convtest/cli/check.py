"""`convtest check`: lint scenario files without playing them."""

import json
import sys
from pathlib import Path

import click

from convtest.cli.project import missing_folders, project, scenario_files
from convtest.config import Config
from convtest.errors import ConvtestError, ScenarioError
from convtest.play.inventory import leaked, orphans, stale, written
from convtest.play.prepare import check as check_play
from convtest.scenario.loading import load_file
from convtest.scenario.model import Scenario


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
    errors, warnings, count = _checked(config, paths)
    if as_json:
        click.echo(json.dumps({"items": count, "errors": errors, "warnings": warnings}, indent=2))
    else:
        for text in errors:
            click.echo(f"error: {text}", err=True)
        for text in warnings:
            click.echo(f"warning: {text}", err=True)
        click.echo(f"items: {count}, errors: {len(errors)}, warnings: {len(warnings)}")
    sys.exit(2 if errors else 1 if warnings and strict else 0)


def _show_environment(*, as_json: bool) -> None:
    """Also where there is no project, or its configuration is wrong: that may be what is to be reported."""
    from convtest.cli.environment import facts

    try:
        config = project()
    except ConvtestError:
        config = None
    found = facts(config)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    width = max(map(len, found))
    for name, value in found.items():
        click.echo(f"{name:<{width}}  {value}")


def _checked(config: Config, paths: tuple[Path, ...]) -> tuple[list[str], list[str], int]:
    errors = [] if paths or config.scenarios_by_default else missing_folders(config)
    warnings: list[str] = []
    loaded: list[Scenario] = []
    for path in scenario_files(config, paths):
        try:
            scenarios = load_file(path, config)
        except ScenarioError as error:
            errors += [str(problem) for problem in error.problems]
            continue
        except ConvtestError as error:
            errors.append(str(error))
            continue
        loaded += scenarios
        for scenario in scenarios:
            warnings += scenario.warnings
            try:
                check_play(config, scenario)
            except ConvtestError as error:
                errors.append(str(error))
    errors += leaked(config, loaded)
    warnings += written(config, loaded)
    warnings += stale(config, loaded)
    if not paths:
        warnings += orphans(config, loaded)
    return list(dict.fromkeys(errors)), list(dict.fromkeys(warnings)), len(loaded)
