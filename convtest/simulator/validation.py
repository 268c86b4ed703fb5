"""Refuses what the Messages API refuses, or a broken session would stay green.

Source: https://docs.anthropic.com/en/api/messages and the error texts the API answers with.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from convtest.simulator.shapes import content, entries, optional, tools, wrong
from convtest.wire.messages import Histories

_ROLES = ("user", "assistant")


_WELL_FORMED, _RIGHT = Histories(), Histories()
"""What was looked at and is in order."""


def shape_problem(body: Mapping[str, Any]) -> str | None:
    """The first thing that is of another kind than the API takes, or None."""
    return next(_shape_problems(body), None)


def _shape_problems(body: Mapping[str, Any]) -> Iterator[str]:
    messages = body.get("messages")
    yield from optional(messages, list, at="messages")
    look = _WELL_FORMED.look("", messages or [])
    yield from entries(messages, "messages", after=look.count)
    for index, message in enumerate((messages or [])[look.count :], look.count):
        yield from content(message.get("content"), f"messages.{index}.content")
    look.note(True)
    yield from content(body.get("system"), "system")
    yield from tools(body.get("tools"))
    yield from optional(body.get("stream"), bool, at="stream")


def problem_of(body: Any) -> str | None:
    """Why the API would answer this well-formed body with 400, or None."""
    return next(_problems(body), None)


def _problems(body: Any) -> Iterator[str]:
    if not isinstance(body, dict):
        yield "the body is not a JSON object"
        return
    for name, kind in (("model", str), ("max_tokens", int), ("messages", list)):
        if name not in body:
            yield f"{name}: Field required"
        else:
            yield from wrong(body[name], kind, at=name)
    messages = body.get("messages") or []
    if not messages:
        yield "messages: at least one message is required"
        return
    look = _RIGHT.look("", messages)
    for index, message in enumerate(messages[look.count :], look.count):
        yield from _message_problems(index, message)
    if messages[0].get("role") != "user":
        yield 'messages: first message must use the "user" role'
    yield from _pair_problems(messages, look.count)  # what was right had no tool left open
    look.note(True)


def _message_problems(index: int, message: Any) -> Iterator[str]:
    role = message.get("role") if isinstance(message, dict) else None
    if role not in _ROLES:
        yield f"messages.{index}.role: Input should be 'user' or 'assistant'"
        return
    content = message.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(blocks, list) or not blocks:
        yield f"messages.{index}: all messages must have non-empty content"
        return
    for block in blocks:
        if block.get("type") == "text" and not str(block.get("text", "")).strip():
            yield f"messages.{index}: text content blocks must contain non-whitespace text"


def _pair_problems(messages: list[Any], begin: int) -> Iterator[str]:
    open_ids: list[str] = []
    for index, message in enumerate(messages[begin:], begin):
        blocks = message.get("content") if isinstance(message.get("content"), list) else []
        results = [block.get("tool_use_id") for block in blocks if block.get("type") == "tool_result"]
        missing = [one for one in open_ids if one not in results]
        orphans = [one for one in results if one not in open_ids]
        if missing:
            yield (
                f"messages.{index - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                + ", ".join(missing)
            )
        if orphans:
            yield (
                f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: "
                + ", ".join(str(one) for one in orphans)
            )
        open_ids = [block["id"] for block in blocks if block.get("type") == "tool_use"]
        if open_ids and message.get("role") != "assistant":
            yield f"messages.{index}: `tool_use` blocks can only be in `assistant` messages"
    if open_ids:
        yield (
            f"messages.{len(messages) - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            + ", ".join(open_ids)
        )
