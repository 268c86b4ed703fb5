"""The OpenAI-compatible APIs: requests in canonical form, answers as messages in the shape of the Messages API.

Sources: https://platform.openai.com/docs/api-reference/chat and https://platform.openai.com/docs/api-reference/responses.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from convtest.wire.sse import ServerEvent

CHAT_PATH = "/chat/completions"
RESPONSES_PATH = "/responses"
_STOPS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}


def chat_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """A Chat Completions body with its messages as blocks; neighbouring tool messages become one."""
    messages: list[dict[str, Any]] = []
    for message in body.get("messages") or []:
        made = _chat_message(message)
        if messages and made["role"] == "tool" == messages[-1]["role"]:
            messages[-1]["content"] += made["content"]
        else:
            messages.append(made)
    return {**body, "messages": messages}


def _chat_message(message: Mapping[str, Any]) -> dict[str, Any]:
    role, blocks = str(message.get("role")), parts(message.get("content"))
    known = {"role", "content", "tool_calls", "tool_call_id"}
    rest = {key: value for key, value in message.items() if key not in known and value not in (None, [], "")}
    if role == "tool":
        blocks = [{"type": "tool_result", "tool_use_id": message.get("tool_call_id"), "content": blocks}]
    for call in message.get("tool_calls") or []:
        function = call.get("function") or {}
        blocks.append(_tool_use(call.get("id"), function.get("name"), function.get("arguments")))
    return {"role": role, "content": blocks, **rest}


def responses_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """A Responses body with `input` as messages and `instructions` as system."""
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given or []
    messages: list[dict[str, Any]] = []
    for item in items:
        made = _item(item)
        if messages and made["role"] == messages[-1]["role"] and made["role"] != "user":
            messages[-1]["content"] = [*messages[-1]["content"], *made["content"]]
        else:
            messages.append(made)
    rest = {key: value for key, value in body.items() if key not in {"input", "instructions"}}
    return {**rest, "system": parts(body.get("instructions")), "messages": messages}


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    match item.get("type", "message"):
        case "function_call":
            call = _tool_use(item.get("call_id"), item.get("name"), item.get("arguments"))
            return {"role": "assistant", "content": [call]}
        case "function_call_output":
            result = {"type": "tool_result", "tool_use_id": item.get("call_id"), "content": parts(item.get("output"))}
            return {"role": "tool", "content": [result]}
        case "message":
            return {"role": str(item.get("role")), "content": parts(item.get("content"))}
        case _:
            return {"role": "assistant", "content": [dict(item)]}


def parts(content: Any) -> list[dict[str, Any]]:
    """Content as blocks: strings and the APIs' several text parts become text blocks, others stay."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    found: list[dict[str, Any]] = []
    for part in content or []:
        if isinstance(part, dict) and part.get("type") in {"text", "input_text", "output_text"}:
            found.append({"type": "text", "text": part.get("text", "")})
        else:
            found.append(dict(part) if isinstance(part, dict) else {"type": "text", "text": str(part)})
    return found


def _tool_use(id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    given: Any = arguments
    if isinstance(arguments, str):
        try:
            given = msgspec.json.decode(arguments) if arguments else {}
        except msgspec.DecodeError:
            given = {"text": arguments}
    return {"type": "tool_use", "id": id, "name": name, "input": given}


def chat_reply(data: Mapping[str, Any]) -> dict[str, Any]:
    """A whole Chat Completions answer as a message; empty if it is none."""
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices:
        return {}
    message = _chat_message({"role": "assistant", **(choices[0].get("message") or {})})
    return _message(data, message["content"], choices[0].get("finish_reason"))


def chat_stream(events: Iterable[ServerEvent]) -> dict[str, Any]:
    """A streamed Chat Completions answer as a message, as far as it came."""
    text, last, finish = "", dict[str, Any](), None
    calls: dict[int, dict[str, Any]] = {}
    usage: Any = None
    for data in _decoded(events):
        last, usage = {**last, **data}, data.get("usage") or usage
        for choice in data.get("choices") or []:
            delta = choice.get("delta") or {}
            text += delta.get("content") or ""
            finish = choice.get("finish_reason") or finish
            for call in delta.get("tool_calls") or []:
                known = calls.setdefault(call.get("index", 0), {"id": None, "name": None, "arguments": ""})
                function = call.get("function") or {}
                known["id"] = call.get("id") or known["id"]
                known["name"] = function.get("name") or known["name"]
                known["arguments"] += function.get("arguments") or ""
    if not last:
        return {}
    blocks = [*parts(text), *(_tool_use(c["id"], c["name"], c["arguments"]) for c in calls.values())]
    return _message({**last, "usage": usage}, blocks, finish)


def responses_reply(data: Mapping[str, Any]) -> dict[str, Any]:
    """A whole Responses answer as a message; empty if it is none."""
    output = data.get("output")
    if not isinstance(output, list):
        return {}
    blocks = [block for item in output for block in _item({"role": "assistant", **item})["content"]]
    calls = any(block.get("type") == "tool_use" for block in blocks)
    return _message(data, blocks, "tool_calls" if calls else "stop")


def responses_stream(events: Iterable[ServerEvent]) -> dict[str, Any]:
    """A streamed Responses answer as a message: the completed one, else the text that came."""
    text, first = "", dict[str, Any]()
    for data in _decoded(events):
        if data.get("type") in {"response.completed", "response.incomplete"}:
            return responses_reply(data.get("response") or {})
        if data.get("type") == "response.output_text.delta":
            text += data.get("delta") or ""
        first = first or data.get("response") or {}
    return _message(first, parts(text), None) if text or first else {}


def _decoded(events: Iterable[ServerEvent]) -> Iterable[dict[str, Any]]:
    for event in events:
        if event.data.strip() == "[DONE]":
            return
        try:
            data = msgspec.json.decode(event.data)
        except msgspec.DecodeError:
            return
        if isinstance(data, dict):
            yield data


def _message(data: Mapping[str, Any], blocks: list[dict[str, Any]], finish: Any) -> dict[str, Any]:
    usage = data.get("usage") or {}
    counted = {
        "input_tokens": usage.get("prompt_tokens", usage.get("input_tokens")),
        "output_tokens": usage.get("completion_tokens", usage.get("output_tokens")),
    }
    return {
        "id": data.get("id"),
        "role": "assistant",
        "model": data.get("model"),
        "content": blocks,
        "stop_reason": _STOPS.get(str(finish), finish),
        "usage": {key: value for key, value in counted.items() if value is not None},
    }
