"""An address that stands before an item begins: at it applications that are started earlier find their model."""

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convtest.gateway.door import Door


class GatewayAddress:
    """Where items of this process listen for clients elsewhere, known before an item begins: an application that a
    fixture starts is given it as its model. Requests are answered while an item plays."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.token = ""
        """What stands for a key; empty until somebody asks for the address."""

    @property
    def url(self) -> str:
        """The base URL without the API's version: the Anthropic API's. With `/v1` it is that of OpenAI's."""
        if self._socket is None:
            import secrets

            from convtest.gateway.door import listening_socket

            self._socket = listening_socket()
            self.token = f"convtest-{secrets.token_hex(16)}"
        host, port = self._socket.getsockname()
        return f"http://{host}:{port}"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables by which the anthropic and openai packages find it."""
        url = self.url
        keys = {"ANTHROPIC_API_KEY": self.token, "OPENAI_API_KEY": self.token}
        return {"ANTHROPIC_BASE_URL": url, "OPENAI_BASE_URL": f"{url}/v1", **keys}

    @property
    def door(self) -> "Door | None":
        """For one item, a socket of its own where the address is in use."""
        kept = self._socket
        if kept is None:
            return None
        from convtest.gateway.door import Door

        return Door(token=self.token, listening=kept.dup)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
