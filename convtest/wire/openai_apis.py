"""The OpenAI-compatible APIs: requests in canonical form, answers as messages in the shape of the Messages API.

Sources: https://platform.openai.com/docs/api-reference/chat and https://platform.openai.com/docs/api-reference/responses.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from convtest.wire.messages_api import text_of_content
from convtest.wire.unread import decoded, unread, unread_message

PUBLIC_URL = "https://api.openai.com/v1"
CHAT_PATH = "/chat/completions"
_STOPS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}


def chat_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """A Chat Completions body with its messages as blocks; neighbouring tool messages become one."""
    given, messages = body.get("messages"), list[dict[str, Any]]()
    if not isinstance(given, list | None):
        return {**body, "messages": given}
    for message in given or []:
        made = _chat_message(message) if has_role(message) else unread_message(message)
        if messages and made["role"] == "tool" == messages[-1]["role"]:
            messages[-1]["content"] += made["content"]
        else:
            messages.append(made)
    return {**body, "messages": messages}


def has_role(message: Any) -> bool:
    return isinstance(message, dict) and isinstance(message.get("role"), str)


def _chat_message(message: Mapping[str, Any]) -> dict[str, Any]:
    role, blocks = str(message.get("role")), parts(message.get("content"))
    known = {"role", "content", "tool_calls", "tool_call_id"}
    rest = {key: value for key, value in message.items() if key not in known and value not in (None, [], "")}
    if role == "tool":
        blocks = [{"type": "tool_result", "tool_use_id": message.get("tool_call_id"), "content": blocks}]
    return {"role": role, "content": [*blocks, *_calls(message.get("tool_calls"))], **rest}


def _calls(calls: Any) -> list[dict[str, Any]]:
    if not isinstance(calls, list | None):
        return [unread(calls, "tool_calls")]
    return [_call(call) for call in calls or []]


def _call(call: Any) -> dict[str, Any]:
    if not isinstance(call, dict) or not isinstance(function := call.get("function", {}), dict):
        return unread(call, "tool_call")
    return tool_use(call.get("id"), function.get("name"), function.get("arguments"))


def parts(content: Any) -> list[dict[str, Any]]:
    """Content as blocks: strings and the APIs' several text parts become text blocks, others stay."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list | None):
        return [unread(content, "content")]
    return [_part(part) for part in content or []]


def _part(part: Any) -> dict[str, Any]:
    if not isinstance(part, dict):
        return unread(part, "block")
    if part.get("type") in ("text", "input_text", "output_text") and isinstance(part.get("text", ""), str):
        return {"type": "text", "text": part.get("text", "")}
    said = part.get("thinking")
    if isinstance(said, list) and all(isinstance(one, dict) and isinstance(one.get("text"), str) for one in said):
        # So Mistral has thinking.
        return {**part, "thinking": "".join(one["text"] for one in said)}
    return dict(part)


def tool_use(id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    given: Any = arguments
    if isinstance(arguments, str):
        try:
            given = decoded(arguments.encode("utf-8", "surrogatepass")) if arguments else {}
        except ValueError:
            given = {"text": arguments}
    return {"type": "tool_use", "id": id, "name": name, "input": given}


def chat_reply(data: Mapping[str, Any]) -> dict[str, Any]:
    """A whole Chat Completions answer as a message; empty if it is none."""
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices:
        return {}
    first, *others = [_chosen(choice) for choice in sorted(choices, key=_index)]
    return message_of(data, *first, others)


def _index(choice: Mapping[str, Any]) -> int:
    return int(choice.get("index") or 0)


def _chosen(choice: Mapping[str, Any]) -> tuple[list[dict[str, Any]], Any]:
    """What one of the answers says, and why it ended."""
    message = _chat_message({"role": "assistant", **(choice.get("message") or {})})
    return message["content"], choice.get("finish_reason")


def chat_messages(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A history in the shape of the Messages API as Chat Completions takes it."""
    return [made for message in messages for made in _chat_messages(message)]


def _chat_messages(message: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    blocks = parts(message.get("content"))
    text = "".join(block["text"] for block in blocks if block.get("type") == "text")
    for block in blocks:
        if block.get("type") == "tool_result":
            yield {"role": "tool", "tool_call_id": block["tool_use_id"], "content": text_of_content(block["content"])}
    calls = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": msgspec.json.encode(block["input"]).decode()},
        }
        for block in blocks
        if block.get("type") == "tool_use"
    ]
    if text or calls:
        made: dict[str, Any] = {"role": message["role"], "content": text or None}
        yield {**made, "tool_calls": calls} if calls else made


def message_of(
    data: Mapping[str, Any],
    blocks: list[dict[str, Any]],
    finish: Any,
    others: Sequence[tuple[list[dict[str, Any]], Any]] = (),
) -> dict[str, Any]:
    """`others`: further answers to the same request (`n`), each with its end; they stand apart."""
    usage = given if isinstance(given := data.get("usage"), dict) else {}
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
        **({"other_choices": [_other(*one) for one in others]} if others else {}),
    }


def _other(blocks: list[dict[str, Any]], finish: Any) -> dict[str, Any]:
    return {"content": blocks, "stop_reason": _STOPS.get(str(finish), finish)}
