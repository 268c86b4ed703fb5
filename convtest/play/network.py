"""Keeps an item that replays or simulates on this machine; every attempt to leave it is put down."""

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator
from typing import Any

from convtest.errors import NetworkBlocked

_SPOKEN = ("api.anthropic.com", "api.openai.com")
"""Hosts of models whose API the gateway and the transports speak."""
_UNSPOKEN = {
    "generativelanguage.googleapis.com": "Gemini",
    "aiplatform.googleapis.com": "Vertex AI",
    "amazonaws.com": "Bedrock",
    "api.cohere.com": "Cohere",
    "api.cohere.ai": "Cohere",
}
"""By the end of a host's name: whose API no part of convtest speaks."""


def attempt(host: str, item: str) -> NetworkBlocked:
    """What is said of a host that an item tried to reach; never what would send real traffic to a model."""
    return NetworkBlocked(host=host, item=item, advice=_advice(host))


def _advice(host: str) -> str:
    foreign = next((name for end, name in _UNSPOKEN.items() if host == end or host.endswith(f".{end}")), None)
    if foreign is not None:
        return f"convtest speaks Messages, Chat Completions and Responses; the API of {foreign} it does not"
    if host in _SPOKEN:
        return (
            "the client's requests do not come to convtest: in this process it takes opening.http, or its profile says "
            "gateway = true; in another one it takes the base URL from its environment"
        )
    return "switch off what asks for it while the client is tested; a server of the test is listed under allow_hosts"


@contextlib.contextmanager
def blocked(
    item: str, allow_hosts: tuple[str, ...], offline: bool = True, attempts: list[NetworkBlocked] | None = None
) -> Iterator[list[NetworkBlocked]]:
    """Within it, unless `offline` is false, connections that leave loopback raise NetworkBlocked; yields those, which
    are added to `attempts` where it is given.

    It replaces methods of `socket.socket` for the whole process: pytest runs one item at a time in each.
    """
    attempts = [] if attempts is None else attempts
    if not offline:
        yield attempts
        return

    def refuse(host: str) -> None:
        if not _allowed(host, allow_hosts):
            attempts.append(attempt(host, item))
            raise attempts[-1]

    with contextlib.ExitStack() as stack:
        for name in ("connect", "connect_ex"):
            stack.enter_context(_patched(socket.socket, name, lambda real: _guarded_method(real, refuse)))
        stack.enter_context(_patched(socket.socket, "sendto", lambda real: _guarded_sendto(real, refuse)))
        stack.enter_context(_patched(socket, "getaddrinfo", lambda real: _guarded_lookup(real, refuse)))
        yield attempts


@contextlib.contextmanager
def _patched(owner: Any, name: str, wrap: Callable[[Any], Any]) -> Iterator[None]:
    own = owner.__dict__.get(name)
    setattr(owner, name, wrap(getattr(owner, name)))
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


def _guarded_method(real: Any, refuse: Callable[[str], None]) -> Any:
    def guarded(sock: socket.socket, address: Any) -> Any:
        _check(sock, address, refuse)
        return real(sock, address)

    return guarded


def _guarded_sendto(real: Any, refuse: Callable[[str], None]) -> Any:
    def guarded(sock: socket.socket, data: Any, *rest: Any) -> Any:
        _check(sock, rest[-1], refuse)
        return real(sock, data, *rest)

    return guarded


def _guarded_lookup(real: Any, refuse: Callable[[str], None]) -> Any:
    def guarded(host: Any, *rest: Any, **more: Any) -> Any:
        if host:
            refuse(host.decode() if isinstance(host, bytes) else str(host))
        return real(host, *rest, **more)

    return guarded


def _check(sock: socket.socket, address: Any, refuse: Callable[[str], None]) -> None:
    if sock.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
        refuse(str(address[0]))


def _allowed(host: str, allow_hosts: tuple[str, ...]) -> bool:
    if host in {"localhost", "", "0.0.0.0", "::"} or host in allow_hosts:
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False
