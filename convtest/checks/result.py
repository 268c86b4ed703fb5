"""What checks say: findings, and what could not be seen."""

from collections.abc import Iterable
from typing import Any, Literal

from convtest.errors import Place
from convtest.scenario.expectations import ExpectShape
from convtest.structs import Struct
from convtest.transcript import StepRecord, Transcript, TurnRecord

Layer = Literal["wire", "mass", "reply"]
"""Which side broke: the request (the client), its size (the client), or the answer (the model)."""


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that did not hold. `layer` is None where no side of the conversation is meant."""

    check: str
    layer: Layer | None
    message: str
    expected: str = ""
    seen: str = ""
    advice: str = ""
    place: Place
    session: str = ""
    step: int = 0
    """The step's index, 0 for the whole scenario."""
    step_id: str | None = None


class NotSeen(Struct, frozen=True, kw_only=True):
    """A check that could not look: it is neither passed nor failed."""

    check: str
    why: str


class Verdict(Struct, frozen=True, kw_only=True):
    findings: tuple[Finding, ...] = ()
    not_seen: tuple[NotSeen, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.findings


class Asked(Struct, frozen=True, kw_only=True):
    """One key of an `expect`, to be judged at its step."""

    transcript: Transcript
    record: StepRecord
    expect: ExpectShape
    """All that is expected of the step."""
    wanted: Any
    """What stands under the key."""

    @property
    def turn(self) -> TurnRecord:
        assert isinstance(self.record, TurnRecord)
        return self.record


def at_step(record: StepRecord, check: str, layer: Layer | None, message: str, **more: str) -> Finding:
    """A finding about one step; its place is that of the expectation, or of the step."""
    keys = more.pop("key", f"expect {check}").split()
    return Finding(
        check=check,
        layer=layer,
        message=message,
        place=record.step.place_of(*keys),
        session=record.session,
        step=record.step.index,
        step_id=record.step.id,
        **more,
    )


def unique_not_seen(found: Iterable[NotSeen]) -> tuple[NotSeen, ...]:
    return tuple(dict.fromkeys(found))
