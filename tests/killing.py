"""Kills recordings in real processes, at moments tied to their progress and at random ones, and counts what is lost.

A model on loopback answers and notes when each request came: once the next turn's request is there, the turn before it
must be on disk; once the command is dead, nothing may come any more.
"""

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import psutil

from convtest.cassettes import store
from convtest.errors import UnreadableCassette
from convtest.wire.interaction import Interaction
from tests.models import Behaviour, model
from tests.project import WITHOUT

How = Literal["record", "resume", "re-record", "serve"]
HOWS: tuple[How, ...] = ("record", "resume", "re-record", "serve")
TURNS = 6
BEFORE = 3
"""Turns that stand in the recording that broke off, where one is gone on with."""
MARK = "CONVTEST_TRIAL"
"""In the environment of every process of a trial."""
ON_THE_WAY = 0.25
"""Seconds after a kill in which a request may still arrive that was sent before it."""
WATCHED = 0.6
"""Seconds for which the model is watched after that."""
GONE = 8.0
"""Seconds after which a process is left."""
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
PLAY = "from convtest.cli import main; main()"
PROJECT = """
[tool.convtest]
client = "assistant"

[tool.convtest.clients.assistant]
{kind}
model = "claude-haiku-4-5"
upstream = "{url}"
"""
HERE = 'kind = "messages"'
ELSEWHERE = 'kind = "python"\ntarget = "convtest.clients.messages.client:MessagesClient"\nprocess = "own"'
"""A client in a process of its own, which a kill must end too."""
TALK = "scenario: long\nsteps:\n" + "".join(f"  - user: Small talk {n}\n" for n in range(TURNS))
CASSETTE = Path("cassettes/talk/long.yaml")
SERVED = Path("served.yaml")


@dataclass(slots=True)
class Model:
    """The model on loopback: what it was asked, and when."""

    url: str
    behaviour: Behaviour

    @property
    def asked(self) -> int:
        return len(self.behaviour.requests)

    def clear(self) -> None:
        self.behaviour.requests.clear()
        self.behaviour.times.clear()

    def after(self, moment: float) -> int:
        """Requests that came after it, and were not on their way."""
        return sum(at > moment + ON_THE_WAY for at in self.behaviour.times)


