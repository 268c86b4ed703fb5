"""The OpenAI-compatible APIs: requests in canonical form, answers as messages in the shape of the Messages API.

Sources: https://platform.openai.com/docs/api-reference/chat and https://platform.openai.com/docs/api-reference/responses.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from convtest.events import Event, TextDelta, ToolUse
from convtest.wire.messages_api import MalformedStream, text_of_content
from convtest.wire.sse import ServerEvent
from convtest.wire.unread import MARK, unread, unread_message

PUBLIC_URL = "https://api.openai.com/v1"
CHAT_PATH = "/chat/completions"
RESPONSES_PATH = "/responses"
_STOPS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}


def chat_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """A Chat Completions body with its messages as blocks; neighbouring tool messages become one."""
    given, messages = body.get("messages"), list[dict[str, Any]]()
    if not isinstance(given, list | None):
        return {**body, "messages": given}
    for message in given or []:
        made = _chat_message(message) if _has_role(message) else unread_message(message)
        if messages and made["role"] == "tool" == messages[-1]["role"]:
            messages[-1]["content"] += made["content"]
        else:
            messages.append(made)
    return {**body, "messages": messages}


def _has_role(message: Any) -> bool:
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
    return _tool_use(call.get("id"), function.get("name"), function.get("arguments"))


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


def _items(given: Any) -> list[dict[str, Any]]:
    if isinstance(given, str):
        return [_item({"role": "user", "content": given})]
    if not isinstance(given, list | None):
        return [unread_message(given, "input")]
    return [_item(item) if isinstance(item, dict) else unread_message(item) for item in given or []]


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    match item.get("type", "message"):
        case "function_call":
            call = _tool_use(item.get("call_id"), item.get("name"), item.get("arguments"))
            return {"role": "assistant", "content": [call]}
        case "function_call_output":
            result = {"type": "tool_result", "tool_use_id": item.get("call_id"), "content": parts(item.get("output"))}
            return {"role": "tool", "content": [result]}
        case "message" if not _has_role(item):
            return unread_message(item)
        case "message":
            return {"role": item["role"], "content": parts(item.get("content"))}
        case _:
            return {"role": "assistant", "content": [dict(item)]}


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
    return dict(part)


def _tool_use(id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    given: Any = arguments
    if isinstance(arguments, str):
        try:
            given = msgspec.json.decode(arguments) if arguments else {}
        except (msgspec.DecodeError, RecursionError):
            given = {"text": arguments}
    return {"type": "tool_use", "id": id, "name": name, "input": given}


def chat_reply(data: Mapping[str, Any]) -> dict[str, Any]:
    """A whole Chat Completions answer as a message; empty if it is none."""
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices:
        return {}
    message = _chat_message({"role": "assistant", **(choices[0].get("message") or {})})
    return _message(data, message["content"], choices[0].get("finish_reason"))


class ChatStream:
    """Accumulates one streamed Chat Completions answer; `message` has the shape of the Messages API."""

    def __init__(self) -> None:
        self.complete = False
        self.error: dict[str, Any] | None = None
        self._text = ""
        self._last: dict[str, Any] = {}
        self._usage: Any = None
        self._finish: str | None = None
        self._calls: dict[int, dict[str, Any]] = {}

    @property
    def message(self) -> dict[str, Any]:
        if not self._last:
            return {}
        return _message({**self._last, "usage": self._usage}, [*parts(self._text), *self._uses()], self._finish)

    def _uses(self) -> list[dict[str, Any]]:
        return [_tool_use(call["id"], call["name"], call["arguments"]) for call in self._calls.values()]

    def feed(self, event: ServerEvent) -> list[Event]:
        """What a session yields for this server event. Raises MalformedStream."""
        if event.data.strip() == "[DONE]":
            self.complete = self._finish is not None
            return []
        try:
            return self._feed(msgspec.json.decode(event.data))
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
            raise MalformedStream(f"event {event.event!r}: {error}: {event.data[:200]}") from None

    def _feed(self, data: dict[str, Any]) -> list[Event]:
        if data.get("error"):
            self.error = data["error"]
            return []
        self._last, self._usage = {**self._last, **data}, data.get("usage") or self._usage
        found: list[Event] = []
        for choice in data.get("choices") or []:
            delta = choice.get("delta") or {}
            if delta.get("content"):
                self._text += delta["content"]
                found.append(TextDelta(text=delta["content"]))
            for call in delta.get("tool_calls") or []:
                self._call(call)
            if choice.get("finish_reason") and self._finish is None:
                self._finish, self.complete = choice["finish_reason"], True
                found += [ToolUse(id=use["id"], name=use["name"], input=use["input"]) for use in self._uses()]
        return found

    def _call(self, call: dict[str, Any]) -> None:
        known = self._calls.setdefault(call.get("index", 0), {"id": None, "name": None, "arguments": ""})
        function = call.get("function") or {}
        known["id"] = call.get("id") or known["id"]
        known["name"] = function.get("name") or known["name"]
        known["arguments"] += function.get("arguments") or ""


def chat_stream(events: Iterable[ServerEvent]) -> dict[str, Any]:
    """A streamed Chat Completions answer as a message, as far as it came."""
    stream = ChatStream()
    for event in events:
        try:
            stream.feed(event)
        except MalformedStream:
            break
    return stream.message


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
