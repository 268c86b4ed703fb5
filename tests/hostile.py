"""Inputs that mean no good: scenarios, cassettes, servers and programs, each with the one error that it is to be.

`scripts/hostile` plays all of them, each in a process of its own, and prints the worst time and memory.
"""

import gzip
import json
import os
import re
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.project import SECTION, Project

LIMITS = "\n[tool.convtest.limits]\nbody = 2_000_000\ncassette = 5_000_000\nline = 2_000_000\nstderr = 1_000_000\n"
PATIENCE = 60.0
"""Real seconds after which an input has hung."""


@dataclass(frozen=True)
class Hostile:
    """One input, and a pattern of what is to be said of it."""

    name: str
    says: str
    files: dict[str, str | bytes] = field(default_factory=dict)
    serves: bytes | Callable[[socket.socket], None] | None = None
    """What a server that is asked for `{url}` sends."""
    passes: bool = False
    """It is odd, and nothing is wrong with it."""


# Scenarios -----------------------------------------------------------------------------------------------------------


def scenario(name: str, text: str | bytes, says: str, *, passes: bool = False, **files: str) -> Hostile:
    more = {key.replace("__", "."): value for key, value in files.items()}
    return Hostile(f"scenario: {name}", says, {"scenarios/it.yaml": text, **more}, passes=passes)


def steps(text: str) -> str:
    return f"scenario: it\ntimeout: 2s\nsteps:\n{text}"


def expecting(text: str, reply: str = "Hi") -> str:
    return steps(f"  - user: Hello\n    simulate: {{text: {json.dumps(reply)}}}\n    expect: {text}\n")


ONE = "  - user: Hello\n"
BACKTRACKS = "a" * 60 + "b"

