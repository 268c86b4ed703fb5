"""What one cell of a retention matrix came to, and one trunk: plain records, of which statistics and files are made."""

from typing import Literal

from convtest.structs import Struct

Outcome = Literal["hit", "miss", "stale", "hedged", "confused", "leak", "invented", "no_reply"]
Letter = Literal["H", "M", "S", "G", "C", "L", "F", "N"]
Wire = Literal["P", "C", "A", "-"]
ReplyLayer = Literal["store", "live", ""]

LETTERS: dict[Outcome, Letter] = {
    "hit": "H",
    "miss": "M",
    "stale": "S",
    "hedged": "G",
    "confused": "C",
    "leak": "L",
    "invented": "F",
    "no_reply": "N",
}
"""The letter of each outcome. A question that has no answer (never told, taken back, cleared) is a hit when nothing is
given for an answer: `H` is always what should have come."""

WIRE: dict[Wire, str] = {
    "P": "all that the probe needs stands in the messages",
    "C": "all of it is there, some of it only in a summary",
    "A": "something that it needs is absent",
    "-": "requests are not seen",
}


class Probe(Struct, frozen=True, kw_only=True):
    """One cell, asked once. `id` is the same in every repeat and run: row, family, slot, distance and disturbance."""

    id: str
    family: str
    slot: str
    session: str
    told_at: int
    """The turn of its trunk in which what is asked for was told, counted from 1."""
    after: int
    """Turns of filler between the telling and the question."""
    disturb: str
    """`none`, `kill`, `interrupt@3`, `fork-child` …"""
    row: str
    """The row of the scenario's params, empty where there is none."""
    seed: int
    repeat: int
    """Counted from 1."""
    trunk: str
    """The name of its trunk's item; probes of one trunk, seed and repeat are of one conversation."""
    outcome: Letter
    wire: Wire
    intact: bool = True
    """Whether the wire was as it must be: false is a bug of the client, whatever was answered."""
    prompt_tokens: int = 0
    """Of the request that asked, as its answer reported them, with those read from a cache."""
    reply_layer: ReplyLayer = ""
    """Where the reply comes from: a fork (`store`), or the conversation itself (`live`); empty where none came."""
    leaked: str = ""
    """The session whose value was named where it is another's; empty where there is none, or nobody can say."""

    @property
    def is_hit(self) -> bool:
        return self.outcome == "H"


class Trunk(Struct, frozen=True, kw_only=True):
    """One conversation of a matrix: a client, a row, a seed, a repeat and a disturbance."""

    id: str
    """The name of its item."""
    disturb: str
    row: str
    seed: int
    repeat: int
    model: str
    """As the answers reported it; empty where they did not."""
    prompt_tokens: tuple[int, ...]
    """Of the last request of each turn, in order."""
    disturbed: tuple[int, ...] = ()
    """The turns (from 1) in which or before which the disturbance came."""
    trouble: str = ""
    """Why it could not be played to its end."""
    broken: str = ""
    """What is wrong in the conversation itself, its questions aside, in one line; empty where it holds. It is the
    client's, whatever was answered."""
