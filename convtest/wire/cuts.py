"""Turns that a client cut short: what it keeps of their answers may be any beginning of them, or nothing."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from convtest.structs import Struct
from convtest.wire.canonical import Canonical
from convtest.wire.marks import Mark, formed, marks_of
from convtest.wire.neighbours import joined


class Cut(Struct, frozen=True):
    """A turn that the client cut short: the last thing the user said in it, and the text recorded as its answer; both
    with secrets as their kinds."""

    prompt: Any
    text: str

    @classmethod
    def of(cls, sent: Canonical, text: str) -> "Cut":
        messages = messages_of(sent.form)
        return cls(_last_block(messages[-1] if messages else {}), formed(text, sent.finds).strip())

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


def relaxed(sent: Canonical, cuts: Sequence[Cut]) -> tuple[str, tuple[Mark, ...]]:
    """The key without what was kept of the answers to these cut turns, and with neighbouring messages of one role
    joined: clients differ in what they keep of a turn that was cut short. And the secrets in what is left."""
    kept: list[Mapping[str, Any]] = []
    left: list[Any] = [sent.asked, _settings(sent.body)]
    before: Mapping[str, Any] = {}
    for message, own in zip(messages_of(sent.form), sent.messages, strict=True):
        if not any(cut.left(before, message) for cut in cuts):
            kept.append(message)
            left.append(own)
        before = message
    encoded = msgspec.json.encode([sent.method, sent.url, _settings(sent.form), joined(kept)], order="deterministic")
    return hashlib.sha256(encoded).hexdigest(), tuple(marks_of(left, sent.finds))


def messages_of(form: Any) -> list[dict[str, Any]]:
    """Those of a request in canonical form."""
    messages = form.get("messages") if isinstance(form, dict) else None
    return messages if isinstance(messages, list) else []


def _settings(body: Any) -> Any:
    return {key: value for key, value in body.items() if key != "messages"} if isinstance(body, dict) else body
