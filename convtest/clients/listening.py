"""Applications behind HTTP: which have answered in this process, and whether they still listen."""

import socket
import time
from collections.abc import Container

import anyio

from convtest.clients.port import ApplicationGone
from convtest.structs import Struct

_LOOKS, _LOOK = 5, 0.05
"""How often, and with how many seconds between, it is looked whether an application that broke off still listens."""
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})


class Address(Struct, frozen=True):
    """Where an application listens."""

    host: str
    port: int
    url: str
    """As a profile or a fixture gives it."""

    async def has_ended(self) -> bool:
        """Nobody listens there any more, or soon will not; one that only broke an answer off does."""
        for _ in range(_LOOKS):
            try:
                await (await anyio.connect_tcp(self.host, self.port)).aclose()
            except OSError:
                return True
            await anyio.sleep(_LOOK)
        return False

    def gone(self, why: str, client: str) -> ApplicationGone:
        before = (self.host, self.port) in _ANSWERED
        what = f"the application at {self.url} has ended" if before else f"nothing answers at {self.url}"
        help = (
            "it has answered before: what it said last is in its own output; where convtest_app starts it, its death is"
            " told with it, and it is started again"
            if before
            else "start the application, or name the address that it listens at"
        )
        return ApplicationGone(f"{what}: {why}", client=client, help=help)

    def answered(self, client: str) -> None:
        """It has, to the end, to a client of the profile."""
        _ANSWERED.add((self.host, self.port))
        if self.host in _HERE:
            _LATELY[self.host, self.port] = (self, client, time.monotonic())


_ANSWERED: set[tuple[str, int]] = set()
_LATELY: dict[tuple[str, int], tuple[Address, str, float]] = {}
"""Those on this machine that answered since it was last looked, with whom, and when last (monotonic)."""


def survived(seconds: float, but: Container[int]) -> None:
    """Once an item is over: whoever answered in it on this machine still listens so long after its last answer. `but`:
    the ports of those whose end is told otherwise. Raises ApplicationGone."""
    lately = [one for one in _LATELY.values() if one[0].port not in but]
    _LATELY.clear()
    for address, client, when in lately:
        time.sleep(max(0.0, when + seconds - time.monotonic()))
        try:
            socket.create_connection((address.host, address.port), timeout=1).close()
        except ConnectionRefusedError:
            raise address.gone("it had answered the last turn", client) from None
        except OSError:
            continue  # nothing that tells of an end
