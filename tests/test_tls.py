"""Clients of httpx and httpx2 that ask for the default TLS context share one while an item plays, and it works."""

import contextlib
import importlib
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from convtest.clock import VirtualClock
from convtest.simulator.source import Simulator
from convtest.wire import lanes
from convtest.wire.tap import Tap

MODULES = ("httpx", "httpx2")


@pytest.fixture(params=MODULES)
def module(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(request.param)


@contextlib.contextmanager
def playing() -> Iterator[None]:
    with lanes.active(Tap(Simulator(), VirtualClock())):
        yield


def context_of(client: Any) -> Any:
    return client._transport._pool._ssl_context


def test_clients_that_ask_for_none_share_one_context(module: Any) -> None:
    with playing():
        contexts = {id(context_of(made())) for made in (module.Client, module.AsyncClient, module.Client)}

    assert len(contexts) == 1


def test_outside_of_items_each_has_its_own(module: Any) -> None:
    assert context_of(module.Client()) is not context_of(module.Client())


def test_one_of_its_own_is_left_as_it_is(module: Any) -> None:
    mine = ssl.create_default_context()
    with playing():
        shared = context_of(module.Client())
        trusting, given = context_of(module.Client(verify=False)), context_of(module.Client(verify=mine))
        apart, newer = context_of(module.Client(trust_env=False)), context_of(module.Client(http2=True))

    assert given is mine
    assert trusting.verify_mode is ssl.CERT_NONE
    assert shared.verify_mode is ssl.CERT_REQUIRED
    assert len({id(one) for one in (shared, trusting, given, apart, newer)}) == 5


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """An address that speaks TLS, and the file with its authority."""
    authority, asked = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(asked)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    listening = HTTPServer(("127.0.0.1", 0), Hello)
    listening.socket = asked.wrap_socket(listening.socket, server_side=True)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{listening.server_port}/hello", str(tmp_path / "authority.pem")
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join(3)


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing of it is for the tests' output."""


def test_the_shared_one_connects_and_goes_by_the_environment(
    module: Any, server: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, authority = server
    with playing():
        with module.Client() as stranger, pytest.raises(module.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            stranger.get(url)
        monkeypatch.setenv("SSL_CERT_FILE", authority)

        said = [ask(module, url), anyio.run(ask_async, module, url), ask(module, url)]

    assert said == ["hello"] * 3


def ask(module: Any, url: str) -> str:
    with module.Client() as client:
        text: str = client.get(url).text
        return text


async def ask_async(module: Any, url: str) -> str:
    async with module.AsyncClient() as client:
        text: str = (await client.get(url)).text
        return text
