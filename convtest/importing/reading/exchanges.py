"""Requests and their answers, as cassettes, HAR files and traces keep them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from convtest.cassettes.format import from_plain, to_text
from convtest.cassettes.naming import Names
from convtest.cassettes.reading import read
from convtest.importing.conversation import Api, ToolSpec, shown
from convtest.structs import Struct, field
from convtest.wire.blocks import Block, blocks_of, merged
from convtest.wire.canonical import is_claude_code, message_texts, plain_messages, tool_name, tool_schema
from convtest.wire.interaction import Interaction
from convtest.wire.messages_api import PATH, text_of_content
from convtest.wire.openai_apis import CHAT_PATH
from convtest.wire.responses_api import RESPONSES_PATH

_APIS: tuple[tuple[str, Api], ...] = ((PATH, "messages"), (CHAT_PATH, "chat"), (RESPONSES_PATH, "responses"))
_NO_SETTINGS = frozenset({"messages", "input", "instructions", "system", "tools", "stream", "stream_options"})
_SYSTEM = ("system", "developer")


class Exchange(Struct, frozen=True, kw_only=True):
    """One request for an answer, and the answer."""

    number: int
    """Among all that the file holds; counts from 1."""
    api: Api = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The body's keys but for messages, system, tools and how it is streamed."""
    system: str = ""
    tools: tuple[ToolSpec, ...] = ()
    messages: Sequence[Mapping[str, Any]] = ()
    """All that the model was told, in the shape of the Messages API, system messages left out."""
    own: Sequence[Mapping[str, Any]] = ()
    """The last of them as they were sent: all, but where the server keeps the history."""
    reply: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    interaction: Interaction | None = None
    claude_code: bool = False

    @property
    def prompt(self) -> str:
        """The last that the user said."""
        texts = (text_of_content(one.get("content")) for one in reversed(self.messages) if one.get("role") == "user")
        return next((text for text in texts if text.strip()), "")

    @property
    def asked_with(self) -> bytes:
        """Equal for requests that ask with the same settings."""
        tools = [[tool.name, tool.description] for tool in self.tools]
        return msgspec.json.encode([self.settings, self.system, tools], order="deterministic")


def likeness(messages: Iterable[Mapping[str, Any]]) -> tuple[Block, ...]:
    """Equal for what is the same conversation to a person: without thinking, markers and ids."""
    return merged([block for one in messages if one.get("role") not in _SYSTEM for block in blocks_of(one)])


def scrubbed(interactions: Sequence[Interaction], names: Names) -> list[Interaction]:
    """As a cassette keeps them: without secrets, those in streams too, and in plain text."""
    written = to_text(interactions, names.learn(interactions))
    return from_plain(read(written.encode()))


def sort_out(interactions: Sequence[Interaction], word: str) -> tuple[list[Exchange], list[str]]:
    """The requests for an answer of a model; and a line for each of the others. `word` is what the file calls one."""
    found: list[Exchange] = []
    left_out: list[str] = []
    for number, one in enumerate(interactions, 1):
        problem = _no_question(one)
        if problem:
            asked = f"{shown(one.request.method, 20)} {address(one.request.url)}"
            left_out.append(f"{word} {number}: {asked} {problem}")
        else:
            found.append(exchange_of(one, number))
            if found[-1].interaction is None:
                left_out.append(f"{word} {number}: its answer {'cannot be read' if one.body else 'is not in the file'}")
    return found, left_out


def address(url: str) -> str:
    """An address without its query, as a line can show it."""
    parts = urlsplit(url)
    return shown(f"{parts.netloc}{parts.path}", 80)


def api_of(url: str) -> Api:
    """Which API is spoken at this address; empty for none that is known."""
    path = urlsplit(url).path.rstrip("/")
    return next((api for ending, api in _APIS if path.endswith(ending)), "")


def _no_question(one: Interaction) -> str:
    """Why a request does not ask a model for an answer that can be read; empty where it does."""
    api = api_of(one.request.url)
    if one.request.method.upper() != "POST" or not api:
        return "asks no model in an API that is known"
    try:
        body = msgspec.json.decode(one.request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "has no body" if not one.request.body else "has a body that is no JSON"
    holds = "input" if api == "responses" else "messages"
    return "" if isinstance(body, dict) and body.get(holds) else f"has no {holds} in its body"


def exchange_of(one: Interaction, number: int) -> Exchange:
    """A recorded request for an answer."""
    body = msgspec.json.decode(one.request.body)
    sent, api = one.canonical, api_of(one.request.url)
    own = plain_messages(one.request.url, one.request.body)
    whole = [message for message in sent.messages if message.get("role") not in _SYSTEM]
    begins = [message for message in sent.messages if message.get("role") in _SYSTEM]
    system = text_of_content(sent.fields.get("system")) or "\n".join(
        text for message in begins[:1] for text in message_texts(message)
    )
    return Exchange(
        number=number,
        api=api,
        settings={key: value for key, value in body.items() if key not in _NO_SETTINGS},
        system=system,
        tools=tuple(tools_of(body.get("tools"))),
        messages=whole,
        own=[message for message in own if message.get("role") not in _SYSTEM],
        reply=one.reply(),
        status=one.status,
        # An answer that was not saved, or that nothing can be read from, is known from later requests at the most.
        interaction=one if one.status >= 400 or one.reply() else None,
        claude_code=is_claude_code(one.request.headers),
    )


def tools_of(given: Any) -> list[ToolSpec]:
    """The tools that a request offers, in any API; those that the server carries out have no schema."""
    found: list[ToolSpec] = []
    for tool in given if isinstance(given, list) else []:
        inner = tool.get("function") if isinstance(tool, dict) else None
        named = inner if isinstance(inner, dict) else tool
        schema = tool_schema(tool)
        if tool_name(tool) and isinstance(schema, dict):
            found.append(ToolSpec(name=tool_name(tool), description=str(named.get("description") or ""), schema=schema))
    return found
