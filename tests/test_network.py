"""What an item that replays or simulates cannot reach, by which way it tries; and what records and was not seen."""

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import grpc.aio
import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from convtest.errors import NetworkBlocked, NothingCaptured
from convtest.events import Event, TextDelta, TurnEnd
from convtest.play.mode import Mode
from convtest.play.network import Traffic, blocked
from convtest.play.network.stacks import stack_of
from tests.models import model
from tests.playing import Stage
from tests.project import Project

HOST = "model.example.com"
REACH = f"import socket; socket.create_connection(('{HOST}', 443))"
ASK = f"import urllib.request; urllib.request.urlopen('http://{HOST}/v1/messages')"
TALK = "scenario: talk\nsteps:\n  - user: Hello.\n"


def hosts(traffic: Traffic) -> list[str]:
    return [one.host for one in traffic.attempts]


@pytest.mark.parametrize("look", ["gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getaddrinfo"])
def test_looking_up_a_host_is_refused_with_the_item_s_name(look: str) -> None:
    arguments = (HOST, 443) if look == "getaddrinfo" else (HOST,)
    with (
        blocked("talk.yaml::one", ()) as traffic,
        pytest.raises(NetworkBlocked, match=r"talk\.yaml::one tried to reach"),
    ):
        getattr(socket, look)(*arguments)

    assert hosts(traffic) == [HOST]


@pytest.mark.parametrize("look", ["gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getfqdn"])
def test_this_machine_s_own_name_is_looked_up_and_no_longer_one(look: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Build-Host")
    monkeypatch.setattr(socket, "gethostbyname", lambda name: "127.0.0.1")
    monkeypatch.setattr(socket, "gethostbyname_ex", lambda name: (name, [], ["127.0.0.1"]))
    monkeypatch.setattr(socket, "gethostbyaddr", lambda name: (name, [], ["127.0.0.1"]))
    with blocked("i", ()) as traffic:
        getattr(socket, look)("build-host")
        if look != "getfqdn":  # which takes a look-up that fails for no name at all
            with pytest.raises(NetworkBlocked):
                getattr(socket, look)("build-host.example.com")

    assert hosts(traffic) == ([] if look == "getfqdn" else ["build-host.example.com"])


def test_datagrams_leave_no_more_than_connections() -> None:
    with blocked("i", ()) as traffic, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        with pytest.raises(NetworkBlocked):
            sock.sendto(b"", ("192.0.2.1", 53))
        with pytest.raises(NetworkBlocked):
            sock.sendmsg([b""], [], 0, ("192.0.2.1", 53))

    assert hosts(traffic) == ["192.0.2.1", "192.0.2.1"]


def test_an_address_of_an_allowed_host_is_allowed() -> None:
    with blocked("i", ("db.example.com",)) as traffic:
        traffic.addresses["192.0.2.7"] = "db.example.com"
        with socket.socket() as sock:
            sock.settimeout(0.01)
            with pytest.raises(OSError) as raised:  # noqa: PT011  whatever the system says of an address that is nobody's
                sock.connect(("192.0.2.7", 9))

    assert not isinstance(raised.value, NetworkBlocked)
    assert not traffic.attempts


def test_a_loopback_proxy_of_the_environment_is_no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:3128")

    with blocked("i", ()):
        inside = {name for name in os.environ if name.lower().endswith("_proxy")}

    assert not inside
    assert os.environ["HTTPS_PROXY"] == os.environ["http_proxy"] == "http://127.0.0.1:3128"
    assert "CONVTEST_OFFLINE" not in os.environ
    with blocked("i", (), offline=False):
        assert os.environ["HTTPS_PROXY"] == "http://127.0.0.1:3128"


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [(["-c", REACH], None), (["-c", REACH], {}), (["-I", "-c", ASK], None)],
    ids=["a socket", "with an emptied environment", "isolated, by the proxy"],
)
def test_a_child_is_refused_and_its_attempt_is_the_item_s(
    arguments: list[str], environment: dict[str, str] | None
) -> None:
    with blocked("i", ()) as traffic:
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
        )

    assert done.returncode
    assert hosts(traffic) == [HOST]


