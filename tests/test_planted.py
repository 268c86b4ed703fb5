"""Secrets of every kind in every place of one conversation: none is left in any file, and it replays with others."""

import base64
import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.planted import Chance, Planted, planted
from tests.project import Project

AGENT = """
import base64, json, os, subprocess, sys
from pathlib import Path
from urllib.parse import quote

import httpx

from convtest import TextDelta, ToolResult, ToolUse, TurnEnd

PRINTS = "import os; print(os.environ['A_PASSWORD'], os.environ['B_TOKEN'].encode().hex())"


class Client:
    session_id = "s-1"

    def __init__(self, opening):
        self.opening, self.history = opening, []
        self.plants = json.loads(Path(os.environ["PLANTS"]).read_text())

    async def connect(self): ...
    async def disconnect(self): ...
    async def interrupt(self): ...

    async def query(self, text):
        self.history.append({"role": "user", "content": text + "\\n" + "\\n".join(self.plants)})

    async def ask(self):
        lines = [one for one in self.plants if one.isascii() and "\\n" not in one]
        headers = {"x-api-key": self.opening.api_key, "x-acme-token": lines[0]}
        headers |= {f"x-plant-{number}": one for number, one in enumerate(lines)}
        query = "&".join(f"note{number}={quote(one, safe='')}" for number, one in enumerate(lines))
        body = {"model": "m", "max_tokens": 9, "stream": True, "messages": self.history}
        async with httpx.AsyncClient(transport=self.opening.transport) as client:
            return await client.post(f"{self.opening.base_url}/v1/messages?{query}", json=body, headers=headers)

    async def receive_response(self):
        while True:
            answer = await self.ask()
            if answer.status_code == 529:
                continue
            answer.raise_for_status()
            content = blocks(answer)
            self.history.append({"role": "assistant", "content": content})
            results = []
            for block in content:
                if block["type"] == "text":
                    yield TextDelta(text=block["text"])
                else:
                    yield ToolUse(id=block["id"], name=block["name"], input=block["input"])
                    said = subprocess.run([sys.executable, "-c", PRINTS], capture_output=True, text=True).stdout
                    said += base64.b64encode(f"user:{os.environ['C_SECRET']}".encode()).decode()
                    said = "\\n".join([said, *self.plants])
                    yield ToolResult(id=block["id"], text=said)
                    results.append({"type": "tool_result", "tool_use_id": block["id"], "content": said})
            if not results:
                yield TurnEnd()
                return
            self.history.append({"role": "user", "content": results})


def blocks(answer):
    if answer.headers["content-type"] == "application/json":
        return answer.json()["content"]
    found = []
    for line in answer.text.splitlines():
        data = json.loads(line[6:]) if line.startswith("data: ") else {}
        if data.get("type") == "content_block_start":
            found.append(dict(data["content_block"]))
        elif data.get("type") == "content_block_delta":
            for key, piece in data["delta"].items():
                if key == "text":
                    found[-1]["text"] += piece
                elif key == "partial_json":
                    found[-1]["json"] = found[-1].get("json", "") + piece
    for block in found:
        if "json" in block:
            block["input"] = json.loads(block.pop("json"))
    return found
"""
SCENARIO = """
scenario: planted
snapshot: true
steps:
  - user: Look it up.
    expect: {contains: Here}
  - user: And again.
    expect: {contains: Here}
"""
FAILING = "\n".join(line.replace("Here", "nowhere to be found") for line in SCENARIO.splitlines())
PROJECT = """
[tool.convtest]
client = "agent"

[tool.convtest.clients.agent]
kind = "python"
target = "agent:Client"
model = "m"
upstream = "{url}"

[tool.pytest.ini_options]
pythonpath = ["."]
"""


class Run:
    """The secrets of one run: those that everybody says, and those that only the environment knows."""

    def __init__(self, seed: int) -> None:
        chance = Chance(seed)
        self.planted = planted(seed)
        names = ("A_PASSWORD", "B_TOKEN", "C_SECRET")
        self.environment = {name: f"{chance.of('abcdefgh', 9)} é{chance.of('stuvwxyz', 12)}" for name in names}
        known = [Planted(name, value, value) for name, value in self.environment.items()]
        self.environment["DATABASE_URL"] = f"postgres://app:{chance.of('abcdefghij0123456789', 16)}@db/main"
        password = self.environment["DATABASE_URL"].split(":")[2].split("@")[0]
        self.texts = [one.text for one in self.planted] + [f"It is {one.text}." for one in known] + [f"pw {password}"]
        self.all = [*self.planted, *known, Planted("address", password, password)]

    def left_in(self, text: str) -> list[str]:
        encoded = [base64.b64encode(f"user:{self.environment['C_SECRET']}".encode()).decode()[8:24]]
        encoded.append(self.environment["B_TOKEN"].encode().hex()[:20])
        spelled = [text, re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text).replace("\\n", "\n")]
        found = [one.kind for one in self.all if any(one.left_in(each) for each in spelled)]
        return found + [f"encoded {one}" for one in encoded if one in text]


