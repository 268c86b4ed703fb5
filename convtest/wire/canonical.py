"""The canonical form of a request: equal for requests that mean the same, different for any word that differs.

What is declared volatile stands in `VOLATILE_KEYS` and `DROPPED_KEYS`; nothing else is normalised, and never
inside words that people or models said.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import msgspec

from convtest.wire.messages_api import text_of_content
from convtest.wire.neighbours import as_read
from convtest.wire.openai_apis import CHAT_PATH, chat_request
from convtest.wire.ordering import in_order_of_uses
from convtest.wire.responses_api import RESPONSES_PATH, responses_request
from convtest.wire.unread import readable

VOLATILE_KEYS = frozenset({"id", "tool_use_id", "user_id", "container", "previous_response_id"})
"""Values of these keys in blocks and metadata become id1, id2 … by first appearance, so that swapped ones differ."""

DROPPED_KEYS = frozenset({"cache_control"})
"""Hints that do not change what the model reads."""


_REMINDER = ("<system-reminder>", "</system-reminder>")
"""A text block of the user between these is Claude Code's own where Claude Code sent it: date, folder, operating
system, lists of what there is. It differs by machine and day, and nobody said it. In another client's request it is a
text like any other."""
_CLAUDE_CODE = "claude-cli/"
"""How its User-Agent begins."""


def is_claude_code(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether Claude Code sent a request, whatever program it runs in."""
    return any(name.lower() == "user-agent" and value.startswith(_CLAUDE_CODE) for name, value in headers)


@dataclass(frozen=True, slots=True, eq=False)
class Canonical:
    """A request in canonical form; `key` is equal exactly if the requests are, and stands for it in comparisons."""

    method: str
    url: str
    body: Any
    key: str
    reminders: tuple[str, ...] = ()
    """Texts of Claude Code's own: not compared, and read by whoever looks for a word."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Canonical) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

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
        roles = {"system", "developer"}
        texts = [text for m in self.messages if m.get("role") in roles for text in message_texts(m)]
        return "\n".join([own, *texts] if (own := text_of_content(self.fields.get("system"))) else texts)

    @property
    def tool_names(self) -> list[str]:
        tools = self.fields.get("tools")
        return [_tool_name(tool) for tool in tools] if isinstance(tools, list) else []

    def settings(self) -> dict[str, Any]:
        """Everything but the messages; a body that is no JSON object stands under `body`."""
        fields = self.fields if isinstance(self.body, dict) else {"body": self.body}
        return {key: value for key, value in fields.items() if key != "messages"}

    def texts(self) -> list[str]:
        """Every text that the model reads: tools, system, messages with tool input and results."""
        own = text_of_content(self.fields.get("system"))
        found = [own] if own else []
        tools = list(_strings(self.fields.get("tools") or []))
        said = [text for message in self.messages for text in message_texts(message)]
        return [*tools, *found, *said, *self.reminders]


def _tool_name(tool: Any) -> str:
    """Under whichever key the API has it; empty for what has none."""
    named = tool if isinstance(tool, dict) else {}
    function = named.get("function")
    name = named.get("name") or (function.get("name") if isinstance(function, dict) else "")
    return name if isinstance(name, str) else ""


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


class Scrubs(Protocol):
    """Takes secrets out."""

    def text(self, text: str) -> str: ...

    def data(self, data: bytes) -> bytes: ...

    def value(self, value: Any) -> Any: ...


def canonical(
    method: str,
    url: str,
    body: bytes,
    scrubber: Scrubs | None = None,
    volatile: frozenset[str] = frozenset(),
    *,
    claude_code: bool = False,
    kept: list[dict[str, Any]] | None = None,
) -> Canonical:
    """The canonical form, without secrets; a body that is no JSON stays text. `volatile` adds to VOLATILE_KEYS;
    `claude_code`: its reminders are no words of the conversation; `kept`: what the server has of it, which counts as
    sent."""
    plain: Any
    normaliser = _Normaliser(VOLATILE_KEYS | volatile, claude_code=claude_code)
    try:
        sent = msgspec.json.decode(body) if body else {}
        shape = _as_messages(url, scrubber.value(sent) if scrubber else sent)
        plain = normaliser.body(readable(shape if kept is None else _continued(shape, kept)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # what is nested too deep stays text, too
        plain = (scrubber.data(body) if scrubber else body).decode("utf-8", "replace")
    shown = _url(url)
    encoded = msgspec.json.encode([method.upper(), shown, as_read(url, plain)], order="deterministic")
    key = hashlib.sha256(encoded).hexdigest()
    return Canonical(method.upper(), shown, plain, key, tuple(normaliser.reminders))


def previous_of(body: bytes) -> str | None:
    """The id of the answer that a request goes on from, where the server keeps the history (Responses API)."""
    if b'"previous_response_id"' not in body:
        return None
    try:
        named = msgspec.json.decode(body, type=dict[str, Any]).get("previous_response_id")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return named if isinstance(named, str) else None


def plain_messages(url: str, body: bytes, scrubber: Scrubs | None) -> list[dict[str, Any]]:
    """A request's own messages, as they were sent; none where it has none."""
    try:
        sent = msgspec.json.decode(body) if body else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    shape = _as_messages(url, scrubber.value(sent) if scrubber else sent)
    messages = shape.get("messages") if isinstance(shape, dict) else None
    return [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []


def _continued(shape: Any, kept: list[dict[str, Any]]) -> Any:
    """With what the server keeps in its place: the id *is* that conversation, and a stale or foreign one another."""
    if not isinstance(shape, dict) or not isinstance(shape.get("messages"), list):
        return shape
    rest = {key: value for key, value in shape.items() if key != "previous_response_id"}
    return {**rest, "messages": [*kept, *shape["messages"]]}


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
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path.rstrip("/"), query, ""))


