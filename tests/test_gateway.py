"""The gateway: the same conversations as in process, whatever a peer does to it."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from convtest.cassettes import store
from convtest.config import Config, load_config
from convtest.gateway.server import HEAD_SECONDS
from convtest.play.mode import Mode
from convtest.play.perform import Played, perform
from convtest.play.prepare import prepare
from convtest.reporting.failure import failure_text
from convtest.reporting.snapshot import snapshot_text
from convtest.scenario.loading import load_file
from convtest.scenario.model import Scenario
from convtest.structs import replace
from tests.gateways import TOKEN, Serving, read_all, request, serving
from tests.models import TEXT, Behaviour, model
from tests.project import Project

REPOSITORY = Path(__file__).parent.parent


def config() -> Config:
    loaded = load_config(REPOSITORY)
    assert loaded is not None
    return loaded


def at_the_gateway() -> Config:
    """The project's configuration with every `messages` client at the gateway's address."""
    found = config()
    clients = {name: replace(profile, gateway=profile.kind == "messages") for name, profile in found.clients.items()}
    return replace(found, clients=clients)


def shipped() -> Iterator[Scenario]:
    for path in sorted((REPOSITORY / "scenarios").rglob("*.yaml")):
        for scenario in load_file(path, config()):
            clients = {spec.client for spec in scenario.sessions.values()} | {scenario.client}
            if {config().clients[name].kind for name in clients} == {"messages"}:
                yield scenario


SHIPPED = list(shipped())


def played(scenario: Scenario, found: Config, mode: Mode, folder: Path) -> Played:
    folder.mkdir()
    return perform(prepare(found, scenario, mode), folder)


def report(played: Played) -> str:
    return failure_text(played.result())


def test_most_shipped_scenarios_are_for_this_client() -> None:
    assert len(SHIPPED) >= 20


@pytest.mark.parametrize("scenario", SHIPPED, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("mode", [Mode(), Mode(live=True)], ids=["replayed", "live"])
def test_shipped_scenarios_are_the_same_through_the_gateway(tmp_path: Path, scenario: Scenario, mode: Mode) -> None:
    direct = played(scenario, config(), mode, tmp_path / "direct")
    through = played(scenario, at_the_gateway(), mode, tmp_path / "through")

    assert through.verdict.passed, report(through)
    assert snapshot_text(through.result()) == snapshot_text(direct.result())
    for one, other in zip(direct.transcript.turns(), through.transcript.turns(), strict=True):
        assert [type(event) for event in one.events] == [type(event) for event in other.events]
        assert (one.text, one.end.ended if one.end else None) == (other.text, other.end.ended if other.end else None)
    sent = [[(one.lane, one.turn, one.canonical.key) for one in p.transcript.interactions] for p in (direct, through)]
    assert sorted(sent[0], key=str) == sorted(sent[1], key=str)


HELLO = b'{"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "What is 15 * 7?"}]}'
STREAMED = HELLO.replace(b"{", b'{"stream": true, ', 1)


@pytest.fixture(scope="module")
def simulating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("serve"), "--speed", "1000") as found:
        yield found


def asked(found: Serving, body: bytes = HELLO, *, host: str = "", x_api_key: str = TOKEN, **more: str) -> bytes:
    return found.raw(request(body, host=host or f"127.0.0.1:{found.port}", x_api_key=x_api_key, **more))


def still_answers(found: Serving) -> bool:
    return b"The result is 105." in asked(found)


BAD_INPUT: dict[str, tuple[bytes, bytes]] = {
    "garbage": (b"\x00\xff\x13garbage\r\n\r\n" * 10, b"400"),
    "an old protocol": (b"HELLO\r\n\r\n", b"400"),
    "10,000 headers": (
        b"POST /v1/messages HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % n for n in range(10_000)) + b"\r\n",
        b"431",
    ),
    "an endless head": (b"POST /v1/messages HTTP/1.1\r\nx: " + b"a" * 500_000, b"431"),
    "no JSON": (b"", b"400"),
}


@pytest.mark.parametrize(("data", "answer"), BAD_INPUT.values(), ids=list(BAD_INPUT))
def test_what_is_no_request_gets_a_clear_answer(simulating: Serving, data: bytes, answer: bytes) -> None:
    found = simulating.raw(data or request(b"{no json", host=f"127.0.0.1:{simulating.port}"))

    assert found.split(b"\r\n")[0].split(b" ")[1] == answer, found[:300]
    assert still_answers(simulating)


def test_half_a_request_is_given_up(simulating: Serving) -> None:
    with simulating.connect() as sock:
        sock.sendall(request(HELLO, host=f"127.0.0.1:{simulating.port}")[:-20])
        started = time.monotonic()
        assert simulating.raw(b"POST /v1/messages HTTP/1.1\r\nhost: x") == b""
        assert time.monotonic() - started < 20
        assert still_answers(simulating)


def test_a_connection_opened_in_advance_waits_longer_than_a_request_may_take(simulating: Serving) -> None:
    with simulating.connect() as waiting:
        time.sleep(HEAD_SECONDS + 0.5)
        waiting.sendall(b"GET / HTTP/1.1\r\nhost: elsewhere\r\n\r\n")
        assert b"421" in waiting.recv(1000)


def test_a_body_of_a_gigabyte_is_refused_in_bounded_memory(simulating: Serving) -> None:
    before = simulating.memory()
    host = f"127.0.0.1:{simulating.port}"
    declared = simulating.raw(request(b"", host=host, content_length="1000000000"))
    head = request(b"", host=host, content_length="", transfer_encoding="chunked")
    block = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with simulating.connect() as sock:
        sock.sendall(head)
        sent = 0
        try:
            while sent < 1024:
                sock.sendall(block)
                sent += 1
        except OSError:
            pass
        answer = read_all(sock)

    assert b" 413 " in declared.split(b"\r\n")[0]
    assert sent < 200
    assert b" 413 " in answer.split(b"\r\n")[0] or answer == b""
    assert simulating.memory() - before < 200
    assert still_answers(simulating)


STRANGERS: dict[str, tuple[dict[str, str], int]] = {
    "no token": ({"x_api_key": ""}, 401),
    "a wrong token": ({"x_api_key": "sk-ant-other"}, 401),
    "a wrong bearer token": ({"x_api_key": "", "authorization": "Bearer other"}, 401),
    "a foreign host": ({"host": "api.anthropic.com"}, 421),
    "a rebinding host": ({"host": "evil.example:{port}"}, 421),
    "another origin": ({"origin": "https://evil.example", "sec_fetch_site": "cross-site"}, 403),
    "a browser's simple request": ({"sec_fetch_site": "cross-site", "content_type": "text/plain"}, 403),
}


@pytest.mark.parametrize(("headers", "status"), STRANGERS.values(), ids=list(STRANGERS))
def test_strangers_get_nothing(simulating: Serving, headers: dict[str, str], status: int) -> None:
    filled = {name: value.format(port=simulating.port) for name, value in headers.items()}

    found = asked(simulating, HELLO, **filled)

    assert found.startswith(b"HTTP/1.1 %d " % status), found[:200]
    assert b"105" not in found
    assert b"access-control" not in found.lower()


def test_a_preflight_gets_nothing(simulating: Serving) -> None:
    data = request(b"", host=f"127.0.0.1:{simulating.port}", x_api_key="", origin="https://evil.example")

    found = simulating.raw(data.replace(b"POST", b"OPTIONS", 1))

    assert found.startswith(b"HTTP/1.1 403 ")
    assert b"access-control" not in found.lower()


def test_what_asks_it_for_itself_as_a_proxy_is_answered(simulating: Serving) -> None:
    """An older CLI of the Claude Agent SDK does, whatever NO_PROXY says."""
    host = f"127.0.0.1:{simulating.port}"
    data = request(HELLO, host=host)

    assert simulating.raw(data.replace(b"POST ", f"POST http://{host}".encode(), 1)).startswith(b"HTTP/1.1 200 ")


def test_it_is_no_proxy(simulating: Serving) -> None:
    connect = simulating.raw(b"CONNECT api.anthropic.com:443 HTTP/1.1\r\nhost: api.anthropic.com:443\r\n\r\n")
    absolute = simulating.raw(b"GET http://example.com/ HTTP/1.1\r\nhost: example.com\r\n\r\n")
    other = f"127.0.0.1:{simulating.port}1"
    beside = simulating.raw(f"GET http://{other}/ HTTP/1.1\r\nhost: {other}\r\n\r\n".encode())

    for found in (connect, absolute, beside):
        assert found.startswith(b"HTTP/1.1 403 ")
    assert b"api.anthropic.com is not to be reached from here" in connect
    assert still_answers(simulating)


def test_a_client_that_reads_slowly_or_vanishes_harms_nobody(tmp_path: Path) -> None:
    behaviour = Behaviour(pause=0, edit=lambda data: data * (20_000 if data.startswith(b"event") else 1))
    with model(behaviour) as (url, _), serving(tmp_path, "--upstream", url, "--record", "c.yaml") as found:
        before = found.memory()
        with found.connect() as slow, found.connect() as vanishing:
            for sock in (slow, vanishing):
                sock.sendall(request(STREAMED, host=f"127.0.0.1:{found.port}"))
            for _ in range(10):
                assert slow.recv(1)
                time.sleep(0.05)
            assert vanishing.recv(10)
            vanishing.close()
            quick = asked(found)
        memory = found.memory()
        code, out, err = found.stop()

    assert code == 0, err
    assert b"forty" in quick
    assert memory - before < 100
    assert "3 requests, recorded in c.yaml" in out
    ended = sorted(str(one.ended) for one in store.load(tmp_path / "c.yaml", shown="c"))
    assert ended == ["closed_by_client", "closed_by_client", "complete"]


@pytest.mark.parametrize("cut", ["close", "reset"])
def test_an_upstream_that_vanishes_ends_the_answer_as_it_ended(tmp_path: Path, cut: str) -> None:
    with (
        model(Behaviour(cut_after=3, cut=cut)) as (url, _),
        serving(tmp_path, "--upstream", url, "--record", "c.yaml") as found,
    ):
        answer = asked(found, STREAMED)
        whole = asked(found, HELLO)
        found.stop()
    (one, _) = store.load(tmp_path / "c.yaml", shown="c")
    with serving(tmp_path, "--replay", "c.yaml", "--speed", "1000") as found:
        again = asked(found, STREAMED)
        code, _, err = found.stop()

    for data in (answer, again):
        assert data.startswith(b"HTTP/1.1 200 ") or cut == "reset"
        assert not data.endswith(b"0\r\n\r\n")
    assert b"forty" in whole
    assert one.ended == {"close": "truncated", "reset": "reset"}[cut]
    assert code == 0
    assert "not asked for: request 2" in err


def test_an_upstream_that_is_not_there_closes_the_connection(tmp_path: Path) -> None:
    with serving(tmp_path, "--upstream", "http://127.0.0.1:9", "--record", "c.yaml") as found:
        assert asked(found) == b""
        found.stop()

    (one,) = store.load(tmp_path / "c.yaml", shown="c")
    assert one.ended == "refused"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_shutdown_in_mid_stream_is_quick_and_keeps_what_came(tmp_path: Path, how: signal.Signals) -> None:
    with (
        model(Behaviour(pause=0.4)) as (url, _),
        serving(tmp_path, "--upstream", url, "--record", "c.yaml") as found,
        found.connect() as sock,
    ):
        sock.sendall(request(STREAMED, host=f"127.0.0.1:{found.port}"))
        assert sock.recv(10)
        started = time.monotonic()
        code, _, err = found.stop(how)
        took = time.monotonic() - started
        read_all(sock)

    assert code == 0, err
    assert took < 5
    assert [one.ended for one in store.load(tmp_path / "c.yaml", shown="c")] == ["closed_by_client"]


def test_the_real_key_goes_upstream_and_the_token_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "sk-ant-api03-real-key-of-the-test"
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    behaviour = Behaviour(pause=0)
    with model(behaviour) as (url, _), serving(tmp_path, "--upstream", url, "--record", "c.yaml") as found:
        asked(found, HELLO)
        asked(found, HELLO, x_api_key="", authorization=f"Bearer {TOKEN}")
        found.stop()

    sent = [(headers.get("x-api-key"), headers.get("authorization")) for headers in behaviour.headers]
    assert sent == [(key, None), (None, f"Bearer {key}")]
    text = (tmp_path / "c.yaml").read_text()
    assert key not in text
    assert TOKEN not in text


def test_a_recording_of_nothing_leaves_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, "--record", "c.yaml") as found:
        code, out, err = found.stop()

    assert (code, err) == (0, "")
    assert "0 requests, nothing recorded" in out
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_cannot_be_written_is_refused_at_once(project: Project) -> None:
    project.write("file", "")

    done = project.convtest("serve", "--record", "file/c.yaml")

    assert done.code == 2
    assert done.err == (
        "error: cannot write the recording — file/c.yaml: File exists\n    make its folder one that can be written\n"
        "    more: convtest docs cassettes#recording\n"
    )


@pytest.mark.parametrize("name", ["agent.py", "folder"])
def test_a_recording_never_replaces_what_is_there(project: Project, name: str) -> None:
    project.write("agent.py", "print()\n")
    project.write("folder/x", "")
    before = project.files()

    done = project.convtest("serve", "--record", name)

    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"error: {name} exists — convtest serve, --record\n    remove it, or name another file\n"
        "    more: convtest docs options\n"
    )
    assert project.files() == before


def test_a_miss_is_answered_418_and_named_at_the_end(tmp_path: Path) -> None:
    with serving(tmp_path, "--record", "c.yaml", "--speed", "1000") as found:
        asked(found)
        found.stop()
    with serving(tmp_path, "--replay", "c.yaml", "--speed", "1000") as found:
        known, unknown = asked(found), asked(found, HELLO.replace(b"15", b"16"))
        code, _, err = found.stop()

    assert b"The result is 105." in known
    assert unknown.startswith(b"HTTP/1.1 418 ")
    assert code == 1
    assert (
        "miss: request 2 (main): 'What is 16 * 7?'\n"
        "    against the nearest recorded request of this session:\n"
        "      message 1 (user) differs:\n"
        "          - What is [15] * 7?\n"
        "          + What is [16] * 7?\n"
    ) in err
    assert b"the nearest recorded request" in unknown
    assert b"+ What is [16] * 7?" in unknown
    assert b"report of the test" not in unknown


def test_a_miss_of_another_session_says_that_nothing_is_recorded_of_it(tmp_path: Path) -> None:
    with serving(tmp_path, "--record", "c.yaml", "--speed", "1000") as found:
        asked(found)
        found.stop()
    with serving(tmp_path, "--replay", "c.yaml", "--speed", "1000") as found:
        found.raw(request(HELLO, host=f"127.0.0.1:{found.port}", path="/s/serve/other/v1/messages"))
        code, _, err = found.stop()

    assert code == 1
    assert "    nothing is recorded of this session\n" in err


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/v1/messages/count_tokens", HELLO, b'{"input_tokens":'),
        ("/messages", HELLO, b"The result is 105."),  # as the AI SDK asks, which wants the version in the base URL
        ("/messages/count_tokens", HELLO, b'{"input_tokens":'),
        ("/v1/models", b"", b'"claude-haiku-4-5"'),
        ("/v1/models/some-model", b"", b'"id":"some-model"'),
        ("/v1/chat/completions", HELLO, b"The result is 105."),
        ("/v1/chat/completions", STREAMED, b"data: [DONE]"),
        ("/v1/responses", b'{"model": "m", "input": "What is 15 * 7?"}', b"The result is 105."),
        ("/v1/elsewhere", HELLO, b"the gateway speaks no '/v1/elsewhere'"),
    ],
)
def test_what_the_simulator_speaks(simulating: Serving, path: str, body: bytes, says: bytes) -> None:
    data = request(body, host=f"127.0.0.1:{simulating.port}", path=f"/s/serve/main{path}")

    found = simulating.raw(data if body else data.replace(b"POST", b"GET", 1))

    assert says in found


def by_sdks(found: Serving) -> list[str]:
    """What each API's own package makes of what is answered, streamed and not."""
    base: Any = {"api_key": TOKEN, "max_retries": 0}
    asked: Any = [{"role": "user", "content": "What is the answer?"}]
    said: list[str] = []
    with anthropic.Anthropic(base_url=f"{found.url}/s/serve/claude", **base) as claude:
        with claude.messages.stream(model="m", max_tokens=9, messages=asked) as stream:
            said.append("".join(stream.text_stream))
        block: Any = claude.messages.create(model="m", max_tokens=9, messages=asked).content[0]
        said.append(block.text)
    with openai.OpenAI(base_url=f"{found.url}/s/serve/gpt/v1", **base) as gpt:
        with gpt.chat.completions.create(model="m", messages=asked, stream=True) as chunks:
            said.append("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))
        said.append(gpt.responses.create(model="m", input="What is the answer?").output_text)
        with gpt.responses.create(model="m", input="What is the answer?", stream=True) as events:
            said.append("".join(event.delta for event in events if event.type == "response.output_text.delta"))
    return said


@pytest.mark.parametrize("encoding", ["", "gzip", "br"])
@pytest.mark.parametrize("base", ["", "/v1"])
def test_every_api_is_recorded_and_replayed_by_its_own_package(tmp_path: Path, encoding: str, base: str) -> None:
    with (
        model(Behaviour(encoding=encoding)) as (url, _),
        serving(tmp_path, "--upstream", url + base, "--record", "c.yaml") as found,
    ):
        first = by_sdks(found)
        found.stop()
    with serving(tmp_path, "--replay", "c.yaml", "--speed", "1000") as found:
        again = by_sdks(found)
        code, _, err = found.stop()

    recorded = store.load(tmp_path / "c.yaml", shown="c")
    assert first == again == [TEXT] * 5
    assert (code, err) == (0, "")
    assert [one.lane for one in recorded] == ["claude", "claude", "gpt", "gpt", "gpt"]
    assert len(recorded[0].chunks) == 7
    assert "forty" in (tmp_path / "c.yaml").read_text()
