"""A simulated reply as the Chat Completions API sends it.

Source: https://platform.openai.com/docs/api-reference/chat and .../chat-streaming.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from convtest.simulator.rendering import Reply, pieces

_FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
_CREATED = 1767225600
"""The first second of 2026: a reply says the same whenever it is made."""


def body(reply: Reply) -> bytes:
    """The answer without streaming."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.calls:
        message["tool_calls"] = [_call(*call) for call in reply.calls]
    choice = {"index": 0, "message": message, "finish_reason": _finish(reply)}
    return msgspec.json.encode({**_head(reply, "chat.completion"), "choices": [choice], "usage": _usage(reply)})


def chunks(reply: Reply, asked: Mapping[str, Any]) -> list[bytes]:
    """The stream: the first text is in the second chunk, each further delta in one of its own, all ends in the last."""
    made = [_chunk(reply, {"role": "assistant", "content": ""})]
    made += [_chunk(reply, {"content": piece}) for piece in pieces(reply.text)]
    for index, (id, name, given) in enumerate(reply.calls):
        whole = _call(id, name, given)
        arguments = whole["function"]["arguments"]
        half = len(arguments) // 2
        first = {**whole, "index": index, "function": {"name": name, "arguments": arguments[:half]}}
        rest = {"index": index, "function": {"arguments": arguments[half:]}}
        made += [_chunk(reply, {"tool_calls": [part]}) for part in (first, rest)]
    last = _chunk(reply, {}, _finish(reply))
    if (asked.get("stream_options") or {}).get("include_usage"):
        last += _event({**_head(reply, "chat.completion.chunk"), "choices": [], "usage": _usage(reply)})
    return [*made, last + b"data: [DONE]\n\n"]


def refusal(message: str) -> bytes:
    """A 400, in the API's shape; `param` is the field that the message begins with."""
    field, found, _ = message.partition(": ")
    param = field if found and " " not in field else None
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return msgspec.json.encode({"error": error})


def _chunk(reply: Reply, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _event({**_head(reply, "chat.completion.chunk"), "choices": [choice]})


def _event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


def _head(reply: Reply, kind: str) -> dict[str, Any]:
    return {"id": reply.id.replace("msg", "chatcmpl"), "object": kind, "created": _CREATED, "model": reply.model}


def _finish(reply: Reply) -> str:
    return _FINISH.get(reply.stop_reason, "content_filter" if reply.stop_reason == "refusal" else "stop")


def _usage(reply: Reply) -> dict[str, int]:
    read, wrote = reply.usage.get("input_tokens", 0), reply.usage.get("output_tokens", 0)
    return {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}


def _call(id: str, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    arguments = msgspec.json.encode(dict(given)).decode()
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
