"""Cassettes against plain vcrpy on the same conversation: ratios of medians within one run.

    .venv/bin/python benchmarks/cassettes.py [interactions]

1,000 interactions with requests of 46 KB and streams of 10 KB. vcrpy matching on the body grows with the square of the
cassette; it is run on 200 interactions and extrapolated. Replaying is measured without loading.
"""

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import vcr
from vcr.cassette import Cassette
from vcr.persisters.filesystem import FilesystemPersister
from vcr.serializers import yamlserializer

from convtest.cassettes import store
from convtest.cassettes.player import Player
from convtest.cassettes.scrubbing import NOTHING_KNOWN
from convtest.clock import RealClock, VirtualClock
from convtest.wire.interaction import Chunk, Interaction, Request
from convtest.wire.tap import Answer, OpenTurn, Tap, Via
from convtest.wire.transports import binding

URL = "https://api.example.com/v1/messages"
SMALL = 200


def body(number: int) -> bytes:
    filler = "The quick brown fox jumps over the lazy dog, and the keeper of the lighthouse writes it down. " * 46
    messages = [{"role": "user", "content": [{"type": "text", "text": f"{i} {filler[:4300]}"}]} for i in range(10)]
    messages.append({"role": "user", "content": [{"type": "text", "text": f"number {number}"}]})
    return json.dumps({"model": "m", "max_tokens": 9, "stream": True, "messages": messages}).encode()


def chunks(number: int) -> list[Chunk]:
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f" word{number:05}"}}
    return [Chunk(float(i), b"event: x\ndata: " + json.dumps(delta).encode() + b"\n\n") for i in range(96)]


def interactions(count: int) -> list[Interaction]:
    return [
        Interaction(
            number=n,
            lane="main",
            turn=n,
            request=Request(method="POST", url=URL, headers=(("content-type", "application/json"),), body=body(n)),
            status=200,
            reason="OK",
            headers=(("content-type", "text/event-stream"),),
            first_byte=1.0,
            chunks=chunks(n),
            ended="complete",
        )
        for n in range(1, count + 1)
    ]


def median_of(measure: Callable[[], None], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        measure()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def load_vcr(path: Path) -> Any:
    return Cassette.load(path=str(path), serializer=yamlserializer, persister=FilesystemPersister)


def save_vcr(path: Path, cassette: Any) -> None:
    FilesystemPersister.save_cassette(str(path), cassette._as_dict(), serializer=yamlserializer)


def replay_ours(recorded: list[Interaction], bodies: list[bytes]) -> None:
    """As vcrpy is used: a synchronous client that reads whole answers."""
    tap = Tap(Player(recorded, command=""), VirtualClock(), NOTHING_KNOWN)
    with httpx.Client(transport=binding("httpx").sync_transport(tap, "main")) as client:
        for data in bodies:
            client.post(URL, content=data, headers={"content-type": "application/json"})


def replay_time(path: Path, bodies: list[bytes], repeats: int = 5) -> float:
    """Seconds, without loading; each run has its own load, since a loaded interaction keeps its canonical form."""
    runs = []
    for _ in range(repeats):
        recorded = store.load(path, shown="")
        start = time.perf_counter()
        replay_ours(recorded, bodies)
        runs.append(time.perf_counter() - start)
    return statistics.median(runs)


def replay_vcr(path: Path, bodies: list[bytes], match_on: list[str]) -> None:
    transport = httpx.HTTPTransport()
    with (
        vcr.use_cassette(str(path), record_mode="none", match_on=match_on),
        httpx.Client(transport=transport) as client,
    ):
        for data in bodies:
            client.post(URL, content=data, headers={"content-type": "application/json"})


class _Stream:
    """1,000 events as fast as they are read."""

    def __init__(self, recorded: list[Chunk]) -> None:
        self._recorded = recorded

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        async def passing() -> Any:
            for chunk in self._recorded:
                await anyio.sleep(0.0002)
                yield chunk.data

        return Answer(status=200, reason="OK", headers=(("content-type", "text/event-stream"),), chunks=passing())


def streaming() -> tuple[float, float]:
    """Seconds for a stream of 1,000 events that come 0.2 ms apart: read directly, and through the tap."""
    many = chunks(1) * 11

    async def direct() -> None:
        answer = await _Stream(many[:1000]).answer(None, None, None)  # type: ignore[arg-type]
        async for _ in answer.chunks:
            pass

    async def tapped() -> None:
        tap = Tap(_Stream(many[:1000]), RealClock())
        transport = binding("httpx").async_transport(tap, "main")
        response = await transport.handle_async_request(httpx.Request("POST", URL, content=b"{}"))
        async for _ in response.stream:
            pass

    return median_of(lambda: anyio.run(direct), 7), median_of(lambda: anyio.run(tapped), 7)


def peak_of(what: str, path: Path) -> int:
    """Peak memory, in KiB, of a process that loads the cassette and saves it again."""
    run = [sys.executable, __file__, "--peak", what, str(path)]
    return int(subprocess.run(run, capture_output=True, text=True, check=True).stdout)


def peak(what: str, path: Path) -> None:
    copy = path.with_suffix(".copy")
    if what == "ours":
        store.save(copy, store.load(path, shown=""))
    else:
        save_vcr(copy, load_vcr(path))
    # Not ru_maxrss: that one remembers the parent's size from before the exec.
    status = Path("/proc/self/status").read_text()
    sys.stdout.write(re.search(r"VmHWM:\s+(\d+)", status)[1])  # type: ignore[index]


def show(line: str) -> None:
    sys.stdout.write(line + "\n")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        path, small = Path(folder) / "c.yaml", Path(folder) / "small.yaml"
        made = interactions(count)
        bodies = [one.request.body for one in made]
        store.save(path, made)
        store.save(small, made[:SMALL])
        plain = load_vcr(path)
        plain_path = Path(folder) / "plain.yaml"
        rows = [
            ("load", median_of(lambda: store.load(path, shown="")), median_of(lambda: load_vcr(path))),
            ("save", median_of(lambda: store.save(path, made)), median_of(lambda: save_vcr(plain_path, plain))),
            ("peak memory", float(peak_of("ours", path)), float(peak_of("vcr", path))),
        ]
        ours = replay_time(path, bodies)
        ours_small = replay_time(small, bodies[:SMALL])
        load_theirs = rows[0][2]
        default = ["method", "scheme", "host", "port", "path", "query"]
        rows.append(("replay, default", ours, median_of(lambda: replay_vcr(path, bodies, default), 1) - load_theirs))
        by_body = median_of(lambda: replay_vcr(small, bodies[:SMALL], [*default, "body"]), 1)
        rows.append(("replay, body", ours, by_body * (count / SMALL) ** 2))
        direct, tapped = streaming()
    for name, mine, theirs in rows:
        show(f"{name:<18} ours {mine:>12.3f}   vcrpy {theirs:>12.3f}   vcrpy/ours {theirs / mine:>9.2f}")
    show(f"replay per interaction, {count} against {SMALL}: {(ours / count) / (ours_small / SMALL):.2f} (1 is linear)")
    show(f"recording adds {(tapped / direct - 1) * 100:.1f} % to a stream of 1,000 events 0.2 ms apart")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        peak(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
