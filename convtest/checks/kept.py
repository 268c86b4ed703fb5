"""What a history keeps of a turn that was cut short, and what becomes of one that was cleared."""

from collections import Counter
from collections.abc import Iterator

from convtest.checks.cutting import is_early, is_interrupted, is_killed
from convtest.checks.habits import FILLERS
from convtest.checks.histories import Seen, follow
from convtest.checks.result import Finding, at_step
from convtest.checks.threads import is_whole
from convtest.events import ToolUse
from convtest.scenario.model import Scenario
from convtest.structs import Struct
from convtest.transcript import Transcript, TurnRecord
from convtest.wire.blocks import Block, request_blocks
from convtest.wire.canonical import Canonical
from convtest.wire.interaction import Interaction
from convtest.wire.messages_api import text_of_content


class Kept(Struct, frozen=True):
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
    shows_uses = any(record.calls for record in transcript.turns())
    for seen in follow(transcript):
        if not seen.is_first:
            continue
        before = transcript.heard(seen.record)
        if before and _was_cut(before[-1]) and before[-1].wire == "history":
            yield from _kept(seen, before[-1], shows_uses, alone=_left_alone(transcript.scenario, before[-1]))


def _left_alone(scenario: Scenario, cut: TurnRecord) -> bool:
    """Its reader left before its request, in another process: that goes on, and nobody holds the answer back."""
    disturbed, point = cut.turn.disturbances, scenario.point
    timed = point is not None and point.ms is not None and point.turn == cut.turn.index
    early = bool(disturbed) and all(
        one.at == "before_request" and not one.on_the_wire and (timed or one.seconds is not None) for one in disturbed
    )
    return early and not is_interrupted(cut) and not is_killed(cut)


def _was_cut(record: TurnRecord) -> bool:
    return record.end is None or record.end.ended != "complete"


def _kept(seen: Seen, cut: TurnRecord, shows_uses: bool, *, alone: bool) -> Iterator[Finding]:
    kept = kept_of(seen.sent, cut, seen.record.turn.prompt)
    if cut.reader_left:
        yield from _after_reader(seen, cut, kept)
        if kept is not None and cut.policy.abandoned != "finishes" and (is_interrupted(cut) or is_killed(cut)):
            yield from _by_policy(seen, cut, kept)
        return
    if is_killed(cut) and not _is_boundary(seen.record):
        yield from _lost_use(seen, cut, kept)
    if kept is None:
        return
    may_hold = [event.name for event in cut.events if isinstance(event, ToolUse)] if shows_uses else _asked_whole(cut)
    if alone:
        may_hold += [name for one in _unread(cut, seen) for name in _uses_in(one)]
    # More than was yielded is never right; less is the policy's, for interrupts and kills.
    if kept.is_more and not _may_be_missed(cut, seen, kept, alone=alone):
        message = "the history holds text that the session never yielded"
        yield _finding(seen, message, _may_keep(cut), repr(kept.shown))
    elif len(kept.uses) > len(may_hold):
        message = "the history holds a tool use that the session never yielded"
        yield _finding(seen, message, ", ".join(may_hold) or "no tool use", ", ".join(kept.uses))
    elif is_interrupted(cut) or is_killed(cut):
        yield from _by_policy(seen, cut, kept)


def _may_be_missed(cut: TurnRecord, seen: Seen, kept: Kept, *, alone: bool) -> bool:
    """A client that misses what comes before its request, or is left, goes on alone: it holds what the model streamed,
    no more."""
    missed = cut.policy.early_interrupt == "missed" and all(one.at == "before_request" for one in cut.turn.disturbances)
    came = "".join("".join(text_of_content(one.reply().get("content")) for one in _unread(cut, seen)).split())
    return (alone or (missed and bool(cut.turn.disturbances))) and came.startswith(kept.text)


def _unread(cut: TurnRecord, seen: Seen) -> list[Interaction]:
    sent = seen.interaction.before()
    return [one for one in sent if one.number > cut.span[0] and one.lane == cut.session]


