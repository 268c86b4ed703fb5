"""Recording and replaying without a scenario: for ordinary tests that talk to a model."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from convtest.cassettes import store
from convtest.cassettes.difference import difference
from convtest.cassettes.player import Player
from convtest.cassettes.scrubbing import NOTHING_KNOWN, Scrubber
from convtest.clients.prices import usd
from convtest.clock import Clock, RealClock, VirtualClock
from convtest.errors import ConversationFailed, NoCassette
from convtest.network import blocked
from convtest.prepare import Mode
from convtest.wire import lanes
from convtest.wire.interaction import Interaction
from convtest.wire.spending import Spending
from convtest.wire.tap import Source, Tap, Upstream
from convtest.wire.transports import binding

LANE = "main"


@dataclass(slots=True, kw_only=True)
class Recording:
    """What one test sends and is answered; `source` is live, recorded or replayed."""

    tap: Tap
    source: str
    verify: Callable[[], None] = lambda: None
    """Raises ConversationFailed for a request that nothing recorded answers; once verified, leftovers count too."""
    failed: bool = False
    """The test has failed: what it left unsent says nothing, and nothing is recorded over what was there."""

    @property
    def interactions(self) -> list[Interaction]:
        """In the order of sending."""
        return self.tap.interactions

    def transport(self, module: str = "httpx", *, sync: bool = False) -> Any:
        """A transport to hand to a client, where its context cannot tell whose it is. `module`: httpx or httpx2."""
        bound = binding(module)
        return (bound.sync_transport if sync else bound.async_transport)(self.tap, LANE)


@contextlib.contextmanager
def recording(
    path: Path,
    mode: Mode,
    *,
    node: str,
    shown: str,
    command: str,
    allow_hosts: tuple[str, ...] = (),
    scrubber: Scrubber = NOTHING_KNOWN,
    volatile: frozenset[str] = frozenset(),
    prices: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[Recording]:
    """Within it requests are answered from the cassette at `path`, or recorded into it.

    Raises NoCassette, UnreadableCassette, RecordedElsewhere or NetworkBlocked for a wrong set-up; SpendingLimit where
    the mode's purse is empty; at the end ConversationFailed for a request that nothing recorded answers, and for a
    recorded one that was not sent.
    """
    source_name = _source_name(mode, path.is_file())
    with store.only_writer(path, shown=shown) if source_name == "recorded" else contextlib.nullcontext():
        recorded = _recorded(path, mode, source_name, shown, command)
        for one in recorded:
            one.volatile = volatile
        spending = Upstream() if mode.purse is None else Spending(Upstream(), mode.purse, usd, prices)
        source, clock = _source(mode, source_name, recorded, command, spending)
        made = Recording(tap=Tap(source, clock, scrubber, volatile), source=source_name)
        made.verify = lambda: _verify(made, source, node, command)
        with lanes.active(made.tap), lanes.routed(made.tap, LANE):
            with blocked(node, allow_hosts, source_name == "replayed") as attempts:
                try:
                    yield made
                except Exception:
                    made.verify()
                    raise
                finally:
                    if isinstance(spending, Spending):
                        spending.settle()
            if attempts:
                raise attempts[0]
        if made.failed:
            return
        made.verify()
        _raise_unplayed(made, source, node, command)
        if source_name == "recorded" and any(one.origin == "live" for one in made.interactions):
            store.save(path, made.interactions, scrubber)


def _recorded(path: Path, mode: Mode, source_name: str, shown: str, command: str) -> list[Interaction]:
    there = path.is_file()
    if source_name == "replayed" and not there:
        raise NoCassette(cassette=shown, command=command)
    reads = there and not mode.live and mode.record != "all"
    return store.load(path, shown=shown, command=command) if reads else []


def _source_name(mode: Mode, there: bool) -> str:
    if mode.live:
        return "live"
    if mode.record == "none" or (mode.record == "once" and there):
        return "replayed"
    return "recorded"


def _source(mode: Mode, name: str, recorded: list[Interaction], command: str, upstream: Source) -> tuple[Source, Clock]:
    paced: Clock = RealClock(mode.speed) if mode.speed else VirtualClock()
    if name == "replayed":
        return Player(recorded, command=command), paced
    if recorded:
        return Player(recorded, command=command, beyond=upstream, pace=paced), RealClock()
    return upstream, RealClock()


def _verify(made: Recording, source: Source, node: str, command: str) -> None:
    trouble = next((one.trouble for one in made.interactions if one.trouble is not None), None)
    if trouble is not None and not made.failed:
        made.failed = True
        raise trouble
    _raise_miss(made, source, node, command)


def _raise_miss(made: Recording, source: Source, node: str, command: str) -> None:
    missed = next((one for one in made.interactions if one.missed), None)
    if missed is None or not isinstance(source, Player):
        return
    made.failed = True
    nearest = source.nearest(missed)
    lines = difference(nearest.canonical, missed.canonical) if nearest else ["nothing is recorded"]
    text = [
        f"{node}: no recorded interaction answers request {missed.number} (layer wire)",
        "  against the nearest recorded request:",
        *(f"    {line}" for line in lines or ["nothing differs: it was played already"]),
        f"  if the change is meant, record it: {command}",
    ]
    raise ConversationFailed("\n".join(text), headline="miss (layer wire): no recorded interaction answers a request")


def _raise_unplayed(made: Recording, source: Source, node: str, command: str) -> None:
    if made.source != "replayed" or not isinstance(source, Player) or not source.unplayed():
        return
    count = len(source.unplayed())
    text = f"{node}: {count} recorded request{'s' * (count != 1)} not sent\n  record again: {command}"
    raise ConversationFailed(text, headline="unplayed (layer wire): recorded requests were not sent")
