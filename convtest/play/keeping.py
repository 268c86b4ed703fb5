"""Where a recording goes: turn by turn beside its cassette, and into it when the item is over."""

from collections.abc import Callable, Sequence
from pathlib import Path

from convtest.cassettes.naming import Names
from convtest.cassettes.store import Cassette
from convtest.checks.result import Verdict
from convtest.errors import ClientError
from convtest.play.partial import Partial
from convtest.play.sources import as_recorded, is_unchanged
from convtest.scenario.digest import digest
from convtest.scenario.model import Scenario
from convtest.structs import Struct
from convtest.transcript import Transcript
from convtest.wire.interaction import Interaction


class Keeping(Struct, frozen=True, kw_only=True):
    """What becomes of what one item records; `before` is what the cassette, or the broken-off recording, held."""

    scenario: Scenario
    cassette: Cassette
    before: tuple[Interaction, ...]
    partial: Partial
    resumed: bool
    names: Callable[[Sequence[Interaction]], Names]
    """What stands in the place of the secrets of what was recorded."""

    def turn(self, transcript: Transcript) -> None:
        """A turn is over: from here on it is not lost, whatever becomes of this process."""
        if transcript.interactions:
            transcript.interactions[0].digest = digest(self.scenario)
            self.partial.save(transcript.interactions, self.names)

    def item(self, transcript: Transcript, verdict: Verdict) -> Path | None:
        """Passed: the cassette. Failed: the cassette if there was none, else `.new` beside it. Broken off: nothing.

        Raises ClientError where the client answered and nothing of it could be recorded.
        """
        if transcript.not_run or any(record.hung or record.crash for record in transcript.records):
            return None
        if not transcript.interactions and any(turn.text and turn.wire == "history" for turn in transcript.turns()):
            raise ClientError(
                "nothing was recorded: the client answered and sent nothing through its transport",
                client=self.scenario.client,
                help="send its requests through opening.transport",
            )
        if self.before and is_unchanged(transcript.interactions, self.before) and not self.resumed:
            self.partial.finish(transcript.interactions)
            return None
        if not verdict.passed and not any(200 <= one.status < 300 for one in transcript.interactions):
            # Nobody answered and nobody expected that: a recording of it would only fail the same way for ever.
            self.partial.finish(transcript.interactions)
            return None
        return self._write(transcript, verdict)

    def _write(self, transcript: Transcript, verdict: Verdict) -> Path:
        fits = verdict.passed or not self.cassette.is_there
        goes_to = self.cassette if fits else self.cassette.for_review
        interactions = as_recorded(transcript.interactions)
        if interactions:
            interactions[0].digest = digest(self.scenario)
        if goes_to is self.cassette and not _judges_times(self.scenario):
            goes_to.renew(interactions, self.names(interactions))
        else:
            goes_to.save(interactions, self.names(interactions))
        self.partial.finish(transcript.interactions)
        if fits:
            self.cassette.for_review.remove()
        return goes_to.path


def _judges_times(scenario: Scenario) -> bool:
    """Whether the verdict depends on when something came: then the times of this run are those to be judged."""
    asked = [step.expect for step in scenario.steps if step.expect is not None]
    budgets = [scenario.budget, *(one.budget for one in asked)]
    waits = [one.retries.after for one in asked if one.retries is not None]
    limits = [limit for one in budgets if one is not None for limit in (one.first_event, one.total)]
    return any(one is not None for one in (*limits, *waits, *(one.check for one in asked)))
