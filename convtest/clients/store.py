"""Sessions on disk, one file each, so that they outlive the process."""

import contextlib
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from convtest.clients.port import SessionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A session as it was saved last."""

    id: str
    messages: list[dict[str, Any]]
    turns: list[int]
    """For each turn, how many messages there were before it."""
    used: int
    """When it was saved, in nanoseconds."""


class SessionStore:
    """A folder of sessions; every write replaces the whole file at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @staticmethod
    def new_id() -> str:
        return str(uuid.uuid4())

    def save(self, id: str, messages: list[dict[str, Any]], turns: list[int]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(id)
        data = msgspec.json.encode({"id": id, "messages": messages, "turns": turns, "used": time.time_ns()})
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_bytes(data)
        temporary.replace(path)

    def load(self, id: str) -> Stored:
        """Raises SessionError(`session_not_found`)."""
        try:
            return Stored(**msgspec.json.decode(self._path(id).read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            raise SessionError("session_not_found", f"no session with the id {id}") from None

    def latest(self) -> Stored | None:
        """The session that was saved last."""
        if not self._folder.is_dir():
            return None
        found = [self.load(path.stem) for path in self._folder.glob("*.json")]
        return max(found, key=lambda stored: stored.used, default=None)

    def delete(self, id: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._path(id).unlink()

    def _path(self, id: str) -> Path:
        if not id or id != Path(id).name or id.startswith("."):
            raise SessionError("session_not_found", f"{id!r} is no session id")
        return self._folder / f"{id}.json"
