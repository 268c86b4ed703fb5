"""The scenario language, declared once: the loader decodes into these shapes and the JSON Schema is made of them.

The keys of `expect` stand in `expectations`.

Every key that a scenario file may hold stands here, including those that a later version brings to life
(`NOT_YET`), so that a misspelt key is never taken for a future one.
"""

from typing import Any, Literal

from msgspec import Struct, field

from convtest.retention.families import Family
from convtest.retention.wording import Language
from convtest.scenario.disturbances import Doing, FaultDoing
from convtest.scenario.expectations import BudgetShape, ExpectShape, SentShape
from convtest.scenario.shapes import Duration, EventsOrTime, OneOrMore, Shape

Point = Literal["before_request", "first_event", "text", "thinking", "tool_use", "tool_result", "turn_end"]


SweepAt = Literal["every event", "every change", "text", "thinking", "tool_use", "tool_result"]


class DisturbShape(Shape, frozen=True, kw_only=True):
    """An interrupt, a fault or an act in mid-turn."""

    do: Doing
    after: EventsOrTime | None = None
    at: Point | None = None
    status: int | None = None
    times: int | None = None
    retry_after: Duration | None = None
    pause: Duration | None = None
    as_: str | None = field(default=None, name="as")


class InterruptShape(Shape, frozen=True, kw_only=True):
    """Where the turn is interrupted: after N events, after a time, or at a point."""

    after: EventsOrTime | None = None
    at: Point | None = None


class FaultShape(Shape, frozen=True, kw_only=True):
    """A fault on the wire."""

    do: FaultDoing | None = None
    after: int | None = None
    at: Point | None = None
    status: int | None = None
    times: int | None = None
    retry_after: Duration | None = None


class DuringShape(Shape, frozen=True, kw_only=True):
    """Steps that run while the turn streams."""

    after: EventsOrTime | None = None
    at: Point | None = None
    steps: "list[StepShape]"


class SimulateShape(Shape, frozen=True, kw_only=True):
    """What the simulator says in one round of this turn."""

    text: str | None = None
    words: int | None = None
    thinking: str | None = None
    calls: list[dict[str, dict[str, Any] | None]] | None = None
    usage: dict[str, int] | None = None
    stop_reason: Literal["end_turn", "max_tokens", "tool_use", "stop_sequence", "refusal", "pause_turn"] | None = None


class StepShape(Shape, frozen=True, kw_only=True):
    """One step: a turn, or an act on a session; exactly one of the step keys."""

    user: str | None = None
    tell: str | None = None
    ask: str | None = None
    resume: str | None = None
    continue_: str | None = field(default=None, name="continue")
    fork: str | None = None
    clear: str | None = None
    compact: str | None = None
    save: str | None = None
    restore: str | None = None
    delete: str | None = None
    connect: str | None = None
    disconnect: str | None = None
    kill: str | None = None
    restart: str | None = None
    set: str | None = None
    together: "list[list[StepShape]] | None" = None
    repeat: int | None = None

    session: str | None = None
    as_: str | None = field(default=None, name="as")
    session_id: str | None = None
    options: dict[str, Any] | None = None
    id: str | None = None
    at: str | None = None
    expect: ExpectShape | None = None
    disturb: DisturbShape | list[DisturbShape] | None = None
    interrupt: InterruptShape | None = None
    fault: FaultShape | None = None
    during: DuringShape | None = None
    simulate: SimulateShape | list[SimulateShape] | None = None
    boundary: Literal["clear", "compact"] | None = None
    steps: "list[StepShape] | None" = None


class MessageShape(Shape, frozen=True, kw_only=True):
    """One message of a preset history."""

    user: str | None = None
    assistant: str | None = None


class SessionShape(Shape, frozen=True, kw_only=True):
    """One declared session."""

    client: str | None = None
    options: dict[str, Any] | None = None
    cwd: str | None = None
    history: list[MessageShape] | None = None


