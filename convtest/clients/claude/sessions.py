"""Sessions of the Claude Agent SDK on disk, through its own functions: read, forked at a message, deleted."""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from convtest.clients.port import SessionError

T = TypeVar("T")

_LINES = re.compile(rb'"uuid":"([^"\\]+)"')
_PARENTS = re.compile(rb'"parentUuid":"([^"\\]+)"')
"""What a line of a stored session is called, and what it goes on from."""


class StoredSessions:
    """The sessions of one item: those below its private configuration folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def messages(self, id: str) -> list[dict[str, Any]]:
        """What was said, each message with the ids by which it can be forked at."""
        from claude_agent_sdk import get_session_messages

        found = self._asked(lambda: get_session_messages(id))
        return [
            {"role": one.type, "content": (one.message or {}).get("content"), "uuid": one.uuid, "session_id": id}
            for one in found
        ]

    def fork(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """The id of a new session with just these messages of a stored one. Raises SessionError for any others."""
        from claude_agent_sdk import fork_session

        last = messages[-1] if messages else {}
        if "uuid" not in last:
            raise SessionError("bad_request", "the SDK loads no history but one that it has saved itself")
        made = self._asked(lambda: fork_session(last["session_id"], up_to_message_id=last["uuid"]))
        return str(made.session_id)

    def fork_at(self, id: str, turns: int) -> str:
        """The id of a new session with the first turns of a stored one."""
        messages = self.messages(id)
        starts = [index for index, message in enumerate(messages) if _is_prompt(message)]
        return self.fork(messages[: starts[turns]] if turns < len(starts) else messages)

    def holds(self, mark: str) -> int:
        """How often the mark stands in what has been written down."""
        wanted = mark.encode()
        return sum(text.count(wanted) for text in self._transcripts())

    def settle(self, wanted: Mapping[str, int], limit: float) -> None:
        """Wait, for `limit` seconds at most, until each mark stands there that often, and what it goes on from too.

        The CLI writes its sessions down ten times a second, and not in the order in which things were said: a prompt
        may stand there before the answer that it follows. What a kill within that moment loses is luck, and no two
        runs of a test would be the same.
        """
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline and not _is_settled(b"".join(self._transcripts()), wanted):
            time.sleep(0.01)

    def delete(self, id: str) -> None:
        from claude_agent_sdk import delete_session

        self._asked(lambda: delete_session(id))

    def _transcripts(self) -> Iterator[bytes]:
        """The CLI may be at work there: what it takes away while this looks (its locks, above all) is passed over."""
        for folder, _, names in os.walk(self._folder):
            for name in names:
                if name.endswith(".jsonl"):
                    with suppress(FileNotFoundError):
                        yield Path(folder, name).read_bytes()

    def _asked(self, function: Callable[[], T]) -> T:
        """The SDK's functions look below the folder that the environment names, which is not the item's."""
        with _environment("CLAUDE_CONFIG_DIR", str(self._folder)):
            try:
                return function()
            except FileNotFoundError as error:
                raise SessionError("session_not_found", str(error)) from None
            except ValueError as error:
                raise SessionError("bad_request", str(error)) from None


def _is_settled(text: bytes, wanted: Mapping[str, int]) -> bool:
    if any(text.count(mark.encode()) < count for mark, count in wanted.items()):
        return False
    return set(_PARENTS.findall(text)) <= set(_LINES.findall(text))


def _is_prompt(message: Mapping[str, Any]) -> bool:
    content = message["content"]
    blocks = content if isinstance(content, list) else []
    results = any(block.get("type") == "tool_result" for block in blocks if isinstance(block, dict))
    return message["role"] == "user" and not results


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