def test_a_child_reaches_this_machine_and_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.theirs = 'ran'")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    code = (
        "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1]))).close(); print(theirs)\n"
        "try: socket.getaddrinfo('ok.invalid', 1)\nexcept socket.gaierror: print('looked up')"
    )
    with socket.create_server(("127.0.0.1", 0)) as server, blocked("i", ("ok.invalid",)) as traffic:
        port = str(server.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-c", code, port], env=environment, capture_output=True, text=True, check=False
        )

    assert (done.stdout.split("\n"), done.stderr) == (["ran", "looked up", ""], "")
    assert not traffic.attempts


def test_a_child_of_an_item_that_records_is_left_alone() -> None:
    code = "import os; print([name for name in os.environ if name.startswith('CONVTEST_OFF')])"
    with blocked("i", (), offline=False):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_grpc_is_refused_though_it_connects_in_c() -> None:
    before = grpc.insecure_channel(f"dns:///{HOST}:443")
    call = before.unary_unary("/model/Ask")
    with blocked("i", ()) as traffic:
        with pytest.raises(NetworkBlocked, match=HOST):
            call(b"", timeout=1)
        with pytest.raises(NetworkBlocked, match=HOST):
            grpc.secure_channel(f"{HOST}:443", grpc.ssl_channel_credentials())
        with pytest.raises(NetworkBlocked, match=HOST):
            grpc.aio.insecure_channel(f"{HOST}:443")
        grpc.insecure_channel("localhost:1").close()
        grpc.insecure_channel("unix:/run/model.sock").close()
    before.close()

    assert hosts(traffic) == [HOST] * 3


