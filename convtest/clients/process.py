"""A child process that speaks one JSON object per line on stdin and stdout."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import msgspec

from convtest.clients import family
from convtest.clients.last_words import last_words
from convtest.errors import ClientError
from convtest.limits import DEFAULTS, SECTION, Limits

_TAIL = 16_384
"""Bytes of a program's stderr of which its last words are made."""
_LOOKS = 100
"""Times 5 ms for what a program that has ended said last."""
GRACE = 3.0
"""Seconds that a program has to end once it was told to."""


class ProgramError(Exception):
    """The program broke the protocol or ended in the middle of it; the text ends with its last words on stderr."""


async def _emptied(output: anyio.abc.ByteReceiveStream) -> None:
    """Read what nobody wanted: a pipe that still holds something is never closed by the event loop."""
    with anyio.move_on_after(GRACE), contextlib.suppress(anyio.EndOfStream, anyio.ClosedResourceError):
        while True:
            await output.receive()


class _LastWords:
    """A program's stderr: read as it comes, by a thread, so that it never has to wait; kept up to a limit."""

    def __init__(self, log: Path, most: int) -> None:
        self._log = log
        self._left = most
        self._tail = b""
        self._reader: threading.Thread | None = None

    @contextlib.contextmanager
    def hears(self) -> Iterator[int]:
        """The end of a pipe to hand to a program that is started within."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        read, write = os.pipe()
        try:
            yield write
        finally:
            os.close(write)
            self._reader = threading.Thread(target=self._read, args=(read,), name="convtest-stderr", daemon=True)
            self._reader.start()

    def _read(self, pipe: int) -> None:
        with self._log.open("ab") as log, open(pipe, "rb", buffering=0) as said:
            while data := said.read(65_536):
                self._tail = (self._tail + data)[-_TAIL:]
                if self._left > 0:
                    log.write(data[: self._left])
                    log.flush()
                    self._left -= len(data)

    async def last(self) -> str:
        """What was said last; waits a little for what is on its way."""
        for _ in range(_LOOKS):
            if self._reader is None or not self._reader.is_alive():
                break
            await anyio.sleep(0.005)
        return self._tail.decode("utf-8", "replace")


class Program:
    """Runs in a process group of its own, so that whatever it starts ends with it."""

    def __init__(
        self, argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str], log: Path, limits: Limits = DEFAULTS
    ) -> None:
        self._argv = list(argv)
        self._cwd = cwd
        self._environment = dict(environment)
        self._words = _LastWords(log, limits.stderr)
        self._most = limits.line
        self._process: anyio.abc.Process | None = None
        self._rest = bytearray()
        self._lines = 0
        self.killed = False
        """It was told to die, and may take its time."""

    async def start(self, *, client: str) -> None:
        """Raises ClientError where there is no such program."""
        try:
            with self._words.hears() as errors:
                self._process = await anyio.open_process(
                    self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                    cwd=self._cwd, env=self._environment, start_new_session=True,
                )  # fmt: skip
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            help = "is it installed, and its path right? It is started in the folder of pyproject.toml"
            raise ClientError(f"cannot start {self._argv[0]!r}: {error.strerror}", client=client, help=help) from None
        family.note(self._environment, self._process.pid)

    @property
    def running(self) -> bool:
        # That a killed one is dead is seen only when the event loop has taken its exit code.
        return self._process is not None and self._process.returncode is None and not self.killed

    async def say(self, message: Mapping[str, Any]) -> None:
        """Raises ProgramError where nobody listens any more."""
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            await self._process.stdin.send(msgspec.json.encode(message) + b"\n")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise ProgramError(await self._epitaph()) from None

    async def hear(self) -> dict[str, Any]:
        """The next message. Raises ProgramError for a line that is none, and at the end of its output."""
        line = await self._line()
        self._lines += 1
        try:
            message = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError):
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            shown = line[:200].decode("utf-8", "replace")
            raise ProgramError(
                f"line {self._lines} of the program's output is no JSON object with a type: {shown!r}; "
                "what is not of the protocol goes to stderr"
            )
        return message

    async def _line(self) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        looked = 0
        while (end := self._rest.find(b"\n", looked)) < 0:
            looked = len(self._rest)
            try:
                self._rest += await self._process.stdout.receive()
            except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
                raise ProgramError(await self._epitaph()) from None
            if len(self._rest) > self._most:
                more = f"more than {self._most:,} bytes without a line's end"
                raise ProgramError(f"the program wrote {more}; if that is meant, raise the limit: line, {SECTION}")
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return line

    async def _epitaph(self) -> str:
        assert self._process is not None
        with anyio.move_on_after(GRACE):
            await self._process.wait()
        code = self._process.returncode
        how = (
            "closed its output"
            if code is None
            else f"ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}"
        )
        last = last_words(await self._words.last())
        return f"the program {how}" + (f"; its last words: {' | '.join(last)}" if last else "")

    def kill(self) -> None:
        """SIGKILL to its whole group."""
        self.killed = True
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """To its whole group."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    async def end(self) -> str:
        """Close its input and wait for it. One that stays is ended by force, and named in what is returned."""
        process = self._process
        if process is None:
            return ""
        if process.stdin is not None:
            await process.stdin.aclose()
        with anyio.move_on_after(GRACE):
            await process.wait()
        stayed = process.returncode is None
        if stayed:
            self.kill()
            with anyio.move_on_after(GRACE):
                await process.wait()
        if process.stdout is not None:
            await _emptied(process.stdout)
            await process.stdout.aclose()
        return f"pid {process.pid}: {' '.join(self._argv)[:120]}" if stayed else ""
