"""The keys of `expect`, declared once: decoded by the loader, judged by the check that `checks/expectations` names."""

from typing import Any, Literal

from msgspec import field

from convtest.events import Ended, ErrorCode
from convtest.scenario.shapes import Duration, OneOrMore, Shape


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
    """Tokens and cost of the turn, exact or as a range."""

    input_tokens: int | RangeShape | None = None
    output_tokens: int | RangeShape | None = None
    cache_read_tokens: int | RangeShape | None = None
    cache_write_tokens: int | RangeShape | None = None
    usd: float | RangeShape | None = None


class SentShape(Shape, frozen=True, kw_only=True):
    """What the turn's last main request held, in canonical form."""

    model: str | None = None
    system: str | None = None
    messages: int | None = None
    roles: list[Literal["user", "assistant", "system", "tool"]] | None = None
    contains: OneOrMore | None = None
    lacks: OneOrMore | None = None
    tools: list[str | dict[str, dict[str, Any]]] | None = None
    """Names; `name: {…}` with the JSON Schema of its input, or the type of each of its parameters."""
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


class ExpectShape(Shape, frozen=True, kw_only=True):
    """What is expected of one step."""

    contains: OneOrMore | None = None
    lacks: OneOrMore | None = None
    matches: OneOrMore | None = None
    equals: str | None = None
    one_of: list[str] | None = None
    json: dict[str, Any] | None = None
    json_schema: dict[str, Any] | None = None
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
    proposed: list[str] | None = None
    """Which of these keys nobody has read yet: `convtest import` proposed them. It expects nothing by itself."""
