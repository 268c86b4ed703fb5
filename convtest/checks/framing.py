"""Prompts and what clients put around them: retrieved context, a timestamp, a template."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from convtest.wire.blocks import Block

Place = Literal["none", "before", "after", "around"]


def as_sent(blocks: Iterable[Block], prompt: str) -> str:
    """The last text of the user that holds the prompt, empty if none does."""
    return next((block.text for block in reversed([*blocks]) if _is_users(block) and prompt in block.text), "")


def place_of(text: str, prompt: str) -> Place | None:
    """Where words of the client's stand, None where the prompt is not in the text."""
    before, held, after = text.rpartition(prompt)
    if not held:
        return None
    if not before.strip():
        return "after" if after.strip() else "none"
    return "around" if after.strip() else "before"


def bare(blocks: Iterable[Block], prompt: str, sent: str) -> tuple[Block, ...]:
    """With what the prompt was sent as in its place: a client that stores it bare changes nothing that was said."""
    return tuple(Block("user", "text", prompt) if _is_users(one) and one.text == sent else one for one in blocks)


def unframed(blocks: Iterable[Block], prompt: str) -> tuple[Block, ...]:
    """With the last text before the request's own that holds the prompt as that alone: it was sent bare and is stored
    in a frame. Where it is stored bare for once, that is said in its place."""
    found = list(blocks)
    users = [index for index, block in enumerate(found) if _is_users(block)]
    index = next((one for one in reversed(users[:-1]) if prompt in found[one].text), None)
    if index is not None and prompt:
        is_framed = place_of(found[index].text, prompt) != "none"
        found[index] = Block("user", "text", prompt if is_framed else f"{prompt} (without its frame)")
    return tuple(found)


def found_prompts(prompts: Sequence[tuple[str, str]], blocks: Sequence[Block]) -> list[str]:
    """The prompts, given with what they were sent as, that stand in the user's texts, the request's own last. A text is
    a prompt, or what one was sent as, or holds one at its edge, in a frame; within other words a prompt counts only
    where it is nowhere else: quoted in a context it is no second one."""
    texts = [text for text, _ in prompts]
    forms = {**{sent: text for text, sent in prompts if sent}, **{text: text for text in texts}}
    own = max((i for i, one in enumerate(blocks) if _is_users(one) and texts[-1] in one.text), default=None)
    found: list[tuple[int, int, str]] = []
    unknown: list[tuple[int, str]] = []
    for index, block in enumerate(blocks):
        if not _is_users(block):
            continue
        if index == own:
            at = block.text.rfind(texts[-1])
            found.append((index, at, texts[-1]))
            unknown.append((index, _masked(block.text, at, len(texts[-1]))))
        elif block.text in forms:
            found.append((index, 0, forms[block.text]))
        else:
            unknown.append((index, block.text))
    missing = Counter(texts) - Counter(text for _, _, text in found)
    for index, text in unknown:
        for at, prompt in _held(text, texts):
            at_edge = not text[:at].strip() or not text[at + len(prompt) :].strip()
            if (at_edge and missing[prompt] > 0) or (index != own and (at_edge or missing[prompt] > 0)):
                found.append((index, at, prompt))
                missing[prompt] -= 1
    return [text for _, _, text in sorted(found)]


def _is_users(block: Block) -> bool:
    return block.role == "user" and block.kind == "text"


def _held(text: str, prompts: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The prompts in a text; the longest first, so that "I like tea." within "I like tea. And coffee." is none of its
    own, and whole: "Hi" is not in "Him"."""
    for prompt in sorted({*prompts} - {""}, key=len, reverse=True):
        at = text.find(prompt)
        while at >= 0 and (_goes_on(text[:at], prompt) or _goes_on(prompt, text[at + len(prompt) :])):
            at = text.find(prompt, at + 1)
        if at >= 0:
            yield at, prompt
            text = _masked(text, at, len(prompt))


def _goes_on(before: str, after: str) -> bool:
    """Two letters of one word meet. Languages without blanks have other letters than these."""
    return before[-1:].isascii() and after[:1].isascii() and before[-1:].isalnum() and after[:1].isalnum()


def _masked(text: str, at: int, length: int) -> str:
    return f"{text[:at]}{chr(0) * length}{text[at + length :]}"
