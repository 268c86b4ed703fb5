"""`history`: what the session's next request carries."""

from collections.abc import Iterator

from convtest.checks.fresh import before_prompt, beyond, option_words, usual_opening
from convtest.checks.histories import Seen, follow
from convtest.checks.replies import listed
from convtest.checks.result import Asked, Finding, at_step
from convtest.checks.sent import summary
from convtest.scenario.expectations import HistoryShape
from convtest.transcript import StepRecord, Transcript
from convtest.wire.blocks import request_blocks


def history(asked: Asked) -> Iterator[Finding]:
    """Judged on the step's own request for a turn, else on the next request of the session."""
    transcript, record, wanted = asked.transcript, asked.record, asked.wanted
    if record.error:
        return
    seen = _next_request(transcript, record)
    if seen is None:
        if record.wire == "history" and transcript.missed() is None:
            message = "no request follows in which the history could be seen"
            advice = "add a turn of this session after it"
            yield at_step(record, "history", None, message, expected=str(wanted), seen="none", advice=advice)
        return
    if wanted == "intact" and seen.record.policy.memory != "messages":
        return  # it is not seen, which the verdict says
    if isinstance(wanted, HistoryShape):
        yield from _details(record, wanted, seen)
    elif wanted == "intact":
        yield from _intact(transcript, record, seen)
    else:
        yield from _empty(transcript, record, seen)


def _empty(transcript: Transcript, record: StepRecord, seen: Seen) -> Iterator[Finding]:
    """What stands before the prompt of the request, but for what the client's sessions begin with."""
    before = before_prompt(seen.sent, seen.record.turn.prompt)
    if before is None:
        yield _wire(record, "the turn's own prompt is not in the request", "its prompt alone", summary(seen.sent))
        return
    words = option_words(seen.record.options)
    found = [text for text in before if not any(text and text in one for one in words)]
    found = beyond(found, usual_opening(transcript, seen.record.client))
    if found:
        shown = " | ".join(text[:100] for text in found[:4]) + (" | …" if len(found) > 4 else "")
        count = "1 message stands" if len(found) == 1 else f"{len(found)} messages stand"
        yield _wire(record, f"the history is not empty: {count} before the prompt", "the prompt alone", shown)


def _next_request(transcript: Transcript, record: StepRecord) -> Seen | None:
    start = next(i for i, one in enumerate(transcript.records) if one is record)
    later = {id(one) for one in transcript.records[start:]}
    return next((s for s in follow(transcript) if id(s.record) in later and s.record.session == record.session), None)


def _intact(transcript: Transcript, record: StepRecord, seen: Seen) -> Iterator[Finding]:
    before, found = seen.bound, seen.blocks
    if before is not None and found[: len(before)] != before:
        lost = next((block for block in before if block not in found), None)
        wanted = str(lost) if lost else "the same order"
        yield _wire(record, "the history is not intact", wanted, summary(seen.sent))
    elif before is None:
        texts = [block.text for block in found]
        for turn in transcript.heard(record):
            if not any(turn.turn.prompt.strip() in text for text in texts):
                yield _wire(record, "the history is not intact", repr(turn.turn.prompt), summary(seen.sent))
                return


def _details(record: StepRecord, wanted: HistoryShape, seen: Seen) -> Iterator[Finding]:
    earlier = seen.sent.messages[:-1]
    roles = [message.get("role") for message in earlier]
    if wanted.messages is not None and wanted.messages != len(earlier):
        yield _wire(record, "another number of messages", str(wanted.messages), str(len(earlier)))
    if wanted.roles is not None and wanted.roles != roles:
        yield _wire(record, "other roles", ", ".join(wanted.roles), ", ".join(map(str, roles)))
    text = "\n".join(block.text for block in request_blocks(seen.sent))
    for one in listed(wanted.contains):
        if one not in text:
            yield _wire(record, "the history does not contain the text", one, summary(seen.sent))


def _wire(record: StepRecord, message: str, expected: str, seen: str) -> Finding:
    return at_step(record, "history", "wire", message, expected=expected, seen=seen)
