"""What an editor completes scenarios with: the JSON Schema as a file, and the line of a scenario that names it."""

import json
import os
from pathlib import Path

from convtest.scenario.schema import schema

FILE = "scenario.schema.json"
"""Its name, in a project's first folder of scenarios."""


def schema_text() -> str:
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def modeline(scenario: Path, folder: Path) -> str:
    """The first line of a scenario's file; `folder` holds the schema."""
    where = os.path.relpath(folder / FILE, scenario.parent).replace(os.sep, "/")
    return f"# yaml-language-server: $schema={where}\n"


def keep_schema(folder: Path) -> bool:
    """Write the schema where there is none; whether it was written."""
    path = folder / FILE
    if path.exists():
        return False
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(schema_text(), encoding="utf-8")
    return True
