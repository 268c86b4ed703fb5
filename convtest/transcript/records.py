"""What happened at each step: its turn with everything that was streamed back and sent, or its act."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from convtest.events import Event, ToolResult, ToolUse, TurnEnd, Usage, text_of
from convtest.policy import Policy
from convtest.scenario.model import Act, Disturbance, Step, Turn
from convtest.structs import Struct, field
from convtest.wire.canonical import Canonical
from convtest.wire.interaction import Interaction
from convtest.wire.messages_api import text_of_content


class Refusal(Struct, kw_only=True):
    """A client's named error at a step."""

    code: str
    message: str


class StepRecord(Struct, kw_only=True):
    """What happened at one step."""

    step: Step
    session: str
    client: str = ""
    wire: str = "history"
    policy: Policy = field(default_factory=Policy)
    sends: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the session's client was given."""
    session_id: str | None = None
    session_id_before: str | None = None
    error: Refusal | None = None
    crash: str = ""
    """An exception that the client should not have let out, with its place."""
    hung: str = ""
    """The last thing seen before the step ran out of time."""
    files: Mapping[str, str | None] = field(default_factory=dict)
    """Texts of the files that the step expects, None for one that is not there."""


class ActRecord(StepRecord, kw_only=True):
    """An act on a session."""

    @property
    def act(self) -> Act:
        assert isinstance(self.step, Act)
        return self.step


class TurnRecord(StepRecord, kw_only=True):
    """One user message and everything streamed back. Times are milliseconds since the message was handed over."""

    events: list[Event] = field(default_factory=list)
    late: list[Event] = field(default_factory=list)
    """Events after the turn end."""
    first_event_ms: float | None = None
    reader_left: bool = False
    """Whoever read what an application answers left in the middle; the application's own connections stayed."""
    total_ms: float | None = None
    unreached: list[Disturbance] = field(default_factory=list)
    read_before: bool = False
    """The client had read the whole answer when something was done to it."""
    interactions: list[Interaction] = field(default_factory=list)
    """What was sent in the session's lane during the turn."""
    span: tuple[int, int] = (0, 0)
    """The numbers of the last request before the turn, and of the last one while it ran."""
    borrowed: list[Interaction] = field(default_factory=list)
    """Where nothing was sent in its own lane: what idle lanes sent while the turn ran."""
    chosen: "tuple[Interaction, ...] | None" = None
    """The requests of the conversation, once all of it has been read; until then `main` guesses."""
    astray: "tuple[Interaction, ...]" = ()
    """Requests that ask as the conversation does, end in the prompt, and do not carry it."""
    unsure: bool = False
    """Several requests may be the conversation's, and nothing tells which."""
    price: Callable[[str, Usage], float | None] = lambda model, usage: None
    """What tokens of a model cost in USD, None where that is not known."""

    @property
    def turn(self) -> Turn:
        assert isinstance(self.step, Turn)
        return self.step

    _read: "tuple[tuple[int, int, int], str, TurnEnd | None] | None" = None
    """The text and the end, of which events."""

    @property
    def text(self) -> str:
        return self._events()[0]

    @property
    def end(self) -> TurnEnd | None:
        return self._events()[1]

    def _events(self) -> tuple[str, TurnEnd | None]:
        """The text and the end, looked for where events were added: checks ask some hundred times a turn."""
        events = self.events
        which = id(events), len(events), id(events[-1]) if events else 0
        if self._read is None or self._read[0] != which:
            end = next((event for event in events if isinstance(event, TurnEnd)), None)
            self._read = which, text_of(events), end
        return self._read[1:]

    @property
    def usage(self) -> Usage:
        """As the client reports it; as the model did on the wire, where the client reports none."""
        told = self.end.usage if self.end else Usage()
        return told if told != Usage() else sum((used for _, used in self._used() if used), Usage())

    @property
    def usd(self) -> float | None:
        """The cost as the client reports it, or by the price of what passed on the wire; None where neither tells."""
        if self.end is not None and self.end.usd is not None:
            return self.end.usd
        costs = [None if used is None else self.price(model, used) for model, used in self._used()]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if costs and len(known) == len(costs) else None

    def models(self) -> list[str]:
        """Those that were asked on the wire."""
        return list(dict.fromkeys(model for model, _ in self._used()))

    def _used(self) -> list[tuple[str, Usage | None]]:
        """The model and the tokens of each request, None where its answer does not tell."""
        seen = self.interactions or self.borrowed
        return [(str(one.canonical.fields.get("model", "")), one.usage()) for one in seen]

    @property
    def calls(self) -> list[ToolUse]:
        return [event for event in self.events if isinstance(event, ToolUse)]

    @property
    def results(self) -> list[ToolResult]:
        return [event for event in self.events if isinstance(event, ToolResult)]

    @property
    def disturbed(self) -> bool:
        """The turn did not run to its own end."""
        done = [one for one in self.turn.disturbances if not one.is_gentle]
        return bool(done) or self.end is None or self.end.ended != "complete"

    def main(self) -> list[Interaction]:
        """The requests that are the conversation; the others are side requests."""
        return list(self.chosen) if self.chosen is not None else self.guessed()

    def guessed(self) -> list[Interaction]:
        """By the turn alone: what was yielded, or refused with the prompt in it; else what ends in the prompt."""
        seen = self.interactions or self.borrowed
        main = [one for one in seen if self.yielded(one) or (_refused(one) and _holds(one.canonical, self))]
        return main or [one for one in seen if ends_in(one.canonical, self)]

    def yielded(self, one: Interaction) -> bool:
        """Whether the client yielded what answered this request."""
        content = one.reply().get("content") or []
        ids = {call.id for call in self.calls}
        if any(block.get("type") == "tool_use" and block.get("id") in ids for block in content):
            return True
        text, said = text_of_content(content).strip(), self.text.strip()
        return bool(text and said) and (text in said or said.startswith(text) or text.startswith(said))

    def side(self) -> list[Interaction]:
        """Titles, counts and the like."""
        main = self.main()
        return [one for one in self.interactions or self.borrowed if one not in main]

    def sent(self) -> Canonical | None:
        """The turn's last main request."""
        return main[-1].canonical if (main := self.main()) else None


def _refused(one: Interaction) -> bool:
    return one.missed or not 200 <= one.status < 300


def _holds(sent: Canonical, record: TurnRecord) -> bool:
    """A text block of the user is just the prompt: titles and the like only quote it."""
    prompt = record.turn.prompt.strip()
    blocks = [b for m in sent.messages if m.get("role") == "user" for b in m.get("content") or []]
    return any(isinstance(b, dict) and str(b.get("text", "")).strip() == prompt for b in blocks)


def ends_in(sent: Canonical, record: TurnRecord) -> bool:
    """Whether the request's last message is the turn's prompt, or brings tool results."""
    if not sent.messages or not isinstance(sent.messages[-1].get("content"), list):
        return False
    last: Sequence[Any] = sent.messages[-1]["content"]
    if any(isinstance(block, dict) and block.get("type") == "tool_result" for block in last):
        return True
    return any(isinstance(b, dict) and record.turn.prompt.strip() in str(b.get("text", "")) for b in last)


class Carried(Struct):
    """A stand-in tool was carried out once, for a session in a step; `answer`: its text, and whether it is an error."""

    session: str
    step: int
    name: str
    arguments: str
    answer: tuple[str, bool] = ("", False)
