"""A simulated reply as the Responses API sends it.

Source: https://platform.openai.com/docs/api-reference/responses and .../responses-streaming; the order and the keys of
events are those of recorded streams.
"""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import msgspec

from convtest.simulator.rendering import Reply, pieces
from convtest.simulator.signing import signature_of

_CREATED = 1767225600
"""The first second of 2026: a reply says the same whenever it is made."""
_INCOMPLETE = {"max_tokens": "max_output_tokens", "refusal": "content_filter"}
_ASKED: Mapping[str, Any] = {
    "instructions": None, "max_output_tokens": None, "max_tool_calls": None, "metadata": {}, "moderation": None,
    "parallel_tool_calls": True, "previous_response_id": None, "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None}, "safety_identifier": None, "service_tier": "default", "store": True,
    "temperature": 1.0, "text": {"format": {"type": "text"}, "verbosity": "medium"}, "tool_choice": "auto", "tools": [],
    "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled", "user": None,
}  # fmt: skip
"""What a response says of its request, and what it says where the request is silent."""
_Blank = dict[str, Any]


def body(reply: Reply, asked: Mapping[str, Any]) -> bytes:
    """The answer without streaming."""
    return msgspec.json.encode(response(reply, asked))


def response(reply: Reply, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The response as it is when all of it is there."""
    why = _INCOMPLETE.get(reply.stop_reason)
    return {
        **_begun(reply, asked),
        "status": "incomplete" if why else "completed",
        "completed_at": None if why else _CREATED,
        "incomplete_details": {"reason": why} if why else None,
        "output": output(reply, asked),
        "usage": _usage(reply),
    }


def output(reply: Reply, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The items of the answer, in the order in which they are streamed."""
    number = reply.id.removeprefix("msg_")
    items: list[dict[str, Any]] = []
    if reply.thinking:
        summary = [{"type": "summary_text", "text": reply.thinking}]
        sealed = "reasoning.encrypted_content" in (asked.get("include") or [])
        more = {"encrypted_content": signature_of(reply.thinking)} if sealed else {}
        items.append({"id": f"rs_{number}", "type": "reasoning", "summary": summary, **more})
    if reply.text:
        status = "incomplete" if reply.stop_reason in _INCOMPLETE else "completed"
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": reply.text}
        message = {"id": f"msg_{number}", "type": "message", "status": status, "content": [part], "role": "assistant"}
        items.append(message)
    for place, (id, name, given) in enumerate(reply.calls):
        arguments = msgspec.json.encode(dict(given)).decode()
        call = {"type": "function_call", "status": "completed", "arguments": arguments, "call_id": id, "name": name}
        items.append({"id": f"fc_{number}_{place}", **call})
    return items


def chunks(reply: Reply, asked: Mapping[str, Any]) -> list[bytes]:
    """The stream: the first text is in the second chunk, each further delta in one of its own, all ends in the last."""
    numbers = count()

    def event(kind: str, **data: Any) -> bytes:
        data = {"type": kind, **data, "sequence_number": next(numbers)}
        return f"event: {kind}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"

    pending = b"".join(event(f"response.{word}", response=_begun(reply, asked)) for word in ("created", "in_progress"))
    made: list[bytes] = []
    for index, item in enumerate(output(reply, asked)):
        pending += event("response.output_item.added", item=_empty(item), output_index=index)
        for delta, kind, data in _inside(item):
            one = event(kind, **data, item_id=item["id"], output_index=index)
            if delta:
                made += [pending, one] if pending else [one]
                pending = b""
            else:
                pending += one
        pending += event("response.output_item.done", item=item, output_index=index)
    whole = response(reply, asked)
    return [*made, pending + event(f"response.{whole['status']}", response=whole)]


def _inside(item: Mapping[str, Any]) -> Iterator[tuple[bool, str, dict[str, Any]]]:
    """(whether it is a delta, the event's type, its data) between an item's beginning and its end."""
    if item["type"] == "function_call":
        arguments = item["arguments"]
        half = len(arguments) // 2
        for part in (arguments[:half], arguments[half:]):
            yield True, "response.function_call_arguments.delta", {"delta": part}
        yield False, "response.function_call_arguments.done", {"arguments": arguments, "name": item["name"]}
        return
    more: dict[str, Any] = {}
    if item["type"] == "reasoning":
        (part,), at, word = item["summary"], {"summary_index": 0}, "reasoning_summary_text"
        part_word = "reasoning_summary_part"
    else:
        (part,), at, word = item["content"], {"content_index": 0}, "output_text"
        part_word, more = "content_part", {"logprobs": []}
    yield False, f"response.{part_word}.added", {**at, "part": {**part, "text": ""}}
    for piece in pieces(part["text"]):
        yield True, f"response.{word}.delta", {**at, **more, "delta": piece}
    yield False, f"response.{word}.done", {**at, **more, "text": part["text"]}
    yield False, f"response.{part_word}.done", {**at, "part": part}


def _empty(item: Mapping[str, Any]) -> dict[str, Any]:
    """As it begins."""
    blank: dict[str, dict[str, Any]] = {"function_call": {"arguments": ""}, "reasoning": {"summary": []}}
    empty = blank.get(item["type"], {"content": []})
    begun = {"status": "in_progress"} if "status" in item else {}
    return {**item, **empty, **begun}


def _begun(reply: Reply, asked: Mapping[str, Any]) -> dict[str, Any]:
    held = asked.get("conversation")
    return {
        "id": response_id(reply),
        "object": "response",
        "created_at": _CREATED,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": reply.model,
        "output": [],
        "usage": None,
        **{key: asked.get(key) if asked.get(key) is not None else usual for key, usual in _ASKED.items()},
        **({"conversation": {"id": held if isinstance(held, str) else held["id"]}} if held else {}),
    }


def response_id(reply: Reply) -> str:
    """The id by which later requests name the answer."""
    return reply.id.replace("msg", "resp", 1)


def _usage(reply: Reply) -> dict[str, Any]:
    read, wrote = reply.usage.get("input_tokens", 0), reply.usage.get("output_tokens", 0)
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": wrote,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + wrote,
    }
