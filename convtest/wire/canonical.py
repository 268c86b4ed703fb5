"""The canonical form of a request: equal for requests that mean the same, different for any word that differs.

What is declared volatile stands in `normalising`; nothing else is normalised, and never inside words that people or
models said. A secret counts as one of its kind: which one it is, a player tells by the requests that came before.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from convtest.structs import Struct
from convtest.wire.growing import decoded_request
from convtest.wire.marks import Finds, Mark, Placeholders, formed, marks_of
from convtest.wire.messages import digest_of, history_of, once
from convtest.wire.messages_api import text_of_content
from convtest.wire.neighbours import as_read
from convtest.wire.normalising import VOLATILE_KEYS, Normaliser
from convtest.wire.openai_apis import CHAT_PATH, PUBLIC_URL, chat_request
from convtest.wire.responses_api import CONVERSATIONS_PATH, RESPONSES_PATH, responses_request
from convtest.wire.unread import readable

_SIMULATED_AT = "api.anthropic.com"
_OPENAI_PATHS = (CHAT_PATH, RESPONSES_PATH, CONVERSATIONS_PATH)
_PLACEHOLDERS = Placeholders()
_CLAUDE_CODE = "claude-cli/"
"""How its User-Agent begins."""


def is_claude_code(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether Claude Code sent a request, whatever program it runs in."""
    return any(name.lower() == "user-agent" and value.startswith(_CLAUDE_CODE) for name, value in headers)


@dataclass(frozen=True, eq=False)
class Canonical:
    """A request in canonical form, in the words that were sent. `key` is equal where requests are but for which of
    their kinds the secrets in them are."""

    method: str
    url: str
    """Secrets in it stand as their kinds."""
    body: Any = field(repr=False)
    key: str
    form: Any = field(repr=False)
    """The body with secrets as their kinds: what `key` is made of."""
    reminders: tuple[str, ...] = field(default=(), repr=False)
    """Texts of Claude Code's own: not compared, and read by whoever looks for a word."""
    finds: Finds = field(default_factory=Placeholders, repr=False)
    asked: str = field(default="", repr=False)
    """The address in the words that were sent."""
    ids: tuple[Mark, ...] = field(default=(), repr=False)
    """Those that the body has as id1, id2 …, as they were sent."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Canonical) and self.key == other.key and self.marks == other.marks

    def __hash__(self) -> int:
        return hash(self.key)

    @cached_property
    def marks(self) -> tuple[Mark, ...]:
        """The secrets and ids in it; those of two requests with one key correspond to each other, one by one."""
        return (*marks_of([self.asked, self.body], self.finds), *self.ids)

    @property
    def fields(self) -> Mapping[str, Any]:
        return self.body if isinstance(self.body, dict) else {}

    @property
    def messages(self) -> list[dict[str, Any]]:
        messages = self.fields.get("messages")
        return messages if isinstance(messages, list) else []

    @property
    def system(self) -> str:
        """The system prompt, wherever the API has it."""
        texts = history_of(self.messages).so_far("system", _NO_TEXTS, _system_texts)
        return "\n".join([own, *texts] if (own := text_of_content(self.fields.get("system"))) else texts)

    @property
    def tool_names(self) -> list[str]:
        tools = self.fields.get("tools")
        return [tool_name(tool) for tool in tools] if isinstance(tools, list) else []

    def settings(self) -> dict[str, Any]:
        """Everything but the messages; a body that is no JSON object stands under `body`."""
        fields = self.fields if isinstance(self.body, dict) else {"body": self.body}
        return {key: value for key, value in fields.items() if key != "messages"}

    def texts(self) -> list[str]:
        """Every text that the model reads: tools, system, messages with tool input and results."""
        said = [text for message in self.messages for text in message_texts(message)]
        return [*self.before(), *said, *self.reminders]

    def before(self) -> list[str]:
        """Those of them that come before the messages: tools, system."""
        own = text_of_content(self.fields.get("system"))
        return [*_strings(self.fields.get("tools") or []), *([own] if own else [])]


_NO_TEXTS: tuple[str, ...] = ()


def _system_texts(before: tuple[str, ...], messages: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    said = [message for message in messages if message.get("role") in {"system", "developer"}]
    return (*before, *(text for message in said for text in message_texts(message)))


def tool_name(tool: Any) -> str:
    """Under whichever key the API has it; empty for what has none."""
    named = tool if isinstance(tool, dict) else {}
    function = named.get("function")
    name = named.get("name") or (function.get("name") if isinstance(function, dict) else "")
    return name if isinstance(name, str) else ""


def tool_schema(tool: Any) -> Any:
    """Of its input, under whichever key the API has it; None for what has none."""
    named = tool if isinstance(tool, dict) else {}
    function = named.get("function")
    inner = function if isinstance(function, dict) else named
    return inner.get("input_schema", inner.get("parameters"))


def _strings(value: Any) -> Iterator[str]:
    """In their order; not recursive, whatever depth somebody sends."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str(text):
                yield text
            case list(items):
                waiting += reversed(items)
            case dict(fields):
                waiting += (part for key, one in reversed(fields.items()) for part in (one, str(key)))


