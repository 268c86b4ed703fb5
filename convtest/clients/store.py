"""Sessions that outlive their clients: what was not saved is lost with a client that is killed."""

import contextlib
import os
import time
import uuid
from pathlib import Path
from typing import Any

import msgspec

from convtest.clients.port import SessionError
from convtest.structs import Struct


class Stored(Struct, frozen=True, kw_only=True):
    """A session as it was saved last."""

    id: str
    messages: list[dict[str, Any]]
    """Nobody changes one of them: it is replaced."""
    turns: list[int]
    """For each turn, how many messages there were before it."""
    used: int
    """When it was saved, in nanoseconds."""


_KEPT: dict[Path, dict[str, Stored]] = {}
"""By folder that is not there; `forget` lets go of them."""


class SessionStore:
    """The sessions of one folder: files where it is there, each replaced as a whole, so that other processes find them.
    Where it is not, nothing of an item outlives this process, and they are kept in it: two files a turn would cost more
    than all the rest of an item."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._on_disk = folder.is_dir()

    @staticmethod
    def new_id() -> str:
        return str(uuid.uuid4())

    def save(self, id: str, messages: list[dict[str, Any]], turns: list[int]) -> None:
        saved = Stored(id=id, messages=list(messages), turns=list(turns), used=time.time_ns())
        if not self._on_disk:
            _KEPT.setdefault(self._folder, {})[id] = saved
            return
        path = self._path(id)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_bytes(msgspec.json.encode(saved))
        temporary.replace(path)

    def load(self, id: str) -> Stored:
        """Raises SessionError(`session_not_found`)."""
        try:
            if not self._on_disk:
                return _KEPT[self._folder][id]
            return msgspec.json.decode(self._path(id).read_bytes(), type=Stored)
        except (KeyError, FileNotFoundError, NotADirectoryError):
            raise SessionError("session_not_found", f"no session with the id {id!r}") from None

    def latest(self) -> Stored | None:
        """The session that was saved last."""
        kept = _KEPT.get(self._folder, {}).values()
        found = [self.load(path.stem) for path in self._folder.glob("*.json")] if self._on_disk else kept
        return max(found, key=lambda stored: stored.used, default=None)

    def delete(self, id: str) -> None:
        _KEPT.get(self._folder, {}).pop(id, None)
        if self._on_disk:
            with contextlib.suppress(FileNotFoundError):
                self._path(id).unlink()

    def _path(self, id: str) -> Path:
        if not id or id != Path(id).name or id.startswith("."):
            raise SessionError("session_not_found", f"{id!r} is no session id")
        return self._folder / f"{id}.json"


def forget(folder: Path) -> None:
    """The sessions of a folder that is gone."""
    _KEPT.pop(folder, None)
