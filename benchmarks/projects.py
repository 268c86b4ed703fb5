"""The same conversations as projects of convtest, of its peers and of the floor: what benchmarks/items.py runs.

Five turns, three of them streams of 60 events; every item has a file and a recording of its own, as users have.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROMPTS = ("My name is Ada.", "Tell me a story.", "And then?", "How does it end?", "What is my name?")
STORY = " ".join(f"word{number:02}" for number in range(56))
URL = "https://api.anthropic.com/v1/messages"
BASE = {"model": "claude-haiku-4-5", "max_tokens": 1024}

SCENARIO = f"""\
scenario: talk{{number}}
steps:
  - user: My name is Ada.
    simulate: {{{{text: Hello Ada.}}}}
  - user: Tell me a story.
    simulate: {{{{text: "{STORY}"}}}}
  - user: And then?
    simulate: {{{{text: "{STORY}"}}}}
  - user: How does it end?
    simulate: {{{{text: "{STORY}"}}}}
  - user: What is my name?
    simulate: {{{{text: Your name is Ada.}}}}
    expect: {{{{contains: Ada}}}}
"""
PROFILE = """\
[tool.convtest]
scenarios = ["scenarios"]
client = "assistant"
[tool.convtest.clients.assistant]
model = "claude-haiku-4-5"
max_tokens = 1024
upstream = "simulator"
"""
KINDS = {"messages": 'kind = "messages"\n', "packaged": 'kind = "python"\ntarget = "packaged:Client"\n'}
PACKAGED = """\
import anthropic
from convtest.adapters import Adapter
from convtest.events import TextDelta

KEPT = {}


class Client(Adapter):
    async def open(self, id):
        self.messages = KEPT.setdefault(id, [])
        opening = self.opening
        self.api = anthropic.AsyncAnthropic(base_url=opening.base_url, api_key=opening.api_key, max_retries=0)

    async def close(self):
        await self.api.close()

    async def say(self, text):
        self.messages.append({"role": "user", "content": text})
        asked = {"model": "claude-haiku-4-5", "max_tokens": 1024, "messages": self.messages}
        async with self.api.messages.stream(**asked) as stream:
            async for piece in stream.text_stream:
                yield TextDelta(text=piece)
            said = await stream.get_final_text()
        self.messages.append({"role": "assistant", "content": said})
"""
RECORDED = """\
import json
import httpx
import pytest

PROMPTS = {prompts!r}


def ask(client, messages):
    text = ""
    body = {{**{base!r}, "stream": True, "messages": messages}}
    headers = {{"x-api-key": "test", "anthropic-version": "2023-06-01"}}
    with client.stream("POST", "{url}", json=body, headers=headers) as answer:
        assert answer.status_code == 200
        for line in answer.iter_lines():
            if line.startswith("data:"):
                event = json.loads(line[5:])
                if event["type"] == "content_block_delta":
                    text += event["delta"].get("text", "")
    return text


{mark}
def test_talk({fixture}):
{prepare}
    messages = []
    with httpx.Client() as client:
        for prompt in PROMPTS:
            messages.append({{"role": "user", "content": prompt}})
            messages.append({{"role": "assistant", "content": ask(client, messages)}})
    assert "Ada" in messages[-1]["content"]
"""
RECORDED_PACKAGED = """\
import anthropic
import pytest

PROMPTS = {prompts!r}


@pytest.mark.vcr
def test_talk():
    messages = []
    with anthropic.Anthropic(api_key="test", max_retries=0) as client:
        for prompt in PROMPTS:
            messages.append({{"role": "user", "content": prompt}})
            with client.messages.stream(**{base!r}, messages=messages) as stream:
                text = "".join(stream.text_stream)
            messages.append({{"role": "assistant", "content": text}})
    assert "Ada" in messages[-1]["content"]
"""
RECORDED_PACKAGED_ASYNC = """\
import anyio
import anthropic
import pytest

PROMPTS = {prompts!r}


@pytest.mark.vcr
def test_talk():
    anyio.run(talk)


async def talk():
    messages = []
    async with anthropic.AsyncAnthropic(api_key="test", max_retries=0) as client:
        for prompt in PROMPTS:
            messages.append({{"role": "user", "content": prompt}})
            async with client.messages.stream(**{base!r}, messages=messages) as stream:
                text = "".join([piece async for piece in stream.text_stream])
            messages.append({{"role": "assistant", "content": text}})
    assert "Ada" in messages[-1]["content"]
