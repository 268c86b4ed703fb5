"""What a request lets the simulator know: who said what, in order, and nothing else."""

from collections.abc import Iterator, Mapping
from typing import Any

from convtest.structs import Struct
from convtest.wire.messages import Histories, History, going_on
from convtest.wire.messages_api import text_of_content


class Said(Struct, frozen=True):
    """One text of the conversation; `role` is user, assistant or tool."""

    role: str
    text: str


class Conversation(Struct, frozen=True):
    system: str
    said: History
    """Of `Said`."""

    @property
    def prompt(self) -> str:
        """The text to answer: what was said last."""
        return self.said[-1].text if self.said else ""

    @property
    def answers_tools(self) -> bool:
        return bool(self.said) and self.said[-1].role == "tool"

    def before(self, *roles: str) -> list[Said]:
        """What was said before the prompt, by these roles or by all."""
        return [one for one in self.said[:-1] if not roles or one.role in roles]

    @property
    def tool_results(self) -> list[str]:
        """The results that the last message brings."""
        found: list[str] = []
        for one in reversed(self.said):
            if one.role != "tool":
                break
            found.insert(0, one.text)
        return found


_SAID = Histories()


def conversation_of(body: Mapping[str, Any]) -> Conversation:
    """The conversation in the body of a Messages API request."""
    messages = body.get("messages") or []
    look = _SAID.look("", messages)
    said = going_on(look.made or History(()), *(one for message in messages[look.count :] for one in _said(message)))
    look.note(said)
    return Conversation(text_of_content(body.get("system")), said)


def _said(message: Mapping[str, Any]) -> Iterator[Said]:
    content = message.get("content")
    if isinstance(content, str):
        yield Said(message["role"], content)
        return
    for block in content or []:
        if block.get("type") == "text":
            yield Said(message["role"], block["text"])
        elif block.get("type") == "tool_result":
            yield Said("tool", text_of_content(block.get("content")))
