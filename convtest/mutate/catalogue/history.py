"""What a client loses, moves, doubles or alters of what was said before."""

from convtest.mutate import moments
from convtest.mutate.moments import later
from convtest.mutate.mutator import Body, Known, Sends, When, sending
from convtest.mutate.requests import (
    Messages,
    answers,
    before_this,
    exchanges,
    first_answer,
    first_prompt,
    halved,
    history,
    is_prompt,
    last_answer,
    messages,
    other_names,
    other_numbers,
    prompts_before,
    squeezed,
    text,
    told,
    turn_start,
    without_first_word,
    without_last_word,
    words,
)

WHOLE: tuple[tuple[str, str, When], ...] = (
    ("in later turns", "each request is made from the prompt alone", later),
    ("after a resume", "the stored session is opened and its messages are not read", moments.resumed),
    ("just after a resume", "the messages are read after the first request has gone out", moments.just_resumed),
    ("in a fork", "a fork has its origin's settings and none of its messages", moments.forked),
    ("after an interrupt", "the cancelled task takes the list of messages with it", moments.after_interrupt),
    ("after a failed turn", "the error handler begins a new conversation", moments.after_failure),
    ("that was loaded", "load_history stores what it is given where nobody looks", moments.restored),
    ("on another try", "the request is built anew for a retry, without what came before", moments.on_another_try),
)
LAST: tuple[tuple[str, str, When], ...] = (
    ("in later turns", "the exchange is stored after the next request was built", later),
    ("after a resume", "the session was saved before its last turn was over", moments.resumed),
    ("just after a resume", "an older state is opened, then overwritten by the newer one", moments.just_resumed),
    ("in a fork", "the fork is taken one turn too early", moments.forked),
    ("after an interrupt", "an interrupt rolls back the whole turn", moments.after_interrupt),
    ("after a failed turn", "an error rolls back the turn before", moments.after_failure),
    ("that was loaded", "the last turn is taken for the one to come", moments.restored),
)
FIRST: tuple[tuple[str, str, When], ...] = (
    ("in later turns", "the window is cut by tokens, without a word", later),
    ("after a resume", "the first message is taken for the session's header", moments.resumed),
    ("in a fork", "the fork begins after its origin's first turn", moments.forked),
    ("that was loaded", "the first message is taken for a system prompt", moments.restored),
)


def _late(body: Body, known: Known) -> Body:
    """The history as it stood a request ago, with the prompt of now."""
    start, given = turn_start(before_this(known)), body["messages"]
    return {**body, "messages": [*before_this(known)[:start], *given[turn_start(given) :]]}


def _without(kept: Sends, rows: tuple[tuple[str, str, When], ...], what: str) -> list[tuple[str, str, When, Sends]]:
    return [(f"{what} {at}", bug, when, kept) for at, bug, when in rows]


LOST = sending(
    "history",
    *_without(history(lambda given: []), WHOLE, "loses the history"),
    *_without(exchanges(lambda given: given[:-1]), LAST, "loses the last exchange"),
    *_without(exchanges(lambda given: given[1:]), FIRST, "loses the first exchange"),
    ("loses the first message", "a list is popped from the wrong end", later, history(lambda given: given[1:])),
    ("loses the last answer", "an answer is stored when the next one comes", later, history(lambda given: given[:-1])),
    (
        "loses all answers",
        "only what the user says is stored",
        later,
        history(lambda given: [one for one in given if one["role"] != "assistant"]),
    ),
    (
        "loses all earlier prompts",
        "only what the model says is stored",
        later,
        history(lambda given: [one for one in given if not is_prompt(one)]),
    ),
    (
        "loses a middle exchange",
        "two writers of one store: the later one wins",
        moments.last_of_three,
        exchanges(lambda given: [*given[:1], *given[2:]] if len(given) > 2 else given),
    ),
    (
        "keeps the last exchange alone",
        "a window of two messages that nobody declared",
        moments.last_of_three,
        exchanges(lambda given: given[-1:]),
    ),
    ("loses every second message", "an iterator is advanced twice", later, history(lambda given: given[::2])),
    ("sends the history of a request ago", "the list is copied before the answer is added to it", later, _late),
)

