"""pytest's command line: convtest's options, and what is wrong with them before anything is collected."""

import argparse
from importlib.util import find_spec
from typing import Any

import pytest

from convtest.errors import ConfigError


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "--convtest-record",
        {
            "metavar": "MODE",
            "choices": ["once", "new_episodes", "all"],
            "help": "record cassettes: once (where there is none), new_episodes (what is not recorded yet), all (anew)",
        },
    ),
    ("--convtest-client", {"metavar": "NAME", "help": "play every scenario with this client profile"}),
    (
        "--convtest-live",
        {"action": "store_true", "help": "ask the upstream; cassettes are neither read nor written"},
    ),
    (
        "--convtest-speed",
        {
            "metavar": "N",
            "type": float,
            "default": 0.0,
            "help": "pace of replay: 0 waits for nothing (default), 1 is the recorded pace",
        },
    ),
    (
        "--convtest-strict",
        {"action": "store_true", "help": "an item that is simulated because it has no cassette is an error"},
    ),
    (
        "--convtest-backend",
        {
            "metavar": "NAME",
            "choices": ["asyncio", "trio"],
            "default": "asyncio",
            "help": "the event loop to play on: asyncio (default) or trio",
        },
    ),
    (
        "--convtest-resume",
        {"action": "store_true", "help": "while recording: go on with recordings that broke off"},
    ),
    (
        "--convtest-max-usd",
        {
            "metavar": "USD",
            "type": float,
            "help": "while recording: send no further request once this much is spent (under xdist: each worker)",
        },
    ),
    (
        "--convtest-concurrency",
        {
            "metavar": "N",
            "type": _at_least_one,
            "help": "requests to real models that may be out at once, of all processes",
        },
    ),
    (
        "--convtest-requests-per-minute",
        {"metavar": "N", "type": _at_least_one, "help": "requests a minute to real models, of all processes together"},
    ),
    (
        "--convtest-tokens-per-minute",
        {
            "metavar": "N",
            "type": _at_least_one,
            "help": "tokens a minute, prompts and answers, of all processes together",
        },
    ),
    (
        "--convtest-retention",
        {"metavar": "FILE", "help": "note each trunk of a retention matrix in this journal, and go on from there"},
    ),
    (
        "--convtest-repeat",
        {"metavar": "N", "type": _at_least_one, "default": 1, "help": "which repeat of a retention matrix this is"},
    ),
    ("--convtest-sweep-turn", {"metavar": "ID", "help": "sweep this turn, whatever the scenario says of it"}),
    (
        "--convtest-sweep-disturb",
        {"metavar": "NAME", "action": "append", "help": "sweep by this disturbance (repeatable)"},
    ),
    ("--convtest-sweep-at", {"metavar": "POINTS", "help": "sweep at: every event, every change, or a kind"}),
    (
        "--convtest-cells",
        {"metavar": "N", "type": int, "help": "cells of a matrix at most (default: 40 for a client with processes)"},
    ),
    (
        "--convtest-probes",
        {"metavar": "FILE", "help": "write what each cell and trunk of a retention matrix came to, as lines of JSON"},
    ),
    (
        "--convtest-results",
        {"metavar": "FILE", "help": "write what became of each item, as one line of JSON, passing items included"},
    ),
    ("--convtest-report", {"metavar": "FILE", "help": "show all items in one HTML page that loads nothing"}),
    ("--convtest-summary", {"metavar": "FILE", "help": "write Markdown for a pull request: what failed, and where"}),
    ("--convtest-progress", {"metavar": "FILE", "help": "append one JSON object per started and finished item"}),
)


def add_options(parser: pytest.Parser) -> None:
    """Register the options of convtest."""
    group = parser.getgroup("convtest", "conversation tests")
    for name, more in _OPTIONS:
        group.addoption(name, **more)


def need_backend(name: str) -> None:
    if find_spec(name) is None:
        raise ConfigError(f"{name} is not installed", where=f"--convtest-backend={name}", help=f"pip install {name}")
