"""Thinking is signed: who alters it, or leaves it out where it is needed, is refused as the Messages API does.

Source: https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking and the error texts the API answers with.
"""

import base64
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from convtest.wire.messages import Histories

_OURS = b"simulated:"
_THOUGHT = ("thinking", "redacted_thinking")


def signature_of(text: str) -> str:
    """That of simulated thinking: another one for each text."""
    return base64.b64encode(_OURS + hashlib.sha256(text.encode()).digest()).decode()


def problem_of(request: Mapping[str, Any], thought: Collection[str], *, alone: bool) -> str | None:
    """The first thing that is wrong with its thinking, or None. `thought`: the ids of tool uses that were answered
    after thinking; `alone`: nothing but the simulator answers, so that every signature has to be its own."""
    messages = request["messages"]
    return next(chain(_unsigned(messages, alone), _missing(request, messages, thought)), None)


_SIGNED = Histories()
"""By whether every signature has to be ours."""


def _unsigned(messages: list[Mapping[str, Any]], alone: bool) -> Iterator[str]:
    look = _SIGNED.look(alone, messages)
    for index, message in enumerate(messages[look.count :], look.count):
        for at, block in enumerate(_blocks(message)):
            if block.get("type") != "thinking":
                continue
            signature, text = block.get("signature"), str(block.get("thinking", ""))
            if not isinstance(signature, str):
                yield f"messages.{index}.content.{at}.thinking.signature: Field required"
            elif signature != signature_of(text) and (alone or _is_ours(signature) or not signature):
                yield f"messages.{index}.content.{at}: Invalid `signature` in `thinking` block"
    look.note(True)


def _missing(
    request: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], thought: Collection[str]
) -> Iterator[str]:
    """Where thinking is enabled, the tool loop in progress goes on from what was thought."""
    if (request.get("thinking") or {}).get("type") != "enabled":
        return
    index = next((i for i in reversed(range(len(messages))) if messages[i].get("role") == "assistant"), None)
    blocks = _blocks(messages[index]) if index is not None else []
    used = any(block.get("type") == "tool_use" and block.get("id") in thought for block in blocks)
    if used and blocks[0].get("type") not in _THOUGHT:
        found = blocks[0].get("type")
        yield (
            f"messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{found}`. When "
            "`thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the "
            "lastmost set of `tool_use` and `tool_result` blocks)."
        )


def _blocks(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _is_ours(signature: str) -> bool:
    try:
        return base64.b64decode(signature, validate=True).startswith(_OURS)
    except ValueError:
        return False
