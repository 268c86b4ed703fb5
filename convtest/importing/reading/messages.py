"""Message lists of OpenAI and Anthropic: bodies of requests, fine-tuning files, logs, one conversation or many."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from convtest.cassettes.naming import Names
from convtest.importing.conversation import Conversation, Found, shown
from convtest.importing.reading.building import Builder
from convtest.importing.reading.content import Content, NotImportable
from convtest.importing.reading.exchanges import tools_of
from convtest.wire.canonical import message_texts, plain_messages
from convtest.wire.messages_api import PATH, text_of_content
from convtest.wire.openai_apis import CHAT_PATH
from convtest.wire.replies import reply_of
from convtest.wire.responses_api import RESPONSES_PATH

_ROLES = ("user", "assistant", "system", "developer", "tool", "function")
_ITEMS = ("function_call", "function_call_output", "reasoning")
_ANSWERS = ("response", "completion", "output", "choices")


def recognises(content: Content) -> bool:
    """A list of messages, an object that holds one, or several of these."""
    rows = content.rows
    return any(_is_message(data) or _listed(data) is not None for _, data in rows[:200])


def read(content: Content, file: str, names: Names) -> Found:
    """Its conversations. Raises NotImportable."""
    rows, left_out = content.without_secrets(names).rows, list[str]()
    if any(_is_message(data) for _, data in rows):
        messages = [data for _, data in rows if _is_message(data)]
        left_out += [_no_message(content.word, number, data) for number, data in rows if not _is_message(data)]
        made = _conversation({"messages": messages}, "the list", left_out)
        found, what = [made] if made else [], f"a list of {len(messages)} messages"
    else:
        found = []
        for number, data in rows:
            given = data if isinstance(data, dict) else {"messages": data}
            where = f"{content.word} {number}" if len(rows) > 1 else "the list"
            if _listed(data) is None:
                left_out.append(_no_message(content.word, number, data))
            elif (made := _conversation(given, where, left_out)) is not None:
                found.append(made)
        what = f"message lists, {len(found)} of them" if len(found) > 1 else "a message list"
    if not found and not left_out:
        raise NotImportable(file, "message lists in which nobody said anything")
    return Found(format=what, conversations=found, left_out=left_out)


def _no_message(word: str, number: int, data: Any) -> str:
    return f"{word} {number} is no message and no list of them: '{shown(data)}'"


def _is_message(data: Any) -> bool:
    if not isinstance(data, dict):
        return False
    has_words = "content" in data or "tool_calls" in data
    return (data.get("role") in _ROLES and has_words) or data.get("type") in _ITEMS


def _listed(data: Any) -> list[Any] | str | None:
    """The messages that an object holds, or a list is; None where there are none."""
    if isinstance(data, list):
        return data if any(_is_message(one) for one in data) else None
    given = data if isinstance(data, dict) else {}
    messages: list[Any] | None = given["messages"] if isinstance(given.get("messages"), list) else None
    if messages is not None and any(_is_message(one) for one in messages):
        return messages
    asked = given.get("input")
    if isinstance(asked, str) and asked and any(key in given for key in ("model", "output", "instructions")):
        return asked
    return asked if isinstance(asked, list) and any(_is_message(one) for one in asked) else None


def _conversation(given: Mapping[str, Any], where: str, left_out: list[str]) -> Conversation | None:
    """One conversation, whichever API its messages are of."""
    messages = given.get("messages")
    listed = messages if isinstance(messages, list) else None
    shape = list(_shaped(given, listed if listed is not None else given.get("input"), is_items=listed is None))
    made = Conversation(where=where, system=_system(given, shape), tools=tools_of(given.get("tools")))
    first = next((n for n, one in enumerate(shape) if one.get("role") not in ("system", "developer")), len(shape))
    builder = Builder(made)
    builder.told(shape[first:])
    if answer := _answer(given):
        builder.answered(answer, None)
    if not made.turns:
        left_out.append(f"{where}: the user says nothing in it")
        return None
    return made


def _shaped(given: Mapping[str, Any], messages: Any, *, is_items: bool) -> Iterator[dict[str, Any]]:
    """In the shape of the Messages API."""
    listed = messages if isinstance(messages, list) else []
    items = is_items or any(isinstance(one, dict) and one.get("type") in _ITEMS for one in listed)
    body = {"input": messages} if items else {"messages": messages}
    chat = not items and any(
        isinstance(one, dict) and (one.get("role") in {"tool", "function"} or one.get("tool_calls")) for one in listed
    )
    path = RESPONSES_PATH if items else CHAT_PATH if chat else PATH
    yield from plain_messages(f"https://convtest.invalid{path}", msgspec.json.encode(body))


def _system(given: Mapping[str, Any], shape: Sequence[Mapping[str, Any]]) -> str:
    own = text_of_content(given.get("system")) or text_of_content(given.get("instructions"))
    begins = shape[:1] if shape and shape[0].get("role") in ("system", "developer") else []
    texts = [text for one in begins for text in (message_texts(one) or [text_of_content(one.get("content"))])]
    return own or "\n".join(texts)


def _answer(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was answered, where it stands beside what was asked: `response`, `choices`, `output`."""
    for key in _ANSWERS:
        value = given.get(key)
        if isinstance(value, str) and value.strip() and key in {"response", "completion", "output"}:
            return {"content": [{"type": "text", "text": value}]}
        whole = value if isinstance(value, dict) else {key: value} if isinstance(value, list) else None
        for path in (PATH, CHAT_PATH, RESPONSES_PATH) if whole else ():
            reply = reply_of(msgspec.json.encode(whole), is_stream=False, url=f"https://convtest.invalid{path}")
            if reply.get("content"):
                return reply
    return {}