"""
ANSWERS = """\
    from pathlib import Path
    streams = json.loads(Path(__file__).with_suffix(".json").read_text())
"""
RESPX = f"""{ANSWERS}\
    answers = [httpx.Response(200, headers={{"content-type": "text/event-stream"}}, text=one) for one in streams]
    respx_mock.post("{URL}").mock(side_effect=answers)
"""
PYTEST_HTTPX = f"""{ANSWERS}\
    for one in streams:
        httpx_mock.add_response(url="{URL}", headers={{"content-type": "text/event-stream"}}, text=one)
"""


@dataclass(frozen=True)
class Side:
    """A project, made with `make(folder, how many items)`, and pytest's arguments in it."""

    name: str
    make: Callable[[Path, int], None]
    arguments: tuple[str, ...]


def environment(**more: str) -> dict[str, str]:
    """No plugins but those that a side names, no bytecode to write, ours importable."""
    left = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "CONVTEST"))}
    return left | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "ANTHROPIC_API_KEY": "sk-ant-none"} | more


def ours(kind: str) -> Callable[[Path, int], None]:
    def make(folder: Path, count: int) -> None:
        (folder / "pyproject.toml").write_text(PROFILE + KINDS[kind])
        (folder / "packaged.py").write_text(PACKAGED)
        (scenarios := folder / "scenarios").mkdir(parents=True)
        for number in range(count):
            (scenarios / f"talk{number}.yaml").write_text(SCENARIO.format(number=number))
        recording = [sys.executable, "-m", "pytest", "-q", "-p", "convtest.plugin", "--convtest-record=all"]
        done = subprocess.run(recording, cwd=folder, env=environment(), text=True, capture_output=True, check=False)
        if done.returncode:
            raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])

    return make


def chunks(made: Path) -> list[list[str]]:
    """The chunks of the five answers of a project of ours."""
    from convtest.cassettes.store import load

    found = load(next((made / "cassettes").rglob("talk0.yaml")), shown="talk0.yaml")
    return [[chunk.data.decode() for chunk in one.chunks] for one in found]


def recorded(answers: list[str], text: str) -> Callable[[Path, int], None]:
    """Tests with a cassette of vcrpy each."""

    def make(folder: Path, count: int) -> None:
        for number in range(count):
            (folder / f"test_talk{number}.py").write_text(text)
            cassette = folder / "cassettes" / f"test_talk{number}" / "test_talk.yaml"
            cassette.parent.mkdir(parents=True, exist_ok=True)
            cassette.write_text(yaml.safe_dump({"interactions": interactions(answers), "version": 1}))

    return make


def interactions(answers: list[str]) -> list[dict[str, Any]]:
    made, messages = [], []
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        messages.append({"role": "user", "content": prompt})
        body = json.dumps({**BASE, "stream": True, "messages": messages})
        messages.append({"role": "assistant", "content": answer[:200]})
        headers = {"content-type": ["application/json"], "host": ["api.anthropic.com"]}
        made.append(
            {
                "request": {"method": "POST", "uri": URL, "body": body, "headers": headers},
                "response": {
                    "status": {"code": 200, "message": "OK"},
                    "headers": {"content-type": ["text/event-stream"]},
                    "body": {"string": answer},
                },
            }
        )
    return made


def mocked(answers: list[str], fixture: str, prepare: str) -> Callable[[Path, int], None]:
    """Tests whose answers stand in a file beside each."""

    def make(folder: Path, count: int) -> None:
        text = RECORDED.format(prompts=PROMPTS, base=BASE, url=URL, mark="", fixture=fixture, prepare=prepare)
        for number in range(count):
            (folder / f"test_talk{number}.py").write_text(text)
            (folder / f"test_talk{number}.json").write_text(json.dumps(answers))

    return make


def plain(answers: list[str]) -> Callable[[Path, int], None]:
    """vcrpy without a plugin."""
    prepare = "    pass"
    text = RECORDED.format(
        prompts=PROMPTS,
        base=BASE,
        url=URL,
        mark="import vcr\n\n\n@vcr.use_cassette(__file__.replace('.py', '.yaml'), record_mode='none')",
        fixture="",
        prepare=prepare,
    )

    def make(folder: Path, count: int) -> None:
        for number in range(count):
            (folder / f"test_talk{number}.py").write_text(text)
            cassette = yaml.safe_dump({"interactions": interactions(answers), "version": 1})
            (folder / f"test_talk{number}.yaml").write_text(cassette)

    return make
