"""Messages as the APIs read them: neighbours of one role are one message, and what holds nothing is none."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from convtest.structs import Struct
from convtest.wire.messages import history_of
from convtest.wire.openai_apis import CHAT_PATH
from convtest.wire.responses_api import RESPONSES_PATH


def joined(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Neighbours of one role as one message."""
    found: list[dict[str, Any]] = []
    for message in messages:
        if found and found[-1].get("role") == message.get("role"):
            content = [*(found[-1].get("content") or []), *(message.get("content") or [])]
            found[-1] = {**found[-1], **message, "content": content}
        else:
            found.append(dict(message))
    return found


def without_nothing(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Without blank texts, and without the messages that hold nothing else."""
    bare = (
        {**one, "content": [block for block in one.get("content") or [] if not _is_blank(block)]} for one in messages
    )
    return [message for message in bare if message["content"]]


def _is_blank(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "text" and not str(block.get("text", "")).strip()


def as_read(url: str, body: Any) -> Any:
    """A canonical body as the API at this address reads it: requests that it takes as equal are equal in it. The
    Messages API joins neighbours (https://docs.anthropic.com/en/api/messages) and refuses what is empty; Chat
    Completions and Responses take empty messages, and pass over them."""
    messages = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(messages, list):
        return body
    look = history_of(messages).so_far("as read", _Look(), _looked)
    if not look.plain:
        return body
    if urlsplit(url).path.endswith((CHAT_PATH, RESPONSES_PATH)):
        return _with(body, [one for one in messages if one["content"]]) if look.empty else body
    return _with(body, joined(messages)) if look.neighbours else body


class _Look(Struct, frozen=True):
    """What there is among messages."""

    plain: bool = True
    empty: bool = False
    """A message that holds nothing."""
    neighbours: bool = False
    """Two of one role."""
    last: Any = ()
    """The role of the last one."""


def _looked(before: _Look, messages: list[Any]) -> _Look:
    if not before.plain or not all(_is_plain(message) for message in messages):
        return _Look(plain=False)
    roles = [before.last, *(one["role"] for one in messages)]
    empty = before.empty or not all(one["content"] for one in messages)
    neighbours = before.neighbours or any(one == other for one, other in pairwise(roles))
    return _Look(empty=empty, neighbours=neighbours, last=roles[-1])


def _is_plain(message: Any) -> bool:
    """Nothing but a role and blocks."""
    return isinstance(message, dict) and set(message) == {"role", "content"} and isinstance(message["content"], list)


def _with(body: Mapping[str, Any], messages: list[dict[str, Any]]) -> dict[str, Any]:
    return {**body, "messages": messages}
