"""What every request of a client carries beside its messages: as `convtest probe` writes it down, and as it is sent."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from typing import Any
from urllib.parse import urlsplit

import msgspec

from convtest.checks.result import Finding, at_step
from convtest.transcript import Transcript, TurnRecord
from convtest.wire.blocks import collapsed
from convtest.wire.canonical import tool_name
from convtest.wire.interaction import Interaction

NAMES = (
    "model", "system", "tools", "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens",
    "stop_sequences", "stop", "thinking", "tool_choice", "response_format", "query", "headers",
)  # fmt: skip
"""What a profile may declare under `sends`."""
_HEADERS = ("anthropic-version", "anthropic-beta", "openai-beta")
_LONG = 100
"""Letters of a text that is written down as its digest."""


def carried(one: Interaction) -> dict[str, Any]:
    """By name: short texts, numbers and lists of texts as they are, else a digest; `tools` and `headers` by name."""
    sent = one.canonical
    tools = sent.fields.get("tools")
    found = {
        **{name: sent.fields.get(name) for name in NAMES},
        "system": collapsed(sent.system),
        "tools": {tool_name(tool): _digest(tool) for tool in tools} if isinstance(tools, list) else {},
        "query": urlsplit(sent.url).query,
        "headers": {name.lower(): value for name, value in one.request.headers if name.lower() in _HEADERS},
    }
    return {
        name: value if name in {"tools", "headers"} else _brief(value)
        for name, value in found.items()
        if value not in (None, "", [], {})
    }


def common(requests: Iterable[Interaction], but_for: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What all of these carry, without tools of these names."""
    every = [carried(one) for one in requests]
    shared = reduce(_shared, every) if every else {}
    tools = {name: value for name, value in shared.get("tools", {}).items() if _bare(name) not in but_for}
    return {name: value for name, value in {**shared, "tools": tools}.items() if value not in ({}, None)}


def sends(transcript: Transcript) -> Iterator[Finding]:
    """A turn's last main request carries what the client's profile says that every one does; tools of the scenario are
    its own."""
    stand_ins = frozenset(tool.name for tool in transcript.scenario.tools)
    for record in transcript.turns():
        for one in record.main()[-1:] if record.sends else ():
            for name, wanted, found in _lacking(record.sends, carried(one), stand_ins):
                yield _finding(record, name, wanted, found)


def _lacking(
    declared: Mapping[str, Any], found: Mapping[str, Any], but_for: frozenset[str]
) -> Iterator[tuple[str, Any, Any]]:
    for name, wanted in declared.items():
        if not isinstance(wanted, Mapping):
            if found.get(name) != wanted:
                yield name, wanted, found.get(name)
            continue
        there = found.get(name, {})
        for key, value in wanted.items():
            if there.get(key) != value and not (name == "tools" and _bare(key) in but_for):
                yield f"{name} {key}", value, there.get(key)


def _finding(record: TurnRecord, name: str, wanted: Any, found: Any) -> Finding:
    return at_step(
        record,
        "settings",
        "wire",
        f"{name} is not what every request of this client carries" if found is not None else f"{name} is not sent",
        expected=str(wanted),
        seen="nothing" if found is None else str(found),
        advice=f"if the client changed on purpose, measure it again: convtest probe {record.client}",
        key="user",
    )


def _shared(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    tables = {name for name, value in one.items() if isinstance(value, Mapping) and name in other}
    same = {name: value for name, value in one.items() if name not in tables and other.get(name) == value}
    return same | {name: dict(one[name].items() & other[name].items()) for name in tables}


def _brief(value: Any) -> Any:
    short = isinstance(value, str) and len(value) <= _LONG
    texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return value if short or texts or isinstance(value, int | float) else _digest(value)


def _digest(value: Any) -> str:
    encoded = msgspec.json.encode(value, order="deterministic")
    return f"sha256:{hashlib.sha256(encoded).hexdigest()[:12]}"


def _bare(tool: str) -> str:
    """Without the server that offers it."""
    return tool.rpartition("__")[2]
