"""Requests whose session nobody knows, because an application is not told its name: the prompt tells the turn."""

from convtest.checks.threads import ends_in_prompt
from convtest.transcript import Transcript, TurnRecord
from convtest.wire.blocks import collapsed, request_blocks
from convtest.wire.canonical import Canonical
from convtest.wire.interaction import Interaction


def adopt(transcript: Transcript) -> None:
    """Give each of them to the turn that was in progress and whose prompt it ends in, or whose tools it answers; of
    several to the one whose session has said what stands in it. What still cannot be told stays nobody's."""
    for one in transcript.interactions:
        if one.lane is None and one.canonical.messages and not one.adopted:
            turn = _turn_of(transcript, one)
            if turn is not None:
                one.adopted = True
                turn.interactions.append(one)
                turn.interactions.sort(key=lambda other: other.number)


def nobodys(transcript: Transcript) -> list[Interaction]:
    """The requests whose session still cannot be told."""
    return [one for one in transcript.interactions if one.lane is None and not one.adopted and one.canonical.messages]


def is_blind(transcript: Transcript) -> bool:
    """Whether these are more than an occasional one: more than one, and more than a tenth of all."""
    unknown = len(nobodys(transcript))
    return unknown > 1 and unknown * 10 > sum(bool(one.canonical.messages) for one in transcript.interactions)


def _turn_of(transcript: Transcript, one: Interaction) -> TurnRecord | None:
    running = [turn for turn in transcript.turns() if turn.wire == "history" and _ran(turn, one.number)]
    asked = [turn for turn in running if _belongs(one.canonical, turn)]
    if len(asked) < 2:
        return asked[0] if asked else None
    known = sorted(((_heard(transcript, turn, one.canonical), turn) for turn in asked), key=lambda pair: -pair[0])
    return known[0][1] if known[0][0] > known[1][0] else None


def _ran(turn: TurnRecord, number: int) -> bool:
    first, last = turn.span
    return first < number <= last


def _belongs(sent: Canonical, turn: TurnRecord) -> bool:
    blocks, prompt = request_blocks(sent), collapsed(turn.turn.prompt)
    answers_tools = bool(blocks) and blocks[-1].kind == "tool_result"
    holds = any(block.role == "user" and prompt in block.text for block in blocks)
    return ends_in_prompt(sent, turn.turn.prompt) or (answers_tools and holds)


def _heard(transcript: Transcript, turn: TurnRecord, sent: Canonical) -> int:
    """How many of the prompts that the turn's session has heard stand in the request."""
    texts = [block.text for block in request_blocks(sent) if block.role == "user"]
    prompts = {collapsed(one.turn.prompt) for one in transcript.heard(turn)}
    return sum(any(prompt in text for text in texts) for prompt in prompts)
