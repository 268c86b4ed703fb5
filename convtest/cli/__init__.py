"""convtest's command line: each command a thin face on the same core. Exit 0 passed, 1 failures, 2 errors."""

import importlib
import io
import sys

import click

from convtest.cli.saying import say
from convtest.errors import ConvtestError
from convtest.version import VERSION

COMMANDS = (
    "init", "check", "import", "record", "sweep", "retention", "probe", "show", "diff", "review", "report", "serve",
    "schema", "docs",
)  # fmt: skip
MORE = {
    "init": "tutorial", "check": "scenarios", "import": "import", "record": "cassettes#recording", "sweep": "sweeps",
    "retention": "retention", "probe": "clients#policy", "show": "cassettes", "diff": "review#a-pull-request",
    "review": "review", "report": "report", "serve": "clients#the-gateway", "schema": "language", "docs": "index",
}  # fmt: skip
"""Of each command the page that tells more."""
_MODULES = {"import": "import_"}
"""Commands whose names are no names of modules."""


class _Lazy(click.Group):
    """Imports a command's module only when it is called: `convtest --help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"convtest.cli.{_MODULES.get(name, name)}").command
        command.epilog = f"More: convtest docs {MORE[name]}"
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from convtest.errors import did_you_mean

            raise click.UsageError(f"{error.message} {did_you_mean(args[0], COMMANDS)}", ctx) from None


@click.group(cls=_Lazy, epilog="More: convtest docs", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="convtest")
def group() -> None:
    """Test that conversations hold together.

    Scenarios run under plain pytest; these commands help to write, record and read them.
    """


def main() -> None:
    """The console script: errors of the set-up are text on stderr and exit 2, never a traceback."""
    try:
        sys.exit(group(standalone_mode=False, prog_name="convtest"))
    except click.ClickException as error:
        told = io.StringIO()
        error.show(told)
        say(told.getvalue().rstrip("\n"), err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        say("Aborted!", err=True)
        sys.exit(1)
    except ConvtestError as error:
        say(f"error: {error.told}", err=True)
        sys.exit(2)
