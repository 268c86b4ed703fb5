"""What a client does to what the model streams before it yields it."""

from dataclasses import replace

from convtest.events import Event, TextDelta, ToolUse, TurnEnd, Usage, text_of
from convtest.mutate import moments
from convtest.mutate.moments import later
from convtest.mutate.mutator import Reading, Yields, always, yielding
from convtest.mutate.requests import halved, mangled, other_numbers
from convtest.mutate.yields import (
    answered,
    as_text,
    as_thinking,
    before_the_end,
    ended,
    held_to_the_end,
    lost,
    number_of,
    over_after,
    result,
    said_before,
    said_by_a_stranger,
    text,
    twice,
    use,
)


def _swapped(event: Event, reading: Reading) -> list[Event]:
    """The second piece of text comes before the first."""
    if isinstance(event, TextDelta) and number_of(reading) == 0:
        reading.held.append(event)
        return []
    held, reading.held[:] = list(reading.held), []
    return [event, *held] if isinstance(event, TextDelta) else [*held, event]


def _last_lost(events: list[Event]) -> list[Event]:
    return events[:-1]


def _whole_again(reading: Reading) -> list[Event]:
    said = text_of(reading.honest)
    return [TextDelta(text=said)] if said else []


def _final_lost(event: Event, reading: Reading) -> list[Event]:
    """Text after a tool's result is lost."""
    ran = any(not isinstance(one, TextDelta | TurnEnd) for one in reading.honest)
    return [] if isinstance(event, TextDelta) and ran else [event]


def _early_lost(event: Event, reading: Reading) -> list[Event]:
    """Text before a tool use is lost, found when the tool use comes."""
    if isinstance(event, TextDelta):
        reading.held.append(event)
        return []
    held, reading.held[:] = list(reading.held), []
    return [event] if isinstance(event, ToolUse) else [*held, event]


TEXT = yielding(
    "yielded",
    ("loses every second piece of text", "two readers of one stream", always, lost("text", lambda n: n % 2 == 1)),
    (
        "loses the first piece of text",
        "the first event is read to learn the kind",
        always,
        lost("text", lambda n: n == 0),
    ),
    ("loses the second piece of text", "a buffer is emptied before it is read", always, lost("text", lambda n: n == 1)),
    (
        "loses the last piece of text",
        "the buffer is not emptied at the end",
        always,
        held_to_the_end("text", _last_lost),
    ),
    ("loses all text", "text is looked for under another key", always, lost("text")),
    ("loses all text in later turns", "the reader is bound to the first turn", later, lost("text")),
    (
        "loses all text after an interrupt",
        "the interrupt's flag is not taken back",
        moments.after_interrupt,
        lost("text"),
    ),
    ("halves each piece of text", "bytes are counted, letters are cut", always, text(halved)),
    ("says each piece of text twice", "two listeners", always, twice("text")),
    (
        "says the first piece of text twice",
        "the piece that was read ahead is put back, and yielded",
        always,
        lambda event, reading: (event, event) if isinstance(event, TextDelta) and number_of(reading) == 0 else (event,),
    ),
    ("says the whole text again at the end", "the final message is yielded too", always, before_the_end(_whole_again)),
    ("says the second piece of text first", "pieces are yielded by tasks", always, _swapped),
    ("changes numbers in the text", "numbers are masked as personal data", always, text(other_numbers)),
    ("changes capitals in the text", "the text is laid out for display", always, text(str.upper)),
    ("mangles letters of the text", "UTF-8 is read as Latin-1", always, text(mangled)),
    ("strips each piece of text", "pieces are stripped one by one", always, text(str.strip)),
    (
        "escapes the text",
        "the text is escaped for a page",
        always,
        text(lambda said: said.replace(".", "&#46;").replace("'", "&#39;")),
    ),
    (
        "adds words to the text",
        "a disclaimer is put behind each answer",
        always,
        before_the_end(lambda reading: [TextDelta(text=" Anything else?")]),
    ),
    ("says what it said in the turn before", "answers are cached by the session", later, answered(said_before)),
    (
        "says what another session was told",
        "answers are cached for all users",
        moments.beside_others,
        answered(said_by_a_stranger),
    ),
    ("loses the text after tools", "the loop ends with the tools", always, _final_lost),
    ("loses the text before tools", "the text of a round with tools is thrown away", always, _early_lost),
    ("yields thinking as text", "all kinds of pieces are one", always, lambda event, reading: as_text(event)),
    ("yields text as thinking", "a flag that is not taken back", always, lambda event, reading: as_thinking(event)),
    (
        "loses half of the thinking",
        "pieces of thinking overtake each other",
        always,
        lost("thinking", lambda n: n % 2 == 1),
    ),
    ("says thinking twice", "two listeners", always, twice("thinking")),
)

