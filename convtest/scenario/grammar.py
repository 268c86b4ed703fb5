"""The scenario language, declared once: the loader decodes into these shapes and the JSON Schema is made of them.

Every key that a scenario file may hold stands here, including those that a later version brings to life
(`NOT_YET`), so that a misspelt key is never taken for a future one.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from convtest.events import Ended, ErrorCode
from convtest.scenario.disturbances import Doing, FaultDoing

Duration = Annotated[str | float, Meta(description="seconds, or a number with its unit: 250ms, 2s, 5m")]
OneOrMore = str | list[str]
Point = Literal["before_request", "first_event", "text", "thinking", "tool_use", "tool_result", "turn_end"]


SweepAt = Literal["every event", "every change", "text", "thinking", "tool_use", "tool_result"]


class Shape(Struct, forbid_unknown_fields=True, frozen=True):
    """Base of every mapping in the language: unknown keys are errors."""


class BudgetShape(Shape, frozen=True, kw_only=True):
    """Upper limits; a cost that is not known is over any limit."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    first_event: Duration | None = None
    total: Duration | None = None
    usd: float | None = None


class RangeShape(Shape, frozen=True, kw_only=True):
    """A number between two bounds, both included."""

    min: float | None = None
    max: float | None = None


class UsageShape(Shape, frozen=True, kw_only=True):
    """Tokens of the turn, exact or as a range."""

    input_tokens: int | RangeShape | None = None
    output_tokens: int | RangeShape | None = None
    cache_read_tokens: int | RangeShape | None = None
    cache_write_tokens: int | RangeShape | None = None


class SentShape(Shape, frozen=True, kw_only=True):
    """What the turn's last main request held, in canonical form."""

    model: str | None = None
    system: str | None = None
    messages: int | None = None
    roles: list[Literal["user", "assistant", "system", "tool"]] | None = None
    contains: OneOrMore | None = None
    lacks: OneOrMore | None = None
    tools: list[str] | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    thinking: Any = None
    tool_choice: Any = None


class HistoryShape(Shape, frozen=True, kw_only=True):
    """The history the next request carries."""

    messages: int | None = None
    roles: list[Literal["user", "assistant", "system", "tool"]] | None = None
    contains: OneOrMore | None = None


class EndedShape(Shape, frozen=True, kw_only=True):
    """One of several ways to end."""

    one_of: list[Ended]


class RetriesShape(Shape, frozen=True, kw_only=True):
    """How often and how soon the client tried again."""

    count: int | RangeShape | None = None
    after: Duration | None = None


class ConductShape(Shape, frozen=True, kw_only=True):
    """What the client did when the wire failed it."""

    retry_after: Literal["obeyed", "ignored"] | None = None
    truncated: Literal["noticed", "taken_as_complete"] | None = None
    text: Literal["once", "doubled"] | None = None
    surfaced: str | None = None


class SimilarShape(Shape, frozen=True, kw_only=True):
    """Likeness of meaning."""

    to: str
    least: float | None = None


class ExpectShape(Shape, frozen=True, kw_only=True):
    """What is expected of one step."""

    contains: OneOrMore | None = None
    lacks: OneOrMore | None = None
    matches: OneOrMore | None = None
    equals: str | None = None
    one_of: list[str] | None = None
    json: dict[str, Any] | None = None
    json_schema: dict[str, Any] | None = None
    similar: str | SimilarShape | None = None
    knows: OneOrMore | None = None
    not_: "ExpectShape | None" = field(default=None, name="not")
    sent: SentShape | None = None
    ended: Ended | EndedShape | None = None
    error: ErrorCode | None = None
    events: list[str] | None = None
    calls: list[str | dict[str, dict[str, Any] | None]] | None = None
    denied: list[str] | None = None
    usage: UsageShape | None = None
    budget: BudgetShape | None = None
    session: Literal["same", "new"] | None = None
    history: Literal["intact", "empty"] | HistoryShape | None = None
    retries: RetriesShape | None = None
    conduct: ConductShape | None = None
    files: dict[str, str | None] | None = None
    check: OneOrMore | None = None
    snapshot: bool | None = None


class DisturbShape(Shape, frozen=True, kw_only=True):
    """An interrupt, a fault or an act in mid-turn."""

    do: Doing
    after: int | None = None
    at: Point | None = None
    status: int | None = None
    times: int | None = None
    retry_after: Duration | None = None
    as_: str | None = field(default=None, name="as")


class InterruptShape(Shape, frozen=True, kw_only=True):
    """Where the turn is interrupted: after N events, or at a point."""

    after: int | None = None
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

    after: int | None = None
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
    then: list[NewerShape] = []
    unique: bool = False


class AnswerShape(Shape, frozen=True, kw_only=True):
    """What a stand-in tool answers, for these arguments (all when there is no `when`)."""

    when: dict[str, Any] | None = None
    return_: Any = field(default=None, name="return")
    error: str | None = None


class ToolShape(Shape, frozen=True, kw_only=True):
    """A stand-in for one of the client's tools; nothing real runs."""

    description: str = ""
    input: dict[str, Any] = {}
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
    """A matrix of facts, where they are told and asked, and disturbances between."""

    facts: list[str]
    tell_at: list[int] | None = None
    ask_after: list[int] | None = None
    disturb: list[str] | None = None


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
    tags: list[str] = []
    client: OneOrMore | None = None
    fixtures: list[str] | None = None
    timeout: Duration | None = None
    params: dict[str, list[Any]] | list[dict[str, Any]] | None = None
    options: dict[str, Any] = {}
    files: dict[str, str] = {}
    sessions: dict[str, SessionShape | None] = {}
    facts: dict[str, FactShape] = {}
    tools: dict[str, ToolShape] = {}
    steps: list[StepShape]
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

NOT_YET: dict[type[Struct], tuple[str, ...]] = {
    ScenarioShape: ("retention",),
    ExpectShape: ("similar",),
}
"""Keys of the language that this version refuses: they are known, and do nothing yet."""
