"""A message's pieces as they are compared and shown: who, what kind, and the words with white space collapsed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from convtest.wire.canonical import Canonical
from convtest.wire.messages_api import text_of_content


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a history: who, what kind, and its words with white space collapsed."""

    role: str
    kind: str
    text: str

    def __str__(self) -> str:
        words = self.text if len(self.text) <= 100 else f"{self.text[:99]}…"
        return f"{self.role}{'' if self.kind == 'text' else f' ({self.kind})'}: {words!r}"


def blocks_of(message: Mapping[str, Any]) -> list[Block]:
    """The blocks of one message; thinking is left out, clients may drop it."""
    role, content = str(message.get("role")), message.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    found: list[Block] = []
    for block in blocks:
        kind = block.get("type", "text") if isinstance(block, dict) else ""
        if kind == "text" and str(block.get("text", "")).strip():
            found.append(Block(role, "text", collapsed(block["text"])))
        elif kind == "tool_use":
            found.append(Block(role, kind, f"{block.get('name')} {encoded(block.get('input') or {})}"))
        elif kind == "tool_result":
            found.append(Block(role, kind, collapsed(text_of_content(block.get("content")))))
    return found


def merged(blocks: list[Block]) -> tuple[Block, ...]:
    """Neighbouring texts of the assistant as one: clients join them, or do not."""
    found: list[Block] = []
    for block in blocks:
        last = found[-1] if found else None
        if last and last.role == block.role == "assistant" and last.kind == block.kind == "text":
            found[-1] = Block("assistant", "text", collapsed(f"{last.text} {block.text}"))
        else:
            found.append(block)
    return tuple(found)


def collapsed(text: str) -> str:
    """Every run of white space as one blank."""
    return " ".join(text.split())


def encoded(value: Any) -> str:
    """JSON, equal for equal values."""
    return msgspec.json.encode(value, order="deterministic").decode()


@lru_cache(maxsize=1024)
def request_blocks(sent: Canonical) -> tuple[Block, ...]:
    """The history in a request as blocks; neighbouring texts of the assistant count as one."""
    return merged([block for message in sent.messages for block in blocks_of(message)])
