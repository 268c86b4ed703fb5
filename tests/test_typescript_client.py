"""The npm package in clients/typescript: what a program on it says over the line protocol, by node, uninstalled."""

import json
import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parent.parent / "clients" / "typescript"
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not here: the TypeScript client cannot be run")

PROGRAM = """
import {{ Refused, serve }} from {index};
import {{ setTimeout as sleep }} from "node:timers/promises";
serve(async (asked) => {{
  if (asked.resume === "nobody") throw new Refused("session_not_found", "no such session");
  if (asked.resume === "broken") throw new Error("the disk is full");
  let prompts = 0;
  return {{
    id: asked.resume ?? "s1",
    async turn(prompt, turn) {{
      prompts += 1;
      if (prompt === "late") {{ await sleep(200); turn.begin(); await sleep(5000, null, {{ signal: turn.signal }}); }}
      if (prompt === "throws") throw new Error("a bug");
      if (prompt === "throws when stopped") {{
        turn.text("one");
        await new Promise((done) => turn.signal.addEventListener("abort", done));
        throw new Error("a bug");
      }}
      if (prompt === "waits") {{ turn.text("one"); await sleep(5000, null, {{ signal: turn.signal }}); }}
      if (prompt === "reason") {{
        turn.text("one");
        await new Promise((done) => turn.signal.addEventListener("abort", done));
        turn.signal.throwIfAborted();
      }}
      if (prompt === "tool") {{
        const found = await asked.tools[0].call({{ what: "it" }});
        turn.toolUse({{ id: "t", name: "look_up", input: {{ what: "it" }} }});
        turn.toolResult({{ id: "t", ...found }});
      }}
      if (prompt === "limit") return {{ ended: "max_tokens", usage: {{ output_tokens: 3 }} }};
      turn.text(`${{prompts}}: ${{prompt}}`);
    }},
    {more}
  }};
}});
"""


