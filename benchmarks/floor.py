"""The paced floor: the same conversation as a pytest item that does nothing which could be left out.

A file of YAML each, a recording of JSON lines, one event loop for the run, an httpx client over a transport of its own,
bodies compared, events read and put together, a checkpoint for each chunk, the transcript compared. A plugin of pytest
(`-p benchmarks.floor`), for benchmarks/items.py.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import yaml

URL = "https://api.anthropic.com/v1/messages"
_decode = msgspec.json.decode


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LOOP] = asyncio.new_event_loop()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[LOOP].close()


LOOP = pytest.StashKey[asyncio.AbstractEventLoop]()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "Talk | None":
    return Talk.from_parent(parent, path=file_path) if file_path.suffix == ".yaml" else None


class Talk(pytest.File):
    def collect(self) -> Any:
        yield Spoken.from_parent(self, name=self.path.stem, steps=yaml.load(self.path.read_bytes(), yaml.CSafeLoader))


class Spoken(pytest.Item):
    def __init__(self, *, steps: list[str], **more: Any) -> None:
        super().__init__(**more)
        self.steps = steps

    def runtest(self) -> None:
        self.config.stash[LOOP].run_until_complete(self.talk())

    async def talk(self) -> None:
        lines = self.path.with_suffix(".jsonl").read_bytes().splitlines()
        transport = Replay([_decode(line) for line in lines])
        messages: list[dict[str, str]] = []
        async with httpx.AsyncClient(transport=transport) as client:
            for prompt in self.steps:
                messages.append({"role": "user", "content": prompt})
                messages.append({"role": "assistant", "content": await ask(client, messages)})
        assert messages == _decode(self.path.with_suffix(".json").read_bytes())


class Replay(httpx.AsyncBaseTransport):
    def __init__(self, recorded: list[Any]) -> None:
        self.recorded = iter(recorded)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        one = next(self.recorded)
        assert _decode(request.content) == one["request"]
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Paced(one["chunks"]))


class Paced(httpx.AsyncByteStream):
    def __init__(self, chunks: list[str]) -> None:
        self.chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            await asyncio.sleep(0)
            yield chunk.encode()


async def ask(client: httpx.AsyncClient, messages: list[dict[str, str]]) -> str:
    body = {"model": "claude-haiku-4-5", "max_tokens": 1024, "stream": True, "messages": messages}
    texts, held = [], b""
    async with client.stream("POST", URL, content=msgspec.json.encode(body)) as answer:
        async for chunk in answer.aiter_raw():
            *whole, held = (held + chunk).split(b"\n\n")
            for event in whole:
                data = _decode(event[event.index(b"data:") + 5 :])
                if data["type"] == "content_block_delta":
                    texts.append(data["delta"]["text"])
    return "".join(texts)


def make(folder: Path, count: int, prompts: tuple[str, ...], answers: list[list[str]]) -> None:
    """A project of `count` items."""
    folder.mkdir(parents=True, exist_ok=True)
    messages: list[dict[str, str]] = []
    lines = []
    for prompt, chunks in zip(prompts, answers, strict=True):
        messages.append({"role": "user", "content": prompt})
        body = {"model": "claude-haiku-4-5", "max_tokens": 1024, "stream": True, "messages": list(messages)}
        lines.append(json.dumps({"request": body, "chunks": chunks}))
        messages.append({"role": "assistant", "content": said(chunks)})
    for number in range(count):
        (folder / f"talk{number}.yaml").write_text(json.dumps(list(prompts)))
        (folder / f"talk{number}.jsonl").write_text("\n".join(lines))
        (folder / f"talk{number}.json").write_text(json.dumps(messages))


def said(chunks: list[str]) -> str:
    datas = [json.loads(line[5:]) for chunk in chunks for line in chunk.splitlines() if line.startswith("data:")]
    return "".join(data["delta"]["text"] for data in datas if data["type"] == "content_block_delta")
