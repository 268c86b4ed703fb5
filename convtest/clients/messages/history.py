"""What a session has said so far, as the API takes it, and where its turns begin."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from convtest.clients.messages.turns import starts_turn, tool_result, unsendable
from convtest.events import ToolUse

Messages = list[dict[str, Any]]


def limited(messages: Messages, turns: list[int], limit: int | None) -> tuple[Messages, list[int]]:
    """Without its oldest whole turns, as many as it takes to have fewer messages than `limit`."""
    while limit is not None and len(messages) >= limit and turns:
        cut = turns[1] if len(turns) > 1 else len(messages)
        messages, turns = messages[cut:], [start - cut for start in turns[1:]]
    return messages, turns


def cut_after(messages: Messages, turns: list[int], kept: int | None) -> tuple[Messages, list[int]]:
    """Its first turns alone; all of them where it has no more."""
    if kept is None or kept >= len(turns):
        return messages, turns
    return messages[: turns[kept]], turns[:kept]


def loaded(messages: Sequence[Mapping[str, Any]]) -> tuple[Messages, list[int]]:
    """A history from elsewhere, and where its turns begin."""
    made = [dict(message) for message in messages]
    return made, [i for i, message in enumerate(made) if starts_turn(message)]


def copied(messages: Messages) -> Messages:
    """As the API takes it: no object of it is shared."""
    return msgspec.json.decode(msgspec.json.encode(messages))  # type: ignore[no-any-return]


def answer_message(content: Sequence[Mapping[str, Any]]) -> Messages:
    """A whole answer as the API takes it back; none where nothing of it can be sent."""
    kept = [dict(block) for block in content if not unsendable(block)]
    return [{"role": "assistant", "content": kept}] if kept else []


def said(text: str, calls: Sequence[ToolUse]) -> Messages:
    """The assistant's message with what was yielded of an answer; none where that is nothing."""
    spoken = [{"type": "text", "text": text}] if text.strip() else []
    uses = [{"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.input)} for call in calls]
    return [{"role": "assistant", "content": [*spoken, *uses]}] if spoken or uses else []


def refused_results(calls: Sequence[ToolUse], why: str) -> Messages:
    """Results for tools that did not run, so that the history stays valid."""
    return [tool_result(call.id, why, True) for call in calls]


def results_message(calls: Sequence[ToolUse], why: str) -> Messages:
    """The message that closes these tool uses; none where there are none."""
    return [{"role": "user", "content": refused_results(calls, why)}] if calls else []
