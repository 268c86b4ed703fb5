"""What a client does to tool uses and their results when it tells the model of them, and how it carries them out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from convtest.clients.port import Opening, Tool
from convtest.mutate import moments
from convtest.mutate.moments import in_the_tool_loop, later
from convtest.mutate.mutator import Body, Known, Mutator, Sends, always, sending
from convtest.mutate.requests import (
    Messages,
    blocks,
    halved,
    has,
    history,
    messages,
    other_numbers,
    text,
    without_first_word,
)
from convtest.wire.messages_api import text_of_content

Block = dict[str, Any]


def results(edit: Callable[[Block], Block | None]) -> Sends:
    return blocks("tool_result", lambda block: [made] if (made := edit(block)) is not None else [])


def uses(edit: Callable[[Block], Block | None]) -> Sends:
    return blocks("tool_use", lambda block: [made] if (made := edit(block)) is not None else [])


def said(change: Callable[[str], str]) -> Sends:
    """Another text of a result."""
    return results(lambda block: {**block, "content": change(text_of_content(block["content"]))})


def _swapped(key: str) -> Sends:
    """Two results of one message change places in this."""

    def one(message: Block) -> Block:
        places = [i for i, block in enumerate(message["content"]) if block.get("type") == "tool_result"]
        if len(places) != 2:
            return message
        one, two = (message["content"][place] for place in places)
        made = list(message["content"])
        made[places[0]], made[places[1]] = {**one, key: two[key]}, {**two, key: one[key]}
        return {**message, "content": made}

    return messages(lambda given: [one(message) for message in given])


def _first_result(given: Messages) -> Messages:
    """Every result is the first one's."""
    found = [block for message in given for block in message["content"] if block.get("type") == "tool_result"]
    words = found[0]["content"] if found else ""

    def one(block: Block) -> Block:
        return {**block, "content": words} if block.get("type") == "tool_result" else block

    return [{**message, "content": [one(block) for block in message["content"]]} for message in given]


def _text_beside(given: Messages) -> Messages:
    """The words beside a tool use are gone."""

    def kept(message: Block) -> list[Block]:
        return [b for b in message["content"] if b.get("type") != "text" or not has(message, "tool_use")]

    return [{**message, "content": kept(message)} for message in given]


def _as_text(given: Messages) -> Messages:
    """Results are told as the user's words, and the uses are gone."""
    made = Messages()
    for message in given:
        if has(message, "tool_use"):
            rest = [block for block in message["content"] if block.get("type") != "tool_use"]
            made += [{**message, "content": rest}] if rest else []
        elif has(message, "tool_result"):
            words = [text_of_content(b["content"]) for b in message["content"] if b.get("type") == "tool_result"]
            made.append(text("user", "Result: " + " ".join(words)))
        else:
            made.append(message)
    return made


def _pairs(given: Messages) -> Messages:
    return [one for one in given if not has(one, "tool_use") and not has(one, "tool_result")]


def _late(body: Body, known: Known) -> Body:
    """A result stands after the answer to it."""
    given = list(body["messages"])
    for place in range(len(given) - 2):
        if has(given[place], "tool_result"):
            given[place], given[place + 1] = given[place + 1], given[place]
            break
    return {**body, "messages": given}


def _but_id(block: Block) -> Block:
    return {**block, "tool_use_id": "toolu_unknown_000"}