def test_a_namespace_of_its_own_would_cut_a_child_off_from_the_gateway() -> None:
    """Why there is none, as docs/network.md says: a child reaches a server on loopback, and there it does not."""
    reach = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5)"
    alone = ["unshare", "--user", "--net", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("this system gives no namespaces without privileges")
    with socket.create_server(("127.0.0.1", 0)) as server:
        child = [sys.executable, "-c", reach, str(server.getsockname()[1])]
        there = [subprocess.run([*way, *child], capture_output=True, text=True) for way in ([], alone)]

    assert there[0].returncode == 0
    assert "OSError" in there[1].stderr or "refused" in there[1].stderr


def test_look_ups_of_pycares_are_refused_though_it_asks_in_c() -> None:
    pycares = pytest.importorskip("pycares", reason="pycares is not here: its look-ups cannot be tried")
    channel = pycares.Channel(timeout=0.2, tries=1)
    with blocked("i", ()) as traffic:
        for ask in (channel.getaddrinfo, channel.query, channel.search):
            with pytest.raises(NetworkBlocked, match=HOST):
                ask(HOST, 1, callback=lambda *found: None)
    channel.close()

    assert hosts(traffic) == [HOST] * 3


def test_a_thread_that_outlives_its_item_is_named_with_it() -> None:
    go, said = threading.Event(), []

    def late() -> None:
        go.wait(5)
        try:
            socket.getaddrinfo(HOST, 443)
        except OSError as error:
            said.append(str(error))

    def begin(item: str) -> threading.Thread:
        with blocked(item, ()):
            thread = threading.Thread(target=late, name="telemetry")
            thread.start()
        return thread

    first = begin("talk.yaml::one")
    with blocked("talk.yaml::two", ()) as traffic:
        go.set()
        first.join()
    go.clear()
    second = begin("talk.yaml::three")
    go.set()
    second.join()

    assert "the thread 'telemetry', left by talk.yaml::one, tried to reach" in said[0]
    assert "while talk.yaml::two replays" in said[0]
    assert hosts(traffic) == [HOST]
    assert "left by talk.yaml::three, tried to reach 'model.example.com' when no item played" in said[1]
    with blocked("talk.yaml::four", ()):
        pass
    assert "connect" not in vars(socket.socket)


class Unseen:
    """Asks its model by the standard library, past everything that convtest sees."""

    session_id = None

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    async def connect(self) -> None: ...
    async def disconnect(self) -> None: ...
    async def interrupt(self) -> None: ...

    async def query(self, text: str) -> None:
        url = urlsplit(str(self._opening.options["asks"]))
        asked = http.client.HTTPConnection(url.netloc)
        asked.request("POST", "/v1/messages", json.dumps({"messages": [{"role": "user", "content": text}]}))
        self._said = json.loads(asked.getresponse().read())["content"][0]["text"]
        asked.close()

    async def receive_response(self) -> AsyncIterator[Event]:
        yield TextDelta(text=self._said)
        yield TurnEnd()


def test_a_recording_that_saw_nothing_of_a_client_that_connected_is_an_error(tmp_path: Path) -> None:
    with model() as (url, _):
        stage = Stage(tmp_path, {"model": "m", "asks": url})
        with pytest.raises(NothingCaptured) as raised:
            stage.play(TALK, "tests.test_network:Unseen", Mode(record="all"))
        undeclared = stage.play(TALK, "tests.test_network:Unseen", Mode(record="all"), wire="none")

    text = str(raised.value)
    assert "nothing was recorded of scenarios/talk.yaml::talk" in text
    assert "http, test_network.py:" in text
    assert f"to {url.removeprefix('http://')}" in text
    assert 'wire = "none"' in text
    assert undeclared.verdict.passed


def test_a_stack_is_named_by_what_speaks_it_and_where_it_is_called() -> None:
    assert stack_of(sys._getframe()).startswith("a socket, test_network.py:")


FORBIDDEN = """
import socket
import pytest


@pytest.fixture(autouse=True)
def no_sockets(monkeypatch):
    class Refusing(socket.socket):
        def __new__(cls, family=-1, *rest, **more):
            if family == socket.AF_UNIX:
                return super().__new__(cls, family, *rest, **more)
            raise RuntimeError("A test tried to use socket.socket.")

    monkeypatch.setattr(socket, "socket", Refusing)
"""


def test_items_play_where_tests_may_open_no_sockets(project: Project) -> None:
    """As pytest-socket's --disable-socket --allow-unix-socket has it: nothing of an item in process needs one."""
    project.write("conftest.py", FORBIDDEN)
    project.write("scenarios/talk.yaml", TALK)

    assert project.pytest("scenarios").counts() == {"passed": 1}


class Beside(MessagesClient):
    """Looks whether the host of the model is there, once it has its answer."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async for event in super().receive_response():
            yield event
        with contextlib.suppress(OSError):
            socket.create_connection(("api.anthropic.com", 443))


class Elsewhere(MessagesClient):
    """Asks its model past convtest."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        with contextlib.suppress(OSError):
            socket.create_connection(("api.anthropic.com", 443))
        yield TextDelta(text="Hello.")
        yield TurnEnd(ended="complete")


@pytest.mark.parametrize(
    ("client", "says", "says_not"),
    [
        ("Beside", "requests of the item do come to convtest, and this is another", "do not come"),
        ("Elsewhere", "the client's requests do not come to convtest", "do come"),
    ],
)
def test_a_host_of_a_model_is_advised_on_by_whether_requests_were_seen(
    stage: Stage, client: str, says: str, says_not: str
) -> None:
    with pytest.raises(NetworkBlocked) as raised:
        stage.play("scenario: one\nsteps: [{user: Hello.}]\n", f"tests.test_network:{client}", wire="none")

    assert "tried to reach 'api.anthropic.com'" in str(raised.value)
    assert says in str(raised.value)
    assert says_not not in str(raised.value)
