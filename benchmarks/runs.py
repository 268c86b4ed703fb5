"""What whole runs cost: 10,000 items, two workers, a sweep, the gateway, the real CLI, and the project's own scenarios.

    .venv/bin/python benchmarks/runs.py [--items N] [--json FILE]

CPU but where it says wall. Exits with 1 where a limit is exceeded.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import children, claude, gateway, projects, sweep  # noqa: E402
from benchmarks.children import Used  # noqa: E402
from benchmarks.projects import environment  # noqa: E402
from benchmarks.rows import Row, reported  # noqa: E402
from tests.gateways import serving  # noqa: E402

WITH = ("-p", "convtest.plugin")
SPREAD = 300
"""Items of the runs with one and with two workers."""
IN_A_FILE = 100
WORK = 0.02
"""CPU seconds of a bare item that is to cost about what one of ours does."""
BARE = f"""
import time, pytest

@pytest.mark.parametrize("number", range({IN_A_FILE}))
def test_bare(number):
    end = time.process_time() + WORK
    while time.process_time() < end:
        pass
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--json", type=Path, metavar="FILE", help="the rows")
    given = parser.parse_args()
    rows = reported(found(given.items), given.json)
    return 0 if all(row.held for row in rows) else 1


def found(items: int) -> Iterator[Row]:
    for part in (lambda: many(items), spread, swept, through_the_gateway, with_the_cli, own_scenarios):
        yield from part()


