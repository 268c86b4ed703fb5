"""Small edits of request bodies, to be composed; all in the shape of the Messages API."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from convtest.mutate.mutator import Body, Known, Sends

Message = dict[str, Any]
Messages = list[Message]
Words = Callable[[str], str]
Where = Callable[[Messages], Iterable[Message]]
"""Which messages of a request are meant."""


def history(edit: Callable[[Messages], Messages]) -> Sends:
    """Edits what stands before the turn's prompt."""

    def sends(body: Body, known: Known) -> Body:
        start = turn_start(body["messages"])
        return {**body, "messages": [*edit(body["messages"][:start]), *body["messages"][start:]]}

    return sends


def this_turn(edit: Callable[[Messages], Messages]) -> Sends:
    """Edits the turn's prompt and what follows it."""

    def sends(body: Body, known: Known) -> Body:
        start = turn_start(body["messages"])
        return {**body, "messages": [*body["messages"][:start], *edit(body["messages"][start:])]}

    return sends


def messages(edit: Callable[[Messages], Messages]) -> Sends:
    """Edits all messages."""
    return lambda body, known: {**body, "messages": edit(body["messages"])}


def exchanges(edit: Callable[[list[Messages]], Sequence[Messages]]) -> Sends:
    """Edits the history's turns, each a prompt with all that was answered to it."""
    return history(lambda before: [one for turn in edit(turns_of(before)) for one in turn])


def words(where: Where, change: Words) -> Sends:
    """Changes the text of some messages."""

    def sends(body: Body, known: Known) -> Body:
        for message in where(body["messages"]):
            for block in message["content"]:
                if block.get("type") == "text":
                    block["text"] = change(block["text"])
        return body

    return sends


def blocks(kind: str, edit: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> Sends:
    """Each block of the kind becomes what the edit makes of it; a message that holds none any more is gone."""

    def one(message: Message) -> Message:
        made = [edit(block) if block.get("type") == kind else [block] for block in message["content"]]
        return {**message, "content": [block for several in made for block in several]}

    return messages(lambda given: [made for message in given if (made := one(message))["content"]])


def setting(key: str, value: Any) -> Sends:
    """The key has this value."""
    return lambda body, known: {**body, key: value}


def changed(key: str, change: Callable[[Any], Any]) -> Sends:
    """The key's value is changed where it is there."""
    return lambda body, known: {**body, key: change(body[key])} if key in body else body


def without(*keys: str) -> Sends:
    return lambda body, known: {key: value for key, value in body.items() if key not in keys}


def tools(edit: Callable[[dict[str, Any]], dict[str, Any]]) -> Sends:
    """Edits each tool that is offered."""
    return changed("tools", lambda given: [edit(tool) for tool in given])


def turn_start(given: Messages) -> int:
    """Where the turn's prompt stands: the last message of the user's that has no result of a tool."""
    return next((i for i in range(len(given) - 1, -1, -1) if is_prompt(given[i])), len(given))


def is_prompt(message: Message) -> bool:
    return message["role"] == "user" and not has(message, "tool_result")


def has(message: Message, kind: str) -> bool:
    return any(block.get("type") == kind for block in message["content"])


def turns_of(given: Messages) -> list[Messages]:
    """One list for each prompt; what stands before the first prompt is one, too."""
    made = list[Messages]()
    for message in given:
        if is_prompt(message) or not made:
            made.append([])
        made[-1].append(message)
    return made


def before_this(known: Known) -> Messages:
    """The messages that the session sent last, before this request."""
    given: Messages = known.body().get("messages", [])
    return given


def of_a_stranger(known: Known) -> Messages:
    other = known.stranger()
    return before_this(other) if other is not None else []


def foreign(edit: Callable[[Messages, Messages], Messages]) -> Sends:
    """Edits all messages, given those of an unrelated session."""
    return lambda body, known: {**body, "messages": edit(body["messages"], of_a_stranger(known))}


def text(role: str, words: str) -> Message:
    return {"role": role, "content": [{"type": "text", "text": words}]}


def told(given: Messages) -> str:
    """The words of some messages, a line for each."""
    texts = [block["text"] for message in given for block in message["content"] if block.get("type") == "text"]
    return "\n".join(texts)


# Which messages


def prompt(given: Messages) -> Messages:
    """The turn's prompt."""
    start = turn_start(given)
    return given[start : start + 1]


def prompts_before(given: Messages) -> Messages:
    return [message for message in given[: turn_start(given)] if is_prompt(message)]


def first_prompt(given: Messages) -> Messages:
    return prompts_before(given)[:1]


def answers(given: Messages) -> Messages:
    return [message for message in given[: turn_start(given)] if message["role"] == "assistant"]


def last_answer(given: Messages) -> Messages:
    return answers(given)[-1:]


def first_answer(given: Messages) -> Messages:
    return answers(given)[:1]


# What becomes of words


def halved(text: str) -> str:
    return text[: (len(text) + 1) // 2]


def without_first_word(text: str) -> str:
    return text.partition(" ")[2] or text[1:] or "?"


def without_last_word(text: str) -> str:
    return text.rpartition(" ")[0] or text[:-1] or "?"


def other_numbers(text: str) -> str:
    return re.sub(r"\d", lambda found: str((int(found[0]) + 1) % 10), text)


def other_names(text: str) -> str:
    """Capitalised words within a sentence are other ones."""
    return re.sub(r"(?<=[a-z] )[A-Z]\w{2,}", "Zelda", text)


def mangled(text: str) -> str:
    """UTF-8 that was read as Latin-1."""
    return text.encode().decode("latin-1")


def squeezed(text: str) -> str:
    return " ".join(text.split()) if " ".join(text.split()) != text else text.replace(" ", "  ")