GREETING = [text("user", "Hello."), text("assistant", "Hello! How can I help you today?")]


def _roles(given: Messages) -> Messages:
    other = {"user": "assistant", "assistant": "user"}
    return [{**one, "role": other[one["role"]]} for one in given]


MOVED = sending(
    "history",
    (
        "swaps the first two exchanges",
        "messages are sorted by a clock that was set back",
        moments.last_of_three,
        exchanges(lambda given: [*given[1:2], *given[:1], *given[2:]]),
    ),
    ("reverses the history", "newest first, as the database gives it", later, history(lambda given: given[::-1])),
    (
        "puts an answer before its prompt",
        "an answer is stored when it begins, its prompt when the turn ends",
        later,
        exchanges(lambda given: [*given[:-1], given[-1][::-1]] if given else given),
    ),
    (
        "moves the prompt to the front",
        "messages are sorted by who spoke",
        later,
        messages(lambda given: [*given[turn_start(given) :], *given[: turn_start(given)]]),
    ),
    ("swaps the roles of the history", "a flag for who spoke is read the wrong way round", later, history(_roles)),
    (
        "tells answers as the user's",
        "the role is lost in the store and read as its default",
        later,
        history(lambda given: [{**one, "role": "user"} for one in given]),
    ),
    (
        "flattens the history into the prompt",
        "a chat template is laid over an API that takes messages",
        later,
        messages(lambda given: [text("user", told(given))] if turn_start(given) else given),
    ),
    (
        "sends a summary for the history",
        "a compaction that nobody asked for",
        later,
        history(lambda given: [text("user", "Summary: " + halved(told(given))), text("assistant", "I see.")]),
    ),
    (
        "sends the first exchange twice",
        "a page of the store is read twice",
        later,
        exchanges(lambda given: given[:1] + given),
    ),
    (
        "sends the last answer twice",
        "it is stored by the stream, and at its end",
        later,
        history(lambda given: given + given[-1:]),
    ),
    ("sends the history twice", "the store is loaded into a list that has it", later, history(lambda given: given * 2)),
    (
        "adds a greeting to the history",
        "a greeting is put before the prompt in every turn",
        later,
        history(lambda given: given + GREETING),
    ),
)

ALTERED = sending(
    "history",
    ("halves the last answer", "a column of the database is too short", later, words(last_answer, halved)),
    ("loses an answer's last word", "a stream's last piece is not stored", later, words(answers, without_last_word)),
    (
        "loses an answer's first word",
        "a stream's first piece is not stored",
        later,
        words(first_answer, without_first_word),
    ),
    ("changes numbers in answers", "numbers are masked as personal data", later, words(answers, other_numbers)),
    ("changes names in answers", "names are masked as personal data", later, words(answers, other_names)),
    (
        "changes numbers in earlier prompts",
        "numbers are masked after a turn",
        later,
        words(prompts_before, other_numbers),
    ),
    ("changes names in earlier prompts", "names are masked after a turn", later, words(prompts_before, other_names)),
    ("truncates the first prompt", "old prompts are shortened to save tokens", later, words(first_prompt, halved)),
    (
        "lowers the first prompt",
        "prompts are laid out for a search index, and sent",
        later,
        words(first_prompt, str.lower),
    ),
    (
        "stamps earlier prompts",
        "a time is put before what is stored",
        later,
        words(prompts_before, "[10:02] {}".format),
    ),
    ("changes white space in answers", "answers are laid out for display, and sent", later, words(answers, squeezed)),
    (
        "changes white space in earlier prompts",
        "prompts are laid out for display",
        later,
        words(prompts_before, squeezed),
    ),
    (
        "adds a note to the last answer",
        "what the user thought of an answer is stored in it",
        later,
        words(last_answer, "{} (rated 5 of 5)".format),
    ),
    (
        "sends another answer for the last one",
        "answers are cached by a key that is too short",
        later,
        words(last_answer, lambda given: "I will remember that."),
    ),
)

HISTORY = (*LOST, *MOVED, *ALTERED)
