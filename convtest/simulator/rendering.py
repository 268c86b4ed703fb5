"""A simulated reply as the Messages API sends it: one JSON body, or small server-sent events chunk by chunk."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from convtest.simulator.signing import signature_of
from convtest.structs import Struct, field


class Reply(Struct, frozen=True, kw_only=True):
    """What is to be said in one response."""

    id: str
    model: str
    thinking: str = ""
    text: str = ""
    calls: tuple[tuple[str, str, Mapping[str, Any]], ...] = ()
    """(id, name, input) of each tool use."""
    stop_reason: str = "end_turn"
    usage: Mapping[str, int] = field(default_factory=dict)


def pieces(text: str) -> list[str]:
    """The text in pieces of one word, an emoji of several signs in several; nothing is lost."""
    words = re.findall(r"\s*\S+\s*$|\s*\S+(?=\s)|\s+$", text) or ([text] if text else [])
    return [piece for word in words for piece in re.split("(?<=\u200d)", word) if piece]


def body(reply: Reply) -> bytes:
    """The answer without streaming."""
    return msgspec.json.encode(
        {
            "id": reply.id,
            "type": "message",
            "role": "assistant",
            "model": reply.model,
            "content": [block for block, _ in _blocks(reply)],
            "stop_reason": reply.stop_reason,
            "stop_sequence": None,
            "usage": dict(reply.usage),
        }
    )


def chunks(reply: Reply) -> list[bytes]:
    """The stream: the first text is in the second chunk, each further delta in one of its own, all ends in the last."""
    usage = dict(reply.usage)
    start: dict[str, Any] = {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1},
    }
    pending = _event("message_start", message=start)
    made: list[bytes] = []
    for index, (block, deltas) in enumerate(_blocks(reply)):
        pending += _event("content_block_start", index=index, content_block=_empty(block))
        made.append(pending)
        made += [_event("content_block_delta", index=index, delta=delta) for delta in deltas]
        pending = _event("content_block_stop", index=index)
    delta = {"stop_reason": reply.stop_reason, "stop_sequence": None}
    # All counts up to here, as the API sends them: some packages read them only there.
    pending += _event("message_delta", delta=delta, usage={"output_tokens": 0, **usage})
    return [*made, pending + _event("message_stop")]


def error_body(kind: str, message: str) -> bytes:
    """An error in the API's shape."""
    return msgspec.json.encode({"type": "error", "error": {"type": kind, "message": message}})


def _event(kind: str, **data: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + msgspec.json.encode({"type": kind, **data}) + b"\n\n"


def _blocks(reply: Reply) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    made: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if reply.thinking:
        deltas: list[dict[str, Any]] = [
            {"type": "thinking_delta", "thinking": piece} for piece in pieces(reply.thinking)
        ]
        signature = signature_of(reply.thinking)
        deltas.append({"type": "signature_delta", "signature": signature})
        made.append(({"type": "thinking", "thinking": reply.thinking, "signature": signature}, deltas))
    if reply.text:
        made.append(
            ({"type": "text", "text": reply.text}, [{"type": "text_delta", "text": p} for p in pieces(reply.text)])
        )
    for call_id, name, given in reply.calls:
        encoded = msgspec.json.encode(dict(given)).decode()
        half = len(encoded) // 2
        parts = [{"type": "input_json_delta", "partial_json": part} for part in (encoded[:half], encoded[half:])]
        made.append(({"type": "tool_use", "id": call_id, "name": name, "input": dict(given)}, parts))
    return made


def _empty(block: dict[str, Any]) -> dict[str, Any]:
    blank: dict[str, dict[str, Any]] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }
    return {**block, **blank[block["type"]]}
