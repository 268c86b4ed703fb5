"""Says what to install where it is missing: pytest cannot know that a program is to be built."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_configure() -> None:
    if not (HERE / "node_modules").is_dir() or not (HERE / "dist" / "agent.js").is_file():
        raise pytest.UsageError(f"the agent is not built: run npm install in {HERE} (it takes Node 20 or newer)")
