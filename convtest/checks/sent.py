"""Expectations about what went over the wire: `sent`, and the wire half of `knows`."""

from collections.abc import Iterator
from typing import Any

from convtest.checks.facts import told_version, values_for
from convtest.checks.replies import listed, shown
from convtest.checks.result import Asked, Finding, NotSeen, at_step
from convtest.retention.outcomes import outcome
from convtest.scenario.expectations import SentShape
from convtest.textmatch import contains_value
from convtest.transcript import Transcript, TurnRecord
from convtest.wire.canonical import Canonical, tool_name, tool_schema

_PLAIN = ("model", "temperature", "max_tokens", "top_p", "top_k", "stop_sequences", "thinking", "tool_choice")


def unseen(record: TurnRecord, check: str) -> NotSeen | None:
    """Why the requests of this client cannot be looked at, if they cannot."""
    if record.wire == "history":
        return None
    return NotSeen(check=check, why=f"client {record.client!r} declares wire: {record.wire}")


def sent(asked: Asked) -> Iterator[Finding]:
    """What the turn's last main request fails of `sent`; silent where no request can be seen."""
    if unseen(asked.turn, "sent") is None:
        yield from _sent_findings(asked.turn, asked.wanted)


def _sent_findings(record: TurnRecord, expect: SentShape) -> Iterator[Finding]:
    sent = record.sent()
    if sent is None and record.policy.may_be_unsent(record.turn.prompt):
        return
    if sent is None:
        yield at_step(record, "sent", "wire", "no request was sent in this turn", expected="a request", seen="none")
        return
    for name, wanted, found in _fields(expect, sent):
        if wanted is not None and wanted != found:
            yield _wire(record, f"{name} is not as expected", repr(wanted), repr(found), name)
    text = "\n".join(sent.texts())
    for wanted in listed(expect.contains):
        if wanted not in text:
            yield _wire(record, "the request does not contain the text", wanted, summary(sent), "contains")
    for unwanted in listed(expect.lacks):
        if unwanted in text:
            yield _wire(record, "the request contains what it must not", f"no {unwanted!r}", summary(sent), "lacks")


def _fields(expect: SentShape, sent: Canonical) -> Iterator[tuple[str, Any, Any]]:
    for name in _PLAIN:
        yield name, getattr(expect, name), sent.fields.get(name)
    yield "system", expect.system, sent.system
    yield "messages", expect.messages, len(sent.messages)
    yield "roles", expect.roles, [message.get("role") for message in sent.messages]
    yield "tools", expect.tools, _tools(expect.tools or [], sent)


def _tools(wanted: list[Any], sent: Canonical) -> list[Any]:
    """Those that were offered, each as far as it is asked for."""
    offered = sent.fields.get("tools")
    found: list[Any] = []
    for place, tool in enumerate(offered if isinstance(offered, list) else []):
        name, asked = tool_name(tool), wanted[place] if place < len(wanted) else None
        found.append({name: _as_asked(tool_schema(tool), *asked.values())} if isinstance(asked, dict) else name)
    return found


def _as_asked(schema: Any, wanted: dict[str, Any]) -> Any:
    """The schema, or the type of each of its parameters where only that is asked for."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if wanted.get("type") == "object" or not isinstance(properties, dict):
        return schema
    return {name: one.get("type") if isinstance(one, dict) else one for name, one in properties.items()}


def _wire(record: TurnRecord, message: str, expected: str, seen: str, key: str) -> Finding:
    return at_step(record, "sent", "wire", message, expected=expected, seen=seen, key=f"expect sent {key}")


def summary(sent: Canonical) -> str:
    """The request in one line: how many messages, and the last of them."""
    roles = [str(message.get("role")) for message in sent.messages]
    last = " ".join(sent.texts()[-1:])
    named = ", ".join([*["…"][: len(roles) > 6], *roles[-6:]])
    return f"{len(roles)} message{'s' * (len(roles) != 1)} ({named}), the last: {shown(last, 120)!r}"


def knows(asked: Asked) -> Iterator[Finding]:
    """The current value of each fact is in the request and in the reply."""
    for name in listed(asked.wanted):
        yield from _knows_findings(asked.transcript, asked.turn, name, wire_only=False)


def knows_on_the_wire(asked: Asked) -> Iterator[Finding]:
    """The wire half of `knows`: in the request."""
    for name in listed(asked.wanted):
        yield from _knows_findings(asked.transcript, asked.turn, name, wire_only=True)


def not_knows(asked: Asked) -> Iterator[Finding]:
    """No value of any of the facts is in the request, nor in the reply."""
    for name in listed(asked.wanted):
        yield from _not_knows_findings(asked.transcript, asked.turn, name)


def _knows_findings(transcript: Transcript, record: TurnRecord, name: str, *, wire_only: bool) -> Iterator[Finding]:
    fact = transcript.scenario.facts[name]
    values = values_for(transcript, record, fact)
    current = values.current or ""
    found = outcome(record.text, values)
    said = f"reply ({found}): {shown(record.text, 200)!r}"
    sent = record.sent()
    if record.wire == "history":
        if sent is None and not record.policy.may_be_unsent(record.turn.prompt):
            message = f"no request was sent, so {current!r} cannot be known"
            yield _knows(record, "wire", message, f"a request that holds {current!r}", "none")
            return
        if sent is not None and not any(contains_value(text, current) for text in _remembered(record, sent)):
            if told_version(transcript, record, fact) is None:
                message, advice = f"nobody told {name} in session {record.session!r}", f"put tell: {name} before it"
                yield at_step(record, "knows", None, message, expected=current, seen=said, advice=advice)
                return
            yield _knows(
                record,
                "wire",
                f"the request does not hold {current!r}, the current value of {name}",
                f"{current!r} in the request",
                f"{summary(sent)}; {said}",
                advice="the client lost it: look at the history that it sends",
            )
            return
    if found == "no_reply" and record.end is not None and record.end.ended != "complete":
        return  # how the turn ended says it
    if found != "hit" and not wire_only:
        intact = "the request holds it: the model did not use it" if sent and record.wire == "history" else ""
        message = f"the reply does not give {current!r}, the current value of {name}: {found}"
        yield _knows(record, "reply", message, current, shown(record.text), advice=intact)


def _remembered(record: TurnRecord, sent: Canonical) -> list[str]:
    """The texts in which a fact may be known: those of the last main request; of all requests of the turn where the
    client condenses what was said, and may look it up in a request beside the answer."""
    if record.policy.memory == "condensed":
        return [text for one in [*record.main(), *record.side()] for text in one.canonical.texts()]
    return sent.texts()


def _not_knows_findings(transcript: Transcript, record: TurnRecord, name: str) -> Iterator[Finding]:
    fact = transcript.scenario.facts[name]
    sent = record.sent()
    for value in fact.answers:
        if record.wire == "history" and sent and any(contains_value(text, value) for text in _remembered(record, sent)):
            message = f"the request still holds {value!r}, a value of {name}"
            yield _not_knows(record, "wire", message, f"no {value!r}", summary(sent))
        if contains_value(record.text, value):
            message = f"the reply gives {value!r}, a value of {name}"
            yield _not_knows(record, "reply", message, f"no {value!r}", shown(record.text))


def _knows(record: TurnRecord, layer: Any, message: str, expected: str, seen: str, advice: str = "") -> Finding:
    return at_step(record, "knows", layer, message, expected=expected, seen=seen, advice=advice)


def _not_knows(record: TurnRecord, layer: Any, message: str, expected: str, seen: str) -> Finding:
    return at_step(record, "not", layer, message, expected=expected, seen=seen)
