"""What a history keeps of a turn that was cut short, and what becomes of one that was cleared."""

from collections.abc import Iterator
from dataclasses import dataclass

from convtest.checks.habits import FILLERS
from convtest.checks.histories import Seen, follow
from convtest.checks.result import Finding, at_step
from convtest.events import ToolUse
from convtest.transcript import Transcript, TurnRecord
from convtest.wire.blocks import Block, request_blocks
from convtest.wire.canonical import Canonical
from convtest.wire.messages_api import text_of_content


@dataclass(frozen=True, slots=True)
class Kept:
    """What the next request holds of a turn that was cut short; texts without white space."""

    text: str
    yielded: str
    uses: tuple[str, ...]
    """Names of its tool uses."""
    shown: str
    """The text as it stands there."""

    @property
    def is_more(self) -> bool:
        return not self.yielded.startswith(self.text)


def kept_of(sent: Canonical, cut: TurnRecord, current: str) -> Kept | None:
    """What stands between the prompt of the cut turn and the current one; None where that prompt is gone."""
    blocks = _between(request_blocks(sent), cut.turn.prompt, current)
    if blocks is None:
        return None
    # Compared without white space: clients trim, and join what came in pieces.
    said = [block.text for block in blocks if block.role == "assistant" and block.kind == "text"]
    uses = tuple(block.text.partition(" ")[0] for block in blocks if block.kind == "tool_use")
    shown = " ".join(_without_fillers(said)).strip()
    return Kept("".join(shown.split()), "".join(cut.text.split()), uses, shown)


def kept_text(transcript: Transcript) -> Iterator[Finding]:
    """After a turn that was cut short, the history holds no more of its answer than the session yielded, and what the
    client's policy says of it."""
    for seen in follow(transcript):
        if not seen.is_first:
            continue
        before = transcript.heard(seen.record)
        if before and _was_cut(before[-1]) and before[-1].wire == "history":
            yield from _kept(seen, before[-1])


def _was_cut(record: TurnRecord) -> bool:
    return record.end is None or record.end.ended != "complete"


def _kept(seen: Seen, cut: TurnRecord) -> Iterator[Finding]:
    kept = kept_of(seen.sent, cut, seen.record.turn.prompt)
    if kept is None:
        return
    asked = [event.name for event in cut.events if isinstance(event, ToolUse)]
    # More than was yielded is never right; less is the policy's, and only an interrupt has one.
    if kept.is_more:
        message = "the history holds text that the session never yielded"
        yield _finding(seen, message, _may_keep(cut), repr(kept.shown))
    elif len(kept.uses) > len(asked):
        message = "the history holds a tool use that the session never yielded"
        yield _finding(seen, message, ", ".join(asked) or "no tool use", ", ".join(kept.uses))
    elif {one.do for one in cut.turn.disturbances} == {"interrupt"}:
        yield from _by_policy(seen, cut, kept.text, kept.yielded)


def _may_keep(cut: TurnRecord) -> str:
    return f"a beginning of {cut.text!r}, or nothing" if cut.text.strip() else "nothing of the answer: none was yielded"


def _by_policy(seen: Seen, cut: TurnRecord, kept: str, yielded: str) -> Iterator[Finding]:
    policy = seen.record.policy
    whole = "".join("".join(_whole_text(cut)).split())
    if policy.interrupted_prompt == "dropped":
        message = "the prompt of an interrupted turn is still there, and the policy says it is dropped"
        yield _finding(seen, message, "interrupted_prompt: dropped", repr(cut.turn.prompt))
    elif policy.partial_text == "yielded" and kept != yielded:
        message = "the history does not hold what an interrupted turn had yielded"
        yield _finding(seen, message, repr(cut.text), repr(kept))
    elif policy.partial_text == "dropped" and kept not in {"", whole}:
        message = "the history holds the text of an interrupted answer, and the policy says it is dropped"
        yield _finding(seen, message, "partial_text: dropped", repr(kept))


def _whole_text(cut: TurnRecord) -> Iterator[str]:
    for one in cut.main():
        if one.ended == "complete":
            yield text_of_content(one.reply().get("content"))


def _between(blocks: tuple[Block, ...], cut: str, current: str) -> list[Block] | None:
    """What stands between two prompts; None where the first is gone."""
    wanted, now = " ".join(cut.split()), " ".join(current.split())
    users = [i for i, block in enumerate(blocks) if block.role == "user" and block.kind == "text"]
    # From the end: the same words may have been said before, and the last time is meant.
    last = next((i for i in reversed(users) if now in blocks[i].text), len(blocks))
    first = next((i for i in reversed(users) if i < last and wanted in blocks[i].text), None)
    return None if first is None else list(blocks[first + 1 : last])


def _without_fillers(texts: list[str]) -> Iterator[str]:
    for text in texts:
        for filler in FILLERS:
            text = text.replace(filler, "")
        yield text


def _finding(seen: Seen, message: str, expected: str, found: str) -> Finding:
    advice = "keep just what the session yielded, or declare what the client does as its policy: convtest probe"
    return at_step(seen.record, "kept_text", "wire", message, expected=expected, seen=found, advice=advice, key="user")
