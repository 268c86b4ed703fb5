"""A client with a classic mistake: one history for all the users of the application."""

from pathlib import Path

from convtest import MessagesClient, Opening

_HISTORIES: dict[Path, MessagesClient] = {}


class SharedClient(MessagesClient):
    """Every user of one application gets the messages of the first one."""

    async def connect(self) -> None:
        await super().connect()
        first = _HISTORIES.setdefault(self._opening.store, self)
        self._messages = first._messages


def client(opening: Opening) -> SharedClient:
    """The factory that `[tool.convtest.clients.shared]` names."""
    return SharedClient(opening)
