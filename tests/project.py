"""A user's project in a temporary folder, driven from outside: real pytest, real console script."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

SECTION = """
[tool.convtest]
client = "assistant"

[tool.convtest.clients.assistant]
kind = "messages"
model = "claude-haiku-4-5"
upstream = "simulator"

[tool.pytest.ini_options]
addopts = ["--strict-markers", "-p", "no:cacheprovider"]
filterwarnings = ["error"]
"""

WITHOUT = "-p no:hypothesispytest -p no:anyio -p no:langsmith_plugin"
"""Importing these (and trio) takes as long as all the rest, twice; no project here has tests for them."""

NAME = """\
scenario: remembers the name
tags: [memory]
facts:
  who:
    tell: My name is Ada.
    ask: What is my name?
    answer: Ada
steps:
  - tell: who
  - ask: who
"""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    def counts(self) -> dict[str, int]:
        """What pytest's last line counts."""
        lines = [line for line in self.out.splitlines() if re.search(r"\bin \d+\.\d+s", line)]
        found = re.findall(r"(\d+) (passed|failed|error|skipped|deselected|xfailed)", lines[-1]) if lines else []
        return {word: int(number) for number, word in found}


class Project:
    """Files, and the two ways to run them."""

    columns = 120

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment: dict[str, str] = {}
        self.write("pyproject.toml", SECTION)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(dedent(text), encoding="utf-8")
        return path

    def read(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def files(self) -> dict[str, bytes]:
        """Everything in the project but byte code and caches."""
        found = sorted(path for path in self.root.rglob("*") if path.is_file())
        return {str(p.relative_to(self.root)): p.read_bytes() for p in found if "__pycache__" not in p.parts}

    def pytest(self, *arguments: str) -> Result:
        return self._run([sys.executable, "-m", "pytest", *arguments])

    def convtest(self, *arguments: str) -> Result:
        return self._run([sys.executable, "-c", "from convtest.cli import main; main()", *arguments])

    def _run(self, command: list[str]) -> Result:
        # pytest prints longer summaries, and the plugin annotations, where they find one of these.
        ours = ("PYTEST", "COV", "CI", "BUILD_NUMBER", "GITHUB_")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        environment |= {
            "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "COLUMNS": str(self.columns),
            "PYTEST_ADDOPTS": WITHOUT,
            **self.environment,
        }
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        return Result(done.returncode, done.stdout, done.stderr)
