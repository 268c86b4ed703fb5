"""Answers that were not streamed, as the streams that our own clients ask for."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from convtest.importing.conversation import Api
from convtest.wire.interaction import Chunk, Interaction

_DELTAS = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking")}


def streamed(one: Interaction, api: Api) -> Interaction | None:
    """The same answer as a stream, a chunk for each of its blocks; None where it is one, or is no answer."""
    if one.is_stream or one.status != 200:
        return None
    try:
        data = msgspec.json.decode(one.body)
        made = list(_messages(data) if api == "messages" else _chat(data))
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError, IndexError):
        return None
    headers = tuple((name, value) for name, value in one.headers if name != "content-type")
    return replace(
        one, headers=(*headers, ("content-type", "text/event-stream")), chunks=[Chunk(0.0, data) for data in made]
    )


def _messages(data: Mapping[str, Any]) -> Iterator[bytes]:
    usage = data.get("usage") or {}
    start = {**data, "content": [], "stop_reason": None, "stop_sequence": None, "usage": {**usage, "output_tokens": 1}}
    yield _event("message_start", message=start)
    for index, block in enumerate(data["content"]):
        yield b"".join(_block(index, block))
    delta = {"stop_reason": data.get("stop_reason"), "stop_sequence": data.get("stop_sequence")}
    ends = _event("message_delta", delta=delta, usage={"output_tokens": usage.get("output_tokens", 0)})
    yield ends + _event("message_stop")


def _block(index: int, block: Mapping[str, Any]) -> Iterator[bytes]:
    kind = block["type"]
    empty = {key: value for key, value in block.items() if key != "signature"} if kind == "thinking" else dict(block)
    deltas: list[dict[str, Any]] = []
    if kind in _DELTAS:
        named, key = _DELTAS[kind]
        empty[key], deltas = "", [{"type": named, key: block[key]}]
    if block.get("signature"):
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    if kind in {"tool_use", "server_tool_use", "mcp_tool_use"}:
        empty["input"] = {}
        deltas = [{"type": "input_json_delta", "partial_json": msgspec.json.encode(block.get("input") or {}).decode()}]
    yield _event("content_block_start", index=index, content_block=empty)
    for delta in deltas:
        yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _event(kind: str, **data: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + msgspec.json.encode({"type": kind, **data}) + b"\n\n"


def _chat(data: Mapping[str, Any]) -> Iterator[bytes]:
    choice = data["choices"][0]
    head = {key: value for key, value in data.items() if key not in {"choices", "usage"}}
    head = {**head, "object": "chat.completion.chunk"}
    said = {key: value for key, value in choice["message"].items() if key not in {"tool_calls", "content"}}
    yield _data(head, {**said, "role": "assistant", "content": ""})
    if choice["message"].get("content"):
        yield _data(head, {"content": choice["message"]["content"]})
    for index, call in enumerate(choice["message"].get("tool_calls") or []):
        yield _data(head, {"tool_calls": [{**call, "index": index}]})
    ends = _data(head, {}, choice.get("finish_reason"))
    usage = b"data: " + msgspec.json.encode({**head, "choices": [], "usage": data.get("usage")}) + b"\n\n"
    yield ends + usage + b"data: [DONE]\n\n"


def _data(head: Mapping[str, Any], delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + msgspec.json.encode({**head, "choices": [choice]}) + b"\n\n"