def message_texts(message: Mapping[str, Any]) -> list[str]:
    """The texts of one canonical message, block by block."""
    return once(message, "texts", _message_texts)


def _message_texts(message: Mapping[str, Any]) -> list[str]:
    return [text for block in message.get("content") or [] for text in _block_texts(block)]


def _block_texts(block: Any) -> Iterator[str]:
    match block:
        case {"type": "text", "text": str(text)}:
            yield text
        case {"type": "thinking", "thinking": str(text)}:
            yield text
        case {"type": "tool_use", "name": name, **rest}:
            yield f"{name} {msgspec.json.encode(rest.get('input') or {}).decode()}"
        case {"type": "tool_result", **rest}:
            yield text_of_content(rest.get("content"))
        case {"content": str(text)}:
            yield text


def canonical(
    method: str,
    url: str,
    body: bytes,
    finds: Finds | None = None,
    volatile: frozenset[str] = frozenset(),
    *,
    claude_code: bool = False,
    kept: "Kept | None" = None,
) -> Canonical:
    """The canonical form; a body that is no JSON stays text. `volatile` adds to VOLATILE_KEYS;
    `claude_code`: its reminders are no words of the conversation; `kept`: what the server has of it, which counts as
    sent."""
    plain: Any
    finds = finds or _PLACEHOLDERS
    normaliser = Normaliser(VOLATILE_KEYS | volatile, claude_code=claude_code)
    try:
        shape = _as_messages(url, decoded_request(body) if body else {})
        plain = normaliser.body(readable(shape if kept is None else _continued(shape, kept)))
        form = formed(plain, finds)
    except (ValueError, RecursionError):  # what is nested too deep stays text, too
        plain = body.decode("utf-8", "replace")
        form = formed(plain, finds)
    asked = _url(url)
    shown = formed(asked, finds)
    key = _key(method.upper(), shown, as_read(url, form))
    return Canonical(
        method.upper(),
        shown,
        plain,
        key,
        form,
        tuple(normaliser.reminders),
        finds=finds,
        asked=asked,
        ids=tuple(normaliser.ids),
    )


def _key(method: str, url: str, body: Any) -> str:
    """Equal for equal data alone: the messages count one by one, so that of a history only what is new is read."""
    messages, said = body.get("messages") if isinstance(body, dict) else None, b""
    if isinstance(messages, list):
        said, body = digest_of(messages), {**body, "messages": len(messages)}
    head = msgspec.json.encode([method, url, body], order="deterministic")
    return hashlib.sha256(head + said).hexdigest()


class Kept(Struct, frozen=True):
    """What the server keeps of the conversation that a request goes on from; `whole` where all of it was seen."""

    messages: list[dict[str, Any]]
    whole: bool = True


def named_by(body: bytes) -> tuple[str | None, str | None]:
    """The ids of the answer and of the conversation that a request goes on from, where the server keeps the history
    (Responses API)."""
    if b'"previous_response_id"' not in body and b'"conversation"' not in body:
        return None, None
    try:
        sent = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, None
    previous, conversation = sent.get("previous_response_id"), sent.get("conversation")
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
    return previous if isinstance(previous, str) else None, conversation if isinstance(conversation, str) else None


def plain_messages(url: str, body: bytes) -> list[dict[str, Any]]:
    """A request's own messages, as they were sent; none where it has none."""
    try:
        shape = _as_messages(url, decoded_request(body) if body else {})
    except (ValueError, RecursionError):
        return []
    messages = shape.get("messages") if isinstance(shape, dict) else None
    return [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []


def _continued(shape: Any, kept: Kept) -> Any:
    """With what the server keeps in its place: the id *is* that conversation, and a stale or foreign one another."""
    if not isinstance(shape, dict) or not isinstance(shape.get("messages"), list):
        return shape
    ids = {"previous_response_id", "conversation"} if kept.whole else set()
    rest = {key: value for key, value in shape.items() if key not in ids}
    return {**rest, "messages": [*kept.messages, *shape["messages"]]}


def _as_messages(url: str, body: Any) -> Any:
    """The bodies of the other APIs in the shape of the Messages API, so that one set of checks reads them all."""
    path = urlsplit(url).path.rstrip("/")
    if isinstance(body, dict) and path.endswith(CHAT_PATH):
        return chat_request(body)
    if isinstance(body, dict) and path.endswith(RESPONSES_PATH):
        return responses_request(body)
    return body


def _url(url: str) -> str:
    parts = urlsplit(url)
    # Clients build a query from a mapping: its order says nothing.
    query = "&".join(sorted(parts.query.split("&"))) if parts.query else ""
    host, path = parts.netloc.lower(), parts.path.rstrip("/")
    if host == _SIMULATED_AT and path.startswith(_OPENAI_PATHS):
        # Once the simulator had Anthropic's address for every API; no real one is there.
        return urlunsplit(urlsplit(PUBLIC_URL)._replace(path=f"/v1{path}", query=query))
    return urlunsplit((parts.scheme, host, path, query, ""))
