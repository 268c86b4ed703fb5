"""What the simulator answers: for the scenario's facts the latest value that the request holds; else everyday talk."""

import re
from collections.abc import Sequence

from convtest.simulator.conversation import Conversation
from convtest.simulator.everyday import everyday
from convtest.simulator.memory import SUMMARY, is_summary_asked, recalled, ruled, summarised
from convtest.structs import Struct
from convtest.textmatch import contains_value, folded

UNKNOWN = "I do not know that; you have not told me."


class Slot(Struct, frozen=True):
    """A fact of the scenario: its question, and (words that tell it, answer) oldest first."""

    ask: str
    versions: tuple[tuple[str, str], ...]


def answer(conversation: Conversation, slots: Sequence[Slot]) -> str:
    """The text that the simulator says; it depends on the conversation alone."""
    return ruled(conversation, _answer(conversation, slots))


def _answer(conversation: Conversation, slots: Sequence[Slot]) -> str:
    if conversation.answers_tools:
        return "The tool answered: " + "; ".join(_flat(text) for text in conversation.tool_results) + "."
    prompt = folded(conversation.prompt)
    asked = [slot for slot in slots if folded(slot.ask) in prompt]
    if asked:
        values = [value for slot in asked if (value := _latest(conversation, slot)) is not None]
        return f"You told me: {values[0]}." if values else UNKNOWN
    if is_summary_asked(conversation) and (told := _told(conversation, slots)):
        return f"{SUMMARY} {told}"
    return (
        recalled(conversation)
        or everyday(conversation)
        or recalled(conversation, at_last=True)
        or (UNKNOWN if conversation.prompt.rstrip().endswith("?") else _noted(conversation))
    )


def _told(conversation: Conversation, slots: Sequence[Slot]) -> str:
    """All that holds now of what stands before the prompt, in the words that tell it."""
    found = [(_latest(conversation, slot), slot) for slot in slots]
    facts = [tell for value, slot in found for tell, answer in slot.versions if value is not None and answer == value]
    return " ".join(filter(None, [*facts, summarised(conversation)]))


def _latest(conversation: Conversation, slot: Slot) -> str | None:
    """The value told last: by its own words first, else wherever a value stands."""
    # What stands around the question counts too: clients put what they know into the prompt itself.
    around = folded(conversation.prompt).replace(folded(slot.ask), " ")
    texts = [conversation.system, *(one.text for one in conversation.before()), around]
    for text in reversed(texts):
        for tell, value in reversed(slot.versions):
            if folded(tell) in folded(text) and contains_value(text, value):
                return value
    for text in reversed(texts):
        for _, value in reversed(slot.versions):
            if contains_value(text, value):
                return value
    return None


def _flat(text: str) -> str:
    return re.sub(r"[{}\"\[\]]", "", text).replace(":", " is ").replace("  ", " ").strip()


def _noted(conversation: Conversation) -> str:
    words = conversation.prompt.split()
    return f"Noted: {' '.join(words[:6])}{' …' if len(words) > 6 else ''}"
