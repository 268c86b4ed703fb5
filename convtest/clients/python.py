"""`python`: any factory `module:attr` that returns the port, or an async context manager of it."""

from convtest.clients.port import Factory, Kind
from convtest.clients.tools import import_target
from convtest.errors import ClientError
from convtest.wire.messages_api import PUBLIC_URL


def factory_of(target: object, *, client: str) -> Factory:
    """The user's factory. Raises ClientError if it cannot be imported."""
    if not isinstance(target, str):
        raise ClientError("target is missing", client=client, help='name the factory: target = "module:attr"')
    return import_target(target, client=client)


def _never(opening: object) -> object:
    raise AssertionError("unreachable: a python client is made from its target")


KIND = Kind(name="python", factory=_never, options=None, base_url=PUBLIC_URL)  # type: ignore[arg-type]
