"""Where a gateway listens, known before it is opened, and without what it takes to serve."""

import socket
from collections.abc import Callable

from convtest.structs import Struct

HOST = "127.0.0.1"


def listening_socket(port: int = 0) -> socket.socket:
    """A socket on loopback. With its protocol named: asyncio sets TCP_NODELAY on no other, which costs 40 ms a turn."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HOST, port))
        made.listen(2048)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


class Door(Struct, frozen=True, kw_only=True):
    """Where a gateway listens and what it demands, where somebody was told so before it is opened."""

    token: str = ""
    """Empty: one of its own."""
    listening: Callable[[], socket.socket | None] = lambda: None