class NewerShape(Shape, frozen=True, kw_only=True):
    """A newer value of the same slot."""

    tell: str
    answer: str


class FactShape(Shape, frozen=True, kw_only=True):
    """A value told and asked for later."""

    tell: str
    ask: str
    answer: str
    then: list[NewerShape] = field(default_factory=list)
    unique: bool = False


class AnswerShape(Shape, frozen=True, kw_only=True):
    """What a stand-in tool answers, for these arguments (all when there is no `when`)."""

    when: dict[str, Any] | None = None
    return_: Any = field(default=None, name="return")
    error: str | None = None


class ToolShape(Shape, frozen=True, kw_only=True):
    """A stand-in for one of the client's tools; nothing real runs."""

    description: str = ""
    input: dict[str, Any] = field(default_factory=dict)
    answers: list[AnswerShape]


class InvariantsShape(Shape, frozen=True, kw_only=True):
    """Invariants that are switched off here, and why."""

    skip: OneOrMore
    because: str


class XfailShape(Shape, frozen=True, kw_only=True):
    """The one check that is known to fail; strict."""

    check: str
    layer: Literal["wire", "mass", "reply"] | None = None
    at: str | None = None
    because: str


class RetentionShape(Shape, frozen=True, kw_only=True):
    """A matrix of questions, where their facts are told and asked for, and disturbances between."""

    facts: list[str] | None = None
    families: list[Family] | None = None
    tell_at: list[int] = field(default_factory=lambda: [1])
    ask_after: list[int] = field(default_factory=lambda: [1, 5, 20])
    disturb: OneOrMore = field(default_factory=lambda: ["none"])
    filler: list[str] | None = None
    seed: int = 0
    language: Language = "en"
    pool: list[str] | None = None


class SweepShape(Shape, frozen=True, kw_only=True):
    """One turn, disturbed at every event."""

    turn: str
    disturb: OneOrMore = "interrupt"
    at: SweepAt = "every event"
    then: "list[StepShape] | None" = None


class UnplayedShape(Shape, frozen=True, kw_only=True):
    """Leftovers that are permitted, and why."""

    allow: int
    because: str


class ScenarioShape(Shape, frozen=True, kw_only=True):
    """One conversation test."""

    scenario: str
    id: str | None = None
    tags: list[str] = field(default_factory=list)
    client: OneOrMore | None = None
    fixtures: list[str] | None = None
    timeout: Duration | None = None
    params: dict[str, list[Any]] | list[dict[str, Any]] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, SessionShape | None] = field(default_factory=dict)
    facts: dict[str, FactShape] = field(default_factory=dict)
    tools: dict[str, ToolShape] = field(default_factory=dict)
    steps: list[StepShape] = field(default_factory=list)
    invariants: InvariantsShape | None = None
    retention: RetentionShape | None = None
    sweep: SweepShape | None = None
    budget: BudgetShape | None = None
    xfail: XfailShape | None = None
    skip: str | None = None
    snapshot: bool = False
    cassette: str | None = None
    unplayed: UnplayedShape | None = None


STEP_KEYS = (
    "user",
    "tell",
    "ask",
    "resume",
    "continue",
    "fork",
    "clear",
    "compact",
    "save",
    "restore",
    "delete",
    "connect",
    "disconnect",
    "kill",
    "restart",
    "set",
    "together",
    "repeat",
)
"""The keys that say what a step does; every step has exactly one."""

TURN_KEYS = ("user", "tell", "ask")

MEANT: dict[type[Struct], tuple[str, ...]] = {
    InterruptShape: ("at", "after"),
    FaultShape: ("do", "status"),
    DisturbShape: ("do",),
    SimulateShape: ("text",),
    ExpectShape: ("contains",),
    SentShape: ("contains",),
}
"""Which key was probably meant by a bare value that stands where a mapping belongs; the first that takes it."""

NOT_YET: dict[type[Struct], tuple[str, ...]] = {}
"""Keys of the language that this version refuses: they are known, and do nothing yet."""