def _after_reader(seen: Seen, cut: TurnRecord, kept: Kept | None) -> Iterator[Finding]:
    """The application was left alone with the model's answer: it has read on, and holds all of it, or has stopped."""
    policy, answers = cut.policy.abandoned, cut.main()
    came = "".join("".join(text_of_content(one.reply().get("content")) for one in answers).split())
    whole = bool(answers) and is_whole(answers[-1])
    if policy == "finishes" and (not whole or kept is None or kept.text != came):
        message = (
            "the history does not hold the whole answer that a reader left, and the policy says that it is finished"
        )
        found = "an answer that broke off" if not whole else repr(kept.shown) if kept is not None else "no such turn"
        yield _finding(seen, message, f"abandoned: finishes, {came!r}", found, _ABANDONED)
    elif policy == "stops" and whole and kept is not None and kept.text == came != kept.yielded:
        message = "the history holds the whole answer that a reader left, and the policy says that it stops"
        yield _finding(seen, message, f"abandoned: stops, {_may_keep(cut)}", repr(kept.shown), _ABANDONED)
    elif kept is not None and not came.startswith(kept.text):
        message = "the history holds text that the model never streamed"
        yield _finding(seen, message, f"a beginning of {came!r}, or nothing", repr(kept.shown), _ABANDONED)
    elif kept is not None and len(kept.uses) > len(_asked_whole(cut)):
        expected = ", ".join(_asked_whole(cut)) or "no tool use"
        yield _finding(
            seen, "the history holds a tool use that the model never asked for", expected, ", ".join(kept.uses)
        )


_ABANDONED = (
    "keep of the answer what was read of it; what the application does then is declared: abandoned in its policy"
)


def _is_boundary(record: TurnRecord) -> bool:
    return bool(record.turn.boundary or (record.end is not None and record.end.boundary))


def _asked_whole(cut: TurnRecord) -> list[str]:
    """Names of the tool uses that the model asked for in whole answers: of a client that shows nobody its tools, what
    it has carried out."""
    return [name for one in cut.main() if is_whole(one) for name in _uses_in(one)]


def _uses_in(one: Interaction) -> Iterator[str]:
    for block in one.reply().get("content") or []:
        if block.get("type") == "tool_use":
            yield str(block.get("name"))


def lost_uses(cut: TurnRecord, kept: Kept | None) -> list[str]:
    """Tool uses of the model's that a cut turn yielded and that are not in the next request."""
    asked = Counter(_own_name(name) for one in cut.main() for name in _uses_in(one))
    yielded = Counter(_own_name(call.name) for call in cut.calls) & asked
    return sorted((yielded - Counter(map(_own_name, kept.uses if kept is not None else ()))).elements())


def _own_name(name: str) -> str:
    return name.rpartition("__")[2]


def _lost_use(seen: Seen, cut: TurnRecord, kept: Kept | None) -> Iterator[Finding]:
    policy, lost = seen.record.policy.killed_tool_use, lost_uses(cut, kept)
    if policy == "kept" and lost:
        yield _finding(
            seen,
            f"a tool use that was yielded before the kill is gone from the history: {', '.join(lost)}",
            "the tool use, with a result that says what became of it",
            ", ".join(kept.uses) or "no tool use" if kept is not None else "nothing of the killed turn",
            advice="the model does not know that the tool may have run, and has it run again: write the tool use down "
            'before it is yielded; if it is lost on purpose: killed_tool_use = "dropped"',
        )
    elif policy == "dropped" and kept is not None and kept.uses and cut.calls and not lost:
        message = "a tool use of a killed turn is still there, and the policy says it is dropped"
        yield _finding(seen, message, "killed_tool_use: dropped", ", ".join(kept.uses))


def _may_keep(cut: TurnRecord) -> str:
    return f"a beginning of {cut.text!r}, or nothing" if cut.text.strip() else "nothing of the answer: none was yielded"


def _by_policy(seen: Seen, cut: TurnRecord, kept: Kept) -> Iterator[Finding]:
    policy, killed = seen.record.policy, is_killed(cut)
    prompt, text = (
        (policy.killed_prompt, policy.killed_text) if killed else (policy.interrupted_prompt, policy.partial_text)
    )
    what = "a killed" if killed else "an interrupted"
    whole = "".join("".join(_whole_text(cut)).split())
    if prompt == "dropped" and (killed or not is_early(cut)):
        message = f"the prompt of {what} turn is still there, and the policy says it is dropped"
        choice = "killed_prompt" if killed else "interrupted_prompt"
        yield _finding(seen, message, f"{choice}: dropped", repr(cut.turn.prompt))
    elif text == "yielded" and kept.text != kept.yielded:
        message = f"the history does not hold what {what} turn had yielded"
        yield _finding(seen, message, repr(cut.text), repr(kept.text))
    elif text == "dropped" and kept.text not in {"", whole}:
        message = f"the history holds the text of {what} answer, and the policy says it is dropped"
        choice = "killed_text" if killed else "partial_text"
        yield _finding(seen, message, f"{choice}: dropped", repr(kept.text))


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


def _finding(seen: Seen, message: str, expected: str, found: str, advice: str = "") -> Finding:
    usual = "keep just what the session yielded, or declare what the client does as its policy: convtest probe"
    more = {"expected": expected, "seen": found, "advice": advice or usual, "key": "user"}
    return at_step(seen.record, "kept_text", "wire", message, **more)
