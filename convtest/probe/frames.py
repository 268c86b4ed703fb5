"""What a client changes in words: prompts that it puts in a frame, answers on their way to the user."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from convtest.checks.framing import Place, place_of
from convtest.checks.said import Rung, is_comparable, rung_of
from convtest.transcript import Transcript, TurnRecord
from convtest.wire.blocks import THOUGHT, Sealed, blocks_of, collapsed, sealed_of
from convtest.wire.canonical import Canonical, message_texts
from convtest.wire.interaction import Interaction


def frame_of(transcript: Transcript) -> Literal["as_sent", "bare", "framed"] | None:
    """How the first prompt stands in the second turn's request; None where it is in no frame, or cannot be seen."""
    turns = transcript.turns()
    first, second = (turns[0].sent(), turns[1].sent()) if len(turns) > 1 else (None, None)
    if first is None or second is None:
        return None
    prompt = " ".join(turns[0].turn.prompt.split())
    framed, kept = _holding(first, prompt), _holding(second, prompt)
    if framed is None or kept is None or framed == kept == prompt:
        return None
    if framed == prompt:
        return "framed"
    return "bare" if kept == prompt else "as_sent"


def frame_place(turns: Sequence[TurnRecord]) -> Place | None:
    """Where the words stand that a client puts around every prompt; None for one that does not, or not always in one
    place."""
    places = set()
    for turn in turns:
        if main := turn.main():
            text = collapsed(" ".join(message_texts(main[0].canonical.messages[-1])))
            places.add(place_of(text, collapsed(turn.turn.prompt)))
    (place,) = places if len(places) == 1 else (None,)
    return place if place != "none" else None


def _holding(sent: Canonical, prompt: str) -> str | None:
    """The user's text that holds the prompt."""
    texts = (block.text for message in sent.messages for block in blocks_of(message) if block.role == "user")
    return next((text for text in texts if prompt in text), None)


def said_by(turns: Sequence[TurnRecord]) -> Rung | None:
    """The strictest rung that what these turns yielded fits; None where nothing can be compared."""
    comparable = [turn for turn in turns if is_comparable(turn)]
    return rung_of(comparable) if comparable else None


def thinking_of(transcript: Transcript) -> Literal["without_thinking"] | None:
    """Whether an answer that thinks aloud is sent back without its thoughts; None where nothing shows it."""
    turns = transcript.turns()
    position = next((i for i, turn in enumerate(turns) if "<think>" in str(turn.turn.simulate)), None)
    after = turns[position + 1].sent() if position is not None and len(turns) > position + 1 else None
    if after is None:
        return None
    said = [text for one in after.messages if one.get("role") == "assistant" for text in message_texts(one)]
    is_kept, has_thoughts = any("42" in text for text in said), any("<think>" in text for text in said)
    return "without_thinking" if is_kept and not has_thoughts else None


def sealed_by(transcript: Transcript) -> Literal["kept", "either"] | None:
    """Whether the model's thinking is sent back; None where none was sent, or no request came after it."""
    for turn in transcript.turns():
        main = turn.main()
        for one, after in pairwise(main):
            thought = [seal for seal in _answered(one) if seal.kind in THOUGHT]
            if thought:
                there = {key for seal in sealed_of(after.canonical.messages) for key in seal.keys}
                return "kept" if all(seal.keys & there for seal in thought) else "either"
    return None


def _answered(one: Interaction) -> tuple[Sealed, ...]:
    return sealed_of([{"role": "assistant", "content": one.reply().get("content") or []}])
