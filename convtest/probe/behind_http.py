"""Applications behind HTTP, whose URL only a fixture of pytest knows: started here, with their model at the gateway."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from convtest.clients.registry import overridden
from convtest.config import Config
from convtest.errors import ClientError
from convtest.gateway.door import Door
from convtest.gateway.standing import GatewayAddress
from convtest.play.apps import Application, Started
from convtest.temporary import temporary

_READY = 30.0
"""Seconds until it can be used."""


@contextmanager
def started(config: Config, command: Sequence[str], *, path: str, health: str) -> Iterator[tuple[Config, Door | None]]:
    """The configuration with the application's URL in every profile that takes one, and where its model has to be.
    Raises ApplicationError."""
    gateway = GatewayAddress()
    with temporary("app") as folder:
        how = Started(command, {**os.environ, **gateway.environment}, config.root)
        app = Application(how, name="app", log=folder / "app.log", health=health, timeout=_READY)
        try:
            app.start()
            yield overridden(config, {"url": f"{app.url}{path}"}, None), gateway.door
        finally:
            app.end()
            gateway.close()


def check_url(config: Config, client: str) -> None:
    """Raises ClientError where a fixture gives the URL: pytest alone sets fixtures up."""
    profile = config.profile(client)
    if profile.kind == "sse" and not profile.options.get("url"):
        help = f"have it started here, as the fixture starts it: convtest probe {client} --app 'COMMAND' --path /PATH"
        raise ClientError("it has no url, and fixtures that give one are pytest's", client=client, help=help)
