"""Answers of the models' APIs, streamed or not, as one message in the shape of the Messages API."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from convtest.wire.chat_stream import chat_stream
from convtest.wire.messages_api import PATH, MessageStream
from convtest.wire.openai_apis import CHAT_PATH, chat_reply
from convtest.wire.responses_api import RESPONSES_PATH, responses_reply
from convtest.wire.responses_stream import responses_stream
from convtest.wire.sse import parse
from convtest.wire.unread import readable_blocks

_NAMED = (
    (re.compile(rb'"object": ?"chat\.completion'), CHAT_PATH),
    (re.compile(rb'"object": ?"response"'), RESPONSES_PATH),
)
"""What an answer says of itself: recordings leave addresses out, and proxies have their own."""
_FIRST = 4096
"""Bytes in which it says so."""
_WORDS = ("id", "model", "role", "stop_reason", "stop_sequence")


def reply_of(body: bytes, *, is_stream: bool, url: str = "") -> dict[str, Any]:
    """The message that was answered, as far as it came; empty if it was none. Its content is a list of blocks that can
    be read, whatever was sent in their place."""
    try:
        return _readable(_reply(body, is_stream=is_stream, path=urlsplit(url).path.rstrip("/")))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, RecursionError):
        # Of the shape of none of the APIs: whoever shows it has the body.
        return {}


def _reply(body: bytes, *, is_stream: bool, path: str) -> dict[str, Any]:
    named = (*(ending for says, ending in _NAMED if says.search(body[:_FIRST])), "")[0]
    for ending, whole, streamed in _OTHER_APIS:
        if path.endswith(ending) or (ending == named and not path.endswith(_KNOWN)):
            return streamed(parse([body])) if is_stream else whole(_object(body))
    if is_stream:
        stream = MessageStream()
        stream.read(parse([body]))
        return stream.message
    message = _object(body)
    return message if isinstance(message.get("content"), list) else {}


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _readable(message: dict[str, Any]) -> dict[str, Any]:
    if not message:
        return {}
    words = {key: message[key] for key in _WORDS if isinstance(message.get(key), str | None) and key in message}
    rest = {key: value for key, value in message.items() if key not in {*_WORDS, "content", "usage"}}
    usage = message.get("usage")
    counted = {"usage": _counts(usage)} if isinstance(usage, dict) else {}
    return {**words, **rest, **counted, "content": readable_blocks(message.get("content") or [])}


def _counts(usage: dict[str, Any]) -> dict[str, Any]:
    """What is counted in it are numbers."""
    return {key: value for key, value in usage.items() if not key.endswith("_tokens") or isinstance(value, int | None)}


_KNOWN = (PATH, CHAT_PATH, RESPONSES_PATH)
_OTHER_APIS: tuple[tuple[str, Callable[..., dict[str, Any]], Callable[..., dict[str, Any]]], ...] = (
    (CHAT_PATH, chat_reply, chat_stream),
    (RESPONSES_PATH, responses_reply, responses_stream),
)
