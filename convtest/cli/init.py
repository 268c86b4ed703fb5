"""`convtest init`: configuration and a first scenario that passes offline and explains itself."""

from pathlib import Path

import click

from convtest.cli.saying import say
from convtest.config import load_config
from convtest.retention.shipped import SHIPPED
from convtest.scenario.editor import FILE, keep_schema, modeline

_SECTION = """\
[tool.convtest]
scenarios = ["scenarios"]
cassettes = "cassettes"
client = "assistant"

[tool.convtest.clients.assistant]
kind = "messages"                 # our client of the Anthropic Messages API; "python" takes your own
model = "claude-haiku-4-5"
upstream = "simulator"            # no key, no network; for a real model: "https://api.anthropic.com"
"""

_SCENARIO = """\
# A scenario is one conversation test; pytest shows it as one item.
# Play it:    pytest scenarios
# Check it:   convtest check
# Record it:  convtest record      (then replays come from cassettes/, offline)
scenario: remembers the name
tags: [memory]                      # pytest -m memory

facts:                              # something told now and asked for later
  who:
    tell: My name is Ada.
    ask: What is my name?
    answer: Ada

steps:
  - tell: who
  - user: What is 15 * 7?           # something else in between
    expect:
      contains: "105"
  - ask: who                        # expects the name in the request that is sent *and* in the reply
"""


SHIPPED_AS = "retention.yaml"
"""Its name in a project."""
_IGNORED = """\
# convtest: what recordings leave beside cassettes that are not finished, or not good
*.yaml.partial*
*.yaml.new
*.yaml.lock
*.yaml.*.tmp
"""


@click.command(name="init")
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--retention", is_flag=True, help="Copy the matrix of `convtest retention` too, to be changed.")
def command(folder: Path, retention: bool) -> None:
    """Add [tool.convtest] to pyproject.toml, a first scenario, and what git is to ignore; nothing that exists is
    changed."""
    folder.mkdir(parents=True, exist_ok=True)
    pyproject, scenario = folder / "pyproject.toml", folder / "scenarios" / "first.yaml"
    if load_config(folder.resolve()) is not None:
        say("kept     pyproject.toml: it has [tool.convtest]")
    else:
        text = pyproject.read_text(encoding="utf-8") if pyproject.is_file() else ""
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        pyproject.write_text(text + gap + _SECTION, encoding="utf-8")
        say("written  pyproject.toml: [tool.convtest]")
    if scenario.exists():
        say("kept     scenarios/first.yaml")
    else:
        scenario.parent.mkdir(exist_ok=True)
        scenario.write_text(modeline(scenario, scenario.parent) + _SCENARIO, encoding="utf-8")
        say("written  scenarios/first.yaml")
    say(f"{'written ' if keep_schema(scenario.parent) else 'kept    '} scenarios/{FILE}: what editors complete with")
    if retention:
        _copy(folder / "scenarios" / SHIPPED_AS)
    _ignore(folder / ".gitignore")
    say("next:    pytest scenarios")


def _copy(path: Path) -> None:
    """The matrix, where plain pytest plays it."""
    if path.exists():
        say(f"kept     scenarios/{path.name}")
        return
    path.write_bytes(SHIPPED.read_bytes())
    say(f"written  scenarios/{path.name}")


def _ignore(path: Path) -> None:
    """Recordings that are not finished are of this machine alone."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    missing = [line for line in _IGNORED.splitlines(keepends=True) if line.strip() not in text.splitlines()]
    if not missing:
        say("kept     .gitignore")
        return
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    path.write_text(text + gap + "".join(missing), encoding="utf-8")
    say("written  .gitignore: what a recording leaves that broke off")