def ran(place: Path, *arguments: str) -> Used:
    """Of pytest in the project."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return children.ran(command, place, environment(PYTHONPATH=str(ROOT)))


def many(items: int) -> Iterator[Row]:
    """Time: an item of the second half against one of the first tenth. Memory: what each item adds."""
    grown: dict[str, tuple[float, float]] = {}
    sizes = (items // 10, items // 2, items)
    for name, make, arguments in (("bare", bare, ()), ("convtest", replayed, WITH)):
        with tempfile.TemporaryDirectory(prefix="runs-") as folder:
            spent = [ran(made(make, Path(folder) / str(size), size), *arguments) for size in sizes]
            start = ran(made(make, Path(folder) / "0", 1), *arguments)
        early = (spent[0].cpu - start.cpu) / sizes[0]
        late = (spent[2].cpu - spent[1].cpu) / (sizes[2] - sizes[1])
        grown[name] = late / early, (spent[2].peak - spent[0].peak) / (sizes[2] - sizes[0]) * 1024
        yield Row(f"{items:,} items, {name}: each of the first tenth", early * 1000, None, "ms")
    (bare_time, bare_memory), (time_, memory) = grown["bare"], grown["convtest"]
    yield Row(f"{items:,} items, bare: a late one, times an early one", bare_time, None, "times")
    yield Row(f"{items:,} items, convtest: a late one, times an early one", time_, max(1.0, bare_time) * 1.1, "times")
    yield Row(f"{items:,} items, bare: memory each", bare_memory, None, "KB")
    yield Row(f"{items:,} items, convtest: memory each", memory, bare_memory * 1.1, "KB")


def made(make: Callable[[Path, int], None], place: Path, count: int) -> Path:
    place.mkdir(parents=True)
    make(place, count)
    return place


def bare(place: Path, count: int, work: float = 0.0) -> None:
    for number in range(-(-count // IN_A_FILE)):
        (place / f"test_{number}.py").write_text(BARE.replace("WORK", str(work)))


def replayed(place: Path, count: int) -> None:
    """Files of many scenarios, which all play one recording."""
    projects.ours("messages")(place, 1)
    scenario = (place / "scenarios" / "talk0.yaml").read_text()
    recording = next((place / "cassettes").rglob("*.yaml"))
    recording.rename(place / "one.yaml")
    (place / "scenarios" / "talk0.yaml").unlink()
    for first in range(0, count, IN_A_FILE):
        texts = (
            scenario.replace("scenario: talk0", f"scenario: talk{number}\ncassette: ../one.yaml", 1)
            for number in range(first, min(count, first + IN_A_FILE))
        )
        (place / "scenarios" / f"talks{first}.yaml").write_text("---\n".join(texts))


def spread() -> Iterator[Row]:
    """What two workers gain, of ours and of bare items that cost about the same."""
    gains: dict[str, float] = {}
    for name, make, arguments in (
        ("bare", lambda place, count: bare(place, count, WORK), ()),
        ("convtest", replayed, WITH),
    ):
        with tempfile.TemporaryDirectory(prefix="runs-") as folder:
            place = made(make, Path(folder) / "p", SPREAD)
            gains[name] = ran(place, *arguments).wall / ran(place, "-p", "xdist", "-n", "2", *arguments).wall
    yield Row("two workers: what bare items gain, wall", gains["bare"], None, "times")
    yield Row("two workers: what ours gain, wall", gains["convtest"], None, "times")
    yield Row("two workers: bare gain over ours", gains["bare"] / gains["convtest"], 1.1, "times")


def swept() -> Iterator[Row]:
    points, replays = sweep.times()
    yield Row(f"a sweep of {sweep.SWEPT} points, times as many replays, wall", points / replays, 0.5, "times")


def through_the_gateway() -> Iterator[Row]:
    """CPU of the process in between for each event, at 1,000 events a second."""
    upstream, port = gateway.started(gateway.UPSTREAM)
    relay, relayed = gateway.started(gateway.RELAY, str(port))
    try:
        address = f"http://127.0.0.1:{port}"
        with tempfile.TemporaryDirectory() as folder, serving(Path(folder), "--upstream", address) as served:
            ours = per_event(served.process.pid, served.port, "/s/serve/main/v1/messages")
            bare_one = per_event(relay.pid, relayed, "/v1/messages")
    finally:
        for process in (upstream, relay):
            process.kill()
            process.communicate()
    yield Row("the gateway, an event", ours, None, "us")
    yield Row("a bare relay, an event", bare_one, None, "us")
    yield Row("the gateway, times a bare relay", ours / bare_one, 1.5, "times")


def per_event(process: int, port: int, path: str, rounds: int = 10) -> float:
    """Microseconds of CPU."""

    def spent() -> float:
        one = psutil.Process(process)
        times = [each.cpu_times() for each in (one, *one.children(recursive=True))]
        return sum(each.user + each.system for each in times)

    async def asked() -> None:
        client = await gateway.Client(port, path).open()
        for _ in range(rounds):
            await client.ask("x-paced: 0.001\r\n")
        client.close()

    asyncio.run(asked())
    before = spent()
    asyncio.run(asked())
    return (spent() - before) / (rounds * gateway.EVENTS) * 1e6


def with_the_cli(rounds: int = 5) -> Iterator[Row]:
    """Our own CPU in an item with the real CLI, over that of the SDK alone in the same conversation."""
    os.environ.pop("ANTHROPIC_API_KEY", None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), claude.Instant)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    alone, ours = [], []
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as root:
            alone.append(cpu(lambda: asyncio.run(claude.alone(url, Path(home)))))
            ours.append(cpu(lambda: claude.item(Path(root))))
    server.shutdown()
    own = sum(mine for mine, _ in ours[1:]) - sum(mine for mine, _ in alone[1:])
    cli = sum(children for _, children in ours[1:])
    yield Row("the real CLI, an item of three turns", cli / rounds * 1000, None, "ms")
    yield Row("our own beside it", own / rounds * 1000, None, "ms")
    yield Row("our own, times the CLI's", own / cli, 0.1, "times")


def cpu(call: Callable[[], None]) -> tuple[float, float]:
    """CPU seconds of this process and of children that ended meanwhile."""
    before = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    call()
    after = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    mine, children = (b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(before, after, strict=True))
    return mine, children


def own_scenarios() -> Iterator[Row]:
    # It has its environment by then.
    subprocess.run([str(ROOT / "scripts" / "environment")], capture_output=True, check=True)
    started = time.perf_counter()
    done = subprocess.run([str(ROOT / "scripts" / "play"), "-q"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stdout[-2000:])
    yield Row("scripts/play, wall", time.perf_counter() - started, 10.0, "s")


if __name__ == "__main__":
    sys.exit(main())