class _Normaliser:
    def __init__(self, volatile: frozenset[str], *, claude_code: bool) -> None:
        self._ids: dict[str, str] = {}
        self._keys = volatile
        self._claude_code = claude_code
        self.reminders: list[str] = []

    def body(self, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        return {key: done for key, value in body.items() if (done := self._field(key, value)) not in (None, [], {})}

    def _field(self, key: str, value: Any) -> Any:
        if key == "messages" and isinstance(value, list):
            return [self._message(message) for message in value]
        if key == "system":
            return self._blocks(value)
        if key in self._keys:
            return self._volatile(key, value)
        if key == "metadata" and isinstance(value, dict):
            return {name: self._volatile(name, one) for name, one in value.items()}
        if key == "tools" and isinstance(value, list):
            return [_without_dropped(tool) for tool in value]
        return value

    def _message(self, message: Any) -> Any:
        if not isinstance(message, dict):
            return message
        return {**message, "content": in_order_of_uses(self._blocks(message.get("content")))}

    def _blocks(self, content: Any) -> Any:
        if isinstance(content, str):
            # The API takes a text for a list of one text block; clients change from one to the other in mid-history.
            return [{"type": "text", "text": content}] if content else []
        if isinstance(content, list):
            return [self._block(block) for block in content if not self._is_dropped(block)]
        return content

    def _is_dropped(self, block: Any) -> bool:
        if not self._claude_code or not _is_reminder(block):
            return False
        self.reminders.append(str(block["text"]))
        return True

    def _block(self, block: Any) -> Any:
        if not isinstance(block, dict):
            return block
        keys = self._keys
        done = {
            key: self._volatile(key, value) if key in keys else value
            for key, value in block.items()
            if key not in DROPPED_KEYS
        }
        if block.get("type") in ("tool_result", "mcp_tool_result"):
            done["content"] = self._blocks(block.get("content"))
            if not done.get("is_error"):
                # The API takes a result without the key as one that is no error: SDKs differ in sending it.
                done.pop("is_error", None)
        return done

    def _volatile(self, key: str, value: Any) -> Any:
        if key not in self._keys or not isinstance(value, str | int | float) or isinstance(value, bool):
            return value
        # By first appearance and not one constant: else swapped ids would be equal.
        return self._ids.setdefault(str(value), f"id{len(self._ids) + 1}")


def _is_reminder(block: Any) -> bool:
    text = str(block.get("text", "")).strip() if isinstance(block, dict) and block.get("type") == "text" else ""
    return text.startswith(_REMINDER[0]) and text.endswith(_REMINDER[1])


def _without_dropped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: one for key, one in value.items() if key not in DROPPED_KEYS}
    return value
