"""Says what to install where it is missing."""

import importlib.util

import pytest


def pytest_configure() -> None:
    if importlib.util.find_spec("anthropic") is None:
        raise pytest.UsageError("the assistant needs the anthropic package: pip install anthropic")
