"""Recording and replaying without a scenario: for ordinary tests that talk to a model."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from convtest.cassettes.difference import difference
from convtest.cassettes.naming import Names
from convtest.cassettes.player import Player
from convtest.cassettes.store import Cassette
from convtest.errors import ConversationFailed, NoCassette, NothingCaptured
from convtest.play.mode import Mode, Rules
from convtest.play.network import SEES, Traffic, blocked
from convtest.play.network.sockets import allowed
from convtest.play.sources import Answering, as_recorded, is_unchanged, source_of
from convtest.wire import lanes
from convtest.wire.interaction import Interaction
from convtest.wire.pacing import Paced
from convtest.wire.tap import Tap
from convtest.wire.transports import binding
from convtest.wire.upstream import Upstream

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
def recording(cassette: Cassette, mode: Mode, rules: Rules, *, node: str) -> Iterator[Recording]:
    """Within it requests are answered from the cassette, or recorded into it; `node` is the test's id.

    Raises NoCassette, UnreadableCassette, RecordedElsewhere or NetworkBlocked for a wrong set-up; SpendingLimit where
    the mode's purse is empty; at the end ConversationFailed for a request that nothing recorded answers, and for a
    recorded one that was not sent.
    """
    source_name = _source_name(mode, cassette.is_there)
    with cassette.only_writer() if source_name == "recorded" else contextlib.nullcontext():
        recorded = _recorded(cassette, mode, source_name, rules)
        replays = source_name == "replayed"
        upstream = Paced(Upstream(), mode.pace) if mode.pace else Upstream()
        answers = source_of(mode, upstream, recorded, replays=replays, simulated=False, command=cassette.command)
        tap = Tap(answers.source, answers.clock, rules.scrubber, rules.volatile, limits=rules.limits)
        made = Recording(tap=tap, source=source_name)
        made.verify = lambda: _verify(made, answers.player, rules, node, cassette.command)
        with _played(made, answers, rules.allow_hosts, node):
            yield made
        if made.failed:
            return
        made.verify()
        _raise_unplayed(made, answers.player, node, cassette.command)
        # That a test sends nothing is recorded too: else it would be asked for a cassette for ever.
        if source_name == "recorded" and not (recorded and is_unchanged(made.interactions, recorded)):
            cassette.renew(as_recorded(made.interactions), _names(made, answers.player, rules))


@contextlib.contextmanager
def _played(made: Recording, answers: Answering, allow_hosts: tuple[str, ...], node: str) -> Iterator[None]:
    """What is sent within it is the test's, and leaves this machine only where it is recorded or live."""
    with lanes.active(made.tap), lanes.routed(made.tap, LANE):
        with blocked(node, allow_hosts, made.source == "replayed") as traffic:
            try:
                yield
            except Exception:
                made.verify()
                raise
            finally:
                answers.settle()
        if traffic.attempts:
            raise traffic.attempts[0]
        if made.source == "recorded" and not made.failed:
            _has_to_be_captured(made, traffic, node)


def _has_to_be_captured(made: Recording, traffic: Traffic, node: str) -> None:
    """Raises NothingCaptured. An application on this machine is left alone."""
    opened = [one for one in traffic.opened if not allowed(one.host, ())]
    if opened and not made.interactions:
        raise NothingCaptured(item=node, opened=opened, help=SEES)


def _recorded(cassette: Cassette, mode: Mode, source_name: str, rules: Rules) -> list[Interaction]:
    if source_name == "replayed" and not cassette.is_there:
        raise NoCassette(cassette=cassette.shown, command=cassette.command)
    reads = cassette.is_there and not mode.live and mode.record != "all"
    return cassette.load(rules.volatile) if reads else []


def _names(made: Recording, player: Player | None, rules: Rules) -> Names:
    taken = player.bindings.taken if player is not None else {}
    return Names(rules.scrubber, taken).learn(made.interactions)


def _source_name(mode: Mode, there: bool) -> str:
    if mode.live:
        return "live"
    if mode.record == "none" or (mode.record == "once" and there):
        return "replayed"
    return "recorded"


def _verify(made: Recording, player: Player | None, rules: Rules, node: str, command: str) -> None:
    trouble = next((one.trouble for one in made.interactions if one.trouble is not None), None)
    if trouble is not None and not made.failed:
        made.failed = True
        raise trouble
    _raise_miss(made, player, rules, node, command)


def _raise_miss(made: Recording, player: Player | None, rules: Rules, node: str, command: str) -> None:
    missed = next((one for one in made.interactions if one.missed), None)
    if missed is None or player is None:
        return
    made.failed = True
    nearest = player.nearest(missed)
    lines = difference(nearest.canonical, missed.canonical) if nearest else ["nothing is recorded"]
    text = [
        f"{node}: no recorded interaction answers request {missed.number} (layer wire)",
        "  against the nearest recorded request:",
        *(f"    {line}" for line in lines or ["nothing differs: it was played already"]),
        f"  if the change is meant, record it: {command}",
    ]
    shown = _names(made, player, rules).part("\n".join(text))
    raise ConversationFailed(shown, headline="miss (layer wire): no recorded interaction answers a request")


def _raise_unplayed(made: Recording, player: Player | None, node: str, command: str) -> None:
    if made.source != "replayed" or player is None or not player.unplayed():
        return
    count = len(player.unplayed())
    text = f"{node}: {count} recorded request{'s' * (count != 1)} not sent\n  record again: {command}"
    raise ConversationFailed(text, headline="unplayed (layer wire): recorded requests were not sent")
