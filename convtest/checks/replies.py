"""Expectations about the assistant's text of one turn."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from convtest.checks.result import Asked, Finding, at_step
from convtest.checks.schemas import violations
from convtest.limits import within


def listed(value: Any) -> list[Any]:
    """A list under a key means all of it."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def shown(text: str, limit: int = 300) -> str:
    """Text for a report, cut in the middle of nowhere only when it must be."""
    text = text.strip() or "(no text)"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def contains(asked: Asked) -> Iterator[Finding]:
    """Every text stands in the reply."""
    for wanted in listed(asked.wanted):
        if wanted not in asked.turn.text:
            yield _reply(asked, "contains", "the reply does not contain the text", wanted)


def lacks(asked: Asked) -> Iterator[Finding]:
    """No text does."""
    for unwanted in listed(asked.wanted):
        if unwanted in asked.turn.text:
            yield _reply(asked, "lacks", "the reply contains what it must not", f"no {unwanted!r}")


def matches(asked: Asked) -> Iterator[Finding]:
    """Every regular expression is found in the reply."""
    for pattern in listed(asked.wanted):
        if not _is_found(pattern, asked):
            yield _reply(asked, "matches", "the reply does not match the pattern", pattern)


def _is_found(pattern: str, asked: Asked) -> bool:
    # Before the limit of all judging, which could not say which pattern it is.
    seconds = asked.transcript.scenario.timeout / 2
    place = at_step(asked.record, "matches", None, "").place
    what = f"{place.line_only}: matching the pattern {pattern!r} against a reply of {len(asked.turn.text):,} characters"
    with within(seconds, what, "rewrite it so that what is repeated cannot match the same text in two ways"):
        return re.search(pattern, asked.turn.text) is not None


def equals(asked: Asked) -> Iterator[Finding]:
    """The reply is the text, white space at its ends apart."""
    if asked.turn.text.strip() != asked.wanted.strip():
        yield _reply(asked, "equals", "the reply is not the text", asked.wanted)


def one_of(asked: Asked) -> Iterator[Finding]:
    """The reply is one of the texts."""
    if asked.turn.text.strip() not in [one.strip() for one in asked.wanted]:
        yield _reply(asked, "one_of", "the reply is none of the texts", " | ".join(asked.wanted))


def json(asked: Asked) -> Iterator[Finding]:
    """The reply is JSON, and holds the values at their paths."""
    value = _decoded(asked)
    if isinstance(value, msgspec.DecodeError):
        yield _no_json(asked, "json", value)
        return
    for path, expected in asked.wanted.items():
        found = at_path(value, path)
        if found != expected:
            seen = "nothing" if found is None else repr(found)
            yield at_step(asked.record, "json", "reply", f"{path} differs", expected=repr(expected), seen=shown(seen))


def json_schema(asked: Asked) -> Iterator[Finding]:
    """The reply is JSON that fits the schema."""
    value = _decoded(asked)
    if isinstance(value, msgspec.DecodeError):
        if not asked.expect.json:  # which says so itself
            yield _no_json(asked, "json_schema", value)
        return
    place = asked.record.step.place_of("expect", "json_schema")
    for wanted, seen in violations(value, asked.wanted, place):
        message = "the reply does not fit the schema"
        yield at_step(asked.record, "json_schema", "reply", message, expected=wanted, seen=shown(seen))


def _reply(asked: Asked, check: str, message: str, expected: str) -> Finding:
    return at_step(asked.record, check, "reply", message, expected=expected, seen=shown(asked.turn.text))


def _decoded(asked: Asked) -> Any:
    """The value, or the error that tells why it is none."""
    text = re.sub(r"^```\w*\n|\n?```$", "", asked.turn.text.strip())
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        return error


def _no_json(asked: Asked, check: str, error: msgspec.DecodeError) -> Finding:
    return _reply(asked, check, f"the reply is not JSON: {error}", "JSON")


def at_path(value: Any, path: str) -> Any:
    """What stands at `a.b[0].c`; None where nothing does."""
    for part in re.findall(r"[^.\[\]]+|\[\d+\]", path):
        if part.startswith("["):
            index = int(part[1:-1])
            value = value[index] if isinstance(value, list) and index < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value
