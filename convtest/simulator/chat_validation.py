"""What is malformed in a Chat Completions request; what it means is judged once it is read as the Messages API has it.

Source: https://platform.openai.com/docs/api-reference/chat/create.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from convtest.simulator.shapes import content, entries, optional, tools, wrong

_ROLES = ("system", "developer", "user", "assistant", "tool")


def shape_problem(body: Mapping[str, Any]) -> str | None:
    """The first thing that is of another kind than the API takes, or None."""
    return next(_problems(body), None)


def _problems(body: Mapping[str, Any]) -> Iterator[str]:
    if body.get("messages") is None:
        yield "messages: Field required"
    yield from entries(body["messages"], "messages")
    for index, message in enumerate(body["messages"]):
        yield from _message(message, f"messages.{index}")
    yield from tools(body.get("tools"))
    yield from optional(body.get("stream"), bool, at="stream")
    yield from optional(body.get("stream_options"), dict, at="stream_options")
    for name in ("max_tokens", "max_completion_tokens"):
        yield from optional(body.get(name), int, at=name)


def _message(message: Mapping[str, Any], at: str) -> Iterator[str]:
    if message.get("role") not in _ROLES:
        yield f"{at}.role: Input should be 'system', 'developer', 'user', 'assistant' or 'tool'"
    yield from content(message.get("content"), f"{at}.content")
    yield from entries(message.get("tool_calls"), f"{at}.tool_calls")
    for index, call in enumerate(message.get("tool_calls") or []):
        yield from _call(call, f"{at}.tool_calls.{index}")
    if message["role"] == "tool":
        yield from wrong(message.get("tool_call_id"), str, at=f"{at}.tool_call_id")


def _call(call: Mapping[str, Any], at: str) -> Iterator[str]:
    yield from wrong(call.get("id"), str, at=f"{at}.id")
    yield from wrong(call.get("function"), dict, at=f"{at}.function")
    yield from wrong(call["function"].get("name"), str, at=f"{at}.function.name")
    yield from optional(call["function"].get("arguments"), str, at=f"{at}.function.arguments")
