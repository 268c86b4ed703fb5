"""Keeps an item that replays or simulates on this machine, every attempt to leave it put down; notes what any
item connected to, so that nothing passes unseen where it records."""

import contextlib
import sys
import threading
from collections.abc import Callable, Collection, Iterator

from convtest.errors import NetworkBlocked
from convtest.play.network import children, late
from convtest.play.network.sockets import allowed, guard, patched
from convtest.play.network.stacks import asked_in_c, stack_of
from convtest.structs import Struct, field

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
SEES = (
    "convtest sees what goes through httpx, httpx2, aiohttp, requests, urllib3 and botocore, or to the gateway; "
    'what it does not see is declared: wire = "none" in the profile'
)
_BESIDE = (
    "requests of the item do come to convtest, and this is another that its client sends, such as a look whether the "
    "host is there: switch that off while the client is tested; one that asks a model takes its base URL as those do"
)
_AFTERWARDS = "end the thread with the session that began it: what reaches out later is no item's any more"


def attempt(host: str, item: str, thread: str = "", began: str = "") -> NetworkBlocked:
    """What is said of a host that an item tried to reach; never what would send real traffic to a model.

    `thread`, `began`: where it was a thread that is left of another item."""
    if began:
        return NetworkBlocked(host=host, item=item, advice=_AFTERWARDS, late=f"the thread {thread!r}, left by {began},")
    return NetworkBlocked(host=host, item=item, advice=_advice(host))


def although_asked(error: NetworkBlocked, item: str, asked: Collection[str]) -> NetworkBlocked:
    """The same of an item whose requests to that host were seen: it is not told that none come. `asked`: hosts."""
    if error.host not in asked or error.advice != _advice(error.host):
        return error
    return NetworkBlocked(host=error.host, item=item, advice=_BESIDE)


def _advice(host: str) -> str:
    foreign = next((name for end, name in _UNSPOKEN.items() if host == end or host.endswith(f".{end}")), None)
    if foreign is not None:
        return (
            f"the API of {foreign} is recorded where it is asked in this process (docs/network.md says through what), "
            "and has no simulator: that speaks Messages, Chat Completions and Responses"
        )
    if host in _SPOKEN:
        return (
            "the client's requests do not come to convtest: in this process it takes opening.http, or its profile says "
            "gateway = true; in another one it takes the base URL from its environment"
        )
    return "switch off what asks for it while the client is tested; a server of the test is listed under allow_hosts"


class Opened(Struct, frozen=True):
    """A connection that was made while an item played: to whom, and by what."""

    host: str
    port: int
    """0 where it is not known."""
    stack: str

    def __str__(self) -> str:
        return f"{self.stack} to {self.host}" + (f":{self.port}" if self.port else "")


class Traffic(Struct, eq=False):
    """What one item tried, and what it connected to."""

    item: str = ""
    allow_hosts: tuple[str, ...] = ()
    offline: bool = True
    attempts: list[NetworkBlocked] = field(default_factory=list)
    opened: list[Opened] = field(default_factory=list)
    beside: Callable[[], bool] = lambda: False
    """Whether what is connected to just now is an application under test."""
    addresses: dict[str, str] = field(default_factory=dict)
    """By address: the host that was looked up."""


class _Guard:
    """The patches of this process: there while an item plays, and while threads of offline ones are left."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.playing: list[Traffic] = []
        self.refuser = children.Refuser(self._heard)
        self._patches: contextlib.ExitStack | None = None

    def install(self) -> None:
        if self._patches is None:
            self._patches = contextlib.ExitStack()
            for owner, name, wrap in guard(self):
                self._patches.enter_context(patched(owner, name, wrap))

    def uninstall(self) -> None:
        if self._patches is not None and not self.playing and not late.any_alive():
            self._patches.close()
            self._patches = None

    def _heard(self, host: str) -> None:
        """A child asked for it."""
        if self.playing and not allowed(host, self.playing[-1].allow_hosts):
            self.playing[-1].attempts.append(attempt(host, self.playing[-1].item))

    def looks_up(self, host: str) -> None:
        self.refuse(host)

    def found(self, host: str, addresses: Collection[str]) -> None:
        for one in self.playing[-1:]:
            one.addresses |= {address: host for address in addresses if address != host}

    def connects(self, host: str, port: int) -> None:
        self.refuse(host)
        playing = self.playing[-1] if self.playing else None
        if playing is not None and port and not playing.beside():
            named = playing.addresses.get(host, host)
            # Two frames of ours stand between here and the socket's caller.
            playing.opened.append(Opened(named, port, stack_of(sys._getframe(2))))

    def asks_in_c(self, host: str, library: str) -> None:
        """What connects without a socket of Python's; `library` is empty where it does not connect yet."""
        self.refuse(host)
        playing = self.playing[-1] if self.playing else None
        if playing is not None and library and host and not playing.beside():
            named = playing.addresses.get(host, host)
            playing.opened.append(Opened(named, 0, stack_of(sys._getframe(2), library)))

    def refuse(self, host: str) -> None:
        """Raises NetworkBlocked where who asks may not reach it."""
        thread = threading.current_thread()
        began = late.began_by(thread)
        playing = self.playing[-1] if self.playing else None
        if began is not None and (playing is None or began.item != playing.item):
            if not allowed(host, began.allow_hosts):
                error = attempt(host, playing.item if playing else "", thread.name, began.item)
                if playing is not None and playing.offline:
                    playing.attempts.append(error)
                raise error
        elif playing is not None and playing.offline and not self._may(host, playing):
            playing.attempts.append(attempt(host, playing.item))
            raise playing.attempts[-1]

    def _may(self, host: str, playing: Traffic) -> bool:
        return allowed(host, playing.allow_hosts) or playing.addresses.get(host) in playing.allow_hosts


_GUARD = _Guard()


@contextlib.contextmanager
def blocked(
    item: str, allow_hosts: tuple[str, ...], offline: bool = True, traffic: Traffic | None = None
) -> Iterator[Traffic]:
    """Within it, unless `offline` is false, connections that leave loopback raise NetworkBlocked; yields what is noted
    of them, in `traffic` where it is given.

    It replaces methods of `socket.socket` for the whole process: pytest runs one item at a time in each.
    """
    traffic = traffic or Traffic()
    traffic.item, traffic.allow_hosts, traffic.offline = item, allow_hosts, offline
    with _GUARD.lock:
        _GUARD.install()
        _GUARD.playing.append(traffic)
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(asked_in_c(_GUARD.asks_in_c))
            if offline:
                stack.enter_context(children.guarded(_GUARD.refuser, allow_hosts))
                stack.enter_context(late.noting(late.Began(item, allow_hosts)))
            yield traffic
    finally:
        with _GUARD.lock:
            _GUARD.playing.remove(traffic)
            _GUARD.uninstall()
