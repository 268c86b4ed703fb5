"""Applications under test that fixtures start: a process with an address, whose end is somebody's to answer for."""

import contextlib
import contextvars
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from convtest.clients.last_words import first_error
from convtest.errors import ConvtestError, did_you_mean
from convtest.structs import Struct
from convtest.wire import lanes

_HOST = "127.0.0.1"
_GRACE = 5.0
"""Seconds that an application has to end once it was told to."""
EXIT = 0.5
"""Seconds between the end of an application's connections and its own."""
LINGER = 0.05
"""Seconds after an item in which an application may still die of it."""
_SHOWN = 300
"""Characters of a line that are shown."""
_READ = 1_000_000
"""Bytes of its output in which an error is looked for."""


class ApplicationError(ConvtestError, page="clients#an-application-that-a-fixture-starts"):
    """An application under test does not run."""

    def __init__(self, what: str, *, help: str) -> None:
        self._what, self._help = what, help
        super().__init__(f"{what}\n    {help}")

    def that_was_after(self, item: str) -> "ApplicationError":
        """The same, told when the item had ended that may have done it."""
        when = f"after {item} had ended" if item else "before any item began"
        return ApplicationError(f"{self._what}; that was {when}", help=self._help)


class Started(Struct, frozen=True):
    """How an application is started: `${port}` in the command and `PORT` in the environment say where to listen."""

    command: Sequence[str]
    environment: Mapping[str, str]
    cwd: Path


class Application:
    """One process that listens on a port of this machine, the same one whenever it is started again."""

    def __init__(self, started: Started, *, name: str, log: Path, health: str, timeout: float) -> None:
        """`health`: a path that is answered below 400 once it can be used; empty: it is as soon as it listens.
        `timeout`: seconds until then."""
        self.name = name
        self.log = log
        """What it writes on stdout and stderr."""
        self.port = _free_port()
        self._command = [one.replace("${port}", str(self.port)) for one in started.command]
        self._environment = {**started.environment, "PORT": str(self.port)}
        self._cwd = started.cwd
        self._health = health
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._since = 0
        self._item = ""
        self._told = False

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://{_HOST}:{self.port}"

    def start(self) -> None:
        """Until it can be used. Raises ApplicationError."""
        self._since = self.log.stat().st_size if self.log.exists() else 0
        self._told = False
        try:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, cwd=self._cwd, env=self._environment, stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log, start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            help = "is it installed, and its path right?"
            raise ApplicationError(f"{self._called} cannot be started: {error.strerror}", help=help) from None
        contextvars.copy_context().run(self._until_ready)

    def _until_ready(self) -> None:
        lanes.apart()  # we ask it here, and no client
        assert self._process is not None
        deadline = time.monotonic() + self._timeout
        while not self._answers():
            if self._process.poll() is not None:
                self._told = True
                raise self._death("did not start")
            if time.monotonic() > deadline:
                self.end()
                asked = f"{self.url}{self._health}"
                what = f"{self._called} does not answer at {asked} after {self._timeout:g} s{self._said()}"
                raise ApplicationError(what, help=f"it has to listen on the port in PORT; its output: {self.log}")
            time.sleep(0.02)

    def end(self) -> None:
        """SIGTERM to it and all that it started; SIGKILL to what is still there after a while."""
        process, self._process = self._process, None
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)

    def restart(self) -> None:
        """Raises ApplicationError where it does not come up again."""
        self.end()
        self.start()

    def begin(self, item: str) -> None:
        """An item begins that may use it: one that died is started again. Raises ApplicationError where nobody was told
        of that yet, or it does not start."""
        before, self._item = self._item, item
        death = self.died()
        if self._process is None or self._process.poll() is not None:
            self.end()
            self.start()
        self._since = self.log.stat().st_size
        if death is not None:
            raise death.that_was_after(before)

    def wait(self, seconds: float) -> None:
        """For what is about to end."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)

    def finish(self) -> None:
        """The end of its fixture. Raises ApplicationError where it had ended by itself and nobody was told."""
        self.wait(LINGER)
        death = self.died()
        self.end()
        if death is not None:
            raise death.that_was_after(self._item)

    def died(self) -> ApplicationError | None:
        """What there is to say where it ended by itself; once."""
        if self._told or self._process is None or self._process.poll() is None:
            return None
        self._told = True
        return self._death("died")

    @property
    def _called(self) -> str:
        return f"the application {self.name!r}"

    def _death(self, how: str) -> ApplicationError:
        assert self._process is not None
        code = self._process.poll() or 0
        ended = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        return ApplicationError(f"{self._called} {how} ({ended}){self._said()}", help=f"its output: {self.log}")

    def _said(self) -> str:
        """The first line of its output, since the item began, that tells of an error; else the last line."""
        with self.log.open("rb") as log:
            log.seek(self._since)
            shown = first_error(log.read(_READ).decode("utf-8", "replace").splitlines())
        return f": {shown[:_SHOWN]}" if shown else ", and said nothing"

    def _answers(self) -> bool:
        try:
            with socket.create_connection((_HOST, self.port), timeout=1) as connection:
                if not self._health:
                    return True
                path = f"/{self._health.lstrip('/')}"
                connection.sendall(f"GET {path} HTTP/1.1\r\nhost: {_HOST}\r\nconnection: close\r\n\r\n".encode())
                status = connection.recv(64).split(b" ", 2)[1:2]
        except OSError:
            return False
        return bool(status) and status[0].isdigit() and int(status[0]) < 400


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


class Applications:
    """Those that run, by name."""

    def __init__(self) -> None:
        self._all: dict[str, Application] = {}

    def add(self, one: Application) -> None:
        """Raises ApplicationError for a name that is taken."""
        if one.name in self._all:
            what = f"there is an application {one.name!r} already"
            raise ApplicationError(what, help="give each a name of its own: name=")
        self._all[one.name] = one

    def remove(self, one: Application) -> None:
        self._all.pop(one.name, None)

    def __iter__(self) -> Iterator[Application]:
        return iter(self._all.values())

    def __bool__(self) -> bool:
        return bool(self._all)

    def begin(self, item: str) -> None:
        """As Application.begin, of all."""
        for one in self:
            one.begin(item)

    def wait(self, seconds: float) -> None:
        """For those that are about to end."""
        for one in self:
            one.wait(seconds)

    def death(self) -> ApplicationError | None:
        """Of the first that ended by itself."""
        return next((error for one in self if (error := one.died())), None)

    def restart(self, name: str, place: object) -> None:
        """Raises ApplicationError where there is none of the name, or it does not come up again."""
        if name not in self._all:
            help = did_you_mean(name, self._all) or "a fixture of the item starts it: convtest_app"
            raise ApplicationError(f"{place}: no application {name!r} runs", help=help)
        self._all[name].restart()
