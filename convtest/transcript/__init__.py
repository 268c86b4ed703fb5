"""The ordered record of all sessions, said and sent: what checks read, snapshots show and reports print."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from convtest.errors import ConvtestError
from convtest.events import Usage
from convtest.scenario.model import Scenario, Step
from convtest.structs import Struct, field
from convtest.transcript.records import ActRecord, Carried, Refusal, StepRecord, TurnRecord, ends_in
from convtest.wire.interaction import Interaction

__all__ = [
    "ActRecord", "Carried", "Origin", "Refusal", "SourceName", "StepRecord", "Transcript", "TurnRecord", "ends_in",
]  # fmt: skip

SourceName = Literal["live", "simulated", "replayed", "recorded", "swept"]
"""Who answered; `swept`: the base's recording up to the point of a sweep, then the simulator."""


class Origin(Struct, frozen=True, kw_only=True):
    """A session began as another one stood before the record at `position`, cut after `turns` of its turns."""

    parent: str
    position: int
    turns: int | None = None


class _Heard(Struct, frozen=True):
    """What a session had been through before a position."""

    position: int
    last: StepRecord
    comes: Origin | None
    heard: Sequence[TurnRecord]

    def is_before(self, records: Sequence[StepRecord], comes: Origin | None, position: int) -> bool:
        return self.position <= position and self.comes is comes and records[self.position - 1] is self.last


class Transcript(Struct, kw_only=True):
    """Everything about one played scenario."""

    scenario: Scenario
    source: SourceName
    records: list[StepRecord] = field(default_factory=list)
    interactions: list[Interaction] = field(default_factory=list)
    origins: dict[str, "Origin"] = field(default_factory=dict)
    """For a session made by fork, restore or resume: where it comes from."""
    not_run: tuple[Step, ...] = ()
    trouble: ConvtestError | None = None
    """Why the set-up stopped the play."""
    leftovers: list[str] = field(default_factory=list)  # what it left running, and lanes that still streamed
    carried: list[Carried] = field(default_factory=list)
    unplayed: list[Interaction] = field(default_factory=list)
    nearest: Interaction | None = None
    """On a miss: the recorded interaction that comes nearest."""
    elsewhere: str | None = None
    """On a miss: the lane that was recorded to send just this."""
    blocked: list[tuple[str, str]] = field(default_factory=list)
    """(host, advice) of connections that would have left this machine."""
    openings: Mapping[str, int | tuple[str, ...]] = field(default_factory=dict)  # by client: declared, or seen before
    elsewhere_said: Mapping[str, str] = field(default_factory=dict)
    """Prompts of other items of this process, and whose they are."""
    followed: Sequence[Any] | None = None
    """Its main requests with what each had to extend, once the checks have found them."""
    _positions: dict[int, int] = field(default_factory=dict)
    """Of records, by their identity."""
    _heard: dict[str, "_Heard"] = field(default_factory=dict)
    """By session: what was asked for last."""

    def turns(self, session: str | None = None) -> list[TurnRecord]:
        """Turns in the order of playing, of one session or of all."""
        return [r for r in self.records if isinstance(r, TurnRecord) and session in (None, r.session)]

    def sessions(self) -> list[str]:
        """Session names in the order of their first use."""
        return list(dict.fromkeys(record.session for record in self.records))

    def missed(self) -> Interaction | None:
        """The request that nothing recorded answered."""
        return next((one for one in self.interactions if one.missed), None)

    def lineage(self, session: str) -> list[str]:
        """The session and those it comes from, itself first."""
        found = [session]
        while (origin := self.origins.get(found[-1])) is not None and origin.parent not in found:
            found.append(origin.parent)
        return found

    def preset(self, session: str) -> tuple[tuple[str, str], ...]:
        """(role, text) of what the scenario declares as already said."""
        spec = self.scenario.sessions.get(session)
        return spec.history if spec else ()

    def related(self, one: str, other: str) -> bool:
        return bool(set(self.lineage(one)) & set(self.lineage(other)))

    def usage(self) -> Usage:
        return sum((turn.usage for turn in self.turns()), Usage())

    def usd(self) -> float | None:
        """The cost of all turns, or None if one of them has no known price."""
        costs = [turn.usd for turn in self.turns() if turn.end is not None]
        return sum(cost for cost in costs if cost is not None) if None not in costs else None

    def heard(self, record: StepRecord) -> list[TurnRecord]:
        """Turns that the record's session had been through before it, its origin's included, since it was cleared."""
        return self._heard_before(record.session, self._position(record))

    def _position(self, record: StepRecord) -> int:
        known = self._positions.get(id(record), len(self.records))
        if known >= len(self.records) or self.records[known] is not record:
            self._positions = {id(one): position for position, one in enumerate(self.records)}
        return self._positions.get(id(record), len(self.records))

    def _heard_before(self, session: str, position: int) -> list[TurnRecord]:
        """Found from where it was asked for last, where that is not behind."""
        origin = self.origins.get(session)
        comes = origin if origin is not None and origin.position < position else None
        begin, found = 0, list[TurnRecord]()
        if comes is not None:
            found = self._heard_before(comes.parent, comes.position)[: comes.turns]
        known = self._heard.get(session)
        if known is not None and known.is_before(self.records, comes, position):
            begin, found = known.position, [*known.heard]
        found = self._heard_between(session, begin, position, found)
        if position:
            self._heard[session] = _Heard(position, self.records[position - 1], comes, found)
        return [*found]

    def _heard_between(self, session: str, begin: int, position: int, found: list[TurnRecord]) -> list[TurnRecord]:
        for index, one in enumerate(self.records[begin:position], begin):
            if one.session != session:
                continue
            if isinstance(one, TurnRecord):
                found.append(one)
            elif isinstance(one, ActRecord) and one.act.kind in {"clear", "delete"}:
                found = []
            elif isinstance(one, ActRecord) and one.act.kind == "restore" and one.act.new is None:
                found = self._heard_before(session, self.saved_at(session, index))
        return found

    def saved_at(self, session: str, before: int) -> int:
        """The position of the session's last `save` before this position."""
        for index in range(before - 1, -1, -1):
            one = self.records[index]
            if isinstance(one, ActRecord) and one.act.kind == "save" and one.act.target == session:
                return index
        return before
