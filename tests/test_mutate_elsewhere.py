"""Mutators of what no shipped scenario has: images, and conversations that the server keeps."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import openai
import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from convtest.mutate.catalogue import ALL
from convtest.mutate.mutant import Mutant
from convtest.mutate.mutator import Mutator
from convtest.play.mode import Mode
from convtest.play.openings import Openings
from convtest.play.perform import Ready
from tests.playing import Stage
from tests.test_kept_by_the_server import TWO, App, Server

ME = "tests.test_mutate_elsewhere"
PICTURES = """
scenario: a picture is talked about
steps:
  - user: My name is Ada, and this is my cat.
  - user: What is 1 + 1?
  - user: What is my name?
"""
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}}


class ThroughItsTransport(App):
    """Chains its answers by their ids, and sends through what it is given."""

    async def connect(self) -> None:
        http: Any = httpx.AsyncClient(transport=self._opening.transport)
        address, key = self._opening.base_url, self._opening.api_key
        self._model = openai.AsyncOpenAI(base_url=address, api_key=key, http_client=http)


class Pictures(MessagesClient):
    """Its first prompt comes with an image."""

    async def query(self, text: str) -> None:
        await super().query(text)
        if len(self._turns) == 1:
            self._messages[-1]["content"].insert(0, IMAGE)


def opened(opening: Opening) -> Any:
    return ThroughItsTransport(opening)


def named(words: str) -> list[Mutator]:
    found = [one for one in ALL if words in one.name]
    assert found
    return found


def found_of(stage: Stage, text: str, target: str, mutator: Mutator, mode: Mode, **profile: str) -> set[str]:
    mutant, folder = Mutant(mutator), stage.root / f"{mutator.name}-{mode.live}"
    folder.mkdir()
    played = Ready(stage.prepare(text, target, mode, **profile)).play(folder, mutant.around, Openings())
    assert mutant.applied, played.verdict
    return {finding.check for finding in played.verdict.findings}


@pytest.mark.parametrize("mutator", named("image"), ids=lambda one: one.name)
def test_what_becomes_of_images_is_found(stage: Stage, mutator: Mutator) -> None:
    stage.record(PICTURES, f"{ME}:Pictures")

    assert "history" in found_of(stage, PICTURES, f"{ME}:Pictures", mutator, Mode(live=True))
    assert "miss" in found_of(stage, PICTURES, f"{ME}:Pictures", mutator, Mode())


@pytest.mark.parametrize("mutator", named("goes on from"), ids=lambda one: one.name)
def test_where_a_client_goes_on_from_is_found(stage: Stage, mutator: Mutator) -> None:
    target = f"{ME}:opened"
    with server() as upstream:
        stage.play(TWO + MORE, target, Mode(record="all"), upstream=upstream)
        live = found_of(stage, TWO + MORE, target, mutator, Mode(live=True), upstream=upstream)
        replayed = found_of(stage, TWO + MORE, target, mutator, Mode(), upstream=upstream)

    assert live & {"history", "isolation"}
    assert "miss" in replayed


MORE = "  - {session: alice, user: What is 3 + 3?}\n"


@contextmanager
def server() -> Iterator[str]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}/v1"
    made.shutdown()
    thread.join()
    made.server_close()
