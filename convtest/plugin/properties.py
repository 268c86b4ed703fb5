"""What an item's report carries to the summary and into JUnit's XML."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from convtest.plugin.state import PROPERTY

if TYPE_CHECKING:
    from convtest.play.perform import Played


def properties_of(outcome: "Played") -> Iterator[tuple[str, object]]:
    """(name, value); times in milliseconds, costs in USD."""
    transcript, verdict = outcome.transcript, outcome.verdict
    usage, usd = transcript.usage(), transcript.usd()
    tokens = usage.prompt_tokens + usage.output_tokens
    facts = {"source": transcript.source, "tokens": tokens, "usd": usd, "unseen": bool(verdict.not_seen)}
    yield PROPERTY, json.dumps(facts | ({"aside": outcome.aside} if outcome.aside else {}))
    yield "convtest_tokens", tokens
    if usd is not None:
        yield "convtest_usd", round(usd, 6)
    first = [turn.first_event_ms for turn in transcript.turns() if turn.first_event_ms is not None]
    if first:
        yield "convtest_first_event_ms", round(max(first), 1)
    layer = next((finding.layer for finding in verdict.findings if finding.layer), None)
    if layer is not None:
        yield "convtest_layer", layer
    for blind in verdict.not_seen:
        yield "convtest_not_seen", f"{blind.check}: {blind.why}"
