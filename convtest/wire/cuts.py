"""Turns that a client cut short: what it keeps of their answers may be any beginning of them, or nothing."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from convtest.wire.canonical import Canonical
from convtest.wire.neighbours import joined


@dataclass(frozen=True, slots=True)
class Cut:
    """A turn that the client cut short: the last thing the user said in it, and the text recorded as its answer."""

    prompt: Any
    text: str

    @classmethod
    def of(cls, sent: Canonical, text: str) -> "Cut":
        last = sent.messages[-1] if sent.messages else {}
        return cls(_last_block(last), text.strip())

    def left(self, before: Mapping[str, Any], message: Mapping[str, Any]) -> bool:
        """Whether `message`, which follows `before`, may be what a client kept of this turn's answer."""
        blocks = message.get("content") or []
        spoken = all(isinstance(b, dict) and b.get("type") in {"text", "thinking", "redacted_thinking"} for b in blocks)
        said = " ".join(str(b.get("text", "")) for b in blocks if spoken and b.get("type") == "text").strip()
        after_prompt = before.get("role") == "user" and _last_block(before) == self.prompt
        return spoken and after_prompt and message.get("role") == "assistant" and self.text.startswith(said)


def _last_block(message: Mapping[str, Any]) -> Any:
    content = message.get("content")
    return content[-1] if isinstance(content, list) and content else None


def relaxed_key(sent: Canonical, cuts: Sequence[Cut]) -> str:
    """The key without what was kept of the answers to these cut turns, and with neighbouring messages of one role
    joined: clients differ in what they keep of a turn that was cut short."""
    left: list[Mapping[str, Any]] = []
    before: Mapping[str, Any] = {}
    for message in sent.messages:
        if not any(cut.left(before, message) for cut in cuts):
            left.append(message)
        before = message
    encoded = msgspec.json.encode([sent.method, sent.url, sent.settings(), joined(left)], order="deterministic")
    return hashlib.sha256(encoded).hexdigest()