TOOL_EVENTS = yielding(
    "yielded",
    (
        "loses a tool use",
        "the second of two tool uses overwrites the first",
        always,
        lost("tool_use", lambda n: n == 0),
    ),
    ("loses the second tool use", "a turn has one tool use", always, lost("tool_use", lambda n: n == 1)),
    ("yields tool uses twice", "when it begins, and when it is whole", always, twice("tool_use")),
    ("loses the input of a tool use", "yielded when it begins", always, use(lambda one: replace(one, input={}))),
    (
        "changes the input of a tool use",
        "numbers go through texts",
        always,
        use(lambda one: replace(one, input={key: str(value) + "0" for key, value in one.input.items()})),
    ),
    (
        "yields another tool's name",
        "a prefix is put before it",
        always,
        use(lambda one: replace(one, name="x_" + one.name)),
    ),
    ("loses a tool's result", "results are for the model alone", always, lost("tool_result", lambda n: n == 0)),
    ("yields results twice", "by the tool and by the loop", always, twice("tool_result")),
    (
        "changes a tool's result",
        "results are laid out for display",
        always,
        result(lambda one: replace(one, text=one.text[::-1])),
    ),
    (
        "halves a tool's result",
        "results are cut for display",
        always,
        result(lambda one: replace(one, text=halved(one.text))),
    ),
    (
        "shows errors as successes",
        "the flag is not passed on",
        always,
        result(lambda one: replace(one, is_error=False)),
    ),
    (
        "shows successes as errors",
        "any text with a brace is an error",
        always,
        result(lambda one: replace(one, is_error=True)),
    ),
    (
        "yields a tool use that nobody asked for",
        "a tool of the last turn is shown again",
        always,
        before_the_end(lambda reading: [ToolUse(id="toolu_x", name="send_money", input={})]),
    ),
)


def _double_end(event: Event, reading: Reading) -> tuple[Event, ...]:
    return (event, event) if isinstance(event, TurnEnd) else (event,)


def _late_text(event: Event, reading: Reading) -> tuple[Event, ...]:
    return (event, TextDelta(text="and one more thing")) if isinstance(event, TurnEnd) else (event,)


def _counted(factor: int) -> Yields:
    """The tokens of the turn, so many times."""

    def yields(event: Event, reading: Reading) -> tuple[Event, ...]:
        if not isinstance(event, TurnEnd):
            return (event,)
        used = event.usage
        more = Usage(input_tokens=used.input_tokens * factor, output_tokens=used.output_tokens * factor)
        return (replace(event, usage=more),)

    return yields


ENDS = (
    *yielding(
        "ends",
        ("counts tokens twice", "counts of the stream and of its end are added", always, _counted(2)),
        ("has no turn end", "the last event is for the loop alone", always, lost("turn_end")),
        ("ends twice", "the stream's end and the turn's", always, _double_end),
        ("says more after the end", "a task that is not waited for", always, _late_text),
        ("ends at the first piece of text", "a stream that is read like an answer", always, over_after(1)),
        ("ends at the third piece of text", "a limit of pieces", always, over_after(3)),
        ("ends at the first tool use", "tools are another part's business", always, over_after(1, "tool_use")),
        ("ends at the first tool result", "the model is not asked again", always, over_after(1, "tool_result")),
        (
            "calls an interrupted turn complete",
            "an interrupt ends the loop as the stream's end does",
            always,
            ended("complete", "interrupted"),
        ),
        (
            "calls a complete turn interrupted",
            "a flag that is not taken back",
            always,
            ended("interrupted", "complete"),
        ),
        (
            "calls a turn after an interrupt interrupted",
            "a flag that is not taken back",
            moments.after_interrupt,
            ended("interrupted", "complete"),
        ),
        (
            "calls a broken answer complete",
            "a closed connection is the stream's end",
            always,
            ended("complete", "connection_lost"),
        ),
        (
            "calls an error complete",
            "errors are logged",
            always,
            ended("complete", "error", "overloaded", "rate_limited"),
        ),
        ("calls a cut answer complete", "the stop reason is not read", always, ended("complete", "max_tokens")),
        ("calls a refusal complete", "the stop reason is not read", always, ended("complete", "refusal")),
        ("calls a limit of turns complete", "the loop's end is the turn's", always, ended("complete", "max_turns")),
        ("calls every turn complete", "the end is made, not read", always, ended("complete")),
        ("calls every turn an error", "a status is compared as a text", always, ended("error")),
        (
            "calls a lost connection an interrupt",
            "a cancelled read is the user's doing",
            always,
            ended("interrupted", "connection_lost"),
        ),
    ),
)

YIELDED = (*TEXT, *TOOL_EVENTS, *ENDS)
