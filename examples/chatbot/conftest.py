"""Starts the chatbot once, with its model at convtest's gateway."""

import importlib.util
import sys

import pytest

NEEDS = ("fastapi", "openai", "uvicorn")


def pytest_configure() -> None:
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise pytest.UsageError(f"the chatbot needs {', '.join(missing)}: pip install {' '.join(NEEDS)}")


@pytest.fixture(scope="session")
def chatbot(convtest_app) -> str:
    return convtest_app([sys.executable, "app.py"]).url


@pytest.fixture
def convtest_client_options(chatbot: str) -> dict[str, str]:
    return {"url": f"{chatbot}/chat"}
