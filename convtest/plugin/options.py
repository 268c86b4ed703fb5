"""pytest's command line: convtest's options, and what is wrong with them before anything is collected."""

from importlib.util import find_spec

import pytest

from convtest.errors import ConfigError


def add_options(parser: pytest.Parser) -> None:
    """Register the options of convtest."""
    group = parser.getgroup("convtest", "conversation tests")
    group.addoption(
        "--convtest-record",
        metavar="MODE",
        choices=["once", "new_episodes", "all"],
        help="record cassettes: once (where there is none), new_episodes (what is not recorded yet), all (anew)",
    )
    group.addoption("--convtest-client", metavar="NAME", help="play every scenario with this client profile")
    group.addoption(
        "--convtest-live", action="store_true", help="ask the upstream; cassettes are neither read nor written"
    )
    group.addoption(
        "--convtest-speed",
        metavar="N",
        type=float,
        default=0.0,
        help="pace of replay: 0 waits for nothing (default), 1 is the recorded pace",
    )
    group.addoption(
        "--convtest-strict",
        action="store_true",
        help="an item that is simulated because it has no cassette is an error",
    )
    group.addoption(
        "--convtest-backend",
        metavar="NAME",
        choices=["asyncio", "trio"],
        default="asyncio",
        help="the event loop to play on: asyncio (default) or trio",
    )
    group.addoption(
        "--convtest-resume", action="store_true", help="while recording: go on with recordings that broke off"
    )
    group.addoption(
        "--convtest-max-usd",
        metavar="USD",
        type=float,
        help="while recording: send no further request once this much is spent (under xdist: each worker)",
    )
    group.addoption("--convtest-sweep-turn", metavar="ID", help="sweep this turn, whatever the scenario says of it")
    group.addoption(
        "--convtest-sweep-disturb", metavar="NAME", action="append", help="sweep by this disturbance (repeatable)"
    )
    group.addoption("--convtest-sweep-at", metavar="POINTS", help="sweep at: every event, every change, or a kind")
    group.addoption("--convtest-progress", metavar="FILE", help="append one JSON object per started and finished item")


def need_backend(name: str) -> None:
    if find_spec(name) is None:
        raise ConfigError(f"{name} is not installed", where=f"--convtest-backend={name}", help=f"pip install {name}")
