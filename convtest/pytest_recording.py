"""`convtest_cassette`: a recording named after an ordinary test."""

import contextlib
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from convtest.prepare import Mode, scrubber_of
from convtest.pytest_plugin import STATE
from convtest.recording import Recording, recording
from convtest.scenario.names import safe_name
from convtest.wire.spending import Purse


def mode_of(config: pytest.Config) -> Mode:
    """How items are to be played, by the command line."""
    option: Any = config.getoption
    state = config.stash[STATE]
    if option("--convtest-max-usd") is not None and state.purse is None:
        state.purse = Purse(option("--convtest-max-usd"))
    return Mode(
        resume=option("--convtest-resume"),
        purse=state.purse,
        record=option("--convtest-record") or "none",
        live=option("--convtest-live"),
        speed=option("--convtest-speed"),
        backend=option("--convtest-backend"),
    )


@contextlib.contextmanager
def recording_of(request: pytest.FixtureRequest) -> Iterator[Recording]:
    """The recording of the test that asks for it. Raises pytest.UsageError where there is no [tool.convtest]."""
    state = request.config.stash.get(STATE, None)
    if state is None:
        raise pytest.UsageError("convtest_cassette needs [tool.convtest] in pyproject.toml: convtest init")
    config, node = state.config, request.node
    file = node.path.resolve()
    below = file.relative_to(config.root) if file.is_relative_to(config.root) else file.relative_to(file.anchor)
    path = config.cassettes / below.with_suffix("") / f"{safe_name(node.nodeid.split('::', 1)[-1])}.yaml"
    command = f"pytest --convtest-record=all {shlex.quote(node.nodeid)}"
    with recording(
        path,
        mode_of(request.config),
        node=node.nodeid,
        shown=config.shown(path),
        command=command,
        allow_hosts=config.allow_hosts,
        scrubber=scrubber_of(config),
        volatile=config.volatile,
        prices=config.prices,
    ) as made:
        yield made
