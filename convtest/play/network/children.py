"""What children of an offline item find: a proxy that refuses and tells, and in Python a guard of their sockets."""

import atexit
import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from convtest.play.network.sockets import patched

_GUARD = str(Path(__file__).parent / "python_child")
OFFLINE, ALLOW = "CONVTEST_OFFLINE", "CONVTEST_ALLOW"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY", "WS_PROXY", "WSS_PROXY", "GRPC_PROXY")
_HERE = ("127.0.0.1", "localhost", "::1")
_OURS = "CONVTEST_RUN"
"""Stands in environments that were made for a client: its proxy is the gateway, which tells by itself."""


class Refuser:
    """A loopback proxy that lets nothing through and tells `heard` which host was asked for. One per process, made
    when it is needed first."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        self._heard = heard
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """host:port"""
        with self._lock:
            if self._socket is None:
                self._socket = _own_socket()(socket.AF_INET, socket.SOCK_STREAM)
                self._socket.bind(("127.0.0.1", 0))
                self._socket.listen(64)
                atexit.register(self._socket.close)
                threading.Thread(target=self._serve, args=(self._socket,), name="convtest-refuser", daemon=True).start()
            host, port = self._socket.getsockname()
            return f"{host}:{port}"

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                descriptor, _ = listening._accept()  # type: ignore[attr-defined]  # accept() makes what stands in the module
            except OSError:
                return
            asked = _own_socket()(fileno=descriptor)
            with asked, contextlib.suppress(OSError):
                asked.settimeout(2)
                host = _asked_for(asked.recv(4096))
                if host:
                    self._heard(host)
                asked.sendall(b"HTTP/1.1 403 Forbidden\r\nx-convtest: network blocked\r\ncontent-length: 0\r\n\r\n")


def _own_socket() -> type[socket.socket]:
    """Python's own class: what forbids tests to open sockets (pytest-socket) has put one of its own before it."""
    return next(one for one in socket.socket.__mro__ if one.__module__ == "socket")


def _asked_for(line: bytes) -> str:
    """The host of `CONNECT host:port`, `GET http://host/` or what a guard tells; empty for anything else."""
    parts = line.split(b"\r\n", 1)[0].decode("latin-1").split()
    if len(parts) < 2:
        return ""
    if parts[0] == "CONVTEST":
        return parts[1]
    target = parts[1] if "://" in parts[1] else f"//{parts[1]}"
    try:
        return urlsplit(target).hostname or ""
    except ValueError:
        return ""


@contextlib.contextmanager
def guarded(refuser: Refuser, allow_hosts: tuple[str, ...]) -> Iterator[None]:
    """Within it proxies are out of this process's environment, and processes that it starts are guarded."""
    before = dict(os.environ)
    for name in PROXIES:
        for spelled in (name, name.lower()):
            os.environ.pop(spelled, None)
    ours = _guard(os.environ, refuser.address, allow_hosts)
    os.environ.update(ours)

    def wrap(real: Any) -> Any:
        def init(popen: Any, *args: Any, **more: Any) -> None:
            if len(args) < 11:  # else the environment stands among them, which nobody writes
                given = more.get("env")
                more["env"] = _environment(os.environ if given is None else given, refuser.address, allow_hosts)
            real(popen, *args, **more)

        return init

    try:
        with patched(subprocess.Popen, "__init__", wrap):
            yield
    finally:
        _put_back(before, ours)


def _put_back(before: Mapping[str, str], ours: Mapping[str, str]) -> None:
    """As it was, but for what the item's own code has changed meanwhile."""
    for name in ours:
        if os.environ.get(name) == ours[name]:
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]
    for name in PROXIES:
        for spelled in (name, name.lower()):
            if spelled in before:
                os.environ.setdefault(spelled, before[spelled])


def _guard(environment: Mapping[str, str], address: str, allow_hosts: tuple[str, ...]) -> dict[str, str]:
    paths = [one for one in environment.get("PYTHONPATH", "").split(os.pathsep) if one and one != _GUARD]
    return {OFFLINE: address, ALLOW: ",".join(allow_hosts), "PYTHONPATH": os.pathsep.join([_GUARD, *paths])}


def _environment(given: Mapping[Any, Any], address: str, allow_hosts: tuple[str, ...]) -> dict[str, str]:
    """A child's, with our guard in it; where it was not made for a client, also with the proxy that refuses."""
    made = {os.fsdecode(name): os.fsdecode(value) for name, value in given.items()}
    made |= _guard(made, address, allow_hosts)
    if _OURS not in made:
        url = f"http://{address}"
        proxies = {**dict.fromkeys(PROXIES[:3], url), "NO_PROXY": ",".join((*_HERE, *allow_hosts))}
        made |= {spelled: value for name, value in proxies.items() for spelled in (name, name.lower())}
    return made
