"""Which library a connection comes from, read from the call stack; and those that make theirs in C."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from convtest.errors import is_library
from convtest.later import with_modules
from convtest.play.network.sockets import patched

_UNDER = frozenset({"convtest", "anyio", "sniffio", "aiohappyeyeballs", "pluggy", "_pytest", "pytest"})
"""Found on many a stack, and none of them what somebody chose to speak with."""


def stack_of(frame: FrameType | None, *nearest: str) -> str:
    """`requests (urllib3), app.py:12`: the libraries between a socket and the code that is not a library's. `nearest`:
    the one that was left when the frame was looked at."""
    found = list(nearest)
    while frame is not None:
        file, name = frame.f_code.co_filename, str(frame.f_globals.get("__name__", "")).split(".")[0]
        if not is_library(file):
            return f"{_named(found)}, {Path(file).name}:{frame.f_lineno}"
        if (name not in sys.stdlib_module_names and name not in _UNDER and name not in found) or (
            name in {"http", "urllib", "smtplib", "ftplib"} and name not in found
        ):
            found.append(name)
        frame = frame.f_back
    return _named(found)


def _named(found: list[str]) -> str:
    if len(found) > 1:
        found = [one for one in found if one not in {"http", "urllib"}] or found
    if not found:
        return "a socket"
    return found[-1] if len(found) == 1 else f"{found[-1]} ({', '.join(reversed(found[:-1]))})"


Asks = Callable[[str, str], None]


@contextlib.contextmanager
def asked_in_c(asks: Asks) -> Iterator[None]:
    """Within it, what is known to connect in C asks first, also where it is imported only then: which host, and the
    library where it connects now; empty where it only makes ready to, or looks up."""
    with contextlib.ExitStack() as stack:

        def ask(module: Any) -> None:
            for owner, name, host in _IN_C[module.__name__](module):
                speaks = "" if name in _BEFORE else module.__name__.partition(".")[0]
                stack.enter_context(patched(owner, name, _asking(host, speaks, asks)))

        with with_modules(_IN_C, ask):
            yield


def _asking(host: Callable[..., str], speaks: str, asks: Asks) -> Callable[[Any], Any]:
    def wrap(real: Any) -> Any:
        def guarded(*args: Any, **more: Any) -> Any:
            asks(host(*args, **more), speaks)
            return real(*args, **more)

        return guarded

    return wrap


Patches = Iterator[tuple[Any, str, Callable[..., str]]]


def _grpc(module: Any) -> Patches:
    """Channels that are made, and calls on those that were made before."""
    yield module.Channel, "__init__", lambda self, target, *rest, **more: _host(target)
    for name, one in vars(module).items():
        if name.endswith("MultiCallable") and name.startswith("_"):
            for call in ("__call__", "with_call", "future"):
                if call in vars(one):
                    yield one, call, lambda self, *rest, **more: _host(self._target)


def _grpc_aio(module: Any) -> Patches:
    yield module.Channel, "__init__", lambda self, target, *rest, **more: _host(target)
    for name in ("UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream"):
        yield getattr(module, f"{name}MultiCallable"), "__call__", lambda self, *rest, **more: _aio_target(self)


def _aio_target(call: Any) -> str:
    target = call._channel.target() if hasattr(call._channel, "target") else ""
    return _host(target) if target else "a host of grpc.aio"


def _host(target: Any) -> str:
    """Of `host:port`, `dns:///host:port` or `ipv4:1.2.3.4:5`; empty for a socket in the file system."""
    text = target.decode() if isinstance(target, bytes) else str(target)
    scheme, _, rest = text.partition(":")
    if scheme in {"unix", "unix-abstract", "vsock"}:
        return ""
    text = rest.lstrip("/") if scheme in {"dns", "ipv4", "ipv6", "passthrough", "xds"} else text
    return urlsplit(f"//{text}").hostname or text


def _curl(module: Any) -> Patches:
    for name in ("Session", "AsyncSession"):
        yield (
            getattr(module, name),
            "request",
            lambda self, method, url, *rest, **more: urlsplit(str(url)).hostname or "",
        )


_LOOK_UPS = ("getaddrinfo", "query", "gethostbyname", "search")
_BEFORE = frozenset({"__init__", *_LOOK_UPS})
"""Nothing is connected by these."""


def _cares(module: Any) -> Patches:
    for name in _LOOK_UPS:
        if hasattr(module.Channel, name):
            yield module.Channel, name, lambda self, host, *rest, **more: str(host)


_IN_C: dict[str, Callable[[Any], Patches]] = {
    "grpc._channel": _grpc,
    "grpc.aio._channel": _grpc_aio,
    "curl_cffi.requests.session": _curl,
    "pycares": _cares,
}
"""By module: where it can be asked in Python before its C connects."""
