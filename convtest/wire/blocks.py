"""A message's pieces as they are compared and shown: who, what kind, and the words with white space collapsed."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from convtest.structs import Struct
from convtest.wire.canonical import Canonical
from convtest.wire.messages import history_of, once
from convtest.wire.messages_api import text_of_content


class Block(Struct, frozen=True):
    """One piece of a history: who, what kind, and its words with white space collapsed."""

    role: str
    kind: str
    text: str

    def __str__(self) -> str:
        words = self.text if len(self.text) <= 100 else f"{self.text[:99]}…"
        return f"{self.role}{'' if self.kind == 'text' else f' ({self.kind})'}: {words!r}"


def blocks_of(message: Mapping[str, Any]) -> list[Block]:
    """The blocks of one message; thinking is left out, clients may drop it."""
    return once(message, "blocks", _blocks_of)


def _blocks_of(message: Mapping[str, Any]) -> list[Block]:
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


@dataclass(frozen=True, slots=True)
class Sealed:
    """A block that a client can only send back as it is, or leave out: thinking with its signature, a picture."""

    role: str
    kind: str
    words: str
    """Its text, where it is one."""
    keys: frozenset[str]
    """One of them is the other's exactly if the blocks are the same."""
    unsigned: bool
    """Thinking that was cut off: no API asks for it."""
    place: int = field(default=0, compare=False)
    """How many blocks of the history, as they are compared, stand before it."""

    def __str__(self) -> str:
        return str(Block(self.role, self.kind, self.words)) if self.words else f"{self.role} ({self.kind})"


_SEALED = {
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
    "reasoning": ("encrypted_content",),
    "compaction": ("content", "encrypted_content"),
    "image": ("source",),
    "document": ("source",),
    "image_url": ("image_url",),
    "input_image": ("image_url", "file_id"),
    "input_audio": ("input_audio",),
    "file": ("file",),
    "input_file": ("file_data", "file_id", "file_url"),
}
"""By kind of block, in all APIs: what of it has to stay."""
THOUGHT = frozenset({"thinking", "redacted_thinking", "reasoning", "compaction"})
"""Of these, what the model made."""


def sealed_of(messages: Iterable[Mapping[str, Any]]) -> tuple[Sealed, ...]:
    """The sealed blocks of a history, those in tool results too."""
    return history_of(messages).so_far("sealed", _Seen(), _sealed).found


class _Seen(Struct, frozen=True):
    found: tuple[Sealed, ...] = ()
    before: int = 0
    """Blocks, as they are compared."""
    last: str = ""


def _sealed(so_far: _Seen, messages: Iterable[Mapping[str, Any]]) -> _Seen:
    found, before, last = [*so_far.found], so_far.before, so_far.last
    for message in messages:
        role = str(message.get("role"))
        for kinds, seals in once(message, "seals", _seals):
            for kind in kinds:
                says = f"{role} {kind}"
                before += not says == last == "assistant text"  # neighbours of it are merged
                last = says
            found += [Sealed(role, *seal, before) for seal in seals]
    return _Seen(tuple(found), before, last)


_Seal = tuple[str, str, frozenset[str], bool]


def _seals(message: Mapping[str, Any]) -> list[tuple[list[str], list[_Seal]]]:
    """Of each block in a message: the kinds of what it is compared as, and the seals in it."""
    content, role = message.get("content"), message.get("role")
    return [
        (
            [one.kind for one in _blocks_of({"role": role, "content": [block]})],
            [seal for one in _within(block) if (seal := _seal(one)) is not None],
        )
        for block in (content if isinstance(content, list) else [])
    ]


def _within(block: Any) -> list[Any]:
    """The block, or what a tool result holds."""
    if isinstance(block, dict) and block.get("type") == "tool_result" and isinstance(block.get("content"), list):
        return list(block["content"])
    return [block]


def _seal(block: Any) -> _Seal | None:
    """Its kind, words and keys, and whether it is unsigned; None where it is no sealed block."""
    kind = str(block.get("type")) if isinstance(block, dict) else ""
    values = [block[name] for name in _SEALED.get(kind, ()) if block.get(name)]
    if not values:
        return None
    words = collapsed(str(block.get("thinking") or "")) or text_of_content(block.get("content"))
    same = [values, *([other] for other in block.get("also_encrypted_as") or ())]
    keys = frozenset(hashlib.sha256(encoded([kind, one]).encode()).hexdigest() for one in same)
    return kind, words, keys, kind == "thinking" and not block.get("signature")


def merged(blocks: Iterable[Block], before: tuple[Block, ...] = ()) -> tuple[Block, ...]:
    """Neighbouring texts of the assistant as one: clients join them, or do not; `before` is what was merged already."""
    found: list[Block] = [*before[-1:]]
    for block in blocks:
        last = found[-1] if found else None
        if last and last.role == block.role == "assistant" and last.kind == block.kind == "text":
            found[-1] = Block("assistant", "text", collapsed(f"{last.text} {block.text}"))
        else:
            found.append(block)
    return (*before[:-1], *found)


def collapsed(text: str) -> str:
    """Every run of white space as one blank."""
    return " ".join(text.split())


def encoded(value: Any) -> str:
    """JSON, equal for equal values."""
    return msgspec.json.encode(value, order="deterministic").decode()


def request_blocks(sent: Canonical) -> tuple[Block, ...]:
    """The history in a request as blocks; neighbouring texts of the assistant count as one."""
    return history_of(sent.messages).so_far("blocks", (), _merged)


def _merged(before: tuple[Block, ...], messages: list[Any]) -> tuple[Block, ...]:
    return merged((block for message in messages for block in blocks_of(message)), before)