SCENARIOS = [
    scenario("empty", "", "the file is empty"),
    scenario("only a comment", "# nothing\n", "the file is empty"),
    scenario("a list", "- a\n- b\n", "a scenario is a mapping"),
    scenario("a number", "5\n", "a scenario is a mapping"),
    scenario("binary", bytes(range(256)) * 40, "not UTF-8|not valid|control character|unreadable"),
    scenario("UTF-16", steps(ONE).encode("utf-16"), "UTF-8"),
    scenario("NUL", "scenario: a\0b\nsteps: []\n", "it.yaml:1"),
    scenario("a megabyte and more", "# " + "x" * 1_100_000, "more than the 1,000,000"),
    scenario("one long line", steps(f"  - user: {'x' * 900_000}\n"), "", passes=True),
    scenario("deep flow", "scenario: " + "[" * 5000, "deep"),
    scenario("deep block", "".join(" " * n + "a:\n" for n in range(300)), "deep"),
    scenario("aliases that grow", "a: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)), "aliases counted"),
    scenario("a tag that makes objects", "scenario: !!python/object/apply:os.system ['true']\nsteps: []\n", "tag"),
    scenario("a merge key", "scenario: it\nsteps:\n  - <<: {user: a}\n", "<<"),
    scenario("a mapping as a key", "? {a: b}\n: c\n", "it.yaml:1"),
    scenario("a key twice", "scenario: a\nscenario: b\nsteps: []\n", "twice"),
    scenario("an open quote", 'scenario: "it\nsteps: []\n', "it.yaml:"),
    scenario("tabs", "scenario: it\nsteps:\n\t- user: a\n", "tab"),
    scenario("a directive of tomorrow", "%YAML 9.9\n---\n" + steps(ONE), "it.yaml|passed"),
    scenario("many documents", f"---\n{steps(ONE)}" * 400, "twice|same|collides|id"),
    scenario("ten thousand unknown keys", steps(ONE) + "".join(f"k{n}: 1\n" for n in range(10_000)), "unknown"),
    scenario("repeat without end", steps("  - repeat: 999999999\n    steps: [{user: a}]\n"), "more than 100,000 values"),
    scenario("repeat in repeat", steps("  - repeat: 1000\n    steps:\n" + "      - repeat: 1000\n"
             "        steps: [{user: a}]\n"), "more than 100,000 values"),
    scenario("a number of 5,000 digits", steps(f"  - repeat: {'9' * 5000}\n    steps: [{{user: a}}]\n"), "it.yaml:"),
    scenario("infinity", "scenario: it\ntimeout: .inf\nsteps: [{user: a}]\n", "not a duration"),
    scenario("no number", "scenario: it\ntimeout: .nan\nsteps: [{user: a}]\n", "not a duration"),
    scenario("a negative time", "scenario: it\ntimeout: -5s\nsteps: [{user: a}]\n", "timeout|duration"),
    scenario("a product of params", "scenario: it\nparams:\n" + "".join(f"  p{n}: [1, 2, 3, 4, 5, 6, 7, 8]\n" for n in
             range(12)) + "steps: [{user: a}]\n", "68,719,476,736 rows"),
    scenario("a param that is not there", steps("  - user: ${nobody}\n"), "not declared"),
    scenario("a param that is a list", "scenario: it\nparams: [{a: [1, 2]}]\nsteps: [{user: 'x ${a}'}]\n", "single value"),
    scenario("an id that climbs", "scenario: it\nid: ../../etc/passwd\nsteps: [{user: a}]\n", "cannot name a file"),
    scenario("a file that climbs", steps(ONE) + "files: {../../x: y}\n", "it.yaml:"),
    scenario("a file at the root", steps(ONE) + "files: {/tmp/x: y}\n", "it.yaml:"),
    scenario("a cassette that is a device", "scenario: it\ncassette: /dev/zero\nsteps: [{user: a}]\n", "/dev/zero"),
    scenario("control characters", 'scenario: "a\\e[31mb\\a"\nsteps: [{user: "\\e]0;title\\a"}]\n', "", passes=True),
    scenario("from right to left", 'scenario: "\\u202eabc"\nsteps: [{user: "\\u202egpj.exe"}]\n', "", passes=True),
    scenario("half a character", 'scenario: it\nsteps: [{user: "\\ud800"}]\n', "it.yaml:2"),
    scenario("words without end", steps("  - user: a\n    simulate: {words: 999999999999}\n"), "0 to 50,000"),
    scenario("no words", steps("  - user: a\n    simulate: {words: -1}\n"), "0 to 50,000"),
    scenario("no pattern", expecting("{matches: '(['}"), "not a regular expression"),
    scenario("a pattern without end", expecting("{matches: '^(a|aa)+$'}", BACKTRACKS), "matching the pattern"),
    scenario("a pattern that is huge", expecting("{matches: '((a{1000}){1000}){1000}'}"), "regular expression|took more|match"),
    scenario("no schema", expecting("{json_schema: {type: nothing}}", "{}"), "no JSON Schema"),
    scenario("a schema from elsewhere", expecting("{json_schema: {$ref: 'http://127.0.0.1:9/x'}}", "{}"), "json_schema"),
    scenario("a schema that is its own", expecting("{json_schema: {$ref: '#'}}", "{}"), "json_schema|judging took"),
    scenario("a schema with patterns", expecting("{json_schema: {patternProperties: {'^(a|aa)+$': {}}}}",
             json.dumps({BACKTRACKS: 1})), "judging took more"),
    scenario("a reply that is deep", expecting("{json_schema: {type: object}}", "[" * 5000 + "]" * 5000), "json_schema|deep"),
    scenario("a reply with 5,000 digits", expecting("{json: {a: 1}}", '{"a": ' + "9" * 5000 + "}"), "json"),
    scenario("a check that is not there", expecting("{check: 'nowhere:nothing'}"), "nowhere"),
    scenario("a check that exits", expecting("{check: 'mine:it'}"), "mine", mine__py="def it(turn): raise SystemExit(0)\n"),
    scenario("a check that recurses", expecting("{check: 'mine:it'}"), "mine", mine__py="def it(turn): it(turn)\n"),
    scenario("a check that loops", expecting("{check: 'mine:it'}"), "judging took.*mine.py:2",
             mine__py="def it(turn):\n    while True: pass\n"),
    scenario("a module that does not load", expecting("{check: 'mine:it'}"), "mine", mine__py="1 / 0\n"),
    scenario("a session's name that climbs", steps("  - user: a\n    session: ../../x\n"), "", passes=True),
]  # fmt: skip

# Cassettes -----------------------------------------------------------------------------------------------------------

_BODY = json.dumps({"model": "claude-haiku-4-5", "max_tokens": 1024, "stream": True,
                    "messages": [{"role": "user", "content": "Hello"}]})  # fmt: skip
_STREAM = "event: message_start\\ndata: {}\\n\\n"


def row(**over: str) -> str:
    """One interaction in flow style; `over` stands in the place of a value."""
    value = {
        "method": "POST", "uri": "https://api.anthropic.com/v1/messages", "body": json.dumps(_BODY),
        "sent_headers": "{content-type: [application/json]}", "code": "200", "headers": "{content-type: [text/event-stream]}",
        "string": f'"{_STREAM}"', "more": "", **over,
    }  # fmt: skip
    return (
        "interactions:\n- request: {method: %(method)s, uri: %(uri)s, body: %(body)s, headers: %(sent_headers)s}\n"
        "  response: {status: {code: %(code)s, message: OK}, headers: %(headers)s, body: {string: %(string)s}%(more)s}\n"
        "version: 1\n"
    ) % value


def ours(text: str) -> str:
    return row(more=f", x-convtest: {text}")


def cassette(name: str, text: str | bytes, says: str = "unreadable cassette") -> Hostile:
    files: dict[str, str | bytes] = {"scenarios/it.yaml": steps(ONE), "cassettes/it/it.yaml": text}
    return Hostile(f"cassette: {name}", says, files)


_ANY = "unreadable cassette|layer|ERROR|FAILED"
CASSETTES = [
    cassette("empty", ""),
    cassette("white space", " \n\n"),
    cassette("binary", bytes(range(256)) * 100),
    cassette("gzip", gzip.compress(row().encode()), _ANY),
    cassette("a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 100),
    cassette("a folder's worth", "interactions: []\n" + "# x\n" * 2_000_000, "has more than 5,000,000 bytes"),
    cassette("cut in the middle", row()[:150]),
    cassette("without its end", row().rpartition("version")[0], _ANY),
    cassette("deep", "interactions: " + "[" * 3000),
    cassette("deep and closed", "interactions: " + "[" * 3000 + "]" * 3000 + "\nversion: 1\n"),
    cassette("aliases", "a: &a [1]\ninteractions: *a\nversion: 1\n"),
    cassette("a tag", "interactions: !!python/name:os.system\nversion: 1\n"),
    cassette("a list", "- a\n"),
    cassette("a text", "interactions\n"),
    cassette("interactions that are a text", "interactions: five\nversion: 1\n"),
    cassette("an interaction that is a number", "interactions: [5]\nversion: 1\n"),
    cassette("an interaction that is nothing", "interactions: [null]\nversion: 1\n"),
    cassette("a version of tomorrow", row().replace("version: 1", "version: 99")),
    cassette("a version of 5,000 digits", row().replace("version: 1", "version: " + "9" * 5000)),
    cassette("a status that is a text", row(code="fine")),
    cassette("a status of 5,000 digits", row(code="9" * 5000)),
    cassette("a negative status", row(code="-200"), _ANY),
    cassette("a status that is a list", row(code="[200]")),
    cassette("headers that are a list", row(headers="[a, b]")),
    cassette("headers that are a text", row(headers="none")),
    cassette("a header that is a mapping", row(headers="{a: {b: c}}"), _ANY),
    cassette("a header with a line's end", row(headers='{"a\\nb": ["c\\r\\nd: e"]}'), _ANY),
    cassette("a header that is not ASCII", row(headers='{"naïve": ["ü"]}'), _ANY),
    cassette("a method that is a list", row(method="[POST]"), _ANY),
    cassette("a URL that is none", row(uri="'http://[::1'"), _ANY),
    cassette("a URL that is a number", row(uri="5"), _ANY),
    cassette("a URL of a megabyte", row(uri="https://a/" + "x" * 1_000_000), _ANY),
    cassette("a body that is a mapping", row(body="{a: b}"), _ANY),
    cassette("a body that is no JSON", row(body='"{{{"'), _ANY),
    cassette("a body that is deep", row(body=json.dumps("[" * 20_000)), _ANY),
    cassette("a body of 5,000 digits", row(body=json.dumps('{"model": ' + "9" * 5000 + "}")), _ANY),
    cassette("an answer that is a list", row(string="[1, 2]"), _ANY),
    cassette("an answer that is deep", row(string=json.dumps("data: " + "[" * 20_000 + "\n\n")), _ANY),
    cassette("an answer with half a character", row(string='"data: {\\"a\\": \\"\\\\ud800\\"}\\n\\n"'), _ANY),
    cassette("an answer that is no base64", row(string="!!binary '###'"), _ANY),
    cassette("an answer said to be gzip", row(headers="{content-encoding: [gzip], content-type: [text/event-stream]}"), _ANY),
    cassette("an answer that is broken gzip", row(headers="{content-encoding: [gzip]}", string='!!binary "H4sIAAAAAAAAA0tM"'), _ANY),
    cassette("ours: a text", ours("yes"), _ANY),
    cassette("ours: a list", ours("[1]"), _ANY),
    cassette("ours: chunks of words", ours("{chunks: [a, b]}"), _ANY),
    cassette("ours: chunks below nothing", ours("{chunks: [-5, -5]}"), _ANY),
    cassette("ours: a chunk of 5,000 digits", ours("{chunks: [" + "9" * 5000 + "]}"), _ANY),
    cassette("ours: times that are none", ours("{times: [.nan, .inf], sent: .nan}"), _ANY),
    cassette("ours: a lane that is a list", ours("{lane: [a], turn: x, sent: {}}"), _ANY),
    cassette("ours: an end that nobody knows", ours("{ended: exploded}"), _ANY),
    cassette("ours: sent before time", ours("{sent: -99999999999999999999}"), _ANY),
    cassette("ours: a turn of 5,000 digits", ours("{turn: " + "9" * 5000 + "}"), _ANY),
]  # fmt: skip

# Servers -------------------------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
APP = """
scenario: it
timeout: 4s
steps:
  - user: Hello
"""


def server(name: str, serves: bytes | Callable[[socket.socket], None], says: str = "ended|layer|it.yaml") -> Hostile:
    profile = SECTION + LIMITS + "\n[tool.convtest.clients.app]\nkind = 'sse'\nwire = 'none'\nupstream = 'simulator'\n"
    profile += "url = '{url}/chat'\ndone = '[DONE]'\nread_timeout = 3\n"
    files: dict[str, str | bytes] = {
        "pyproject.toml": profile.replace('client = "assistant"', 'client = "app"'), "scenarios/it.yaml": APP,
    }  # fmt: skip
    return Hostile(f"server: {name}", says, files, serves)


def _forever(piece: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"\r\n")
        while True:
            connection.sendall(piece)

    return serve


def _slowly(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"\r\n")
    while True:
        connection.sendall(b": ping\n\n")
        time.sleep(0.2)


def _silent(connection: socket.socket) -> None:
    time.sleep(30)


def _bomb() -> bytes:
    packed = gzip.compress(b"data: " + b"0" * 400_000_000)
    return HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed


SERVERS = [
    server("says nothing", _silent),
    server("closes at once", b""),
    server("garbage", b"\x00\xff\x13garbage\r\n\r\n" * 20),
    server("another protocol", b"220 smtp ready\r\n"),
    server("half a head", b"HTTP/1.1 200 OK\r\ncontent-ty"),
    server("a status of letters", b"HTTP/1.1 abc OK\r\n\r\n"),
    server("a status of 999", b"HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n"),
    server("100,000 headers", HEAD + b"".join(b"x-%d: y\r\n" % n for n in range(100_000)) + b"\r\n"),
    server("a header of a megabyte", HEAD + b"x: " + b"y" * 1_000_000 + b"\r\n\r\n"),
    server("a header that is not ASCII", HEAD + "x: naïve ü\r\n".encode() + b"content-length: 0\r\n\r\n"),
    server("a header with NUL", HEAD + b"x: a\0b\r\n\r\n"),
    server("a length that is no number", HEAD + b"content-length: many\r\n\r\n"),
    server("a length of 5,000 digits", HEAD + b"content-length: " + b"9" * 5000 + b"\r\n\r\n"),
    server("a shorter body than it says", HEAD + b"content-length: 1000\r\n\r\ndata: a\n\n"),
    server("broken chunks", HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n"),
    server("a chunk of 5,000 digits", HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"f" * 5000 + b"\r\n"),
    server("broken gzip", HEAD + b"content-encoding: gzip\r\ncontent-length: 9\r\n\r\nnot gzip!"),
    server("a gzip that grows", _bomb(), "has more than 2,000,000 bytes|ended"),
    server("an answer without end", _forever(b"data: word\n\n" * 1000), "has more than 2,000,000 bytes|timeout"),
    server("a line without end", _forever(b"x" * 65_536), "has more than 2,000,000 bytes"),
    server("pings without end", _slowly, "timeout"),
    server("JSON that is deep", HEAD + b"\r\ndata: " + b"[" * 100_000 + b"\n\ndata: [DONE]\n\n", ""),
    server("a number of 5,000 digits", HEAD + b"\r\ndata: " + b"9" * 5000 + b"\n\ndata: [DONE]\n\n", ""),
    server("bytes that are no UTF-8", HEAD + b"\r\ndata: \xff\xfe\xfd\n\ndata: [DONE]\n\n", ""),
    server("control characters", HEAD + b"\r\ndata: \x1b[31m\x07\x00\n\ndata: [DONE]\n\n", ""),
    server("a redirect to itself", b"HTTP/1.1 302 Found\r\nlocation: /chat\r\ncontent-length: 0\r\n\r\n", ""),
]  # fmt: skip

# Programs ------------------------------------------------------------------------------------------------------------

PROGRAM = """
import json, os, sys, time

def say(**message):
    sys.stdout.write(json.dumps(message) + chr(10))
    sys.stdout.flush()

def raw(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()

def connected():
    say(type="connected", session_id="s-1")

def heard():
    return json.loads(sys.stdin.readline() or "{}")

"""


def program(name: str, body: str, says: str = "ended|layer|it.yaml", *, passes: bool = False) -> Hostile:
    profile = (
        SECTION + LIMITS + "\n[tool.convtest.clients.talker]\nkind = 'command'\nwire = 'none'\nupstream = 'simulator'\n"
    )
    profile += f"command = [{sys.executable!r}, 'talker.py']\n"
    files: dict[str, str | bytes] = {
        "pyproject.toml": profile.replace('client = "assistant"', 'client = "talker"'), "scenarios/it.yaml": APP,
        "talker.py": PROGRAM + body,
    }  # fmt: skip
    return Hostile(f"program: {name}", says, files, passes=passes)


def turning(name: str, body: str, says: str = "ended|layer|it.yaml", *, passes: bool = False) -> Hostile:
    """It opens as it should; `body` is what it does in its turn."""
    rest = "\nheard()\nsay(type='disconnected')\n" if passes else "\ntime.sleep(30)\n"
    return program(name, f"heard()\nconnected()\nheard()\n{body}{rest}", says, passes=passes)


PROGRAMS = [
    program("ends at once", "", "ended with exit code 0"),
    program("ends with an error", "sys.exit('no such model: \\x1b[31mred')", "no such model"),
    program("ends by a signal", "os.kill(os.getpid(), 9)", "signal 9"),
    program("never answers", "time.sleep(30)", "timeout"),
    program("garbage", "raw(b'hello' + bytes([10]))", "no JSON object with a type"),
    program("no UTF-8", "raw(bytes([255, 254, 10]))", "no JSON object with a type"),
    program("NULs", "raw(bytes(1000) + bytes([10]))", "no JSON object with a type"),
    program("an empty line", "raw(bytes([10]))", "no JSON object with a type"),
    program("a list", "raw(b'[1]' + bytes([10]))", "no JSON object with a type"),
    program("a type that is a number", "say(type=5)", "no JSON object with a type"),
    program("a type that nobody knows", "say(type='explode')"),
    program("deep JSON", "raw(b'[' * 200_000 + bytes([10]))", "no JSON object with a type"),
    program("a line without end", "while True: raw(b'x' * 65_536)", "more than 2,000,000 bytes without a line's end"),
    program("floods stderr", "sys.stderr.write('noise ' * 3_000_000 + chr(10) + 'last' + chr(10)); sys.exit(3)", "last"),
    program("an id that climbs", "heard(); say(type='connected', session_id='../../x'); heard()\nsay(type='turn_end')\n"
            "heard(); say(type='disconnected')", "", passes=True),
    program("an id that is a list", "heard(); say(type='connected', session_id=['x']); time.sleep(30)"),
    program("closes its output", "heard(); connected(); heard(); os.close(1); time.sleep(30)"),
    program("a daemon", "heard(); connected(); heard()\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(20)\n    os._exit(0)\n"
            "say(type='text', text='hi'); say(type='turn_end'); heard(); say(type='disconnected')", "no_leftovers"),
    turning("a text that is a number", "say(type='text', text=5)"),
    turning("a text that is missing", "say(type='text')"),
    turning("an end that nobody knows", "say(type='turn_end', ended='exploded')"),
    turning("usage of words", "say(type='turn_end', usage={'input_tokens': 'many'})"),
    turning("usage below nothing", "say(type='text', text='a'); say(type='turn_end', usage={'input_tokens': -5})", ""),
    turning("a price that is none", "raw(b'{\"type\": \"turn_end\", \"usd\": NaN}' + bytes([10]))"),
    turning("a number of 5,000 digits", "raw(b'{\"type\": \"turn_end\", \"rounds\": ' + b'9' * 5000 + b'}' + bytes([10]))"),
    turning("a tool of a number", "say(type='tool_use', id=5, name=[], input='x')"),
    turning("a call that nobody can answer", "say(type='call', id='1', name='nothing', input={}); heard(); say(type='turn_end')", ""),
    turning("control characters", "say(type='text', text=chr(27) + '[31m' + chr(7)); say(type='turn_end')", "", passes=True),
    turning("half a character", "raw(b'{\"type\": \"text\", \"text\": \"\\\\\\\\ud800\"}' + bytes([10])); say(type='turn_end')", ""),
    turning("a million events", "for n in range(10**9): say(type='text', text='word ')", "timeout|more than|ended"),
    turning("half a line", "raw(b'{\"type\": \"te')", "timeout"),
    turning("stays when told to go", "say(type='text', text='a'); say(type='turn_end')\nimport signal\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)", ""),
]  # fmt: skip

ALL = [*SCENARIOS, *CASSETTES, *SERVERS, *PROGRAMS]

# Playing -------------------------------------------------------------------------------------------------------------


@contextmanager
def _serving(serves: bytes | Callable[[socket.socket], None] | None) -> Iterator[str]:
    """The address of a server that answers every connection in the same way."""
    if serves is None:
        yield ""
        return
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65_536)
                if callable(serves):
                    serves(connection)
                else:
                    connection.sendall(serves)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


@dataclass(frozen=True)
class Outcome:
    code: int
    text: str
    seconds: float
    megabytes: float
    """What the process came to hold at the most, over what it held when it began."""

    def wrong(self, one: Hostile) -> str:
        """What is not as it must be; empty where nothing is."""
        if self.code < 0:
            return f"signal {-self.code}" + (": it hung" if self.code == -signal.SIGKILL else "")
        for word in ("Traceback (most recent call last)", "INTERNALERROR", "\x1b[31m", "\x07"):
            if word in self.text:
                return f"it says {word!r}"
        if one.passes != (self.code == 0) and one.says:
            return f"exit code {self.code}"
        return "" if re.search(one.says, self.text, re.DOTALL) else f"it does not say {one.says!r}"


def play(one: Hostile, folder: Path) -> Outcome:
    """Run pytest over it, in a fork of this process, which has everything imported."""
    project = Project(folder)
    with _serving(one.serves) as url:
        for name, text in {"pyproject.toml": SECTION + LIMITS, **one.files}.items():
            project.write(name, text.replace("{url}", url) if isinstance(text, str) and url else text)
        output, started = folder / "output.txt", time.monotonic()
        pid = os.fork()
        if pid == 0:
            _child(folder, output)
        code = _waited(pid, started + PATIENCE)
    said = output.read_bytes().decode("utf-8", "replace") if output.is_file() else ""
    text, _, last = said.partition("\n#grown ")
    return Outcome(code, text, time.monotonic() - started, float(last or 0))


def _waited(pid: int, until: float) -> int:
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _child(folder: Path, output: Path) -> None:
    import pytest

    code = 70
    try:
        with output.open("wb", buffering=0) as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", encoding="utf-8"), os.fdopen(2, "w", encoding="utf-8")
        os.chdir(folder)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        code = int(
            pytest.main(["-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", str(folder)])
        )
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"\n#grown {grown:.1f}", flush=True)
    except BaseException as error:
        print(repr(error), flush=True)
    finally:
        os._exit(code)


def main() -> int:
    """Play all, or those whose names hold an argument; the worst are printed. 1 where something is wrong."""
    chosen = [one for one in ALL if not sys.argv[1:] or any(word in one.name for word in sys.argv[1:])]
    outcomes: list[tuple[Hostile, Outcome]] = []
    wrong = 0
    for one in chosen:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            outcome = play(one, Path(folder))
        outcomes.append((one, outcome))
        if why := outcome.wrong(one):
            wrong += 1
            print(f"WRONG  {one.name}: {why}")
            print(
                "\n".join(f"    {line[:160]}" for line in outcome.text.splitlines()[-12:]) if len(chosen) < 20 else "",
                end="",
            )
    print(f"{len(outcomes)} hostile inputs, {wrong} wrong")
    for title, key in (("seconds", "seconds"), ("megabytes", "megabytes")):
        worst = sorted(outcomes, key=lambda pair: -getattr(pair[1], key))[:5]
        print(f"most {title}: " + "; ".join(f"{getattr(made, key):.1f} {one.name}" for one, made in worst))
    return 1 if wrong else 0


if __name__ == "__main__":
    import convtest.plugin.items  # noqa: F401 - imported once, before the forks

    sys.exit(main())
