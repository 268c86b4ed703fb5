"""What a client may do: whoever goes red under one of these is wrong."""

from dataclasses import replace
from typing import Any

from convtest.events import Event, TurnEnd, Usage
from convtest.mutate.mutator import Body, Known, Mutator, Reading, Sends, always
from convtest.mutate.requests import Messages, has, messages


def _as_strings(body: Body, known: Known) -> Body:
    """A message that is one text is a string, which the API takes as the same."""

    def one(message: dict[str, Any]) -> dict[str, Any]:
        content = message["content"]
        alone = len(content) == 1 and content[0].get("type") == "text" and set(content[0]) == {"type", "text"}
        return {**message, "content": content[0]["text"]} if alone else message

    return {**body, "messages": [one(message) for message in body["messages"]]}


def _cached(given: Messages) -> Messages:
    """A cache marker moves along with the last message."""
    last = given[-1]
    marked = {**last["content"][-1], "cache_control": {"type": "ephemeral"}}
    return [*given[:-1], {**last, "content": [*last["content"][:-1], marked]}]


def _reversed_results(given: Messages) -> Messages:
    """Results of tools that ran at once stand in another order."""

    def one(message: dict[str, Any]) -> dict[str, Any]:
        alone = all(block.get("type") == "tool_result" for block in message["content"])
        return {**message, "content": message["content"][::-1]} if alone and has(message, "tool_result") else message

    return [one(message) for message in given]


def _flagged(given: Messages) -> Messages:
    """The error flag is always there."""

    def one(block: dict[str, Any]) -> dict[str, Any]:
        return {"is_error": False, **block} if block.get("type") == "tool_result" else block

    return [{**message, "content": [one(block) for block in message["content"]]} for message in given]


def _one(name: str, why: str, sends: Sends) -> Mutator:
    return Mutator(name=name, kind="settings", bug=why, when=always, sends=sends, honest=True)


def _uncounted(event: Event, reading: Reading) -> tuple[Event, ...]:
    """Nobody is told what a turn used; its wire tells."""
    return (replace(event, usage=Usage(), usd=None) if isinstance(event, TurnEnd) else event,)


HONEST = (
    Mutator(name="counts nothing", kind="ends", bug="the wire tells", yields=_uncounted, honest=True),
    Mutator(name="changes nothing", kind="settings", bug="the client as it is", honest=True),
    _one("sends texts as strings", "the API takes both", _as_strings),
    _one("sends cache markers", "they change what is paid, not what is said", messages(_cached)),
    _one("sends an empty list of tools", "none is none", lambda body, known: {"tools": [], **body}),
    _one("sends its keys in another order", "an object has no order", lambda body, known: dict(reversed(body.items()))),
    _one("sends results in another order", "each has its id", messages(_reversed_results)),
    _one("sends the error flag always", "false is its default", messages(_flagged)),
)
