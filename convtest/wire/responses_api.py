"""The Responses API: requests in canonical form, answers as messages in the shape of the Messages API.

Source: https://platform.openai.com/docs/api-reference/responses.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from convtest.wire.openai_apis import has_role, message_of, parts, tool_use
from convtest.wire.unread import MARK, unread_message

CONVERSATIONS_PATH = "/conversations"
RESPONSES_PATH = "/responses"


def responses_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """A Responses body with `input` as messages and `instructions` as system."""
    messages: list[dict[str, Any]] = []
    for made in _items(body.get("input")):
        if messages and made["role"] == messages[-1]["role"] and made["role"] != "user":
            messages[-1]["content"] = [*messages[-1]["content"], *made["content"]]
        else:
            messages.append(made)
    foreign = {key: body[key] for key in ("messages", "system") if key in body}
    rest = {key: value for key, value in body.items() if key not in {"input", "instructions", *foreign}}
    made = {**rest, "system": parts(body.get("instructions")), "messages": messages}
    return {**made, MARK: foreign} if foreign else made


def made_id(answer: bytes) -> str | None:
    """The id of what an answer says has been made, such as a conversation."""
    try:
        return msgspec.json.decode(answer, type=dict[str, Any]).get("id")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def added_messages(body: bytes) -> list[dict[str, Any]]:
    """The messages that a request adds to a conversation of the server, without asking for an answer."""
    try:
        given = msgspec.json.decode(body, type=dict[str, Any]) if body else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return list(responses_request({"input": given.get("items")})["messages"])


def blocks_of_item(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What one item of an answer says or asks for, as blocks."""
    return list(_item({"role": "assistant", **item})["content"])


def _items(given: Any) -> list[dict[str, Any]]:
    if isinstance(given, str):
        return [_item({"role": "user", "content": given})]
    if not isinstance(given, list | None):
        return [unread_message(given, "input")]
    return [_item(item) if isinstance(item, dict) else unread_message(item) for item in given or []]


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    match item.get("type", "message"):
        case "function_call":
            call = tool_use(item.get("call_id"), item.get("name"), item.get("arguments"))
            return {"role": "assistant", "content": [call]}
        case "function_call_output":
            result = {"type": "tool_result", "tool_use_id": item.get("call_id"), "content": parts(item.get("output"))}
            return {"role": "tool", "content": [result]}
        case str(kind) if kind.endswith("_call") and item.get("call_id"):
            # What the client itself carries out, whatever it is: custom tools, patches, shells.
            return {"role": "assistant", "content": [_other_use(item, kind.removesuffix("_call"))]}
        case str(kind) if kind.endswith("_output") and item.get("call_id"):
            result = {"type": "tool_result", "tool_use_id": item["call_id"], "content": _output(item)}
            return {"role": "tool", "content": [result]}
        case "message" if not has_role(item):
            return unread_message(item)
        case "message":
            return {"role": item["role"], "content": parts(item.get("content"))}
        case _:
            return {"role": "assistant", "content": [dict(item)]}


_OF_THE_ITEM = frozenset({"type", "role", "id", "call_id", "name", "status", "execution", "caller", "created_by"})


def _other_use(item: Mapping[str, Any], kind: str) -> dict[str, Any]:
    given = {key: value for key, value in item.items() if key not in _OF_THE_ITEM and value is not None}
    return {**tool_use(item["call_id"], item.get("name") or kind, given), "made_of": item["type"]}


def _output(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A result's text, or all of it where it is none."""
    if isinstance(item.get("output"), str | list):
        return parts(item["output"])
    rest = {key: value for key, value in item.items() if key not in _OF_THE_ITEM}
    return parts(msgspec.json.encode(rest).decode())


def responses_reply(data: Mapping[str, Any]) -> dict[str, Any]:
    """A whole Responses answer as a message; empty if it is none."""
    output = data.get("output")
    if not isinstance(output, list):
        return {}
    blocks = [block for item in output for block in blocks_of_item(item)]
    return message_of(data, blocks, _finish(data, blocks))


def _finish(data: Mapping[str, Any], blocks: Sequence[Mapping[str, Any]]) -> str:
    """Why it ended, in the words of Chat Completions; what ran into its limit is `incomplete`."""
    if data.get("status") == "incomplete":
        details = data.get("incomplete_details") or {}
        return "content_filter" if details.get("reason") == "content_filter" else "length"
    return "tool_calls" if any(block.get("type") == "tool_use" for block in blocks) else "stop"
