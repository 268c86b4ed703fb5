"""Real models are asked no faster than they may be, by all processes together; what is waited for counts for nobody."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from convtest.clock import Blocking, RealClock, VirtualClock, aside, run_now
from convtest.play.mode import Mode
from convtest.wire.interaction import Interaction, Request
from convtest.wire.pacing import Pace, Paced
from convtest.wire.tap import Answer, OpenTurn, Via
from tests.models import model
from tests.playing import Stage
from tests.project import SECTION, Project

MINUTE = 0.8


class Upstream:
    """Notes when it was asked and how many answers were open at once."""

    def __init__(self, headers: tuple[tuple[str, str], ...] = (), usage: int = 0, breaks: bool = False) -> None:
        self.asked: list[float] = []
        self.most = 0
        self._open = 0
        self._headers, self._usage, self._breaks = headers, usage, breaks

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        self.asked.append(time.time())
        if self._breaks:
            raise OSError("no response")
        self._open += 1
        self.most = max(self.most, self._open)
        interaction.__dict__["_whole_reply"] = {"usage": {"input_tokens": self._usage}} if self._usage else {}
        return Answer(status=200, reason="OK", headers=self._headers, chunks=self._chunks(interaction))

    async def _chunks(self, interaction: Interaction) -> AsyncIterator[bytes]:
        await anyio.sleep(0.02)
        yield b"x"
        self._open -= 1
        interaction.ended = "complete"


async def nowhere(request: Request) -> Answer:
    raise AssertionError


def asking(body: bytes = b"{}", host: str = "api.example.com") -> Interaction:
    request = Request(method="POST", url=f"https://{host}/v1/messages", headers=(), body=body)
    return Interaction(number=1, lane="main", turn=1, request=request)


async def ask(source: Paced, body: bytes = b"{}", clock: Any = None) -> None:
    answer = await source.answer(asking(body), None, Via(clock=clock or RealClock(), forward=nowhere))
    async for _ in answer.chunks:
        pass


def asked(folder: Path, times: int, upstream: Upstream, *, body: bytes = b"{}", **limits: Any) -> float:
    """Seconds that it took to ask so often, as fast as possible."""

    async def all_of_them() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(times):
                tasks.start_soon(ask, Paced(upstream, Pace(folder=folder, minute=MINUTE, **limits)), body)

    begun = time.monotonic()
    anyio.run(all_of_them)
    return time.monotonic() - begun


def busiest(moments: list[float]) -> int:
    """The most that fell into half a minute: on a busy machine one is sent a while after it was given leave."""
    return max(sum(begin <= one < begin + MINUTE * 0.5 for one in moments) for begin in moments)


def test_no_more_requests_are_out_at_once_than_may_be(tmp_path: Path) -> None:
    few, many = Upstream(), Upstream()
    asked(tmp_path, 8, few, concurrency=2)
    asked(tmp_path, 8, many)

    assert (len(few.asked), few.most) == (8, 2)
    assert many.most > 2


def test_no_minute_has_more_requests_than_it_may(tmp_path: Path) -> None:
    upstream = Upstream()

    asked(tmp_path, 9, upstream, requests=3)

    assert len(upstream.asked) == 9
    assert busiest(upstream.asked) <= 3


def test_tokens_are_those_of_the_answer_once_it_is_known(tmp_path: Path) -> None:
    by_size, by_usage = Upstream(), Upstream(usage=60)
    asked(tmp_path / "size", 6, by_size, body=b"x" * 200, tokens=100)
    asked(tmp_path / "usage", 4, by_usage, tokens=100, concurrency=1)

    assert busiest(by_size.asked) <= 2
    assert busiest(by_usage.asked) <= 2


def test_a_request_larger_than_a_minute_is_sent_alone(tmp_path: Path) -> None:
    upstream = Upstream()

    asked(tmp_path, 2, upstream, body=b"x" * 4000, tokens=100)

    assert len(upstream.asked) == 2
    assert busiest(upstream.asked) == 1


@pytest.mark.parametrize(
    "said", [lambda: "0.5", lambda: format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)]
)
@pytest.mark.parametrize("limits", [{}, {"concurrency": 5}])
def test_a_retry_after_is_obeyed_by_all_others_too(
    tmp_path: Path, said: Callable[[], str], limits: dict[str, Any]
) -> None:
    asked(tmp_path, 1, Upstream(headers=(("Retry-After", said()),)), **limits)
    until = json.loads((tmp_path / "api.example.com.json").read_text())["until"]
    after = Upstream()

    asked(tmp_path, 1, after, **limits)

    assert after.asked[0] >= until > time.time() - 5


def test_another_host_has_minutes_of_its_own(tmp_path: Path) -> None:
    pace = Pace(folder=tmp_path, minute=60.0, requests=1)
    upstream = Upstream()

    async def both() -> None:
        for host in ("one.example.com", "two.example.com:8000"):
            await Paced(upstream, pace).answer(asking(host=host), None, Via(clock=RealClock(), forward=nowhere))

    anyio.run(both)

    assert len(upstream.asked) == 2


def test_what_had_no_answer_gives_its_place_back(tmp_path: Path) -> None:
    async def twice() -> None:
        for _ in range(2):
            with pytest.raises(OSError, match="no response"):
                await ask(Paced(Upstream(breaks=True), Pace(folder=tmp_path, concurrency=1)))

    anyio.run(twice)


def test_what_was_never_read_gives_its_place_back_at_the_end_of_its_item(tmp_path: Path) -> None:
    pace = Pace(folder=tmp_path, concurrency=1)
    first = Paced(Upstream(), pace)
    left: list[Answer] = []

    async def leave_one() -> None:
        left.append(await first.answer(asking(), None, Via(clock=RealClock(), forward=nowhere)))

    anyio.run(leave_one)
    first.settle()
    asked(tmp_path, 1, Upstream(), concurrency=1)


def test_a_book_that_was_torn_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "api.example.com.json").write_text('{"until": 12')
    upstream = Upstream()

    asked(tmp_path, 1, upstream, requests=1)

    assert len(upstream.asked) == 1


OTHER = """
import sys, anyio
from pathlib import Path
from tests.test_pacing import Upstream, ask, Pace, Paced, MINUTE
up = Upstream()
async def run():
    for _ in range(3):
        await ask(Paced(up, Pace(folder=Path(sys.argv[1]), minute=MINUTE, requests=2)))