TOLD = sending(
    "tools",
    ("loses results", "a result that came late is not stored", always, results(lambda block: None)),
    (
        "loses results in later turns",
        "results are not stored with a session",
        later,
        history(lambda given: [m for m in given if not has(m, "tool_result")]),
    ),
    ("loses tool uses", "an answer is stored as its text alone", always, uses(lambda block: None)),
    ("loses tool uses with their results", "only words are stored", later, history(_pairs)),
    ("loses the words beside a tool use", "an answer is a text or a tool use", always, messages(_text_beside)),
    (
        "sends results twice",
        "a tool's answer is stored by the tool and the loop",
        always,
        blocks("tool_result", lambda block: [block, block]),
    ),
    (
        "sends tool uses twice",
        "a tool use is stored by the stream and the loop",
        always,
        blocks("tool_use", lambda block: [block, block]),
    ),
    ("truncates results", "results are cut to save tokens", always, said(halved)),
    ("truncates results in later turns", "old results are cut to save tokens", later, said(halved)),
    (
        "loses the beginning of results",
        "a header is stripped that is not there",
        always,
        said(lambda words: words[3:] or "?"),
    ),
    ("changes numbers in results", "numbers are masked as personal data", always, said(other_numbers)),
    ("sends empty results", "what a tool returns is awaited nowhere", always, said(lambda words: "")),
    (
        "sends an object's name for results",
        "an object is put into a text",
        always,
        said(lambda words: "[object Object]"),
    ),
    ("sends the first result for all", "a closure in a loop", always, messages(_first_result)),
    ("swaps two results", "results are stored as they come", always, _swapped("content")),
    ("swaps the ids of two results", "ids are taken from a list that is sorted", always, _swapped("tool_use_id")),
    ("answers under an unknown id", "ids are made anew when results are stored", always, results(_but_id)),
    (
        "tells errors as successes",
        "the flag is not passed on",
        always,
        results(lambda block: {k: v for k, v in block.items() if k != "is_error"}),
    ),
    (
        "tells successes as errors",
        "any text with a brace is an error",
        always,
        results(lambda block: {**block, "is_error": True}),
    ),
    (
        "changes the input of tool uses",
        "defaults are filled in after the call",
        always,
        uses(lambda block: {**block, "input": {**block["input"], "verbose": True}}),
    ),
    (
        "loses the input of tool uses",
        "an input that came in pieces is stored when it begins",
        always,
        uses(lambda block: {**block, "input": {}}),
    ),
    (
        "changes numbers in the input of tool uses",
        "numbers go through floats",
        always,
        uses(
            lambda block: {**block, "input": {k: v + 1 if isinstance(v, int) else v for k, v in block["input"].items()}}
        ),
    ),
    (
        "renames tool uses",
        "names are stored with a prefix",
        always,
        uses(lambda block: {**block, "name": "x_" + block["name"]}),
    ),
    ("tells results as the user's words", "a history for an API without tools", always, messages(_as_text)),
    (
        "tells results as the user's words in later turns",
        "a history for an API without tools",
        later,
        messages(_as_text),
    ),
    ("tells a result after the answer to it", "a result is stored when the turn is over", always, _late),
    ("adds words to results", "a hint is put behind each result", in_the_tool_loop, said("{} Use this.".format)),
    (
        "loses the first word of results",
        "a status is stripped that is not there",
        moments.last_of_three,
        said(without_first_word),
    ),
)


def _with_calls(change: Callable[[Tool, Known], Tool]) -> Callable[[Opening, Known], Opening]:
    def opens(opening: Opening, known: Known) -> Opening:
        return (
            replace(opening, tools=tuple(change(tool, known) for tool in opening.tools)) if opening.tools else opening
        )

    return opens


def _twice(tool: Tool, known: Known) -> Tool:
    async def call(given: Any) -> tuple[str, bool]:
        await tool.call(given)
        return await tool.call(given)

    return replace(tool, call=call)


def _never(tool: Tool, known: Known) -> Tool:
    async def call(given: Any) -> tuple[str, bool]:
        return "done", False

    return replace(tool, call=call)


def _without_error(tool: Tool, known: Known) -> Tool:
    async def call(given: Any) -> tuple[str, bool]:
        return (await tool.call(given))[0], False

    return replace(tool, call=call)


def _bare(tool: Tool, known: Known) -> Tool:
    async def call(given: Any) -> tuple[str, bool]:
        return await tool.call({})

    return replace(tool, call=call)


def _cached() -> Callable[[Tool, Known], Tool]:
    def change(tool: Tool, known: Known) -> Tool:
        kept = list[tuple[str, bool]]()

        async def call(given: Any) -> tuple[str, bool]:
            if not kept:
                kept.append(await tool.call(given))
            return kept[0]

        return replace(tool, call=call)

    return change


CARRIED = (
    Mutator(
        name="carries tools out twice",
        kind="tools",
        bug="a tool that is slow is called again",
        opens=_with_calls(_twice),
    ),
    Mutator(name="carries no tool out", kind="tools", bug="a dry run that was left on", opens=_with_calls(_never)),
    Mutator(
        name="takes a tool's error for its answer",
        kind="tools",
        bug="an exception's text is returned",
        opens=_with_calls(_without_error),
    ),
    Mutator(
        name="calls tools without their input",
        kind="tools",
        bug="arguments are looked for under another key",
        opens=_with_calls(_bare),
    ),
    Mutator(
        name="answers from an earlier call of a tool",
        kind="tools",
        bug="a cache by the tool's name alone",
        opens=_with_calls(_cached()),
    ),
    Mutator(
        name="offers no tools",
        kind="tools",
        bug="tools are registered after a session was opened",
        opens=lambda opening, known: replace(opening, tools=()) if opening.tools else opening,
    ),
)

TOOLS = (*TOLD, *CARRIED)
