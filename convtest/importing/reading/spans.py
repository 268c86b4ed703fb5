"""OpenTelemetry spans and logs of calls to models: OTLP's JSON, and the flat forms that exporters print.

Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/. What was asked and answered stands in attributes or in
events; `gen_ai_values` reads both.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from convtest.cassettes.naming import Names
from convtest.importing.conversation import Found, shown
from convtest.importing.reading.content import Content, NotImportable
from convtest.importing.reading.exchanges import Exchange
from convtest.importing.reading.gen_ai_values import (
    HINTS,
    answer_in,
    asked_in,
    events_of,
    plain_attributes,
    system_in,
    tools_in,
)
from convtest.importing.reading.threads import conversations_of
from convtest.structs import Struct, field


class _Span(Struct, kw_only=True):
    name: str
    id: str
    began: str
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


def recognises(content: Content) -> bool:
    """OTLP, or objects with gen_ai attributes."""
    for _, data in content.rows[:2000]:
        if isinstance(data, dict) and any(key in data for key in _HOLDERS if key.startswith("resource")):
            return True
        if any(_speaks(one) for one in _flat(data)):
            return True
    return False


def read(content: Content, file: str, names: Names) -> Found:
    """Its conversations. Raises NotImportable."""
    spans = _with_logs([one for _, data in content.without_secrets(names).rows for one in _spans(data)])
    spans.sort(key=lambda one: (len(one.began), one.began))
    exchanges: list[Exchange] = []
    left_out: list[str] = []
    for number, one in enumerate(spans, 1):
        made = _exchange(one, number)
        if isinstance(made, str):
            left_out.append(f"span '{shown(one.name or one.id, 40)}' {made}")
        else:
            exchanges.append(made)
    if not exchanges and not left_out:
        raise NotImportable(file, "OpenTelemetry data in which no model is asked for anything")
    conversations, beside = conversations_of(exchanges, "span")
    return Found(
        format=f"OpenTelemetry, {len(spans)} spans", conversations=conversations, left_out=[*left_out, *beside]
    )


def _exchange(one: _Span, number: int) -> Exchange | str:
    """What was asked and answered in a span, or why that is not known."""
    if not any(key.startswith(HINTS) for key in one.attributes) and not any(
        name.startswith(HINTS) for name, _ in one.events
    ):
        return "asks no model"
    messages = asked_in(one.attributes, one.events)
    if not messages:
        return "does not hold what was asked: its exporter was told to leave out the content, or it is no request"
    reply = answer_in(one.attributes, one.events)
    return Exchange(
        number=number,
        settings={},
        system=system_in(one.attributes, one.events),
        tools=tuple(tools_in(one.attributes)),
        messages=[message for message in messages if message.get("role") != "system"],
        own=[message for message in messages if message.get("role") != "system"],
        reply=reply,
    )


def _spans(data: Any) -> Iterator[_Span]:
    """In any form."""
    for one in _flat(data):
        if not isinstance(one, dict):
            continue
        context = one.get("context") if isinstance(one.get("context"), dict) else {}
        attributes = plain_attributes(one.get("attributes"))
        yield _Span(
            name=str(
                one.get("name") or one.get("eventName") or one.get("event_name") or attributes.get("event.name", "")
            ),
            id=_text(one, "spanId", "span_id") or _text(context or {}, "span_id", "spanId"),
            began=_text(one, "startTimeUnixNano", "start_time", "startTime", "timeUnixNano", "timestamp"),
            attributes={**attributes, **_body(one)},
            events=list(events_of(one.get("events"))),
        )


def _text(holder: Mapping[str, Any], *keys: str) -> str:
    return next((str(holder[key]) for key in keys if holder.get(key) not in (None, "")), "")


def _body(one: Mapping[str, Any]) -> dict[str, Any]:
    """Log records have what was said in their body."""
    body = one.get("body")
    if body is None:
        return {}
    made = plain_attributes([{"key": "body", "value": body}]) if _is_otlp(body) else {"body": body}
    return {"body": made.get("body")}


def _is_otlp(value: Any) -> bool:
    return isinstance(value, dict) and any(key.endswith("Value") for key in value)


def _flat(data: Any) -> list[Any]:
    """The spans and log records of OTLP's nested form; what is flat stays as it is."""
    waiting, found = deque([data]), list[Any]()
    while waiting:
        now = waiting.popleft()
        holds = [key for key in _HOLDERS if isinstance(now, dict) and isinstance(now.get(key), list)]
        if holds:
            waiting += [one for key in holds for one in now[key]]
        elif isinstance(now, list):
            waiting += now
        else:
            found.append(now)
    return found


_HOLDERS = ("resourceSpans", "resource_spans", "scopeSpans", "scope_spans", "spans", "instrumentationLibrarySpans",
            "resourceLogs", "resource_logs", "scopeLogs", "scope_logs", "logRecords", "log_records")  # fmt: skip
"""Keys under which OTLP's nested form holds others, as its two JSON spellings have them."""


def _speaks(one: Any) -> bool:
    """Whether there is anything of a model in it."""
    if not isinstance(one, dict):
        return False
    names = [name for name, _ in events_of(one.get("events"))]
    own = [str(one.get(key)) for key in ("eventName", "event_name", "name") if one.get(key)]
    return any(key.startswith(HINTS) for key in [*plain_attributes(one.get("attributes")), *names, *own])


def _with_logs(found: Sequence[_Span]) -> list[_Span]:
    """Log records count as events of the span that they name; those of no span are one together."""
    spans = {one.id: one for one in found if one.id and not one.name.startswith("gen_ai.")}
    kept = [one for one in found if not one.name.startswith("gen_ai.")]
    for one in found:
        if not one.name.startswith("gen_ai."):
            continue
        if one.id not in spans:
            spans[one.id] = _Span(name="", id=one.id, began=one.began, attributes={})
            kept.append(spans[one.id])
        body = one.attributes.get("body")
        said = {**one.attributes, **(body if isinstance(body, dict) else {})}
        spans[one.id].events.append((one.name, said))
    return kept
