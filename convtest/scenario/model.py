"""A scenario as the runner and the checks see it: everything resolved, every step with its place."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from convtest.errors import Place
from convtest.scenario.disturbances import KINDS
from convtest.scenario.expectations import BudgetShape, ExpectShape
from convtest.scenario.grammar import Point as PointName
from convtest.scenario.grammar import SimulateShape, XfailShape
from convtest.scenario.nodes import Mapping as MappingNode
from convtest.scenario.nodes import Node
from convtest.structs import Struct, field

if TYPE_CHECKING:
    from convtest.retention.matrix import Matrix

ActKind = Literal[
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
]


class Version(Struct, frozen=True):
    """One value of a slot, with the words that tell it."""

    tell: str
    answer: str


class Fact(Struct, frozen=True, kw_only=True):
    """A slot: its values oldest first, and the question that asks for the current one."""

    name: str
    ask: str
    versions: tuple[Version, ...]
    unique: bool = False

    @property
    def answers(self) -> tuple[str, ...]:
        return tuple(version.answer for version in self.versions)


class Answer(Struct, frozen=True, kw_only=True):
    when: Mapping[str, Any] | None
    value: Any
    error: str | None


class StandIn(Struct, frozen=True, kw_only=True):
    """A stand-in tool: offered to the model, answered from the scenario."""

    name: str
    description: str
    input: Mapping[str, Any]
    answers: tuple[Answer, ...]


class Disturbance(Struct, frozen=True, kw_only=True):
    """Something done in mid-turn: as soon as `after` events were yielded (on the wire: delivered), or at a point."""

    do: str = "interrupt"
    after: int | None = None
    at: PointName | None = None
    status: int = 0
    times: int = 1
    seconds: float | None = None
    """Done so long after the prompt was sent, in place of `after`; with `at`, nothing is answered before it."""
    retry_after: float | None = None
    """Seconds, in the header of that name."""
    pause: float = 0.05
    """Seconds that a slow reader takes for each event."""
    new: str | None = None
    """The session that a fork begins."""

    @property
    def on_the_wire(self) -> bool:
        return self.do in KINDS and KINDS[self.do].on_the_wire

    @property
    def is_gentle(self) -> bool:
        """The turn runs to its own end all the same."""
        return self.do == "slow"

    def __str__(self) -> str:
        if self.do == "status":
            return f"status {self.status}" + (f" after answer {self.after}" if self.after else "")
        if self.seconds is not None:
            return f"{self.do} after {self.seconds:g}s" + (f" at {self.at}" if self.at else "")
        return f"{self.do} after {self.after}" if self.at is None else f"{self.do} at {self.at}"


class SessionSpec(Struct, frozen=True, kw_only=True):
    name: str
    client: str
    options: Mapping[str, Any]
    cwd: str = ""
    """The folder below the workspace in which it works."""
    history: tuple[tuple[str, str], ...] = ()
    """(role, text) of each message already said."""


class StepBase(Struct, frozen=True, kw_only=True):
    index: int
    """Counts from 1 in the order of playing, repeats unrolled."""
    session: str
    id: str | None
    expect: ExpectShape | None
    options: Mapping[str, Any]
    place: Place
    node: MappingNode
    group: tuple[int, int] | None = None
    """(which `together`, which of its branches)."""
    within: int | None = None
    """The index of the turn while which it runs (`during`)."""

    def place_of(self, *keys: str) -> Place:
        """The place of an entry of this step, or of the nearest thing around it."""
        return place_in(self.node, keys)


class Turn(StepBase, frozen=True, kw_only=True):
    prompt: str
    tells: tuple[str, int] | None = None
    """The fact told and which of its values, counted from 0."""
    asks: str | None = None
    disturbances: tuple[Disturbance, ...] = ()
    simulate: tuple[SimulateShape, ...] = ()
    boundary: Literal["clear", "compact"] | None = None
    during: Disturbance | None = None
    """Where in the turn the steps that follow with `within` run."""

    @property
    def label(self) -> str:
        return f"user: {self.prompt}"


class Act(StepBase, frozen=True, kw_only=True):
    kind: ActKind
    target: str
    """The session named behind the step's key."""
    new: str | None = None
    """The session that `as` names."""
    session_id: str | None = None
    at: int | None = None
    """Fork here: how many turns of the session to keep."""

    @property
    def label(self) -> str:
        return f"{self.kind}: {self.target}" + (f" as {self.new}" if self.new else "")


