"""A request that was refused, and asked again in another form: the second is no shrinking prompt."""

from typing import Any

import httpx
import msgspec
import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from convtest.play.mode import Mode
from tests.playing import Stage, checks_of

ME = "tests.test_refused"
TEXT = """
scenario: looked up
tools:
  look_up: {input: {what: string}, answers: [{return: in the attic}]}
steps:
  - user: My name is Ada.
  - user: Where are my keys?
    simulate:
      - calls: [{look_up: {what: keys}}]
      - text: In the attic.
  - user: Thank you.
"""


class TriesMore(httpx.AsyncBaseTransport):
    """Asks with a long text and a blank one beside each tool's result, which is refused, and then without them."""

    def __init__(self, inner: httpx.AsyncBaseTransport, *, loses: bool) -> None:
        self._inner = inner
        self._loses = loses

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = msgspec.json.decode(await request.aread())
        last = body["messages"][-1]["content"]
        if last[0]["type"] != "tool_result":
            return await self._sent(request, body)
        more = [*last, _text("You may be terse. " * 20), _text("  ")]
        refused = await self._sent(request, {**body, "messages": [*body["messages"][:-1], _user(more)]})
        assert refused.status_code == 400
        await refused.aread()
        kept = body["messages"][2:] if self._loses else body["messages"]
        return await self._sent(request, {**body, "messages": kept})

    async def _sent(self, request: httpx.Request, body: dict[str, Any]) -> httpx.Response:
        headers = [(name, value) for name, value in request.headers.items() if name != "content-length"]
        return await self._inner.handle_async_request(
            httpx.Request(request.method, request.url, headers=headers, content=msgspec.json.encode(body))
        )

    def drop(self) -> None:
        self._inner.drop()  # type: ignore[attr-defined]


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _user(content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"role": "user", "content": content}


class Honest(MessagesClient):
    loses = False

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        assert opening.transport is not None
        self._transport = TriesMore(opening.transport, loses=self.loses)


class Loses(Honest):
    """Asks again without the first turn."""

    loses = True


@pytest.mark.parametrize("mode", [Mode(), Mode(record="once")], ids=["simulated", "recorded"])
def test_what_is_asked_again_in_less_words_is_no_shrinking_prompt(stage: Stage, mode: Mode) -> None:
    assert checks_of(stage.play(TEXT, f"{ME}:Honest", mode)) == []
    assert checks_of(stage.play(TEXT, f"{ME}:Honest")) == []


def test_what_is_lost_of_the_history_is_still_found(stage: Stage) -> None:
    assert ("history", "wire") in checks_of(stage.play(TEXT, f"{ME}:Loses"))
