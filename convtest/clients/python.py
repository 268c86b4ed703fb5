"""`python`: any factory `module:attr` that returns the port, or an async context manager of it."""

import os
import sys
from pathlib import Path

from convtest.clients.command.client import program
from convtest.clients.port import Factory, Kind
from convtest.clients.tools import import_target
from convtest.config import Profile
from convtest.errors import ClientError
from convtest.wire.messages_api import PUBLIC_URL


def _factory_of(profile: Profile, root: Path) -> Factory:
    """The user's factory; with `process = "own"` what starts it in a child."""
    if profile.target is None:
        raise ClientError("target is missing", client=profile.name, help='name the factory: target = "module:attr"')
    factory: Factory = import_target(profile.target, client=profile.name)
    if not profile.own_process:
        return factory
    hosted = [sys.executable, "-m", "convtest.clients.command.hosting", profile.target]
    return program(hosted, root, {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)})


KIND = Kind(name="python", factory_of=_factory_of, options=None, base_url=PUBLIC_URL, either=True)