Step = Turn | Act


class Point(Struct, frozen=True, kw_only=True):
    """Where a sweep disturbs its turn."""

    do: str
    after: int | None
    """Events yielded before it (on the wire: delivered; for a status: answers given); None for one before the
    request or after the turn."""
    kind: str
    """What kind of event came last: `request`, `text` …, `end`; on the wire the type of the server's event. Before any:
    `before_request`."""
    ms: int | None = None
    """Where the client is elsewhere: so many milliseconds after the prompt, before anything is answered."""
    last: bool = False
    """The turn's end may come first: only that is left, or the client may miss what comes so early."""
    base: str = ""
    """The name of the item that is swept."""
    turn: int = 0
    """The index of the swept turn."""

    @property
    def between(self) -> bool:
        """It comes after the turn."""
        return self.after is None and self.kind != "before_request"

    @property
    def label(self) -> str:
        later = f"+{self.ms}ms" if self.ms else ""
        return f"{self.do}@{self.kind}{later}" if self.after is None else f"{self.do}@{self.after}-{self.kind}"


class Sweep(Struct, frozen=True, kw_only=True):
    """The turn that is to be disturbed at every event, by what, and the steps of the item that does so at a point."""

    turn: "Turn"
    disturb: tuple[str, ...]
    at: str
    steps_at: Callable[[Point], tuple["Step", ...]]


class Scenario(Struct, frozen=True, kw_only=True):
    """One pytest item: a scenario with one row of its params and one client."""

    title: str
    id: str
    name: str
    """The item's name: the id, with client and row where there are several."""
    row: str
    client: str
    first_client: bool
    file: Path
    place: Place
    tags: tuple[str, ...]
    fixtures: tuple[str, ...]
    """pytest fixtures to set up around the item."""
    timeout: float
    """Seconds for any one step."""
    options: Mapping[str, Any]
    files: Mapping[str, str]
    sessions: Mapping[str, SessionSpec]
    facts: Mapping[str, Fact]
    tools: tuple[StandIn, ...]
    steps: tuple[Step, ...]
    skipped_invariants: frozenset[str]
    skip: str | None
    xfail: XfailShape | None
    budget: BudgetShape | None
    snapshot: bool
    node: MappingNode
    cassette: Path | None = None
    """A read-only recording that is played in place of the scenario's own."""
    unplayed: int = 0
    """How many recorded interactions may be left over."""
    sweep: "Sweep | None" = None
    """One of its turns is to be disturbed at every event."""
    retention: "Matrix | None" = None
    """Its questions about what was told, over distance and disturbance."""
    trunk: bool = False
    """It is a conversation of a matrix."""
    point: "Point | None" = None
    """Where this item disturbs the swept turn, if it is a point of a sweep."""
    warnings: tuple[str, ...] = field(default=())

    @property
    def recording(self) -> str:
        """The name of the item whose cassette it plays: its own, or that of the scenario it is a point of."""
        return self.point.base if self.point is not None else self.name

    @property
    def wants_snapshot(self) -> bool:
        if self.point is not None:
            return False
        return self.snapshot or any(step.expect is not None and step.expect.snapshot for step in self.steps)

    def place_of(self, *keys: str) -> Place:
        return place_in(self.node, keys)


def place_in(node: Node, keys: tuple[str, ...]) -> Place:
    """The place of the key named by the path, or of the nearest one around it."""
    place = node.place
    for key in keys:
        if not isinstance(node, MappingNode) or key not in node.entries:
            break
        place = node.keys[key]
        node = node.entries[key]
    return place