class Told:
    """A program that runs, and what it said."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._said: queue.Queue[str] = queue.Queue()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reading.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.put(line)

    def tell(self, **message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def hears(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._said.get(timeout=20))
        return said

    def until(self, kind: str) -> list[dict[str, Any]]:
        said = [self.hears()]
        while said[-1]["type"] != kind:
            said.append(self.hears())
        return said

    def connect(self, **more: Any) -> dict[str, Any]:
        tool = {"name": "look_up", "description": "d", "input_schema": {"type": "object"}}
        asked = {"session": "main", "options": {}, "resume": None, "fork": False, "tools": [tool], **more}
        self.tell(type="connect", **asked)
        return self.hears()

    def ask(self, text: str) -> list[dict[str, Any]]:
        self.tell(type="query", text=text)
        return self.until("turn_end")


@contextmanager
def running(folder: Path, more: str = "") -> Iterator[Told]:
    path = folder / "program.mjs"
    path.write_text(PROGRAM.format(index=json.dumps((PACKAGE / "index.js").as_uri()), more=more))
    assert NODE is not None
    process = subprocess.Popen(
        [NODE, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    told = Told(process)
    try:
        yield told
    finally:
        told.end()


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    with running(tmp_path) as found:
        yield found


def test_turns_go_one_by_one_in_the_order_of_their_prompts(told: Told) -> None:
    assert told.connect() == {"type": "connected", "session_id": "s1", "capabilities": []}
    told.tell(type="query", text="a")
    told.tell(type="query", text="b")

    said = [*told.until("turn_end"), *told.until("turn_end")]

    assert [one.get("text", one["type"]) for one in said] == ["1: a", "turn_end", "2: b", "turn_end"]
    assert [one["ended"] for one in said if one["type"] == "turn_end"] == ["complete"] * 2


def test_an_end_is_what_the_session_says_or_an_exception(told: Told) -> None:
    told.connect()

    limit, thrown, after = told.ask("limit")[-1], told.ask("throws")[-1], told.ask("a")[-1]

    assert (limit["ended"], limit["usage"]) == ("max_tokens", {"output_tokens": 3})
    assert (thrown["ended"], thrown["message"]) == ("error", "a bug")
    assert after["ended"] == "complete"


@pytest.mark.parametrize(
    ("prompt", "ended"), [("waits", "interrupted"), ("reason", "interrupted"), ("throws when stopped", "error")]
)
def test_what_is_thrown_because_of_an_interrupt_is_the_interrupt(told: Told, prompt: str, ended: str) -> None:
    """Fetch and the SDKs throw an AbortError at whoever waits; any other exception is a bug all the same."""
    told.connect()
    told.tell(type="query", text=prompt)
    assert told.hears() == {"type": "text", "text": "one"}
    told.tell(type="interrupt")

    assert told.hears()["ended"] == ended
    assert told.ask("a")[-1]["ended"] == "complete"


def test_an_interrupt_that_overtakes_its_prompt_waits_for_it(told: Told) -> None:
    told.connect()
    told.tell(type="query", text="late")
    told.tell(type="interrupt")

    assert told.hears()["ended"] == "interrupted"


@pytest.mark.parametrize("failed", [False, True])
def test_a_call_is_answered_by_the_scenario(told: Told, failed: bool) -> None:
    told.connect()
    told.tell(type="query", text="tool")
    call = told.hears()
    told.tell(type="call_result", id=call["id"], text="in the attic", is_error=failed)

    said = told.until("turn_end")

    assert (call["type"], call["name"], call["input"]) == ("call", "look_up", {"what": "it"})
    assert said[1] == {"type": "tool_result", "id": "t", "text": "in the attic", "is_error": failed}


@pytest.mark.parametrize(
    ("id", "error", "message"),
    [("nobody", "session_not_found", "no such session"), ("broken", "error", "the disk is full")],
)
def test_a_session_that_cannot_be_opened_is_refused(told: Told, id: str, error: str, message: str) -> None:
    assert told.connect(resume=id) == {"type": "error", "error": error, "message": message}
    told.tell(type="query", text="a")
    assert told.hears()["error"] == "not_connected"


def test_the_methods_of_a_session_are_its_capabilities(tmp_path: Path) -> None:
    more = """
        getMessages: async () => [{ role: "user", content: "a" }],
        settle: async () => {},
        set: async () => { throw new Refused("bad_request", "no"); },
    """
    with running(tmp_path, more) as told:
        assert sorted(told.connect()["capabilities"]) == ["get_messages", "set", "settle"]
        for asked in ("get_messages", "settle", "set"):
            told.tell(type=asked, options={})
        said = {one["type"]: one for one in (told.hears(), told.hears(), told.hears())}

    assert said["messages"]["messages"] == [{"role": "user", "content": "a"}]
    assert "settled" in said
    assert said["error"]["error"] == "bad_request"


@pytest.mark.parametrize("how", ["disconnect", "end of input", "SIGTERM"])
def test_it_ends_cleanly_also_in_mid_turn(tmp_path: Path, how: str) -> None:
    with running(tmp_path, "close: async () => { console.error('closed'); },") as told:
        told.connect()
        told.tell(type="query", text="waits")
        told.hears()
        assert told.process.stdin is not None
        if how == "disconnect":
            told.tell(type="disconnect")
        elif how == "end of input":
            told.process.stdin.close()
        else:
            os.kill(told.process.pid, signal.SIGTERM)
        said = told.until("disconnected")
        assert told.process.wait(20) == 0
        assert told.process.stderr is not None
        assert "closed" in told.process.stderr.read()

    assert [one["type"] for one in said] == ["turn_end", "disconnected"]
    assert said[0]["ended"] == "interrupted"


MCP = """
import {{ bareName, mcpServer, toolNames }} from {mcp};
const schema = {{ type: "object", properties: {{ what: {{ type: "string", enum: ["keys"] }} }}, required: ["what"] }};
const call = async (given) => ({{ text: given.what, isError: true }});
const tools = [{{ name: "look_up", description: "d", inputSchema: schema, call }}];
const said = [];
const transport = {{ send: async (one) => void said.push(one) }};
await mcpServer(tools).instance.connect(transport);
const ask = (id, method, params) => transport.onmessage({{ id, method, params }});
await ask(1, "initialize", {{ protocolVersion: "2025-06-18" }});
await ask(2, "tools/list");
await ask(3, "tools/call", {{ name: "look_up", arguments: {{ what: "keys" }} }});
await ask(4, "tools/call", {{ name: "other" }});
await ask(5, "resources/list");
await ask(undefined, "notifications/initialized");
const bare = ["mcp__convtest__look_up", "Read"].map((one) => bareName(one));
console.log(JSON.stringify({{ said, names: toolNames(tools), bare }}));
"""


def test_stand_in_tools_are_an_mcp_server_with_their_schema_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mcp.mjs"
    path.write_text(MCP.format(mcp=json.dumps((PACKAGE / "mcp.js").as_uri())))
    assert NODE is not None
    done = subprocess.run([NODE, str(path)], capture_output=True, text=True, check=True, timeout=60)

    found = json.loads(done.stdout)
    initialized, listed, called, unknown, no_method = found["said"]

    assert initialized["result"]["protocolVersion"] == "2025-06-18"
    (tool,) = listed["result"]["tools"]
    assert tool["inputSchema"]["properties"] == {"what": {"type": "string", "enum": ["keys"]}}
    assert called["result"] == {"content": [{"type": "text", "text": "keys"}], "isError": True}
    assert unknown["result"]["isError"]
    assert no_method["error"]["code"] == -32601
    assert (found["names"], found["bare"]) == (["mcp__convtest__look_up"], ["look_up", "Read"])


def test_what_the_types_promise_is_exported(tmp_path: Path) -> None:
    """`exports` of package.json name files that are there, and each has its declarations beside it."""
    package = json.loads((PACKAGE / "package.json").read_text())

    for entry in package["exports"].values():
        assert (PACKAGE / entry["types"]).is_file()
        assert (PACKAGE / entry["default"]).is_file()
        assert {entry["types"][2:], entry["default"][2:]} <= set(package["files"])
