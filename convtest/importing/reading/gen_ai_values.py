"""What attributes and events of a span say of messages: OpenTelemetry's conventions, new and old, and OpenLLMetry's."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from convtest.importing.conversation import ToolSpec
from convtest.importing.reading.exchanges import tools_of

HINTS = ("gen_ai.", "llm.request", "llm.prompts")
_Events = Sequence[tuple[str, Mapping[str, Any]]]
_STOPS = {"stop": "end_turn", "tool_call": "tool_use", "tool_calls": "tool_use", "length": "max_tokens",
          "content_filter": "refusal"}  # fmt: skip
_SCALARS = ("stringValue", "intValue", "doubleValue", "boolValue", "string_value", "int_value", "bool_value")


def plain_attributes(given: Any) -> dict[str, Any]:
    """Attributes as a mapping: OTLP has a list of keys with typed values, printed spans a plain mapping."""
    if isinstance(given, dict):
        return {str(key): value for key, value in given.items()}
    listed = given if isinstance(given, list) else []
    return {str(one["key"]): _value(one.get("value")) for one in listed if isinstance(one, dict) and "key" in one}


def _value(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    for key in _SCALARS:
        if key in value:
            return value[key]
    if isinstance(values := value.get("arrayValue"), dict):
        return [_value(one) for one in values.get("values") or []]
    if isinstance(values := value.get("kvlistValue"), dict):
        return plain_attributes(values.get("values"))
    return value


def events_of(given: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name of each event, and what it says."""
    for one in given if isinstance(given, list) else []:
        if isinstance(one, dict):
            yield str(one.get("name") or ""), plain_attributes(one.get("attributes"))


def asked_in(attributes: Mapping[str, Any], events: _Events) -> list[dict[str, Any]]:
    """All that the model was told, in the shape of the Messages API."""
    for holder in (attributes, *(said for _, said in events)):
        if found := _messages(holder.get("gen_ai.input.messages")):
            return found
    if found := [made for name, said in events if (made := _from_event(name, said)) is not None]:
        return found
    for name, said in events:
        if name == "gen_ai.content.prompt" and (found := _messages(said.get("gen_ai.prompt"))):
            return found
    return _numbered(attributes, "gen_ai.prompt") or _messages(attributes.get("gen_ai.prompt"))


def answer_in(attributes: Mapping[str, Any], events: _Events) -> dict[str, Any]:
    """The answer, in the shape of the Messages API; empty where it is not there."""
    for holder in (attributes, *(said for _, said in events)):
        given = _json(holder.get("gen_ai.output.messages"))
        if found := _messages(given):
            return _reply(found[0], _finish(given, attributes))
    for name, said in events:
        if name == "gen_ai.choice" and (found := _messages([_json(said.get("message")) or dict(said)])):
            return _reply(found[0], said.get("finish_reason"))
        if name == "gen_ai.content.completion" and (found := _messages(said.get("gen_ai.completion"))):
            return _reply(found[0], None)
    found = _numbered(attributes, "gen_ai.completion")
    return _reply(found[0], attributes.get("gen_ai.completion.0.finish_reason")) if found else {}


def system_in(attributes: Mapping[str, Any], events: _Events) -> str:
    """The system prompt."""
    for holder in (attributes, *(said for _, said in events)):
        if given := _json(holder.get("gen_ai.system_instructions")):
            return "\n".join(text for block in _parts(given) if (text := str(block.get("text") or "")))
    asked = asked_in(attributes, events)
    texts = [block["text"] for one in asked if one["role"] == "system" for block in one["content"] if "text" in block]
    return "\n".join(texts[:1])


def tools_in(attributes: Mapping[str, Any]) -> list[ToolSpec]:
    """The tools that the model was told of."""
    return tools_of(_json(attributes.get("gen_ai.tool.definitions")))


def _reply(message: Mapping[str, Any], finish: Any) -> dict[str, Any]:
    stop = str(finish or "")
    return {"role": "assistant", "content": message["content"], "stop_reason": _STOPS.get(stop, stop)}


def _finish(given: Any, attributes: Mapping[str, Any]) -> Any:
    own = given[0].get("finish_reason") if isinstance(given, list) and isinstance(given[0], dict) else None
    reasons = _json(attributes.get("gen_ai.response.finish_reasons"))
    return own or (reasons[0] if isinstance(reasons, list) and reasons else None)


def _json(value: Any) -> Any:
    """Attributes hold JSON as a text."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return value


def _messages(given: Any) -> list[dict[str, Any]]:
    listed = _json(given)
    if isinstance(listed, dict) and isinstance(listed.get("messages"), list):
        listed = listed["messages"]
    if isinstance(listed, str) and listed.strip():
        listed = [{"role": "user", "content": listed}]
    return [_message(one) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _message(one: Mapping[str, Any]) -> dict[str, Any]:
    role = str(one.get("role") or "assistant")
    calls = [_call(call) for call in _json(one.get("tool_calls")) or [] if isinstance(call, dict)]
    blocks = [*_parts(one.get("parts") if "parts" in one else _json(one.get("content"))), *calls]
    if role == "tool" and not any(block.get("type") == "tool_result" for block in blocks):
        blocks = [{"type": "tool_result", "tool_use_id": one.get("id") or one.get("tool_call_id"), "content": blocks}]
    return {"role": role, "content": blocks}


def _parts(given: Any) -> list[dict[str, Any]]:
    if isinstance(given, str):
        return [{"type": "text", "text": given}] if given else []
    return [_part(one) for one in given if isinstance(one, dict)] if isinstance(given, list) else []


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    match part.get("type"):
        case "text":
            return {"type": "text", "text": str(part.get("content") or part.get("text") or "")}
        case "reasoning":
            return {"type": "thinking", "thinking": str(part.get("content") or "")}
        case "tool_call":
            return _call(part)
        case "tool_call_response":
            answer = part.get("response", part.get("result", ""))
            text = answer if isinstance(answer, str) else msgspec.json.encode(answer).decode()
            return {"type": "tool_result", "tool_use_id": part.get("id"), "content": text}
        case _:
            return dict(part)


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    inner = call.get("function")
    named = inner if isinstance(inner, dict) else call
    given = _json(named.get("arguments"))
    return {
        "type": "tool_use",
        "id": call.get("id"),
        "name": named.get("name"),
        "input": given if isinstance(given, dict) else {},
    }


_ROLES = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}


def _from_event(name: str, said: Mapping[str, Any]) -> dict[str, Any] | None:
    """Of the older conventions: one event for each message."""
    if name not in _ROLES:
        return None
    return _message({**said, "role": said.get("role") or _ROLES[name]})


_NUMBERED = re.compile(r"(\d+)\.(role|content|tool_calls\.(\d+)\.(id|name|arguments)|tool_call_id)")


def _numbered(attributes: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """OpenLLMetry's: `gen_ai.prompt.0.role`, `gen_ai.completion.0.tool_calls.0.name`."""
    found: dict[int, dict[str, Any]] = {}
    for key, value in attributes.items():
        named = _NUMBERED.fullmatch(key.removeprefix(f"{prefix}.")) if key.startswith(f"{prefix}.") else None
        if named is None:
            continue
        one = found.setdefault(int(named[1]), {})
        if named[3] is None:
            one[named[2]] = value
        else:
            one.setdefault("tool_calls", {}).setdefault(int(named[3]), {})[named[4]] = value
    for one in found.values():
        one["tool_calls"] = list(one.get("tool_calls", {}).values())
    return [_message(one) for _, one in sorted(found.items())]
