"""What the gateway costs: against the same upstream asked directly, in one run; and its memory with 200 connections.

    .venv/bin/python benchmarks/gateway.py

Upstream, gateway and client are three processes, so that none waits for another's event loop.
"""

import asyncio
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.gateways import TOKEN, Serving, serving  # noqa: E402

BODY = b'{"model": "m", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "Hello."}]}'
EVENT = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"text":"word "}}\n\n'
EVENTS = 1000
ROUNDS = 300
STREAMS = ((0.001, 15), (0.005, 5))
"""(seconds between two events, rounds): 1,000 events a second, far above any model, and 200, about the quickest."""

UPSTREAM = f"""
import asyncio, sys
EVENT = {EVENT!r}

async def answer(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\\r\\n")[0])
            await reader.readexactly(length)
            paced = float(head.lower().split(b"x-paced:")[1].split(b"\\r\\n")[0]) if b"x-paced" in head.lower() else 0
            kind = b"content-type: text/event-stream\\r\\ntransfer-encoding: chunked"
            writer.write(b"HTTP/1.1 200 OK\\r\\n%s\\r\\n\\r\\n" % kind)
            chunk = b"%x\\r\\n%s\\r\\n" % (len(EVENT), EVENT)
            for number in range({EVENTS} if paced else 1):
                writer.write(chunk)
                await writer.drain()
                if paced:
                    await asyncio.sleep(paced)
            writer.write(b"0\\r\\n\\r\\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


RELAY = """
import asyncio, sys

async def pipe(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()

async def relay(reader, writer):
    further = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    await asyncio.gather(pipe(reader, further[1]), pipe(further[0], writer))

async def main():
    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""
"""Passes bytes on and does nothing else: what a third process in between costs on this machine, whatever it does."""


class Client:
    """A connection that is kept; as bare as can be, so that what is measured is the other side."""

    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-api-key: {TOKEN}\r\n"

    async def open(self) -> "Client":
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def ask(self, extra: str = "") -> tuple[float, float]:
        """(seconds to the first byte of the body, seconds in all)."""
        started = time.perf_counter()
        self._writer.write(f"{self._head}{extra}content-length: {len(BODY)}\r\n\r\n".encode() + BODY)
        await self._reader.readuntil(b"\r\n\r\n")
        first = 0.0
        while (size := int(await self._reader.readline(), 16)) or not first:
            await self._reader.readexactly(size + 2)
            first = first or time.perf_counter() - started
        await self._reader.readline()
        return first, time.perf_counter() - started

    def close(self) -> None:
        self._writer.close()


async def first_bytes(direct: int, gateway: int) -> tuple[float, float]:
    """Medians, in milliseconds, of interleaved requests."""
    one, other = await Client(direct, "/v1/messages").open(), await Client(gateway, "/s/serve/main/v1/messages").open()
    seen: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for client, times in zip((one, other), seen, strict=True):
            times.append((await client.ask())[0] * 1000)
    return statistics.median(seen[0][20:]), statistics.median(seen[1][20:])


async def streams(pace: float, rounds: int, addresses: Mapping[str, tuple[int, str]]) -> dict[str, float]:
    """Medians, in milliseconds, of whole streams of 1,000 events that many seconds apart, interleaved."""
    clients = {name: await Client(*address).open() for name, address in addresses.items()}
    seen: dict[str, list[float]] = {name: [] for name in clients}
    for _ in range(rounds):
        for name, client in clients.items():
            seen[name].append((await client.ask(f"x-paced: {pace}\r\n"))[1] * 1000)
    return {name: statistics.median(times) for name, times in seen.items()}


def show_streams(pace: float, rounds: int, addresses: Mapping[str, tuple[int, str]]) -> None:
    found = asyncio.run(streams(pace, rounds, addresses))
    shown = ", ".join(
        f"{name} {took:.0f} ms ({(took / found['direct'] - 1) * 100:+.1f} %)" for name, took in found.items()
    )
    print(f"{EVENTS:,} events, {pace * 1000:g} ms apart: {shown}")


async def crowd(gateway: int) -> None:
    """200 connections, each with a stream of 1,000 events, at once."""
    clients = [await Client(gateway, f"/s/serve/s{number}/v1/messages").open() for number in range(200)]
    await asyncio.gather(*(client.ask("x-paced: 0.001\r\n") for client in clients))
    for client in clients:
        client.close()


def peak(found: Serving) -> float:
    status = Path(f"/proc/{found.process.pid}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+)", status)
    assert match is not None
    return int(match[1]) / 1024


def started(source: str, *arguments: str) -> tuple[subprocess.Popen[str], int]:
    """A program that prints the port it listens on, and the port."""
    process = subprocess.Popen([sys.executable, "-c", source, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def main() -> None:
    upstream, port = started(UPSTREAM)
    relay, relayed = started(RELAY, str(port))
    upstream_url = f"http://127.0.0.1:{port}"
    try:
        with tempfile.TemporaryDirectory() as folder, serving(Path(folder), "--upstream", upstream_url) as found:
            direct, through = asyncio.run(first_bytes(port, found.port))
            print(f"first byte: direct {direct:.3f} ms, gateway {through:.3f} ms: adds {through - direct:.3f} ms")
            addresses = {
                "direct": (port, "/v1/messages"),
                "a bare relay": (relayed, "/v1/messages"),
                "gateway": (found.port, "/s/serve/main/v1/messages"),
            }
            for pace, rounds in STREAMS:
                show_streams(pace, rounds, addresses)
        with tempfile.TemporaryDirectory() as folder, serving(Path(folder), "--upstream", upstream_url) as found:
            before = found.memory()
            asyncio.run(crowd(found.port))
            print(f"200 connections at once: {before:.0f} MB before, at most {peak(found):.0f} MB")
    finally:
        for process in (upstream, relay):
            process.kill()
            process.communicate()


if __name__ == "__main__":
    main()
