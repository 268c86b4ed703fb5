"""What a request tells the model of the tools that it asked for."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from convtest.structs import Struct
from convtest.transcript import Carried, Transcript, TurnRecord
from convtest.wire.messages import History, history_of
from convtest.wire.messages_api import text_of_content

_NOT_DONE = re.compile(
    r"""\b(?: cancel | interrupt | abort | stopp | skip | den(?:y|ied) | declin | reject | refus | fail | error
    | exception | pending | queued | deferred | in[ ]progress | running | invalid | limit
    | unavailable | unknown | time[ds]?[ -]?out | no[ ]response | not\b | never\b | without\b )
    | n't\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""Words by which a result says that its tool did not run: Chat Completions has no flag for it, and many clients of the
Messages API leave it out."""


class Told(Struct, frozen=True):
    """One tool use in a request, with its result."""

    name: str
    input: Mapping[str, Any]
    text: str
    is_error: bool

    @property
    def is_done(self) -> bool:
        """The model has to take it that the tool has run."""
        return not self.is_error and _NOT_DONE.search(self.text) is None


def told_in(messages: list[dict[str, Any]]) -> list[Told]:
    """The uses that have a result, by their ids; a result that holds no text, such as a document, as its JSON."""
    return history_of(messages).found("told", _told_in)


def uses_tools(messages: list[dict[str, Any]]) -> bool:
    """Whether a tool use or a result stands in them."""
    return bool(history_of(messages).so_far("tool blocks", _NO_BLOCKS, _tool_blocks))


_NO_BLOCKS: tuple[Any, ...] = ()
_KINDS = ("tool_use", "tool_result")


def _tool_blocks(before: tuple[Any, ...], messages: list[dict[str, Any]]) -> tuple[Any, ...]:
    new = [block for one in messages for block in one.get("content") or [] if isinstance(block, dict)]
    return (*before, *(block for block in new if block.get("type") in _KINDS))


def _told_in(messages: History) -> list[Told]:
    blocks = messages.so_far("tool blocks", _NO_BLOCKS, _tool_blocks)
    results = {str(block.get("tool_use_id")): block for block in blocks if block.get("type") == "tool_result"}
    found: list[Told] = []
    for block in blocks:
        result = results.get(str(block.get("id"))) if block.get("type") == "tool_use" else None
        if result is not None:
            content, given = result.get("content"), block.get("input")
            text = text_of_content(content) or (msgspec.json.encode(content).decode() if content else "")
            name, error = str(block.get("name")).rpartition("__")[2], bool(result.get("is_error"))
            found.append(Told(name, given if isinstance(given, dict) else {}, text, error))
    return found


def same_input(sent: Mapping[str, Any], yielded: Mapping[str, Any]) -> bool:
    """A client may fill in arguments that the model left out, on either side."""
    return all(sent[key] == yielded[key] for key in sent.keys() & yielded.keys()) and (
        sent.keys() <= yielded.keys() or yielded.keys() <= sent.keys()
    )


def input_of(carried: Carried) -> dict[str, Any]:
    """What a stand-in was carried out with."""
    found = msgspec.json.decode(carried.arguments)
    return found if isinstance(found, dict) else {}


def came_to(transcript: Transcript, record: TurnRecord, name: str, given: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """What a stand-in answered in the turn, called so: (text, whether it is an error), for each time."""
    return [
        one.answer
        for one in transcript.carried
        if (one.step, one.session, one.name) == (record.step.index, record.session, name)
        and same_input(input_of(one), given)
    ]


def is_part(text: str, whole: str, most: int) -> bool:
    """Of what has no more than `most` characters the beginning or the end is missing; white space does not count."""
    one, other = "".join(text.split()), "".join(whole.split())
    return 0 < len(one) < len(other) <= most and (other.startswith(one) or other.endswith(one))
