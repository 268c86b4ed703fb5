"""Put into Python children of an offline item by PYTHONPATH: what they reach for is refused, and told to the item."""

import contextlib
import importlib.util
import os
import socket
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any


class _Refuses:
    def __init__(self, address: tuple[str, int], allow_hosts: set[str]) -> None:
        self._address = address
        self._allow = allow_hosts
        self._connect = socket.socket.connect

    def looks_up(self, host: str) -> None:
        if not sockets.allowed(host, self._allow):
            self._tell(host)
            raise OSError(f"network blocked: {host!r} is not to be reached while convtest replays or simulates")

    def found(self, host: str, addresses: Collection[str]) -> None:
        if host in self._allow:
            self._allow.update(addresses)

    def connects(self, host: str, port: int) -> None:
        self.looks_up(host)

    def _tell(self, host: str) -> None:
        with contextlib.suppress(OSError), socket.socket() as said:
            said.settimeout(2)
            self._connect(said, self._address)
            said.sendall(f"CONVTEST {host}\r\n\r\n".encode("ascii", "replace"))
            said.recv(1)


def _next() -> None:
    """Ours stood before another one of this name, which is to run as well."""
    here = str(Path(__file__).parent)
    sys.path[:] = [one for one in sys.path if one != here]
    ours = sys.modules.pop("sitecustomize", None)
    try:
        importlib.import_module("sitecustomize")
    except ModuleNotFoundError:
        if ours is not None:
            sys.modules["sitecustomize"] = ours


def _sockets() -> Any:
    """By its path: convtest itself is not imported into whatever runs here."""
    path = Path(__file__).parents[1] / "sockets.py"
    spec = importlib.util.spec_from_file_location("_convtest_sockets", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if address := os.environ.get("CONVTEST_OFFLINE"):
    sockets = _sockets()
    host, _, port = address.rpartition(":")
    refuses = _Refuses((host, int(port)), {one for one in os.environ.get("CONVTEST_ALLOW", "").split(",") if one})
    for owner, name, wrap in sockets.guard(refuses):
        setattr(owner, name, wrap(getattr(owner, name)))
    _next()
