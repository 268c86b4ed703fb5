"""What a session streams, and how it becomes a reply."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Ended = Literal[
    "complete",
    "interrupted",
    "max_turns",
    "max_tokens",
    "refusal",
    "budget",
    "connection_lost",
    "refused",
    "timeout",
    "no_response",
    "overloaded",
    "rate_limited",
    "error",
]
"""How a turn ended; `complete` is the only one that is expected when nothing is said."""

ErrorCode = Literal[
    "session_not_found",
    "session_in_use",
    "session_expired",
    "not_connected",
    "model_not_found",
    "context_overflow",
    "not_authenticated",
    "bad_request",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the model reports them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def prompt_tokens(self) -> int:
        """Everything the model read: fresh, cached and newly cached tokens."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """A piece of the assistant's text."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """A piece of the assistant's thinking."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """The assistant asks for a tool; yielded once its arguments are whole."""

    id: str
    name: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What the tool answered, as the model will read it."""

    id: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnd:
    """The one event that ends a turn.

    `usd` is None where no price is known for the model. `denied` holds the names of tools that were not allowed to run.
    """

    ended: Ended = "complete"
    error: ErrorCode | None = None
    message: str = ""
    usage: Usage = field(default_factory=Usage)
    usd: float | None = None
    denied: tuple[str, ...] = ()
    boundary: bool = False
    """The client itself dropped or condensed history in this turn."""
    rounds: int | None = None
    """How many answers of the model it took, where the client counts them."""
    reason: str = ""
    """Why the model and the client stopped, in their own words."""
    retried: tuple[str, ...] = ()
    """What made the client try again, as it reports it."""


Event = TextDelta | Thinking | ToolUse | ToolResult | TurnEnd

_KINDS: dict[type[Any], str] = {
    TextDelta: "text",
    Thinking: "thinking",
    ToolUse: "tool_use",
    ToolResult: "tool_result",
    TurnEnd: "turn_end",
}


def kind_of(event: Event) -> str:
    """`text`, `thinking`, `tool_use`, `tool_result` or `turn_end`: the words that `at:` and snapshots use."""
    return _KINDS[type(event)]


def text_of(events: Iterable[Event]) -> str:
    """The assistant's whole text among these events."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def runs_of_kinds(kinds: Iterable[str]) -> str:
    """`thinking text*12 tool_use`: kinds in order, repeats counted."""
    runs: list[tuple[str, int]] = []
    for kind in kinds:
        if runs and runs[-1][0] == kind:
            runs[-1] = (kind, runs[-1][1] + 1)
        else:
            runs.append((kind, 1))
    return " ".join(kind if count == 1 else f"{kind}*{count}" for kind, count in runs)


def kinds_of_runs(text: str) -> list[str]:
    """The inverse of `runs_of_kinds`."""
    kinds: list[str] = []
    for run in text.split():
        kind, _, count = run.partition("*")
        kinds += [kind] * (int(count) if count else 1)
    return kinds
