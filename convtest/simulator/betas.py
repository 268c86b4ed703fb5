"""What the betas in a request's header allow: system messages among the messages.

Source: what CLI 2.1.329 of Claude Code sends (`per-turn-control-2026-07-01`, `mid-conversation-system-2026-04-07` and
its kin), and the words of the API's refusals.
"""

from collections.abc import Iterable
from typing import Any

from convtest.wire.messages import history_of

_HEADER = "anthropic-beta"
_WITH_WORDS = "mid-conversation-"
"""How the betas begin under which a system message may have content."""
_PER_TURN = "per-turn-control-"
"""Under this one it may be empty, and say by `output_config` how the turn is to be answered."""


def without_system_turns(
    request: dict[str, Any], headers: Iterable[tuple[str, str]]
) -> tuple[dict[str, Any], str | None]:
    """The request without the system messages that its betas allow, which are no part of the conversation; and why the
    API would refuse one, or None."""
    messages = request.get("messages")
    if not isinstance(messages, list) or not history_of(messages).so_far("system turns", False, _has_system):
        return request, None
    betas = [beta.strip() for name, value in headers if name.lower() == _HEADER for beta in value.split(",")]
    for index, message in enumerate(messages):
        if _is_system(message) and (problem := _problem(message, betas, f"messages.{index}")):
            return request, problem
    return {**request, "messages": [one for one in messages if not _is_system(one)]}, None


def _has_system(before: bool, messages: Iterable[Any]) -> bool:
    return before or any(_is_system(one) for one in messages)


def _is_system(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") == "system"


def _problem(message: dict[str, Any], betas: list[str], at: str) -> str | None:
    with_words, per_turn = (any(beta.startswith(one) for beta in betas) for one in (_WITH_WORDS, _PER_TURN))
    if not with_words and not per_turn:
        return f"{at}.role: Input should be 'user' or 'assistant'"
    if not message.get("content") and not (per_turn and message.get("output_config")):
        return f"{at}: all messages must have non-empty content"
    if "output_config" in message and not per_turn:
        return f"{at}.output_config: Extra inputs are not permitted"
    return None
