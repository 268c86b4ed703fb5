"""`convtest schema`: the JSON Schema of the scenario language, or of results."""

import json

import click

from convtest.cli.saying import say


@click.command(name="schema")
@click.option("--results", is_flag=True, help="Of the lines that pytest --convtest-results writes.")
def command(results: bool) -> None:
    """Print the JSON Schema of scenario files.

    Editors with a YAML language server check and complete scenarios with it, where a scenario names it. What
    convtest init has written is made anew by:

    \b
        convtest schema > scenarios/scenario.schema.json
    """
    if results:
        from convtest.results.lines import schema
    else:
        from convtest.scenario.schema import schema
    say(json.dumps(schema(), indent=2, ensure_ascii=False))
