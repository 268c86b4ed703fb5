"""What honest clients change in what they send back: each habit with the reason for which it was seen.

Interrupt markers, fillers after a resume ("No response requested.") and merged user messages need no entry: after a
turn that was cut short a history binds only up to its prompt, and neighbouring texts count as one.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from convtest.wire.blocks import Block

_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
FILLERS = ("No response requested.",)
"""What Claude Code puts in the place of an answer that never came, when a session is resumed."""


def without_thinking(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """With the assistant's texts bare of what stands between `<think>` and `</think>`, and without those that were
    nothing else: clients of models that think aloud do not send it back."""

    def bare(block: Block) -> Block:
        if block.role != "assistant" or block.kind != "text" or "<think>" not in block.text:
            return block
        return Block(block.role, block.kind, " ".join(without_thoughts(block.text).split()))

    return tuple(block for block in map(bare, blocks) if block.text)


def without_thoughts(text: str) -> str:
    """Without what stands between `<think>` and `</think>`."""
    return _THOUGHT.sub(" ", text)


def is_kept(before: Block, found: Block) -> bool:
    """Whether a block of the history is still there."""
    return before == found or _has_defaults_filled_in(before, found) or _is_laid_out_anew(before, found)


def _is_laid_out_anew(before: Block, found: Block) -> bool:
    """A structured answer that a client keeps as data is written anew when it is sent: nothing in it has changed."""
    if not before.kind == found.kind == "text" or before.role != found.role or before.text[:1] not in {"{", "["}:
        return False
    try:
        return bool(msgspec.json.decode(before.text) == msgspec.json.decode(found.text))
    except msgspec.DecodeError:
        return False


def _has_defaults_filled_in(before: Block, found: Block) -> bool:
    """Claude Code writes a tool's default arguments into the tool use that it keeps (`Edit` gains `replace_all`): the
    arguments that the model gave are all there."""
    if not before.kind == found.kind == "tool_use" or before.role != found.role:
        return False
    (name, given), (other, kept) = _call(before), _call(found)
    return name == other and fits(given, kept)


def fits(given: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    """All arguments that the model gave are there."""
    return all(key in kept and kept[key] == value for key, value in given.items())


def _call(block: Block) -> tuple[str, dict[str, Any]]:
    name, _, arguments = block.text.partition(" ")
    try:
        given = msgspec.json.decode(arguments)
    except msgspec.DecodeError:  # the name is none that an API takes: it holds a space
        return block.text, {}
    return name, given if isinstance(given, dict) else {"": given}
