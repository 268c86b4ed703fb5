"""Starts the chatbot once, on a port that is known only then, with its model at convtest's gateway."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

NEEDS = ("fastapi", "openai", "uvicorn")


def pytest_configure() -> None:
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise pytest.UsageError(f"the chatbot needs {', '.join(missing)}: pip install {' '.join(NEEDS)}")


@pytest.fixture(scope="session")
def chatbot(convtest_gateway) -> Iterator[str]:
    environment = {**os.environ, **convtest_gateway.environment}
    app = Path(__file__).parent / "app.py"
    process = subprocess.Popen([sys.executable, app], env=environment, stdout=subprocess.PIPE, text=True)
    yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    process.terminate()
    process.communicate()


@pytest.fixture
def convtest_client_options(chatbot: str) -> dict[str, str]:
    return {"url": f"{chatbot}/chat"}
