"""Applications behind HTTP: what their streams say by format, and what becomes of an answer whose reader has left."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from convtest.clients.sse_formats import FORMATS, format_of
from convtest.events import Event, TextDelta, Thinking, ToolResult, ToolUse, TurnEnd
from convtest.wire.sse import ServerEvent
from tests.project import Project

UI: list[Any] = [
    {"type": "start", "messageId": "m"},
    {"type": "start-step"},
    {"type": "reasoning-start", "id": "r"},
    {"type": "reasoning-delta", "id": "r", "delta": "Hm."},
    {"type": "text-start", "id": "t"},
    {"type": "text-delta", "id": "t", "delta": "I will "},
    {"type": "text-delta", "id": "t", "delta": "look."},
    {"type": "tool-input-start", "toolCallId": "c1", "toolName": "weather"},
    {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": '{"city":'},
    {"type": "tool-input-available", "toolCallId": "c1", "toolName": "weather", "input": {"city": "Ghent"}},
    {"type": "tool-output-available", "toolCallId": "c1", "output": {"temp": 9}, "preliminary": True},
    {"type": "tool-output-available", "toolCallId": "c1", "output": {"temp": 18}},
    {"type": "tool-input-error", "toolCallId": "c2", "toolName": "weather", "input": "x", "errorText": "no table"},
    {"type": "tool-output-error", "toolCallId": "c1", "errorText": "down"},
    {"type": "data-usage", "data": {"text": "not said"}},
    {"type": "finish-step"},
    {"type": "finish", "finishReason": "length"},
]
CHAT: list[Any] = [
    {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
    {"choices": [{"delta": {"reasoning_content": "Hm."}}]},
    {"choices": [{"delta": {"content": "I will look."}}]},
    {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "weather"}}]}}]},
    {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}}]},
    {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": '"Ghent"}'}}]}}]},
    {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
    {"choices": [], "usage": {"prompt_tokens": 1}},
]


def read(format: str, data: list[Any]) -> list[Event]:
    said = format_of({"format": format})
    return [event for one in data for event in said.read(ServerEvent("message", json.dumps(one)))] + [said.end()]


def test_the_ui_message_stream_of_the_ai_sdk_is_read_as_the_events_it_is() -> None:
    assert read("ai_sdk", UI) == [
        Thinking(text="Hm."),
        TextDelta(text="I will "),
        TextDelta(text="look."),
        ToolUse(id="c1", name="weather", input={"city": "Ghent"}),
        ToolResult(id="c1", text='{"temp":18}'),
        ToolUse(id="c2", name="weather", input={}),
        ToolResult(id="c2", text="no table", is_error=True),
        ToolResult(id="c1", text="down", is_error=True),
        TurnEnd(ended="max_tokens", reason="length"),
    ]


def test_a_chat_stream_is_read_with_its_reasoning_and_its_tools() -> None:
    assert read("chat_completions", CHAT) == [
        Thinking(text="Hm."),
        TextDelta(text="I will look."),
        ToolUse(id="c1", name="weather", input={"city": "Ghent"}),
        TurnEnd(ended="complete", reason="tool_calls"),
    ]


@pytest.mark.parametrize(
    ("format", "data", "end"),
    [
        ("ai_sdk", {"type": "error", "errorText": "no model"}, TurnEnd(ended="error", message="no model")),
        ("ai_sdk", {"type": "abort", "reason": "stop"}, TurnEnd(ended="interrupted", reason="stop")),
        ("chat_completions", {"error": {"message": "no model"}}, TurnEnd(ended="error", message="no model")),
    ],
)
def test_ends_are_told(format: str, data: Any, end: TurnEnd) -> None:
    assert read(format, [data])[0] == end


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "data", ["", "[]", "5", "null", '{"choices": 5}', '{"choices": [5]}', '{"type": 5}', "{" * 300]
)
def test_what_is_none_of_a_format_says_nothing(format: str, data: str) -> None:
    assert list(format_of({"format": format}).read(ServerEvent("message", data))) == []


def test_text_of_one_s_own_format_stands_where_the_filter_says() -> None:
    said = format_of({"text": "delta", "where": {"type": "text", "part.final": "False"}})
    data = [{"type": "text", "delta": "yes", "part": {"final": False}}, {"type": "thought", "delta": "no"}]

    assert [list(said.read(ServerEvent("message", json.dumps(one)))) for one in data] == [[TextDelta(text="yes")], []]


APP = '''
import http.server, json, threading, urllib.request
import pytest

CHATS = {}

class App(http.server.BaseHTTPRequestHandler):
    """Asks its model, and passes its text on; what it does when its reader leaves, its path says."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        history = CHATS.setdefault(asked["id"], [])
        history.append({"role": "user", "content": asked["text"]})
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        body = {"model": "claude-haiku-4-5", "max_tokens": 500, "stream": True, "messages": history}
        headers = {"content-type": "application/json", "x-api-key": self.server.key}
        url = f"{self.server.model}/s/app/{asked['session']}/v1/messages"
        said, left = "", False
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as answer:
            for line in answer:
                if b"text_delta" not in line:
                    continue
                text = json.loads(line[6:])["delta"]["text"]
                try:
                    self.say({"type": "text-delta", "delta": text})
                except OSError:
                    left = True
                    if self.path == "/stops":
                        break
                if not (left and self.path == "/loses"):
                    said += text
        history.append({"role": "assistant", "content": said or "…"})
        if not left:
            self.say({"type": "finish"})
            self.wfile.write(b"data: [DONE]\\n\\n")

    def say(self, data):
        self.wfile.write(f"data: {json.dumps(data)}\\n\\n".encode())
        self.wfile.flush()

    def log_message(self, *_):
        pass

