"""The shapes of a result: plain data that leaves the process as one line of JSON, and is all that reports read."""

from typing import Any, Literal

from msgspec import Struct

from convtest.events import Usage

SCHEMA = 1
"""The version of these shapes; a file of another one is refused."""

Outcome = Literal["passed", "failed", "error", "skipped"]


class Plain(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all: what is as usual is left out of the JSON."""


class Part(Plain, frozen=True, kw_only=True):
    """One piece of a message, its words with white space collapsed."""

    role: str
    kind: str = "text"
    text: str = ""


class Request(Plain, frozen=True, kw_only=True):
    """One request and how it was answered, told by what is new since the session's last main one. Times in ms."""

    number: int
    main: bool = True
    """It belongs to the conversation; false for titles, counts and the like."""
    lane: str | None = None
    method: str = "POST"
    url: str = ""
    model: str = ""
    roles: list[str] = []
    """Of its messages, all of them."""
    settings: dict[str, str | None] = {}
    """Those that changed: model, system, temperature, max_tokens, names of tools; None: no longer sent."""
    kept: int = 0
    """How many parts stand as they stood before."""
    removed: list[Part] = []
    added: list[Part] = []
    status: int = 0
    ended: str = ""
    """How its answer ended: complete, closed_by_client, reset …"""
    origin: str = ""
    missed: bool = False
    sent_ms: float = 0.0
    """On the item's clock."""
    first_byte_ms: float | None = None
    chunks_ms: list[float] = []
    """When each piece of the answer came, since it was sent."""
    usage: Usage | None = Usage()
    """None where nobody tells."""


class Said(Plain, frozen=True, kw_only=True):
    """What the client yielded: a run of text or thinking, a tool use, or a tool's result."""

    kind: Literal["text", "thinking", "tool_use", "tool_result"]
    text: str = ""
    name: str = ""
    input: dict[str, Any] = {}
    error: bool = False


class Refused(Plain, frozen=True, kw_only=True):
    """A client's named refusal of a step."""

    code: str
    message: str = ""


class Ending(Plain, frozen=True, kw_only=True):
    """The one event that ended a turn."""

    ended: str = "complete"
    error: str | None = None
    message: str = ""
    retried: list[str] = []


class Step(Plain, frozen=True, kw_only=True):
    """One step as it was played; `kind` is `turn`, or that of the act."""

    index: int
    kind: str = "turn"
    label: str = ""
    session: str = ""
    client: str = ""
    id: str | None = None
    place: str = ""
    branch: tuple[int, int] | None = None
    """(which `together`, which of its branches)."""
    session_id: str | None = None
    prompt: str = ""
    disturbances: list[str] = []
    unreached: list[str] = []
    said: list[Said] = []
    events: str = ""
    """The kinds of the events in order, repeats counted: `thinking text*12 turn_end`."""
    text: str = ""
    ending: Ending | None = None
    conduct: str = ""
    """What the client did when the wire failed it."""
    refused: Refused | None = None
    crash: str = ""
    hung: str = ""
    first_event_ms: float | None = None
    total_ms: float | None = None
    usage: Usage | None = Usage()
    """None where nobody tells."""
    usd: float | None = None
    requests: list[Request] = []
    in_snapshot: bool = False


class Found(Plain, frozen=True, kw_only=True):
    """One thing that did not hold."""

    check: str
    layer: str | None = None
    message: str = ""
    expected: str = ""
    seen: str = ""
    advice: str = ""
    place: str = ""
    session: str = ""
    step: int = 0
    """The step's index, 0 for the whole scenario."""
    step_id: str | None = None
    difference: list[str] = []
    """Of a miss: how the request differs from the nearest recorded one."""


class Blind(Plain, frozen=True, kw_only=True):
    """A check that could not look."""

    check: str
    why: str


class Point(Plain, frozen=True, kw_only=True):
    """Where a sweep disturbed its turn."""

    base: str
    turn: int
    do: str
    kind: str
    after: int | None = None


class About(Plain, frozen=True, kw_only=True):
    """Which item it is."""

    item: str
    """Its pytest id."""
    title: str = ""
    file: str = ""
    line: int = 0
    client: str = ""
    row: str = ""
    tags: list[str] = []
    point: Point | None = None
    record_command: str = ""


class SnapshotChange(Plain, frozen=True, kw_only=True):
    """A snapshot that is another one, or not there yet; what it would be is made of the result."""

    path: str
    """Relative to the folder of pyproject.toml."""
    kept: str | None = None
    """The first 32 digits of the SHA-256 of what was kept."""


class Result(Plain, frozen=True, kw_only=True):
    """What became of one item."""

    schema: int
    about: About
    outcome: Outcome
    source: str = ""
    """Who answered: live, simulated, replayed, recorded, swept; empty where nothing was played."""
    layer: str | None = None
    """Which side broke: wire, mass or reply."""
    headline: str = ""
    """The root cause, or why nothing was played, in one line."""
    causes: list[str] = []
    """The root cause, then what failed beside it and does not only follow from one; in one line each."""
    steps: list[Step] = []
    not_run: int = 0
    """How many steps were left when it stopped."""
    found: list[Found] = []
    """The root cause first, then in the order of the conversation."""
    not_seen: list[Blind] = []
    edited: bool = False
    """Somebody edited its cassette by hand."""
    message: str = ""
    """Of an error, or of a snapshot that differs: all that is said of it."""
    snapshot: SnapshotChange | None = None
    """Of a snapshot that differs: which."""
    usage: Usage = Usage()
    usd: float | None = None
    written: str | None = None
    """The cassette that was recorded."""
    seconds: float = 0.0
    """Wall time."""

    @property
    def sessions(self) -> list[str]:
        """In the order of their first use."""
        return list(dict.fromkeys(step.session for step in self.steps))