anyio.run(run)
print(*up.asked)
"""
HOLDS = """
import sys, time, anyio
from pathlib import Path
from tests.test_pacing import Upstream, asking, nowhere, Pace, Paced, RealClock, Via
source = Paced(Upstream(), Pace(folder=Path(sys.argv[1]), concurrency=1))
answer = anyio.run(source.answer, asking(), None, Via(clock=RealClock(), forward=nowhere))
print("out", flush=True)
time.sleep(60)
"""


def started(code: str, folder: Path) -> "subprocess.Popen[str]":
    root = Path(__file__).parent.parent
    run = [sys.executable, "-c", code, str(folder)]
    return subprocess.Popen(run, cwd=root, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."})


def test_processes_share_their_minutes(tmp_path: Path) -> None:
    others = [started(OTHER, tmp_path) for _ in range(2)]
    moments = [float(one) for other in others for one in other.communicate()[0].split()]

    assert len(moments) == 6
    assert busiest(moments) <= 2


def test_a_killed_process_gives_its_place_back(tmp_path: Path) -> None:
    other = started(HOLDS, tmp_path)
    assert other.stdout is not None
    assert other.stdout.readline() == "out\n"

    os.kill(other.pid, signal.SIGKILL)
    other.communicate()
    asked(tmp_path, 1, Upstream(), concurrency=1)


def test_what_is_waited_for_counts_for_nobody() -> None:
    clock = RealClock()

    async def wait() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(aside, clock, 300)

    anyio.run(wait)
    run_now(aside(Blocking(clock), 200))

    assert clock.now() < 400
    assert 0.45 < clock.left_out < 5


def test_on_a_virtual_clock_time_passes_as_ever() -> None:
    clock = VirtualClock()

    anyio.run(aside, clock, 300)

    assert clock.now() == 300


TALK = """
scenario: talk
timeout: TIMEOUT
steps:
  - user: One.
  - user: Two.
"""


def test_waiting_does_not_use_up_the_time_that_a_step_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key")
    mode = Mode(live=True, pace=Pace(folder=tmp_path / "pace", minute=2.6, requests=1))

    with model() as (url, behaviour):
        played = Stage(tmp_path).play(TALK.replace("TIMEOUT", "2s"), mode=mode, upstream=url)

    assert played.verdict.passed, played.verdict
    assert len(behaviour.times) == 2
    assert all(turn.total_ms < 2000 for turn in played.transcript.turns() if turn.total_ms is not None)


def test_recording_keeps_to_the_limits(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("scenarios/talk.yaml", TALK.replace("TIMEOUT", "30s"))
    project.environment = {"TMPDIR": str(tmp_path / "tmp"), "ANTHROPIC_API_KEY": "key"}
    (tmp_path / "tmp").mkdir()

    with model() as (url, behaviour):
        project.write("pyproject.toml", SECTION.replace('upstream = "simulator"', f'upstream = "{url}"'))
        ran = project.convtest("record", "--concurrency=1", "--requests-per-minute=900", "--tokens-per-minute=100000")

    assert ran.code == 0, ran.text
    assert len(behaviour.requests) == 2
    (book,) = (tmp_path / "tmp").glob("convtest-pace-*/*.json")
    assert [used > 0 for _, _, used in json.loads(book.read_text())["sent"]] == [True] * 2


@pytest.mark.parametrize("number", ["0", "many"])
def test_a_limit_is_a_number_of_at_least_one(tmp_path: Path, number: str) -> None:
    ran = Project(tmp_path).pytest(f"--convtest-concurrency={number}")

    assert ran.code == 4
    assert "a number of at least 1" in ran.text
