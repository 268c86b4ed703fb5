"""How the CLI is killed: with all that it started, and once it has written down what it said."""

from collections.abc import Mapping
from typing import Any

from convtest.clients import family
from convtest.clients.claude.sessions import StoredSessions
from convtest.clients.port import Opening

SETTLING = 2.0
"""Seconds that a kill waits, at most, for the CLI to write its session down."""


def end_cli(opening: Opening, stored: StoredSessions, wanted: Mapping[str, int]) -> None:
    """SIGKILL, once each mark stands that often in the stored sessions; option `settle` says how long to wait."""
    token = opening.environment.get(family.MARK, "")
    if family.family(token, opening.session):
        stored.settle(wanted, float(opening.options.get("settle", SETTLING)))
    family.end(token, opening.session)


def tell_cli(opening: Opening, number: int) -> None:
    """A signal to the CLI and all that it started."""
    family.tell(opening.environment.get(family.MARK, ""), opening.session, number)


def written(id: str) -> str:
    """What stands in a stored session once the message with this id does."""
    return f'"uuid":"{id}"'


def message_id(message: Any) -> list[str]:
    """The id under which a message is written down; none for what is only streamed, and for mere thinking, which is
    written with what follows it."""
    if type(message).__name__ not in {"AssistantMessage", "UserMessage"}:
        return []
    blocks = message.content if isinstance(message.content, list) else []
    if blocks and all(type(block).__name__ == "ThinkingBlock" for block in blocks):
        return []
    return [message.uuid] if message.uuid else []