@pytest.fixture(scope="session")
def app(convtest_gateway):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
    server.daemon_threads = True
    server.model, server.key = convtest_gateway.url, convtest_gateway.environment["ANTHROPIC_API_KEY"]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()

@pytest.fixture
def convtest_client_options(app, request):
    return {"url": f"{app}/{request.node.originalname.split('-')[0]}"}
'''
PROFILE = """
[tool.convtest.clients.{name}]
kind = "sse"
wire = "history"
upstream = "simulator"
format = "ai_sdk"
body = {{id = "${{session_id}}", text = "${{text}}", session = "${{session}}"}}
policy = {{abandoned = "{abandoned}"}}
"""
LEAVES = """\
scenario: {id}
client: {client}
steps:
  - user: Tell me a long story about a lighthouse.
    disturb: {{do: {do}, after: 3}}
    expect: {{ended: {{one_of: [interrupted, connection_lost]}}}}
  - resume: main
  - user: What is 1 + 1?
    expect: {{contains: "2"}}
"""
CASES = {
    ("finishes", "finishes", "interrupt"): "",
    ("finishes", "finishes", "kill"): "",
    ("finishes", "finishes", "disconnect"): "",
    ("finishes", "stops", "kill"): "the whole answer that a reader left, and the policy says that it stops",
    ("stops", "stops", "kill"): "",
    ("stops", "finishes", "kill"): "does not hold the whole answer that a reader left",
    ("loses", "finishes", "kill"): "does not hold the whole answer that a reader left",
}
"""By what the application does, what is declared, and how its reader leaves: what is found."""


def cases() -> Iterator[tuple[str, str, str]]:
    for (does, declared, how), found in CASES.items():
        id = f"{does}-{declared}-{how}"
        yield id, LEAVES.format(id=id, client=declared, do=how), found


def test_what_an_application_does_when_its_reader_has_left_is_judged_by_its_policy(project: Project) -> None:
    profiles = "".join(PROFILE.format(name=name, abandoned=name) for name in ("finishes", "stops"))
    project.write("pyproject.toml", '[tool.convtest]\nclient = "finishes"\n' + profiles)
    project.write("conftest.py", APP)
    for id, text, _ in cases():
        project.write(f"scenarios/{id}.yaml", text)

    simulated, recorded = project.pytest("-q"), project.convtest("record", "--no-replay")
    replayed = project.pytest(
        "-q", "--convtest-strict", *(f"scenarios/{id}.yaml" for id, _, found in cases() if not found)
    )

    green = [id for id, _, found in cases() if not found]
    assert simulated.counts() == {"passed": len(green), "failed": len(CASES) - len(green)}, simulated.out
    for id, _, found in cases():
        assert not found or found in simulated.out.partition(f"pytest scenarios/{id}.yaml")[0], id
        assert (f"recorded  scenarios/{id}.yaml" in recorded.out) == (not found), recorded.out
    assert replayed.counts() == {"passed": len(green)}, replayed.out


def test_an_unknown_format_is_an_error_that_names_those_there_are(project: Project) -> None:
    project.write(
        "pyproject.toml",
        '[tool.convtest]\nclient = "a"\n[tool.convtest.clients.a]\nkind = "sse"\nurl = "http://x"\nformat = "ai"\n',
    )
    project.write("scenarios/a.yaml", "scenario: a\nsteps: [{user: a}]\n")

    assert "format is ai_sdk or chat_completions, and not 'ai'" in project.pytest().out
