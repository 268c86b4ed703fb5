"""Request bodies of all APIs in the shape of the Messages API, so that an edit is written once; and back again."""

from collections.abc import Callable
from typing import Any

import msgspec

from convtest.mutate.mutator import Body
from convtest.structs import Struct
from convtest.wire.messages_api import PATH
from convtest.wire.openai_apis import CHAT_PATH, chat_messages, chat_request, parts
from convtest.wire.responses_api import RESPONSES_PATH, responses_request


class Shape(Struct, frozen=True):
    """One API: `path` is what its addresses end in."""

    path: str
    read: Callable[[dict[str, Any]], Body]
    write: Callable[[Body], dict[str, Any]]


def shape_of(path: str) -> Shape | None:
    """The API of an address; None where no conversation is sent to it."""
    return next((shape for shape in SHAPES if path.endswith(shape.path)), None)


def copied(body: Body) -> Body:
    return msgspec.json.decode(msgspec.json.encode(body))  # type: ignore[no-any-return]


def _read_messages(body: dict[str, Any]) -> Body:
    messages = [{**one, "content": parts(one.get("content"))} for one in body["messages"]]
    return {**body, "messages": messages}


def _system_apart(body: dict[str, Any]) -> Body:
    """System messages become `system`; results of tools are a user's, all of one round in one message."""
    said, system = list[dict[str, Any]](), list[str]()
    for message in body["messages"]:
        if message["role"] in {"system", "developer"}:
            system += [block["text"] for block in message["content"] if block.get("type") == "text"]
        else:
            said.append({**message, "role": "user" if message["role"] == "tool" else message["role"]})
    made = {key: value for key, value in body.items() if key not in {"messages", "system"}}
    return {**made, **({"system": "\n".join(system)} if system else {}), "messages": said}


def _read_chat(body: dict[str, Any]) -> Body:
    made = _system_apart(chat_request(body))
    if "tools" in body:
        functions = [tool["function"] for tool in body["tools"]]
        made["tools"] = [
            {**{k: v for k, v in one.items() if k != "parameters"}, "input_schema": one.get("parameters", {})}
            for one in functions
        ]
    return made


def _write_chat(body: Body) -> dict[str, Any]:
    system = [{"role": "system", "content": body["system"]}] if body.get("system") else []
    made = {key: value for key, value in body.items() if key not in {"messages", "system"}}
    if "tools" in made:
        functions = [{**_but(tool, "input_schema"), "parameters": tool["input_schema"]} for tool in made["tools"]]
        made["tools"] = [{"type": "function", "function": one} for one in functions]
    return {**made, "messages": [*system, *chat_messages(body["messages"])]}


def _read_responses(body: dict[str, Any]) -> Body:
    read = responses_request(body)
    system = "\n".join(block["text"] for block in read["system"])
    tools = [{**_but(tool, "parameters"), "input_schema": tool.get("parameters", {})} for tool in body.get("tools", [])]
    made = _system_apart(read)
    return {**made, **({"system": system} if system else {}), **({"tools": tools} if "tools" in body else {})}


def _write_responses(body: Body) -> dict[str, Any]:
    made = _but(body, "messages", "system")
    if "tools" in made:
        made["tools"] = [{**_but(tool, "input_schema"), "parameters": tool["input_schema"]} for tool in made["tools"]]
    system = {"instructions": body["system"]} if body.get("system") else {}
    return {**made, **system, "input": [item for message in body["messages"] for item in _items(message)]}


def _items(message: dict[str, Any]) -> list[dict[str, Any]]:
    made = list[dict[str, Any]]()
    for block in message["content"]:
        match block.get("type"):
            case "text":
                kind = "output_text" if message["role"] == "assistant" else "input_text"
                made.append({"role": message["role"], "content": [{"type": kind, "text": block["text"]}]})
            case "tool_use":
                arguments = msgspec.json.encode(block["input"]).decode()
                call = {"call_id": block["id"], "name": block["name"], "arguments": arguments}
                made.append({"type": "function_call", **call})
            case "tool_result":
                told = "".join(part.get("text", "") for part in parts(block["content"]))
                made.append({"type": "function_call_output", "call_id": block["tool_use_id"], "output": told})
            case _:
                made.append(dict(block))
    return made


def _but(given: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key not in keys}


SHAPES = (
    Shape(PATH, _read_messages, lambda body: body),
    Shape(CHAT_PATH, _read_chat, _write_chat),
    Shape(RESPONSES_PATH, _read_responses, _write_responses),
)