def events(texts: list[str]) -> bytes:
    """Text and a tool use whose deltas are cut every few letters."""
    said, called = "Here: " + "\n".join(texts), json.dumps({"notes": texts, "all": "\n".join(texts)})
    lines: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "msg_1", "role": "assistant", "content": []}}
    ]
    lines.append({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for at in range(0, len(said), 7):
        delta = {"type": "text_delta", "text": said[at : at + 7]}
        lines.append({"type": "content_block_delta", "index": 0, "delta": delta})
    lines.append({"type": "content_block_stop", "index": 0})
    tool = {"type": "tool_use", "id": "toolu_01", "name": "look", "input": {}}
    lines.append({"type": "content_block_start", "index": 1, "content_block": tool})
    for at in range(0, len(called), 11):
        delta = {"type": "input_json_delta", "partial_json": called[at : at + 11]}
        lines.append({"type": "content_block_delta", "index": 1, "delta": delta})
    lines.append({"type": "content_block_stop", "index": 1})
    lines.append({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}})
    lines.append({"type": "message_stop"})
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in lines)


@contextmanager
def answering(run: Run) -> Iterator[str]:
    """Fails once, then calls a tool in a packed stream, then answers in one piece whose letters are escapes."""
    asked: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            asked.append(1)
            if len(asked) == 1:
                error = {"type": "error", "error": {"type": "overloaded_error", "message": " ".join(run.texts)}}
                return self._say(529, "application/json", json.dumps(error).encode())
            if len(asked) == 2:
                return self._say(200, "text/event-stream", events(run.texts))
            text = "".join(f"\\u{ord(letter):04x}" for letter in "Here: " + "\n".join(run.texts))
            content = f'[{{"type": "text", "text": "{text}"}}]'
            message = f'{{"id": "msg_2", "role": "assistant", "stop_reason": "end_turn", "content": {content}}}'
            return self._say(200, "application/json", message.encode())

        def _say(self, status: int, kind: str, body: bytes) -> None:
            body = gzip.compress(body)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-encoding", "gzip")
            self.send_header("content-length", str(len(body)))
            self.send_header("x-note", run.texts[0])
            self.send_header("set-cookie", "session=abcdefghijklmnop")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def play(project: Project, run: Run, folder: Path, *options: str) -> tuple[int, str]:
    """pytest with all that it can write; its exit code, and everything that it said or wrote."""
    plants = folder / "plants.json"
    plants.write_text(json.dumps(run.texts))
    project.environment = {**run.environment, "PLANTS": str(plants), "AGENT_KEY": "k"}
    outputs = ("--junitxml=out/junit.xml", "--convtest-results=out/results.jsonl")
    ran = project.pytest("-rA", "-vv", *outputs, *options)
    project.convtest("report", "out/results.jsonl", "--output", "out/report.html", "--summary", "out/summary.md")
    files = {name: data for name, data in project.files().items() if "__pycache__" not in name}
    return ran.code, "\n".join([ran.text, *(data.decode("utf-8", "replace") for data in files.values())])


def said_of(text: str) -> list[str]:
    """What went wrong, of all that was written."""
    return [line[:400] for line in text.splitlines() if re.match(r"(FAILED|ERROR|E  |      (expected|seen)  )", line)]


def test_nothing_of_any_kind_is_left_anywhere_and_it_replays(project: Project, tmp_path_factory: Any) -> None:
    outside, first, second = tmp_path_factory.mktemp("outside"), Run(1), Run(2)
    project.write("agent.py", AGENT)
    project.write("scenarios/planted.yaml", SCENARIO)
    with answering(first) as url:
        project.write("pyproject.toml", PROJECT.replace("{url}", url))
        code, recorded = play(project, first, outside, "--convtest-record=all", "--snapshot-update")

    assert len(first.all) >= 80
    assert code == 0, said_of(recorded)
    assert first.left_in(recorded) == []
    assert recorded.count("SCRUBBED_") > 500

    code, replayed = play(project, second, outside, "--snapshot-update")
    assert code == 0, said_of(replayed)
    assert first.left_in(replayed) == second.left_in(replayed) == []

    third = Run(3)
    code, again = play(project, third, outside)
    assert code == 0, said_of(again)
    assert third.left_in(again) == []

    project.write("scenarios/planted.yaml", FAILING)
    code, failed = play(project, third, outside)
    assert code == 1
    assert "nowhere to be found" in failed
    assert third.left_in(failed) == []
    assert json.loads(project.convtest("check", "--json").out)["secrets"] == []
