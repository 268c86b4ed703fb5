"""What was said before a session was cleared does not come back, from either side."""

from convtest.checks.cutting import SENTENCE
from convtest.checks.histories import Seen
from convtest.wire.blocks import Block, collapsed


def come_back(seen: Seen, found: tuple[Block, ...]) -> str | None:
    """A prompt or an answer of before the clear that nobody has said since."""
    if not seen.before.gone:
        return None
    since = {collapsed(prompt.text) for prompt in seen.before.prompts} | set(seen.before.said)
    gone = {collapsed(text) for text in seen.before.gone} - since - {""}
    now = collapsed(seen.record.turn.prompt)
    for block in found:
        if block.kind != "text" or block.text in since or now in block.text:
            continue
        if block.text in gone or any(len(text) >= SENTENCE and text in block.text for text in gone):
            return block.text
    return None
