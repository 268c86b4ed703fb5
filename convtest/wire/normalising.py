"""What does not count when requests are compared: ids by first appearance, cache markers, ways to say the same."""

import re
from typing import Any

from convtest.wire.marks import ID, Mark
from convtest.wire.messages import Histories, History, Message, the_same
from convtest.wire.messages_api import text_of_content
from convtest.wire.ordering import in_order_of_uses
from convtest.wire.unread import readable_message

VOLATILE_KEYS = frozenset({"id", "tool_use_id", "user_id", "container", "previous_response_id", "conversation"})
"""Values of these keys in blocks and metadata become id1, id2 … by first appearance, so that swapped ones differ; and
a player holds each to be one id through the whole item."""

MADE_UP_KEYS = frozenset(
    {"user", "safety_identifier", "prompt_cache_key", "session_id", "conversation_id", "thread_id"}
)
"""The same for values of these keys that nobody wrote: `ada` stays what it is."""
_MADE_UP = re.compile(r"(?=.*\d)[\w.:-]*(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{16,}|\d{8,})[\w.:-]*")

DROPPED_KEYS = frozenset({"cache_control"})
"""Hints that do not change what the model reads."""


_OWN = (
    ("<system-reminder>", "</system-reminder>"),  # date, folder, operating system, lists of what there is
    ("<local-command-stdout>", "</local-command-stdout>"),  # what /cost and the like said: times, totals, versions
)
"""A text block of the user between these is Claude Code's own where Claude Code sent it, and so is a system message
among the messages. It differs by machine and day, and nobody said it. In another client's request it is a text like any
other."""


_COMMAND = re.compile(
    r"(?s)(?=.*<command-name>(?P<name>/.*?)</command-name>)(?=.*<command-args>(?P<given>.*?)</command-args>)"
    r"\s*(?:<(command-(?:name|message|args))>.*?</\3>\s*)+"
)
"""How Claude Code sends a command that somebody typed: its name, and what was given with it."""


_HISTORIES = Histories()
"""With the canonical messages, and the ids and reminders that were met in them."""


class Normaliser:
    def __init__(self, volatile: frozenset[str], *, claude_code: bool) -> None:
        self._ids: dict[str, str] = {}
        self._keys = volatile
        self._claude_code = claude_code
        self.ids: list[Mark] = []
        """As they are, in the order of their first appearance; those of declared keys may be any."""
        self.reminders: list[str] = []

    def body(self, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        return {key: done for key, value in body.items() if (done := self._field(key, value)) not in (None, [], {})}

    def _field(self, key: str, value: Any) -> Any:
        if key == "messages" and isinstance(value, list):
            return self._messages(value)
        if key == "system":
            return self._blocks(value)
        if key == "conversation" and isinstance(value, dict):
            value = value.get("id")  # the API takes both
        if key in self._keys or key in MADE_UP_KEYS:
            return self._volatile(key, value)
        if key == "metadata" and isinstance(value, dict):
            return {name: self._volatile(name, one) for name, one in value.items()}
        if key == "tools" and isinstance(value, list):
            return [_without_dropped(tool) for tool in value]
        return value

    def _messages(self, messages: list[Any]) -> list[Any]:
        look = _HISTORIES.look((self._keys, self._claude_code, *self._ids.items(), *self.ids), messages)
        before: History | None = None
        own = len(self.reminders)
        if look.made is not None:
            before, ids, marks, reminders = look.made
            self._ids, self.ids = dict(ids), list(marks)
            self.reminders += reminders
        new = map(readable_message, messages[look.count :])
        made = History(
            [*(before or ()), *(self._message(message) for message in new if not self._is_own_turn(message))], before
        )
        look.note((made, dict(self._ids), tuple(self.ids), tuple(self.reminders[own:])))
        return made

    def _message(self, message: dict[str, Any]) -> Message:
        return the_same({**message, "content": in_order_of_uses(self._blocks(message.get("content")))})

    def _blocks(self, content: Any) -> Any:
        if isinstance(content, str):
            # The API takes a text for a list of one text block; clients change from one to the other in mid-history.
            return [{"type": "text", "text": content}] if content else []
        if isinstance(content, list):
            return [self._block(block) for block in content if not self._is_dropped(block)]
        return content

    def _is_own_turn(self, message: Any) -> bool:
        """Newer models are told in system messages what stands in reminders else."""
        if not self._claude_code or not isinstance(message, dict) or message.get("role") != "system":
            return False
        self.reminders += [text] if (text := text_of_content(message.get("content"))) else []
        return True

    def _is_dropped(self, block: Any) -> bool:
        if not self._claude_code or not _is_own(block):
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
        if self._claude_code and block.get("type") == "text":
            done["text"] = _as_typed(block.get("text"))
        if block.get("type") in ("tool_result", "mcp_tool_result"):
            done["content"] = self._blocks(block.get("content"))
            if not done.get("is_error"):
                # The API takes a result without the key as one that is no error: SDKs differ in sending it.
                done.pop("is_error", None)
        return done

    def _volatile(self, key: str, value: Any) -> Any:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            return value
        if key not in self._keys and not (key in MADE_UP_KEYS and _MADE_UP.fullmatch(str(value))):
            return value
        if str(value) not in self._ids:
            known = key in VOLATILE_KEYS or key not in self._keys
            self.ids.append(Mark(ID, str(value)) if known else Mark(ID, ID, is_placeholder=True))
            # By first appearance and not one constant: else swapped ids would be equal.
            self._ids[str(value)] = f"id{len(self._ids) + 1}"
        return self._ids[str(value)]


def _as_typed(text: Any) -> Any:
    """A command as somebody typed it; any other text as it is."""
    found = _COMMAND.fullmatch(text) if isinstance(text, str) and text.lstrip().startswith("<command-") else None
    return f"{found['name']} {found['given']}".rstrip() if found else text


def _is_own(block: Any) -> bool:
    text = str(block.get("text", "")).strip() if isinstance(block, dict) and block.get("type") == "text" else ""
    return any(text.startswith(first) and text.endswith(last) for first, last in _OWN)


def _without_dropped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: one for key, one in value.items() if key not in DROPPED_KEYS}
    return value
