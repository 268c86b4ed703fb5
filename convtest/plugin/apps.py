"""`convtest_app`: applications under test that run as long as their fixture."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from convtest.gateway.standing import GatewayAddress
from convtest.play.apps import Application, Applications, Started
from convtest.plugin.state import State


class Start(Protocol):
    """What the fixture `convtest_app` gives."""

    def __call__(
        self,
        command: Sequence[str],
        *,
        name: str = "app",
        health: str = "",
        environment: Mapping[str, str] | None = None,
        cwd: str | Path = "",
        timeout: float = 30.0,
    ) -> Application:
        """The application, once it can be used. It finds the gateway in its environment, and in `PORT` where to listen
        on 127.0.0.1; in the command `${port}` says so too. `health`: a path that is answered below 400 once it can be
        used. `cwd`: its folder, by default that of pyproject.toml. `timeout`: seconds until it can be used. Raises
        ApplicationError."""


@contextmanager
def starting(state: State, gateway: GatewayAddress, folders: pytest.TempPathFactory) -> Iterator[Start]:
    """What starts applications, all of which are ended with it."""
    apps = state.apps = Applications()
    with ExitStack() as ends:

        def start(
            command: Sequence[str],
            *,
            name: str = "app",
            health: str = "",
            environment: Mapping[str, str] | None = None,
            cwd: str | Path = "",
            timeout: float = 30.0,
        ) -> Application:
            one = Application(
                Started(command, {**os.environ, **gateway.environment, **(environment or {})}, state.config.root / cwd),
                name=name,
                log=folders.mktemp("convtest-app") / f"{name}.log",
                health=health,
                timeout=timeout,
            )
            apps.add(one)
            ends.callback(apps.remove, one)
            ends.callback(one.finish)
            one.start()
            return one

        yield start
