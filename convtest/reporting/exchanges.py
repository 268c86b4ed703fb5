"""What was asked and answered, exchange by exchange: the form in which people compare two recordings or snapshots."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from convtest.structs import Struct
from convtest.wire.blocks import Block, blocks_of, collapsed, encoded
from convtest.wire.canonical import Canonical, tool_name
from convtest.wire.interaction import Interaction

_NUMBERED = re.compile(r"  (\d+)\. (.*)")
_NORMAL_STOPS = {None, "end_turn", "tool_use", "stop_sequence"}


HEAD = "about"
"""The title of what stands before the first step."""


class Line(Struct, frozen=True):
    """One thing that was said, or how: `user`, `assistant`, `model` … and its words."""

    label: str
    text: str
    said: bool = True
    """It is part of the conversation; a setting is not."""


class Exchange(Struct, frozen=True):
    """What was asked at once, and what was answered."""

    session: str
    title: str
    lines: tuple[Line, ...]

    @property
    def prompt(self) -> str:
        """What tells it from others of its session."""
        return next((line.text for line in reversed(self.lines) if line.label == "user"), "")


def exchanges_of(interactions: Sequence[Interaction]) -> list[Exchange]:
    """Those of a recording; of each request only what its lane had not sent before."""
    known: dict[str | None, tuple[list[Block], dict[str, str]]] = {}
    found = []
    for one in interactions:
        before, settings = known.get(one.lane, ([], {}))
        blocks = [block for message in one.canonical.messages for block in blocks_of(message)]
        now = _settings(one.canonical)
        lines = [*_changed(settings, now), *_asked(before, blocks), *_answered(one)]
        answer = blocks_of({"role": "assistant", "content": one.reply().get("content") or []})
        known[one.lane] = [*blocks, *answer], now
        title = f"step {one.turn}" if one.turn else f"request {one.number}"
        found.append(Exchange(one.lane or "unknown lane", title, tuple(lines)))
    return found


def _settings(sent: Canonical) -> dict[str, str]:
    """Everything but what was said, as text; each tool stands for itself."""
    found = {"address": f"{sent.method} {sent.url}"}
    for key, value in sent.settings().items():
        if key == "tools" and isinstance(value, list):
            found |= {f"tool {tool_name(tool) or number}": encoded(tool) for number, tool in enumerate(value, 1)}
        elif key == "system" and sent.system:
            found[key] = collapsed(sent.system)
        else:
            found[key] = value if isinstance(value, str) else encoded(value)
    return found


def _changed(before: dict[str, str], now: dict[str, str]) -> Iterator[Line]:
    for key in {**before, **now}:
        if before.get(key) != now.get(key):
            yield Line(key, now.get(key, "(no longer sent)"), said=key == "system" and key in now)


def _asked(before: list[Block], blocks: list[Block]) -> Iterator[Line]:
    same = next((i for i, (a, b) in enumerate(zip(before, blocks, strict=False)) if a != b), None)
    kept = min(len(before), len(blocks)) if same is None else same
    yield from (Line("not sent again", f"{_who(block)}: {block.text}") for block in before[kept:])
    yield from (
        Line("assistant, sent" if block.role == "assistant" else _who(block), block.text) for block in blocks[kept:]
    )


def _who(block: Block) -> str:
    names = {"tool_use": "tool use", "tool_result": "tool result"}
    return names.get(block.kind, block.role)


def _answered(one: Interaction) -> Iterator[Line]:
    message = one.reply()
    for part in message.get("content") or []:
        yield from _part(part)
    if not message and one.body:
        yield Line("answered", one.body.decode("utf-8", "replace"))
    if one.status != 200:
        yield Line("status", str(one.status))
    if one.ended not in (None, "complete"):
        yield Line("ended", str(one.ended))
    if message.get("stop_reason") not in _NORMAL_STOPS:
        yield Line("stopped by", str(message["stop_reason"]))


def _part(part: Any) -> Iterator[Line]:
    if part.get("type") == "thinking" and isinstance(part.get("thinking"), str):
        yield Line("thinking", collapsed(part["thinking"]))
    else:
        yield from (Line(_who(block), block.text) for block in blocks_of({"role": "assistant", "content": [part]}))


def exchanges_in(snapshot: str) -> list[Exchange]:
    """Those of a snapshot's text, whoever wrote it."""
    found: list[Exchange] = []
    session, title, lines = "", HEAD, list[Line]()
    for raw in snapshot.splitlines():
        numbered = _NUMBERED.fullmatch(raw)
        if raw.startswith("session ") or numbered:
            found += _put(session, title, lines, found)
            lines = []
        if raw.startswith("session "):
            session, title = raw.removeprefix("session "), HEAD
        elif numbered:
            title, lines = f"step {numbered[1]}", [_labelled(numbered[2])]
        elif raw.strip():
            lines.append(_labelled(raw.strip().removeprefix("# ")))
    return [*found, *_put(session, title, lines, found)]


def _put(session: str, title: str, lines: Sequence[Line], before: Sequence[Exchange]) -> Iterator[Exchange]:
    """Without what is sent as it was said: the prompt, and the last answer."""
    last = next((one for one in reversed(before) if one.session == session), None)
    said = {("sent assistant", line.text) for line in (last.lines if last else ()) if line.label == "reply"}
    said |= {("sent user", line.text) for line in lines if line.label == "user"}
    kept = tuple(line for line in lines if (line.label, line.text) not in said)
    if kept:
        yield Exchange(session, title, kept)


def _labelled(text: str) -> Line:
    label, between, words = text.partition(": ")
    if not between or len(label) > 24:
        return Line("", text)
    for sign, meaning in (("+ ", "sent"), ("- ", "not sent again")):
        if label.startswith(sign):
            return Line(f"{meaning} {label.removeprefix(sign)}", words)
    return Line(label, words, said=label in {"user", "reply"} or label.split()[:1] in (["call"], ["tool"]))
