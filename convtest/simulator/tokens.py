"""How many tokens a request and an answer count as."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from convtest.wire import messages


def tokens_of(request: Mapping[str, Any]) -> int:
    """About four letters a token, and a few for each message, as tokenizers come out on English."""
    rest = msgspec.json.encode([request.get("system") or "", request.get("tools") or []])
    said = len(rest) + 1 + messages.size_of(request["messages"])
    return said // 4 + 3 * len(request["messages"])


def size_of(text: str, thinking: str, calls: Sequence[tuple[str, str, Mapping[str, Any]]]) -> int:
    """The tokens of an answer; at least one."""
    letters = len(text) + len(thinking) + sum(len(name) + len(msgspec.json.encode(dict(g))) for _, name, g in calls)
    return max(1, letters // 4)
