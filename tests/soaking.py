"""Records, replays, sweeps and serves in one process, over and over, and samples what that process holds."""

import os
import shutil
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from textwrap import dedent

import httpx
import psutil

from convtest.cassettes.scrubbing import Scrubber
from convtest.cassettes.store import Cassette
from convtest.config import Config, Profile
from convtest.gateway.application import Gateway
from convtest.play.mode import Mode
from convtest.play.perform import ready
from convtest.play.standalone import Plan, serve
from convtest.play.sweeping import points
from convtest.scenario.loader import load
from convtest.temporary import temporary
from tests.models import Behaviour, model

TALK = dedent("""
    scenario: talk
    sweep: {turn: story, disturb: [interrupt, reset], at: every change, then: [{user: And now?}]}
    steps:
      - user: My name is Ada.
      - {user: Tell me a story., id: story}
      - user: What is my name?
    """)
CLIENTS = {
    "here": Profile(name="here", kind="messages", upstream="", options={"model": "claude-haiku-4-5"}),
    "elsewhere": Profile(
        name="elsewhere",
        kind="python",
        target="convtest.clients.messages.client:MessagesClient",
        upstream="",
        options={"model": "claude-haiku-4-5", "process": "own"},
    ),
}
WARM = 0.25
"""The share of a run in which caches fill."""
GROWTH = 0.03
"""The share by which memory may grow between the first and the last quarter of what follows: an allocator breathes."""
LEAST = 4.0
"""Megabytes that are no growth, however small the process."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process holds between two rounds."""

    minute: float
    rounds: int
    memory: float
    """Resident megabytes."""
    descriptors: int
    threads: int
    children: int
    files: int
    """In the folder of temporary files, folders included."""


@dataclass(slots=True)
class Soak:
    """One run: `room` holds the project, and all temporary files."""

    room: Path
    rounds: int = 0
    samples: list[Sample] = field(default_factory=list)
    _begun: float = field(default_factory=time.monotonic)

    def run(self, minutes: float, tell: Callable[[Sample], None], every: float = 30.0) -> None:
        """Sample every so many seconds."""
        process, end, due = psutil.Process(), self._begun + 60 * minutes, 0.0
        with model(Behaviour(pause=0)) as (url, does):
            while time.monotonic() < end:
                self.round(url)
                for noted in (does.requests, does.headers, does.times):
                    noted.clear()  # else the model would be what grows
                self.rounds += 1
                if time.monotonic() >= due:
                    self.samples.append(self._sample(process))
                    tell(self.samples[-1])
                    due = time.monotonic() + every

    def round(self, url: str) -> None:
        """A recording, its replay, the points of its sweep, and a served conversation that is recorded and replayed."""
        client = "elsewhere" if self.rounds % 8 == 7 else "here"
        shutil.rmtree(self.room / "project", ignore_errors=True)
        config = project(self.room / "project", url, client)
        file = config.root / "scenarios/talk.yaml"
        (scenario,) = load(file, shown="talk.yaml", default_client=client, clients=tuple(config.clients))
        for mode in (Mode(record="all"), Mode()):
            with temporary() as folder:
                played = ready(config, scenario, mode).play(folder)
            assert played.verdict.passed, played.verdict
        for point in points(config, scenario) if client == "here" else ():
            with temporary() as folder:
                ready(config, point, Mode()).play(folder)
        path = self.room / "project/served.yaml"
        cassette = Cassette(path, path.name)
        served = serve(Plan(upstream=url, record=cassette), Scrubber({}), [], asks)
        assert served.kept == 3, served
        again = serve(Plan(replay=path, speed=1000), Scrubber({}), cassette.load(), asks)
        assert not again.missed, again

    def _sample(self, process: psutil.Process) -> Sample:
        files = sum(1 for _ in Path(tempfile.gettempdir()).rglob("*"))
        return Sample(
            minute=round((time.monotonic() - self._begun) / 60, 2),
            rounds=self.rounds,
            memory=round(process.memory_info().rss / 1e6, 1),
            descriptors=process.num_fds(),
            threads=process.num_threads(),
            children=len(process.children(recursive=True)),
            files=files,
        )


def project(root: Path, url: str, client: str) -> Config:
    (root / "scenarios").mkdir(parents=True)
    (root / "scenarios/talk.yaml").write_text(TALK, encoding="utf-8")
    clients = {
        name: Profile(name=one.name, kind=one.kind, target=one.target, upstream=url, options=one.options)
        for name, one in CLIENTS.items()
    }
    return Config(
        root=root, scenarios=(root / "scenarios",), cassettes=root / "cassettes", client=client, clients=clients
    )  # fmt: skip


def asks(gateway: Gateway) -> None:
    """A program that talks to the served model, and then ends it."""

    def talk() -> None:
        headers = {"x-api-key": gateway.token}
        try:
            with httpx.Client(headers=headers, timeout=20) as client:
                for number in range(3):
                    messages = [{"role": "user", "content": f"Small talk {number}"}]
                    body = {"model": "m", "max_tokens": 9, "stream": True, "messages": messages}
                    client.post(f"{gateway.address('main')}/v1/messages", json=body).raise_for_status()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=talk, daemon=True).start()


def grown(samples: Sequence[Sample]) -> list[str]:
    """What is not flat, once caches are full: medians of the first and of the last quarter are compared."""
    warm = [one for one in samples if one.minute >= WARM * samples[-1].minute]
    size = max(1, len(warm) // 4)
    first, last = warm[:size], warm[-size:]
    found = []
    for name in ("memory", "descriptors", "threads", "children", "files"):
        before, after = (statistics.median(getattr(one, name) for one in part) for part in (first, last))
        allowed = max(LEAST, GROWTH * before) if name == "memory" else 0
        if after - before > allowed:
            found.append(f"{name} grew from {before:g} to {after:g}")
    return found


def table(samples: Sequence[Sample], most: int = 31) -> Iterator[str]:
    """The curve, thinned out."""
    yield " ".join(f"{one.name:>11}" for one in fields(Sample)) + "   memory"
    step = max(1, -(-len(samples) // most))
    top = max(one.memory for one in samples)
    for one in samples[::step]:
        yield " ".join(f"{value:>11}" for value in astuple(one)) + "   " + "#" * round(40 * one.memory / top)
