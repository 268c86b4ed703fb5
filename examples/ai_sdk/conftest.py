"""Says what to install where it is missing: pytest cannot know of packages of Node."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_configure() -> None:
    if not (HERE / "node_modules").is_dir():
        raise pytest.UsageError(f"the AI SDK is not here: run npm install in {HERE} (it takes Node 20 or newer)")
