"""What this process has seen of how each client begins a session, and who said what in it."""

from collections.abc import Mapping

from convtest.checks.fresh import first_turns, opening_of
from convtest.structs import Struct, field
from convtest.transcript import Transcript
from convtest.wire.blocks import collapsed

_MOST = 1_000
"""Prompts that are kept, the newest."""
_MIN_LETTERS = 12
"""A shorter prompt is said by everybody."""


class Openings(Struct):
    """One process's. `key` tells clients apart that have the same name in different projects."""

    _counts: dict[tuple[str, str], int] = field(default_factory=dict)
    _said: dict[str, str] = field(default_factory=dict)

    def tell(self, transcript: Transcript, key: str, declared: Mapping[str, int | tuple[str, ...]]) -> None:
        """What is known before the item is judged: as the profiles declare it, else as it was seen."""
        seen = {client: count for (project, client), count in self._counts.items() if project == key}
        transcript.openings = {**seen, **declared}
        transcript.elsewhere_said = dict(self._said)

    def learn(self, transcript: Transcript, key: str, item: str) -> None:
        """The first session of a client says how they begin: nobody has told it anything yet."""
        for record in first_turns(transcript):
            before = opening_of(transcript, record)
            if before is not None:
                self._counts.setdefault((key, record.client), len(before))
        for turn in transcript.turns():
            if len(said := collapsed(turn.turn.prompt)) >= _MIN_LETTERS:
                self._said.setdefault(said, item)
        while len(self._said) > _MOST:
            del self._said[next(iter(self._said))]


OPENINGS = Openings()
