"""How fast real models are asked: requests at once, requests and tokens a minute, by all processes of a user."""

import contextlib
import json
import os
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from convtest.clock import aside
from convtest.structs import Struct, field, replace
from convtest.wire.interaction import Interaction
from convtest.wire.messages_api import usage_of
from convtest.wire.tap import Answer, OpenTurn, Source, Via

_LONGEST = 0.25
"""Seconds that are waited at once; then it is looked at again."""
_SHORTEST = 0.02
_A_TOKEN = 4
"""Bytes of a request that are taken for one token, until its answer says how many there were."""


def shared_folder() -> Path:
    """Where all processes of this user find each other."""
    name = getattr(os, "getuid", lambda: os.environ.get("USERNAME", "me"))()
    return Path(tempfile.gettempdir()) / f"convtest-pace-{name}"


class Pace(Struct, frozen=True, kw_only=True):
    """What may be asked; None is no limit. A `retry-after` is obeyed always."""

    concurrency: int | None = None
    requests: int | None = None
    """A minute."""
    tokens: int | None = None
    """A minute; those of the prompt and of the answer."""
    folder: Path = field(default_factory=shared_folder)
    minute: float = 60.0
    """Seconds."""

    @property
    def limits(self) -> bool:
        return any(one is not None for one in (self.concurrency, self.requests, self.tokens))


class Paced:
    """Asks the upstream when it may. What is waited for counts for nobody: neither in times nor in time limits."""

    def __init__(self, source: Source, pace: Pace) -> None:
        self._source = source
        self._pace = pace
        self._out: list[_Place] = []

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        host = urlsplit(interaction.request.url).netloc.replace(":", "-") or "nowhere"
        book = _Book(self._pace, host)
        place = await self._admitted(book, interaction, via)
        self._out.append(place)
        try:
            answer = await self._source.answer(interaction, turn, via)
        except BaseException:
            place.leave()
            raise
        if (pause := _retry_after(answer.headers)) is not None:
            book.pause(pause)
        return replace(answer, chunks=_Chunks(answer.chunks, place), close=_closing(answer, place))

    def settle(self) -> None:
        """Nothing more is read: whoever waits may go on."""
        for place in self._out:
            place.leave()
        self._out.clear()

    async def _admitted(self, book: "_Book", interaction: Interaction, via: Via) -> "_Place":
        self._out = [one for one in self._out if not one.left]
        tokens = max(1, len(interaction.request.body) // _A_TOKEN)
        while not self._pace.limits and (pause := book.paused()) > 0:
            await aside(via.clock, 1000 * min(_LONGEST, pause))
        while self._pace.limits:
            slot = book.slot()
            wait = _SHORTEST if slot is None else book.admit(tokens)
            if slot is not None and isinstance(wait, str):
                return _Place(book, wait, slot, interaction)
            if slot is not None:
                slot.release()
            await aside(via.clock, 1000 * min(_LONGEST, max(_SHORTEST, wait if isinstance(wait, float) else 0.0)))
        return _Place(book, "", None, interaction)


class _Book:
    """What has been asked of one host in the last minute, in a file that all processes write."""

    def __init__(self, pace: Pace, host: str) -> None:
        self._pace = pace
        pace.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = pace.folder / f"{host}.json"
        self._lock = FileLock(pace.folder / f"{host}.lock", thread_local=False)

    def slot(self) -> FileLock | None:
        """One of as many as may be out at once; the kernel gives it back if this process is killed. None if all are
        taken."""
        for number in range(self._pace.concurrency or 0):
            lock = FileLock(f"{self._path}.{number}.slot", thread_local=False)
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=0)
                return lock
        return None if self._pace.concurrency else FileLock(f"{self._path}.free", thread_local=False)

    def paused(self) -> float:
        """Seconds for which a server has asked to be left alone."""
        return float(self._read()["until"]) - time.time()

    def admit(self, tokens: int) -> float | str:
        """The id of what may be sent now, or the seconds until it may be asked again."""
        with self._lock:
            now, page = time.time(), self._read()
            wait = page["until"] - now
            sent = [one for one in page["sent"] if 0 <= now - one[1] < self._pace.minute]
            for most, used in ((self._pace.requests, len(sent)), (self._pace.tokens, sum(one[2] for one in sent))):
                # A request that is larger than a minute's tokens is sent alone.
                if most is not None and used + (1 if most is self._pace.requests else tokens) > most and sent:
                    wait = max(wait, self._pace.minute - (now - min(one[1] for one in sent)))
            if wait > 0:
                return float(wait)
            made = uuid.uuid4().hex
            self._write({"until": page["until"], "sent": [*sent, [made, now, tokens]]})
            return made

    def count(self, made: str, tokens: int) -> None:
        """It was that many after all."""
        with self._lock:
            page = self._read()
            page["sent"] = [[one[0], one[1], tokens if one[0] == made else one[2]] for one in page["sent"]]
            self._write(page)

    def pause(self, seconds: float) -> None:
        with self._lock:
            page = self._read()
            page["until"] = max(page["until"], time.time() + seconds)
            self._write(page)

    def _read(self) -> dict[str, Any]:
        """Nothing, where a process was killed while it wrote, or where nobody has."""
        try:
            page = json.loads(self._path.read_bytes())
            return {"until": float(page["until"]), "sent": [[str(a), float(b), int(c)] for a, b, c in page["sent"]]}
        except (OSError, ValueError, KeyError, TypeError):
            return {"until": 0.0, "sent": []}

    def _write(self, page: dict[str, Any]) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(page))
        new.replace(self._path)


class _Place:
    """One request that is out."""

    def __init__(self, book: _Book, made: str, slot: FileLock | None, interaction: Interaction) -> None:
        self._book, self._made, self._slot, self._interaction = book, made, slot, interaction
        self.left = False

    def leave(self) -> None:
        if self.left:
            return
        self.left = True
        usage = usage_of(self._interaction.reply())
        if (used := usage.prompt_tokens + usage.output_tokens) and self._made:
            self._book.count(self._made, used)
        if self._slot is not None:
            self._slot.release()


class _Chunks:
    """A body; its end gives the place back."""

    def __init__(self, chunks: AsyncIterator[bytes], place: _Place) -> None:
        self._next = chunks.__anext__
        self._place = place

    def __aiter__(self) -> "_Chunks":
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._next()
        except BaseException:
            self._place.leave()
            raise


def _closing(answer: Answer, place: _Place) -> Callable[[], Any]:
    async def close() -> None:
        place.leave()
        await answer.close()

    return close


def _retry_after(headers: tuple[tuple[str, str], ...]) -> float | None:
    """Seconds, whether it says them or a date (RFC 9110 section 10.2.3)."""
    said = next((value for name, value in headers if name.lower() == "retry-after"), None)
    if said is None:
        return None
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return None
