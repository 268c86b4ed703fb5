"""`convtest schema`: the JSON Schema of the scenario language."""

import json

import click

from convtest.scenario.schema import schema


@click.command(name="schema")
def command() -> None:
    """Print the JSON Schema of scenario files.

    Editors with a YAML language server check and complete scenarios with it:

        convtest schema > scenario.schema.json
    """
    click.echo(json.dumps(schema(), indent=2, ensure_ascii=False))
