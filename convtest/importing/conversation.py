"""A conversation from elsewhere, whatever format it was in: what readers make, and what scenarios are made of."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from convtest.structs import Struct, field
from convtest.wire.interaction import Interaction

Api = Literal["messages", "chat", "responses", ""]
"""Which API the recorded requests speak; empty where no request is recorded."""


class Call(Struct, kw_only=True):
    """One tool use, and what came of it as far as that is known."""

    id: str
    name: str
    input: Mapping[str, Any]
    result: str | None = None
    """None where nobody wrote down what the tool answered."""
    is_error: bool = False


class Round(Struct, kw_only=True):
    """One answer of the model."""

    text: str = ""
    thinking: str = ""
    calls: list[Call] = field(default_factory=list)
    stop: str = ""
    """Its stop reason in the words of the Messages API."""
    interaction: Interaction | None = None
    """The recorded request and answer, where they are there."""
    status: int = 200
    """What the request was answered with; 400 and more is a refusal."""

    @property
    def refused(self) -> bool:
        return self.status >= 400


class Turn(Struct, kw_only=True):
    """One prompt and all that was answered to it."""

    prompt: str
    rounds: list[Round] = field(default_factory=list)
    interrupted: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What its first request asks with: the body's keys but for messages, tools and how it is streamed."""
    lost: bool = False
    """Something that was said in it cannot be said in a scenario; the conversation's notes say what."""

    @property
    def text(self) -> str:
        """All that the assistant said."""
        return "\n".join(one.text for one in self.rounds if one.text)

    @property
    def calls(self) -> list[Call]:
        return [call for one in self.rounds for call in one.calls]

    @property
    def is_plain(self) -> bool:
        """Words on both sides and nothing else: such a turn can be declared as history."""
        words = len(self.rounds) == 1 and bool(self.rounds[0].text.strip()) and not self.rounds[0].refused
        return words and not self.calls and not self.rounds[0].thinking and not self.lost and not self.interrupted

    @property
    def is_recorded(self) -> bool:
        """Its answers are there as they were streamed."""
        return bool(self.rounds) and all(one.interaction is not None for one in self.rounds)


class ToolSpec(Struct, kw_only=True):
    """A tool as the model was told of it."""

    name: str
    description: str = ""
    schema: Mapping[str, Any] | None = None


class Conversation(Struct, kw_only=True):
    """What one session said and heard."""

    where: str
    """Where in the file it stands, in words: `line 3`, `requests 1, 2 and 5`."""
    title: str = ""
    api: Api = ""
    system: str = ""
    tools: list[ToolSpec] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What of it was left out or changed, and why."""

    @property
    def recorded_from(self) -> int | None:
        """How many turns are known only from later requests, where all others are recorded; None if some are not."""
        first = next((n for n, turn in enumerate(self.turns) if turn.is_recorded), None)
        whole = first is not None and all(turn.is_recorded for turn in self.turns[first:])
        return first if whole else None

    @property
    def interactions(self) -> Iterator[Interaction]:
        for turn in self.turns:
            yield from (one.interaction for one in turn.rounds if one.interaction is not None)


class Found(Struct, kw_only=True):
    """What a file holds."""

    format: str
    """In words: `a cassette of vcrpy`."""
    conversations: list[Conversation] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """What is no conversation, or could not be read, and why; a line each."""


def shown(text: object, most: int = 60) -> str:
    """Words of a file as a terminal may show them: on one line, cut, control characters escaped."""
    line = " ".join(str(text)[: most * 8].split())
    cut = line if len(line) <= most else f"{line[: most - 1]}…"
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in cut)


def grouped(lines: list[str]) -> list[str]:
    """Equal lines as one, with how many they were."""
    counted = {line: lines.count(line) for line in dict.fromkeys(lines)}
    return [line if count == 1 else f"{line} ({count} times)" for line, count in counted.items()]
