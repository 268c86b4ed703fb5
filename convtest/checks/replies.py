"""Expectations about the assistant's text of one turn."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from convtest.checks.result import Finding, at_step
from convtest.checks.schemas import violations
from convtest.scenario.grammar import ExpectShape
from convtest.transcript import TurnRecord


def listed(value: Any) -> list[Any]:
    """A list under a key means all of it."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def shown(text: str, limit: int = 300) -> str:
    """Text for a report, cut in the middle of nowhere only when it must be."""
    text = text.strip() or "(no text)"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def reply_findings(record: TurnRecord, expect: ExpectShape) -> Iterator[Finding]:
    """What the text fails of contains, lacks, matches, equals, one_of, json and json_schema."""
    text = record.text
    for wanted in listed(expect.contains):
        if wanted not in text:
            yield _reply(record, "contains", "the reply does not contain the text", wanted, text)
    for unwanted in listed(expect.lacks):
        if unwanted in text:
            yield _reply(record, "lacks", "the reply contains what it must not", f"no {unwanted!r}", text)
    for pattern in listed(expect.matches):
        if not re.search(pattern, text):
            yield _reply(record, "matches", "the reply does not match the pattern", pattern, text)
    if expect.equals is not None and text.strip() != expect.equals.strip():
        yield _reply(record, "equals", "the reply is not the text", expect.equals, text)
    if expect.one_of is not None and text.strip() not in [one.strip() for one in expect.one_of]:
        yield _reply(record, "one_of", "the reply is none of the texts", " | ".join(expect.one_of), text)
    if expect.json is not None or expect.json_schema is not None:
        yield from _json_findings(record, expect.json or {}, expect.json_schema)


def _reply(record: TurnRecord, check: str, message: str, expected: str, text: str) -> Finding:
    return at_step(record, check, "reply", message, expected=expected, seen=shown(text))


def _json_findings(record: TurnRecord, wanted: dict[str, Any], schema: dict[str, Any] | None) -> Iterator[Finding]:
    text = re.sub(r"^```\w*\n|\n?```$", "", record.text.strip())
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        check = "json" if wanted else "json_schema"
        yield _reply(record, check, f"the reply is not JSON: {error}", "JSON", record.text)
        return
    for path, expected in wanted.items():
        found = at_path(value, path)
        if found != expected:
            yield _reply(record, "json", f"{path} differs", repr(expected), "nothing" if found is None else repr(found))
    if schema is not None:
        for asked, seen in violations(value, schema, record.step.place_of("expect", "json_schema")):
            yield _reply(record, "json_schema", "the reply does not fit the schema", asked, seen)


def at_path(value: Any, path: str) -> Any:
    """What stands at `a.b[0].c`; None where nothing does."""
    for part in re.findall(r"[^.\[\]]+|\[\d+\]", path):
        if part.startswith("["):
            index = int(part[1:-1])
            value = value[index] if isinstance(value, list) and index < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value
