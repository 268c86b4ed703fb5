"""What a client does to the turn's prompt on its way out."""

from convtest.mutate import moments
from convtest.mutate.moments import later
from convtest.mutate.mutator import Body, Known, always, sending
from convtest.mutate.requests import (
    Messages,
    before_this,
    halved,
    mangled,
    other_names,
    other_numbers,
    prompt,
    squeezed,
    text,
    this_turn,
    turn_start,
    without_first_word,
    without_last_word,
    words,
)


def _last_one(body: Body, known: Known) -> Body:
    """The prompt of the turn before in place of this one's."""
    given, before = body["messages"], before_this(known)
    return {**body, "messages": [*given[: turn_start(given)], *prompt(before), *given[turn_start(given) + 1 :]]}


def _doubled(given: Messages) -> Messages:
    return [*given[:1], *given]


def _as_answer(given: Messages) -> Messages:
    return [{**given[0], "role": "assistant"}, *given[1:]] if given else given


def _escaped(said: str) -> str:
    return said.replace("'", "&#39;").replace(".", "&#46;").replace("?", "&#63;")


PROMPTS = sending(
    "prompt",
    (
        "loses the prompt's first word",
        "a command's prefix is cut off where there is none",
        always,
        words(prompt, without_first_word),
    ),
    (
        "loses the prompt's last word",
        "the last key is read after the prompt was sent",
        always,
        words(prompt, without_last_word),
    ),
    ("halves the prompt", "a field that is too short for what the user types", always, words(prompt, halved)),
    (
        "halves the prompt in later turns",
        "the limit of the whole is shared between turns",
        later,
        words(prompt, halved),
    ),
    ("lowers the prompt", "prompts are laid out for a search index", always, words(prompt, str.lower)),
    ("changes numbers in the prompt", "numbers are masked as personal data", always, words(prompt, other_numbers)),
    ("changes names in the prompt", "names are masked as personal data", always, words(prompt, other_names)),
    ("mangles letters of the prompt", "UTF-8 is read as Latin-1", always, words(prompt, mangled)),
    ("escapes the prompt", "a prompt is escaped for a page", always, words(prompt, _escaped)),
    ("changes white space in the prompt", "a prompt is laid out for display", always, words(prompt, squeezed)),
    ("adds a line break to the prompt", "the line that was read keeps its end", always, words(prompt, "{}\n".format)),
    (
        "adds an instruction to the prompt",
        "an instruction is put behind a prompt, not stored",
        always,
        words(prompt, "{} Be brief.".format),
    ),
    (
        "puts a frame around the prompt",
        "what was retrieved is put around it, not stored",
        later,
        words(prompt, "Context: none.\n\n{}".format),
    ),
    ("says the prompt twice", "the prompt is put into a template that has it", always, words(prompt, "{0} {0}".format)),
    ("sends the prompt twice", "stored by the page and by the server", always, this_turn(_doubled)),
    (
        "sends the prompt twice after an interrupt",
        "an interrupted prompt is put back",
        moments.after_interrupt,
        this_turn(_doubled),
    ),
    ("sends the prompt twice on another try", "each try adds the prompt", moments.on_another_try, this_turn(_doubled)),
    ("sends the prompt of the turn before", "two fast prompts: the field is read late", later, _last_one),
    ("sends a blank prompt", "the field is emptied before it is read", always, words(prompt, lambda said: " ")),
    ("sends the prompt as the assistant's", "the role is taken from the message before", always, this_turn(_as_answer)),
    (
        "adds a reminder behind the prompt",
        "an empty note is sent as the user's",
        always,
        this_turn(lambda given: [*given[:1], text("user", "Remember the rules."), *given[1:]]),
    ),
)
