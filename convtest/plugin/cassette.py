"""`convtest_cassette`: a recording named after an ordinary test."""

import contextlib
import shlex
from collections.abc import Iterator

import pytest

from convtest.cassettes.store import Cassette
from convtest.errors import told
from convtest.play.mode import Rules
from convtest.play.prepare import scrubber_of
from convtest.play.recording import Recording, recording
from convtest.plugin.state import STATE, mode_of
from convtest.scenario.names import safe_name


@contextlib.contextmanager
def recording_of(request: pytest.FixtureRequest) -> Iterator[Recording]:
    """The recording of the test that asks for it. Raises pytest.UsageError where there is no [tool.convtest]."""
    state = request.config.stash.get(STATE, None)
    if state is None:
        raise pytest.UsageError(
            told("convtest_cassette needs [tool.convtest] in pyproject.toml: convtest init", "cassettes#ordinary-tests")
        )
    config, node = state.config, request.node
    file = node.path.resolve()
    below = file.relative_to(config.root) if file.is_relative_to(config.root) else file.relative_to(file.anchor)
    path = config.cassettes / below.with_suffix("") / f"{safe_name(node.nodeid.split('::', 1)[-1])}.yaml"
    command = f"pytest --convtest-record=all {shlex.quote(node.nodeid)}"
    cassette = Cassette(path, config.shown(path), command, config.limits, config.requests == "added")
    rules = Rules(
        allow_hosts=config.allow_hosts,
        scrubber=scrubber_of(config),
        volatile=config.volatile,
        limits=config.limits,
    )
    with recording(cassette, mode_of(request.config), rules, node=node.nodeid) as made:
        yield made
