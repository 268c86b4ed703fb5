"""How sessions get into each other, and what a client keeps of a turn that was cut short."""

from collections.abc import Callable

from convtest.mutate import moments
from convtest.mutate.mutator import Body, Known, Sends, sending
from convtest.mutate.requests import (
    Messages,
    answers,
    before_this,
    exchanges,
    foreign,
    history,
    last_answer,
    of_a_stranger,
    prompt,
    text,
    this_turn,
    told,
    turn_start,
    turns_of,
)


def _first_of(stranger: Messages) -> Messages:
    return (turns_of(stranger) or [[]])[0]


def _behind_history(given: Messages, more: Messages) -> Messages:
    start = turn_start(given)
    return [*given[:start], *more, *given[start:]]


def _their_prompt(given: Messages, stranger: Messages) -> Messages:
    start = turn_start(given)
    return [*given[:start], *prompt(stranger), *given[start + 1 :]] if prompt(stranger) else given


def _their_answer(given: Messages, stranger: Messages) -> Messages:
    theirs = last_answer(stranger)
    mine = last_answer(given)
    return [theirs[0] if theirs and mine and one is mine[0] else one for one in given]


def _system_of(body: Body, known: Known) -> Body:
    theirs = told(of_a_stranger(known)[:1])
    return {**body, "system": f"{body.get('system', '')} {theirs}".strip()} if theirs else body


def _kin(edit: Callable[[Messages, Messages], Messages], origin: bool) -> Sends:
    """Edits all messages, given what the fork's origin (or the fork) sent last."""

    def sends(body: Body, known: Known) -> Body:
        others = known.others.values()
        kin = [one for one in others if (one.session == known.origin if origin else one.origin == known.session)]
        theirs = before_this(kin[-1]) if kin else []
        return {**body, "messages": edit(body["messages"], theirs)} if theirs else body

    return sends


def _goes_on(given: Messages, theirs: Messages) -> Messages:
    """In the list of the other side, where that is longer."""
    return [*theirs, *given[turn_start(given) :]] if theirs != given else given


def _before_clear(body: Body, known: Known) -> Body:
    """The turns that were cleared come back."""
    cleared = [one for one in known.sent if len(turns_of(one["messages"])) == known.cleared]
    old = cleared[-1]["messages"] if cleared else []
    return {**body, "messages": [*old, *body["messages"]]} if old[:1] != body["messages"][:1] else body


STRANGERS = sending(
    "sessions",
    (
        "begins with a stranger's history",
        "one list for all users",
        moments.second_session,
        foreign(lambda given, theirs: [*theirs, *given]),
    ),
    (
        "begins with a stranger's first message",
        "a default argument that is a list",
        moments.second_session,
        foreign(lambda given, theirs: [*theirs[:1], *given]),
    ),
    (
        "mixes in a stranger's last message",
        "a queue for all users",
        moments.beside_others,
        foreign(lambda given, theirs: _behind_history(given, theirs[-1:])),
    ),
    (
        "mixes in a stranger's first exchange",
        "a cache by the first words",
        moments.beside_others,
        foreign(lambda given, theirs: _behind_history(given, _first_of(theirs))),
    ),
    (
        "sends a stranger's history for its own",
        "the session's id is a global",
        moments.beside_others,
        foreign(lambda given, theirs: [*theirs, *given[turn_start(given) :]]),
    ),
    ("sends a stranger's prompt", "prompts are read from one field", moments.beside_others, foreign(_their_prompt)),
    (
        "puts a stranger's answer for its last one",
        "answers are cached for all users",
        moments.beside_others,
        foreign(_their_answer),
    ),
    ("puts a stranger's words into the system prompt", "a memory for all users", moments.beside_others, _system_of),
    ("goes on in its origin's list", "a fork copies a reference", moments.forked, _kin(_goes_on, origin=True)),
    ("goes on in its fork's list", "a fork copies a reference", moments.forked_from, _kin(_goes_on, origin=False)),
    ("sends what was cleared", "a clear is for the page, not the store", moments.cleared, _before_clear),
)


def _but_last_answer(given: Messages) -> Messages:
    return given[:-1] if given and given[-1]["role"] == "assistant" else given


def _but_last_prompt(given: Messages) -> Messages:
    """The prompt of the last turn is gone, what was answered stays."""
    turns = turns_of(given)
    return [one for turn in turns[:-1] for one in turn] + turns[-1][1:] if turns else given


def _completed(given: Messages) -> Messages:
    found = answers(given)[-1:]
    if not found:
        return given
    more = {**found[0], "content": [*found[0]["content"], {"type": "text", "text": "and so it went on to its end."}]}
    return [more if one is found[0] else one for one in given]


def _shortened(given: Messages) -> Messages:
    found = answers(given)[-1:]
    if not found or len(told(found)) < 3:
        return given
    return [text("assistant", told(found)[:-3]) if one is found[0] else one for one in given]


def _note(given: Messages) -> Messages:
    return [*given, text("user", "[Request interrupted by user]")]


AFTER_INTERRUPT = sending(
    "interrupts",
    (
        "loses what an interrupted turn had said",
        "a cancelled stream is not stored",
        moments.after_interrupt,
        history(_but_last_answer),
    ),
    (
        "loses the prompt of an interrupted turn",
        "a turn is stored when it is over",
        moments.after_interrupt,
        history(_but_last_prompt),
    ),
    (
        "keeps more of an interrupted answer than was yielded",
        "the stream is read ahead",
        moments.after_interrupt,
        history(_completed),
    ),
    (
        "keeps less of an interrupted answer than was yielded",
        "the last piece was on its way",
        moments.after_interrupt,
        history(_shortened),
    ),
    ("adds a note about an interrupt", "a note that is meant for the page", moments.after_interrupt, history(_note)),
    (
        "sends an interrupted turn twice",
        "it is stored by the cancellation and by the end",
        moments.after_interrupt,
        exchanges(lambda given: given + given[-1:]),
    ),
    (
        "keeps an interrupted prompt in front",
        "the interrupted prompt waits in a queue",
        moments.after_interrupt,
        this_turn(lambda given: [text("user", "Stop."), *given]),
    ),
    (
        "loses the prompt of a failed turn",
        "a turn is stored when it is over",
        moments.after_failure,
        history(_but_last_prompt),
    ),
    (
        "loses what a failed turn had said",
        "a broken stream is not stored",
        moments.after_failure,
        history(_but_last_answer),
    ),
    (
        "keeps more of a failed turn than was yielded",
        "the buffer is stored, not what was shown",
        moments.after_failure,
        history(_completed),
    ),
)

SESSIONS = (*STRANGERS, *AFTER_INTERRUPT)
