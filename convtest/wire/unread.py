"""What no API takes, kept as text: malformed messages and blocks become ones that can be read, compared and shown."""

import re
from typing import Any

import msgspec

MARK = "unread"
"""The key that tells a text of this module from one that somebody sent, and what it stands for."""


_TEXT_OR_NOTHING = (str, type(None))
_NESTED = (list, dict)
MAX_DEPTH = 200
"""Levels of JSON that are read as such; a conversation has some ten, and the schema of a tool some more."""


def unread(value: Any, what: str) -> dict[str, Any]:
    """A text block with the JSON of what stood in the place of `what`."""
    return {"type": "text", "text": msgspec.json.encode(value, order="deterministic").decode(), MARK: what}


def unread_message(value: Any, what: str = "message") -> dict[str, Any]:
    """A message of nobody that says what stood in the place of `what`."""
    return {"role": "", "content": [unread(value, what)]}


def readable(body: Any) -> Any:
    """The body with a list of `messages`, whatever it had; each is made readable by itself. Anything else as it is."""
    if not isinstance(body, dict) or body.get("messages") is None:
        return body
    messages = body["messages"]
    if not isinstance(messages, list):
        return {**body, "messages": [unread_message(messages, "messages")]}
    return body


def readable_message(message: Any) -> dict[str, Any]:
    """With a role and blocks, whatever it had."""
    if not isinstance(message, dict) or not isinstance(message.get("role"), _TEXT_OR_NOTHING):
        return unread_message(message)
    content = message.get("content")
    if isinstance(content, _TEXT_OR_NOTHING) or (isinstance(content, list) and all(map(_is_block, content))):
        return message
    return {**message, "content": readable_blocks(content)}


def readable_blocks(content: Any) -> list[dict[str, Any]]:
    """Content as blocks of a kind, with texts that are texts."""
    if not isinstance(content, list):
        return [unread(content, "content")]
    return [block if _is_block(block) else unread(block, "block") for block in content]


def _is_block(block: Any) -> bool:
    if not isinstance(block, dict) or not isinstance(kind := block.get("type"), _TEXT_OR_NOTHING):
        return False
    if (kind == "text" or "type" not in block) and not isinstance(block.get("text", ""), str):
        return False
    if kind == "tool_use" and not isinstance(block.get("name"), _TEXT_OR_NOTHING):
        return False
    return not isinstance(block.get("id"), _NESTED) and not isinstance(block.get("tool_use_id"), _NESTED)


def decoded(body: bytes) -> Any:
    """The JSON of a body. Raises ValueError, in words, for what is none and for what is nested too deep."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise ValueError("the body is nested too deep") from None
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deeper(body):
        raise ValueError("the body is nested too deep")
    return found


_INNERMOST = re.compile(rb"\[\]|\{\}")
_ALL_BUT = bytes(one for one in range(256) if one not in b'[]{}"')


def _is_deeper(body: bytes) -> bool:
    """By the brackets alone: what walks over JSON is recursive, and the room for that depends on who asks."""
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in body else body
    nested = re.sub(rb'"[^"]*"', b"", unescaped.translate(None, _ALL_BUT))
    for _ in range(MAX_DEPTH):
        nested = _INNERMOST.sub(b"", nested)
        if not nested:
            return False
    return True
