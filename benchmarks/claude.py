"""What an item through the real CLI costs, against SDK and CLI alone with a server that answers at once; in one run.

    .venv/bin/python benchmarks/claude.py

Three turns each, interleaved; the same options and environment.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from convtest.structs import replace

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient  # noqa: E402

from convtest.clients.claude.options import SIMPLE, STABLE  # noqa: E402
from convtest.config import Profile  # noqa: E402
from convtest.play.perform import perform  # noqa: E402
from convtest.play.prepare import Mode, prepare  # noqa: E402
from convtest.simulator.rendering import Reply, chunks  # noqa: E402
from tests.playing import Stage  # noqa: E402

PROMPTS = ["My name is Ada.", "What is my name?", "What is 15 * 7?"]
SCENARIO = "scenario: bench\nsteps: [" + ", ".join(f'{{user: "{prompt}"}}' for prompt in PROMPTS) + "]\n"
ROUNDS = 8
MODEL = "claude-haiku-4-5"


class Instant(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        data = b"".join(chunks(Reply(id="m", model=MODEL, text="The result is 105.", usage={"input_tokens": 9})))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        return None


async def alone(url: str, home: Path) -> None:
    environment = {
        **STABLE, **SIMPLE, "HOME": str(home), "CLAUDE_CONFIG_DIR": str(home / ".claude"), "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "x" * 20,
    }  # fmt: skip
    options = ClaudeAgentOptions(
        model=MODEL, system_prompt="", tools=[], setting_sources=[], include_partial_messages=True, env=environment,
        cwd=str(home), strict_mcp_config=True,
    )  # fmt: skip
    async with ClaudeSDKClient(options) as client:
        for prompt in PROMPTS:
            await client.query(prompt)
            async for _ in client.receive_response():
                pass


def item(root: Path) -> None:
    stage = Stage(root)
    profile = Profile(name="assistant", kind="claude_agent_sdk", upstream="simulator", options={"model": MODEL})
    config = replace(stage.config(), clients={"assistant": profile})
    (scenario,) = stage.scenarios(SCENARIO)
    folder = root / "run"
    folder.mkdir()
    assert perform(prepare(config, scenario, Mode()), folder).verdict.passed


def timed(call: Any, *arguments: Any) -> float:
    started = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - started


def main() -> None:
    os.environ.pop("ANTHROPIC_API_KEY", None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Instant)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as root:
            bare.append(timed(asyncio.run, alone(url, Path(home))))
            ours.append(timed(item, Path(root)))
    server.shutdown()
    one, other = statistics.median(bare[1:]), statistics.median(ours[1:])
    print(f"SDK and CLI alone {one:.3f} s, an item {other:.3f} s: {other / one:.2f} times")


if __name__ == "__main__":
    main()
