"""Requests that an API takes as equal are equal: neighbours of one role, messages that hold nothing."""

from typing import Any

import msgspec
import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.wire.canonical import Canonical, canonical
from tests.playing import Stage, checks_of

MESSAGES = "https://api.anthropic.com/v1/messages"
CHAT = "https://api.openai.com/v1/chat/completions"
RESPONSES = "https://api.openai.com/v1/responses"
CALL = {"type": "function_call", "call_id": "c", "name": "look_up", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "in the attic"}


def read(url: str, *items: dict[str, Any]) -> Canonical:
    name = "input" if url == RESPONSES else "messages"
    return canonical("POST", url, msgspec.json.encode({"model": "m", name: list(items)}))


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def said(content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def test_the_messages_api_joins_neighbours_of_one_role() -> None:
    one = read(MESSAGES, user([text("a"), text("b")]), said([text("c"), text("d")]), user("e"))

    assert one == read(MESSAGES, user("a"), user("b"), said("c"), said("d"), user("e"))
    assert one != read(MESSAGES, user("a"), user("b"), said("d"), said("c"), user("e"))
    assert one != read(MESSAGES, user("a b"), said([text("c"), text("d")]), user("e"))


def test_what_is_shown_of_it_is_as_it_was_sent() -> None:
    assert [one["role"] for one in read(MESSAGES, user("a"), user("b")).messages] == ["user", "user"]


def test_an_empty_message_is_one_more_where_the_api_refuses_it() -> None:
    assert read(MESSAGES, user("a"), said([]), user("b")) != read(MESSAGES, user("a"), user("b"))


@pytest.mark.parametrize("empty", [said(""), user([])])
def test_chat_completions_passes_over_messages_that_hold_nothing(empty: dict[str, Any]) -> None:
    call = {"role": "assistant", "tool_calls": [{"id": "0", "function": {"name": "f", "arguments": "{}"}}]}
    result = {"role": "tool", "tool_call_id": "0", "content": "1"}
    whole = read(CHAT, user("a"), call, result)

    assert whole == read(CHAT, user("a"), empty, call, result)
    assert whole != read(CHAT, user("a"), said("b"), call, result)
    assert read(CHAT, user("a"), user("b")) != read(CHAT, user([text("a"), text("b")]))


def test_responses_passes_over_an_empty_item_between_a_call_and_its_output() -> None:
    whole = read(RESPONSES, user("a"), CALL, OUTPUT)

    assert whole == read(RESPONSES, user("a"), CALL, user(""), OUTPUT)
    assert whole != read(RESPONSES, user("a"), CALL, user("b"), OUTPUT)


class InTwo(MessagesClient):
    """Another version of the client, which sends each block in a message of its own."""

    def _body(self) -> bytes:
        body: dict[str, Any] = msgspec.json.decode(super()._body())
        body["messages"] = [
            {**message, "content": [block]} for message in body["messages"] for block in message["content"]
        ]
        return msgspec.json.encode(body)


def test_a_recording_is_played_to_a_client_that_cuts_its_messages_otherwise(stage: Stage) -> None:
    talk = """
        scenario: looks it up
        tools:
          look_up: {input: {what: string}, answers: [{return: in the attic}]}
        steps:
          - user: Where is it?
            simulate: [{text: I will look., calls: [{look_up: {what: it}}]}, {text: It is in the attic.}]
          - user: Thank you.
        """
    stage.record(talk)

    outcome = stage.play(talk, "tests.test_neighbours:InTwo")

    assert outcome.transcript.source == "replayed"
    assert checks_of(outcome) == []
    assert len(outcome.transcript.interactions[1].canonical.messages) == 4
