"""Python's own sockets and look-ups, guarded; of the standard library alone, for it is put into children too."""

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol

HERE = frozenset({"localhost", "", "0.0.0.0", "::"})


class Watches(Protocol):
    """What hears of look-ups and connections before they are made, and may raise."""

    def looks_up(self, host: str) -> None: ...
    def found(self, host: str, addresses: Collection[str]) -> None:
        """These are the addresses of the host."""
        ...

    def connects(self, host: str, port: int) -> None: ...


def allowed(host: str, allow_hosts: Collection[str]) -> bool:
    """Whether it is this machine, or one of those that are allowed."""
    if host in HERE or host in allow_hosts or host.lower() == socket.gethostname().lower():
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


def guard(watch: Watches) -> Iterator[tuple[Any, str, Callable[[Any], Any]]]:
    """(owner, name, what wraps the real one), for everything of Python's that leaves a machine.

    Methods of `socket.socket` are replaced on the class: sockets that are there already are guarded too.
    """
    yield socket.socket, "connect", lambda real: _method(real, watch)
    yield socket.socket, "connect_ex", lambda real: _method(real, watch)
    yield socket.socket, "sendto", lambda real: _sendto(real, watch)
    if hasattr(socket.socket, "sendmsg"):
        yield socket.socket, "sendmsg", lambda real: _sendmsg(real, watch)
    yield socket, "getaddrinfo", lambda real: _lookup(real, watch, lambda found: {str(one[4][0]) for one in found})
    yield socket, "gethostbyname", lambda real: _lookup(real, watch, lambda found: {found})
    yield socket, "gethostbyname_ex", lambda real: _lookup(real, watch, lambda found: set(found[2]))
    yield socket, "gethostbyaddr", lambda real: _lookup(real, watch, lambda found: set(found[2]))


@contextlib.contextmanager
def patched(owner: Any, name: str, wrap: Callable[[Any], Any]) -> Iterator[None]:
    """Within it the attribute is what `wrap` makes of it."""
    own = owner.__dict__.get(name)
    setattr(owner, name, wrap(getattr(owner, name)))
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


def _method(real: Any, watch: Watches) -> Any:
    def guarded(sock: socket.socket, address: Any) -> Any:
        _check(sock, address, watch)
        return real(sock, address)

    return guarded


def _sendto(real: Any, watch: Watches) -> Any:
    def guarded(sock: socket.socket, data: Any, *rest: Any) -> Any:
        _check(sock, rest[-1] if rest else None, watch)
        return real(sock, data, *rest)

    return guarded


def _sendmsg(real: Any, watch: Watches) -> Any:
    def guarded(sock: socket.socket, buffers: Any, *rest: Any) -> Any:
        _check(sock, rest[2] if len(rest) > 2 else None, watch)
        return real(sock, buffers, *rest)

    return guarded


def _lookup(real: Any, watch: Watches, addresses: Callable[[Any], set[str]]) -> Any:
    def guarded(host: Any, *rest: Any, **more: Any) -> Any:
        named = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host or "")
        if named:
            watch.looks_up(named)
        found = real(host, *rest, **more)
        watch.found(named, addresses(found))
        return found

    return guarded


def _check(sock: socket.socket, address: Any, watch: Watches) -> None:
    if sock.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple) and len(address) > 1:
        watch.connects(str(address[0]), int(address[1]))
