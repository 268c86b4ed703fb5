"""Which tap and lane a request belongs to that was not handed a transport: one patch for the process, by context."""

import contextlib
import ipaddress
import threading
from collections.abc import Iterator
from contextvars import ContextVar, Token
from typing import Any
from urllib.parse import urlsplit

from convtest.later import with_modules
from convtest.structs import Struct, field
from convtest.wire import stacks
from convtest.wire.responses_api import CONVERSATIONS_PATH, RESPONSES_PATH
from convtest.wire.tap import Tap
from convtest.wire.tls import shares
from convtest.wire.transports import Binding, binding

MODULES = ("httpx", "httpx2")
MODEL_PATHS = (
    "/messages",
    "/chat/completions",
    "/responses",
    "/count_tokens",
    "/models",
    "/embeddings",
    "/completions",
    "/conversations",
)
"""How the path of a model's API ends: on this machine only these are tapped, the rest is an application under test."""
_OTHER_PATHS = (
    ":generateContent",
    ":streamGenerateContent",
    ":embedContent",
    ":countTokens",
    "/converse",
    "/converse-stream",
    "/invoke-with-response-stream",
    "/invoke",
)
"""Of APIs that are recorded where they are asked, and that the gateway does not speak: Gemini's, Bedrock's."""


class Route(Struct, frozen=True):
    tap: Tap | None
    lane: str | None


_route: ContextVar[Route | None] = ContextVar("convtest_route", default=None)


class _Switch(Struct):
    """The patch, counted: it is there while any tap is active."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    active: list[Tap] = field(default_factory=list)
    undo: list[tuple[type[Any], str, Any]] = field(default_factory=list)
    stacks: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """What is replaced in other stacks than httpx."""


_switch = _Switch()


@contextlib.contextmanager
def active(tap: Tap) -> Iterator[None]:
    """While it lasts, requests of httpx, httpx2 and the other stacks whose context names the tap go through it."""
    with _switch.lock:
        if not _switch.active:
            _install()
        _switch.active.append(tap)
    try:
        yield
    finally:
        with _switch.lock:
            _switch.active.remove(tap)
            if not _switch.active:
                _uninstall()


@contextlib.contextmanager
def routed(tap: Tap, lane: str | None) -> Iterator[None]:
    """Within it, and in tasks and threads that inherit its context, requests belong to this tap and lane."""
    token = enter(tap, lane)
    try:
        yield
    finally:
        _route.reset(token)


def enter(tap: Tap, lane: str | None) -> "Token[Route | None]":
    """From here on in this context; for a task that is the lane's own."""
    return _route.set(Route(tap, lane))


def apart() -> None:
    """From here on in this context requests are no model's: an application under test is spoken to."""
    _route.set(Route(None, None))


def is_apart() -> bool:
    """Whether an application under test is spoken to in this context."""
    route = _route.get()
    return route is not None and route.tap is None


def patched() -> bool:
    """Whether any patch is in place."""
    return bool(_switch.undo)


def _install() -> None:
    _switch.stacks.enter_context(with_modules(MODULES, _patch_transports))
    _switch.stacks.enter_context(stacks.tapped(_route_of))


def _patch_transports(module: Any) -> None:
    bound = binding(module.__name__)
    _patch(module.AsyncHTTPTransport, "handle_async_request", _async_dispatch(bound))
    _patch(module.HTTPTransport, "handle_request", _sync_dispatch(bound))
    for owner in (module.AsyncHTTPTransport, module.HTTPTransport):
        _patch(owner, "__init__", shares(module, owner.__init__))


def _patch(owner: type[Any], name: str, replacement: Any) -> None:
    _switch.undo.append((owner, name, owner.__dict__[name]))
    setattr(owner, name, replacement)


def _uninstall() -> None:
    _switch.stacks.close()
    while _switch.undo:
        owner, name, original = _switch.undo.pop()
        setattr(owner, name, original)


def _async_dispatch(bound: Binding) -> Any:
    async def handle_async_request(transport: Any, request: Any) -> Any:
        route = _route_of(str(request.url))
        if route is None:
            return await bound.original_async(transport, request)
        lane = bound.async_transport(route.tap, route.lane, lambda sent: bound.original_async(transport, sent))
        return await lane.handle_async_request(request)

    return handle_async_request


def _sync_dispatch(bound: Binding) -> Any:
    def handle_request(transport: Any, request: Any) -> Any:
        route = _route_of(str(request.url))
        if route is None:
            return bound.original_sync(transport, request)
        lane = bound.sync_transport(route.tap, route.lane, lambda sent: bound.original_sync(transport, sent))
        return lane.handle_request(request)

    return handle_request


def _route_of(url: str) -> Route | None:
    """By context; else by the only tap and its only turn in progress; an application on this machine by none, nor what
    goes to a gateway, which has a tap of its own."""
    if is_local_application(url) or any(tap.gateway and url.startswith(tap.gateway) for tap in _switch.active):
        return None
    route = _route.get()
    if route is not None and (route.tap is None or route.tap in _switch.active):
        return route if route.tap is not None else None
    # A client may have made its HTTP client, or a thread, before the context was set: where only one tap is active it
    # can be no other's.
    if len(_switch.active) == 1:
        return Route(_switch.active[0], _switch.active[0].only_lane())
    return None


def is_local_application(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    local = host == "localhost"
    with contextlib.suppress(ValueError):
        local = local or ipaddress.ip_address(host).is_loopback
    # A local model (Ollama, vLLM) is on this machine as an application is: only the path tells them apart.
    return local and not (is_model_path(parts.path) or parts.path.endswith(_OTHER_PATHS))


def is_model_path(path: str) -> bool:
    """Whether a model's API has it."""
    path = path.rstrip("/")
    return path.endswith(MODEL_PATHS) or f"{CONVERSATIONS_PATH}/" in path or f"{RESPONSES_PATH}/resp_" in path