@dataclass(slots=True)
class Account:
    """What became of all trials of one kind."""

    kills: int = 0
    in_play: int = 0
    """Kills that came while turns were being recorded: not before the first, not after the last."""
    lost: int = 0
    harmed: int = 0
    left: int = 0
    after: int = 0
    unfinished: int = 0
    """Trials after which the next run did not make a whole recording of what was left."""
    problems: list[str] = field(default_factory=list)

    @property
    def bad(self) -> int:
        return self.lost + self.harmed + self.left + self.after + self.unfinished

    def add(self, other: "Account") -> None:
        for name in ("kills", "in_play", "lost", "harmed", "left", "after", "unfinished"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems += other.problems


@contextlib.contextmanager
def fake_model() -> Iterator[Model]:
    with model(Behaviour(pause=0.004)) as (url, behaviour):
        yield Model(url, behaviour)


class Trials:
    """All trials of one way to record, in a folder of their own."""

    def __init__(self, how: How, room: Path, upstream: Model, seed: int, folder: Path | None = None) -> None:
        self.how, self.room, self.model = how, room, upstream
        self.folder = folder or room / "project"
        (room / "tmp").mkdir(parents=True, exist_ok=True)
        self.chance = random.Random(f"{how} {seed}")
        self.account = Account()
        self.length = 2.0
        """Seconds that a play takes, learnt from the trials."""
        self._ports = 0
        self.finished = self._whole_recording()

    def run(self, count: int) -> Account:
        for number in range(count):
            self.trial(number)
        return self.account

    def trial(self, number: int) -> None:
        self._begin(elsewhere=self.how != "serve" and number % 4 == 3)
        before = snapshot(self.folder)
        held = interactions_of(self.cassette) + interactions_of(store.partial_of(self.cassette))
        mark = f"{self.room.name}-{os.getpid()}-{number}"
        process = self._start(mark)
        talk = Talk(self, process) if self.how == "serve" else None
        how = SIGNALS[number % len(SIGNALS)]
        self._wait(number, process, talk)
        asked = self.model.asked
        seen = talk.whole if talk else max(0, asked - 1)
        process.send_signal(how)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            # An interpreter that is importing may swallow a KeyboardInterrupt: a person would press the keys again.
            process.send_signal(how)
            process.wait(60)
        moment = time.monotonic()
        left = self._left(mark)
        late = self._late(moment)
        if talk:
            talk.end()
        account = self.account
        account.kills += 1
        account.in_play += 0 < asked < self._to_ask
        account.after += late
        account.left += len(left)
        self._note(number, "processes left", left)
        self._note(number, "requests after the kill", late)
        self._compare(number, before, held, seen)
        if number % 10 == 0 or late or left:
            self._finishes(number)

    @property
    def cassette(self) -> Path:
        return self.folder / (SERVED if self.how == "serve" else CASSETTE)

    @property
    def _to_ask(self) -> int:
        return TURNS - (BEFORE if self.how == "resume" else 0)

    def _begin(self, *, elsewhere: bool) -> None:
        self.model.clear()
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "scenarios").mkdir(parents=True)
        kind = ELSEWHERE if elsewhere else HERE
        (self.folder / "pyproject.toml").write_text(PROJECT.format(kind=kind, url=self.model.url))
        (self.folder / "scenarios/talk.yaml").write_text(TALK)
        self.cassette.parent.mkdir(parents=True, exist_ok=True)
        if self.how == "re-record":
            self.cassette.write_bytes(self.finished)
        if self.how == "resume":
            store.save(store.partial_of(self.cassette), self._first(BEFORE))

    def _first(self, count: int) -> list[Interaction]:
        path = self.folder / "whole.yaml"
        path.write_bytes(self.finished)
        found = store.load(path, shown="whole")[:count]
        path.unlink()
        return found

    def _whole_recording(self) -> bytes:
        """What all of it looks like, recorded by nobody who is killed."""
        if self.how == "serve":
            return b""
        how, self.how = self.how, "record"
        try:
            self._begin(elsewhere=False)
            begun = time.monotonic()
            code = self._start("whole", "--no-replay").wait(120)
            self.length = time.monotonic() - begun
            assert code == 0
            return self.cassette.read_bytes()
        finally:
            self.how = how

    def _start(self, mark: str, *more: str, limit: int | None = None) -> "subprocess.Popen[bytes]":
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV", "CI"))}
        environment |= {
            MARK: mark,
            "CONVTEST_TOKEN": "t",
            "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_ADDOPTS": WITHOUT,
            "TMPDIR": str(self.room / "tmp"),
        }
        command: dict[How, list[str]] = {
            "record": ["record"],
            "resume": ["record", "--resume"],
            "re-record": ["record", "--mode", "all"],
            "serve": ["serve", "--record", str(SERVED), "--upstream", self.model.url],
        }

        def full() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        with (self.room / "out").open("wb") as out:
            return subprocess.Popen(
                [sys.executable, "-c", PLAY, *command[self.how], *more],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if self.how == "serve" else out,
                stderr=out,
                preexec_fn=full,
            )

    def _wait(self, number: int, process: "subprocess.Popen[bytes]", talk: "Talk | None") -> None:
        """Half of the kills come at a request, with up to 20 ms, half at any time."""
        if number % 2:
            until = time.monotonic() + self.chance.uniform(0, 1.1 * self.length)
            while time.monotonic() < until and process.poll() is None:
                time.sleep(0.001)
            return
        wanted = 1 + (number // 2) % self._to_ask
        deadline = time.monotonic() + 30
        while self.model.asked < wanted and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.0005)
        time.sleep(self.chance.uniform(0, 0.02))

    def _left(self, mark: str) -> list[str]:
        """Processes of the trial that outlive it; they are ended here."""
        deadline = time.monotonic() + GONE
        while (found := marked(mark)) and time.monotonic() < deadline:
            time.sleep(0.02)
        names = [f"{one.pid} {' '.join(one.cmdline())[-80:]}" for one in found if one.is_running()]
        for one in found:
            with contextlib.suppress(psutil.Error):
                one.kill()
        return names

    def _late(self, moment: float) -> int:
        wait = moment + ON_THE_WAY + WATCHED - time.monotonic()
        time.sleep(max(0.0, wait))
        return self.model.after(moment)

    def _note(self, number: int, what: str, found: Any) -> None:
        if found:
            self.account.problems.append(f"{self.how} {number}: {what}: {found}")

    def _compare(self, number: int, before: dict[str, bytes], held: list[Interaction], seen: int) -> None:
        """What stands there now, against what stood there and what was answered."""
        now = snapshot(self.folder)
        expected = {str(self.cassette.relative_to(self.folder)) + more for more in ("", ".partial", ".lock")}
        strange = [name for name in now if name not in before and name not in expected and not name.endswith(".tmp")]
        changed = [name for name in before if now.get(name) != before[name] and name not in expected]
        try:
            kept = interactions_of(self.cassette)
            partial = interactions_of(store.partial_of(self.cassette))
        except UnreadableCassette as error:
            kept, partial = [], []
            changed.append(str(error))
        if self.how == "re-record" and len(kept) != TURNS:
            changed.append(f"the old cassette: {len(kept)} of {TURNS}")
        self.account.harmed += len(strange) + len(changed)
        self._note(number, "files", strange + changed)
        # Of a re-recording the old cassette is no witness, unless all was asked: what is the same stays as it was.
        witness = self.how != "re-record" or self.model.asked >= TURNS or self._is_new(before)
        new = partial or (kept if witness else [])
        complete = sum(one.ended == "complete" for one in new)
        wanted = seen + (BEFORE if self.how == "resume" else 0)
        missing = [one for one in held if not any(same(one, other) for other in (*kept, *partial))]
        missing = [] if self.how == "re-record" else missing
        lost = max(0, wanted - complete) + len(missing)
        self.account.lost += lost
        self._note(number, "turns lost", f"{lost}: {wanted} answered, {complete} on disk" if lost else "")

    def _is_new(self, before: dict[str, bytes]) -> bool:
        return self.cassette.read_bytes() != before.get(str(CASSETTE))

    def _finishes(self, number: int) -> None:
        """The next run makes a whole recording of what is there, and sweeps up."""
        code = self._served_on() if self.how == "serve" else self._run_on()
        names = sorted(name for name in snapshot(self.folder) if name.startswith(("cassettes", str(SERVED))))
        left = [name for name in names if name.endswith((".tmp", ".lock", ".partial"))]
        whole = len(interactions_of(self.cassette)) if self.cassette.exists() else 0
        wanted = TURNS if self.how != "serve" else 1
        if code != 0 or left or whole < wanted:
            self.account.unfinished += 1
            self._note(
                number, "the next run", f"exit code {code}, {whole} interactions, left {left}: {self.said()[-600:]}"
            )

    def said(self) -> str:
        return (self.room / "out").read_text()

    def _run_on(self) -> int:
        how, self.how = self.how, "re-record" if self.how == "re-record" else "resume"
        try:
            return self._start("on", "--resume").wait(120)
        finally:
            self.how = how

    def _served_on(self) -> int:
        if self.cassette.exists():
            return 0
        process = self._start("on", "--resume")
        talk = Talk(self, process)
        talk.until(1)
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
        talk.end()
        return code

    def full_disk(self, *, really: bool = False) -> str:
        """A play where files cannot grow beyond half of what is needed, or `really` on a disk that has no room for
        more; what is wrong with what became of it, if anything."""
        self._begin(elsewhere=False)
        size = len(self.finished) or 12_000
        if really:
            fill(self.folder / "ballast", but=size)
        held = interactions_of(store.partial_of(self.cassette))
        old = self.cassette.read_bytes() if self.cassette.exists() else b""
        process = self._start("full", limit=None if really else size * 6 // 10)
        talk = Talk(self, process) if self.how == "serve" else None
        code = process.wait(60)
        if talk:
            talk.end()
        said, kept = self.said(), interactions_of(store.partial_of(self.cassette))
        now = self.cassette.read_bytes() if self.cassette.exists() else b""
        lost = [one for one in held if not any(same(one, other) for other in kept)]
        rests = [name for name in snapshot(self.folder) if name.endswith(".tmp")]
        told = said.count("cannot write the recording")
        wrong = [
            *([f"exit code {code}"] if code != 2 else []),
            *([f"it was told {told} times"] if not 1 <= told <= 2 else []),
            *(["a traceback"] if "Traceback" in said else []),
            *([f"{len(lost)} turns are lost"] if lost else []),
            *(["no turn was kept"] if not kept else []),
            *(["the old cassette changed"] if now != old else []),
            *([f"temporary files: {rests}"] if rests else []),
        ]
        return ", ".join(wrong) and f"{self.how}: {', '.join(wrong)}: {said[-800:]}"

    def two_writers(self) -> str:
        """A second writer meets the first; what is wrong with what became of both, if anything."""
        self._begin(elsewhere=False)
        before = self.model.behaviour.pause
        mark = f"first-{self.room.name}-{os.getpid()}"
        first = self._start(mark)
        talk = Talk(self, first) if self.how == "serve" else None
        deadline = time.monotonic() + 30
        while self.model.asked < 2 and first.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        first.send_signal(signal.SIGSTOP)
        child = [one for one in marked(mark) if one.pid != first.pid]
        for one in child:
            one.suspend()
        try:
            second = self._start("second", *(["--port", "0"] if self.how == "serve" else []))
            refused = second.wait(60)
            if second.stdout is not None:
                second.stdout.close()
            said = self.said()
        finally:
            for one in child:
                one.resume()
            first.send_signal(signal.SIGCONT)
        if talk:
            talk.until(TURNS)
            first.send_signal(signal.SIGTERM)
        code = first.wait(60)
        if talk:
            talk.end()
        whole = len(interactions_of(self.cassette))
        self.model.behaviour.pause = before
        wrong = [
            *([f"the second ended with {refused}"] if refused != 2 else []),
            *(["the second was not refused"] if "another process is recording" not in said else []),
            *([f"the first ended with {code}"] if code != 0 else []),
            *([f"{whole} of {TURNS} turns"] if whole < TURNS else []),
        ]
        return ", ".join(wrong) and f"{self.how}: {', '.join(wrong)}: {said[-800:]}"


class Talk:
    """A program that asks the served model one thing after another, and counts what it has read to the end."""

    def __init__(self, trials: Trials, process: "subprocess.Popen[bytes]") -> None:
        self.whole = 0
        self._process = process
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def _talk(self) -> None:
        assert self._process.stdout is not None
        url = next((line for line in self._process.stdout if b"export ANTHROPIC_BASE_URL=" in line), b"").decode()
        if not url:
            return
        address = url.partition("=")[2].strip()
        with httpx.Client(headers={"x-api-key": "t"}, timeout=20) as client:
            for number in range(40):
                if self._over.is_set():
                    return
                messages = [{"role": "user", "content": f"Small talk {number}"}]
                body = {"model": "m", "max_tokens": 9, "stream": number % 3 > 0, "messages": messages}
                try:
                    with client.stream("POST", f"{address}/v1/messages", json=body) as answer:
                        for _ in answer.iter_bytes():
                            pass
                        if answer.status_code != 200:
                            return
                except httpx.HTTPError:
                    return
                self.whole += 1

    def until(self, whole: int) -> None:
        deadline = time.monotonic() + 30
        while self.whole < whole and self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)

    def end(self) -> None:
        self._over.set()
        self._thread.join(20)
        if self._process.stdout is not None:
            self._process.stdout.close()


def marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def fill(path: Path, *, but: int) -> None:
    """Leave so many bytes on the disk."""
    found = os.statvfs(path.parent)
    path.write_bytes(bytes(max(0, found.f_bavail * found.f_frsize - but)))


def snapshot(folder: Path) -> dict[str, bytes]:
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and ".pytest_cache" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def interactions_of(path: Path) -> list[Interaction]:
    return store.load(path, shown=path.name) if path.exists() else []


def same(one: Interaction, other: Interaction) -> bool:
    return one.canonical.key == other.canonical.key and one.chunks == other.chunks and one.ended == other.ended
