"""The tap in HTTP stacks that are not httpx: behind vcrpy's stubs, with what is streamed passed on as it comes."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from convtest.later import with_modules
from convtest.wire.stacks.routes import RouteOf

_FIRST = {
    "urllib3.connectionpool": ("HTTPConnectionPool", "urlopen"),
    "aiohttp.client": ("ClientSession", "_request"),
    "urllib.request": ("AbstractHTTPHandler", "do_open"),
}
"""By module: the method that each request of the stack begins with; botocore's and requests' are urllib3's."""


@contextlib.contextmanager
def tapped(route_of: RouteOf) -> Iterator[None]:
    """Within it, requests of aiohttp, requests, urllib3, botocore and urllib.request that have a route go there."""
    with contextlib.ExitStack() as stack:
        first = _First(stack, route_of)
        stack.callback(first.take_away)
        stack.enter_context(with_modules(_FIRST, first.wait_in))
        yield


class _First:
    """Waits for the first request of any stack: vcrpy imports all that are installed, which takes a second."""

    def __init__(self, stack: contextlib.ExitStack, route_of: RouteOf) -> None:
        self._stack = stack
        self._route_of = route_of
        self._waiting: list[tuple[Any, str, Any]] = []
        self._lock = threading.RLock()
        self._begun = False

    def wait_in(self, module: Any) -> None:
        owner_name, name = _FIRST[module.__name__]
        owner = getattr(module, owner_name)
        real = owner.__dict__[name]

        def first(one: Any, *args: Any, **more: Any) -> Any:
            self._begin()
            return getattr(owner, name)(one, *args, **more)

        with self._lock:
            if not self._begun:
                self._waiting.append((owner, name, real))
                setattr(owner, name, first)

    def take_away(self) -> None:
        with self._lock:
            while self._waiting:
                owner, name, real = self._waiting.pop()
                setattr(owner, name, real)

    def _begin(self) -> None:
        with self._lock:
            if self._begun:
                return
            self._begun = True
            self.take_away()
            from convtest.wire.stacks.patching import patched

            self._stack.enter_context(patched(self._route_of))
