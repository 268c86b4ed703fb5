"""Small edits of what a turn yields, to be composed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from convtest.events import Ended, Event, TextDelta, Thinking, ToolResult, ToolUse, TurnEnd, kind_of
from convtest.mutate.mutator import Known, Reading, Yields


def lost(kind: str, which: Callable[[int], bool] = lambda number: True) -> Yields:
    """Events of the kind are not yielded; `which` of them, counted from 0."""

    def yields(event: Event, reading: Reading) -> Iterable[Event]:
        return () if kind_of(event) == kind and which(number_of(reading)) else (event,)

    return yields


def number_of(reading: Reading) -> int:
    """Which of its kind the last event is, from 0."""
    kind = kind_of(reading.honest[-1])
    return sum(kind_of(event) == kind for event in reading.honest) - 1


def text(change: Callable[[str], str]) -> Yields:
    """Each piece of text is changed."""
    return lambda event, reading: (
        (replace(event, text=change(event.text)),) if isinstance(event, TextDelta) else (event,)
    )


def held_to_the_end(kind: str, made: Callable[[list[Event]], list[Event]]) -> Yields:
    """Events of the kind are yielded before the turn's end, as `made` of them all."""

    def yields(event: Event, reading: Reading) -> Iterator[Event]:
        if kind_of(event) == kind:
            reading.held.append(event)
            return
        if isinstance(event, TurnEnd):
            yield from made(reading.held)
        yield event

    return yields


def before_the_end(made: Callable[[Reading], Iterable[Event]]) -> Yields:
    """More events before the turn's end."""

    def yields(event: Event, reading: Reading) -> Iterator[Event]:
        if isinstance(event, TurnEnd):
            yield from made(reading)
        yield event

    return yields


def ended(said: Ended, *ends: Ended) -> Yields:
    """A turn that ended in one of these ways (in any, where none is named) is said to have ended in another."""

    def yields(event: Event, reading: Reading) -> Iterable[Event]:
        meant = isinstance(event, TurnEnd) and event.ended != said and (not ends or event.ended in ends)
        return (
            (replace(event, ended=said, error=None, message=""),) if isinstance(event, TurnEnd) and meant else (event,)
        )

    return yields


def over_after(count: int, kind: str = "text") -> Yields:
    """So many events of the kind are read, then the turn is said to be complete."""

    def yields(event: Event, reading: Reading) -> Iterator[Event]:
        yield event
        if kind_of(event) == kind and number_of(reading) + 1 == count:
            reading.over = True
            yield TurnEnd()

    return yields


def said_before(known: Known) -> list[Event]:
    """The text of the session's turn before."""
    return _last_text(known.said)


def said_by_a_stranger(known: Known) -> list[Event]:
    other = known.stranger()
    return _last_text(other.said) if other is not None else []


def _last_text(events: list[Event]) -> list[Event]:
    turn = list[Event]()
    for event in events[:-1]:
        turn = [] if isinstance(event, TurnEnd) else [*turn, event]
    return [event for event in turn if isinstance(event, TextDelta)]


def answered(made: Callable[[Known], list[Event]]) -> Yields:
    """Other text in place of the turn's, where there is any."""

    def yields(event: Event, reading: Reading) -> Iterator[Event]:
        other = made(reading.known)
        if isinstance(event, TextDelta) and other:
            yield from other if number_of(reading) == 0 else ()
        else:
            yield event

    return yields


def as_text(event: Event) -> Iterable[Event]:
    return (TextDelta(text=event.text),) if isinstance(event, Thinking) else (event,)


def as_thinking(event: Event) -> Iterable[Event]:
    return (Thinking(text=event.text),) if isinstance(event, TextDelta) else (event,)


def use(change: Callable[[ToolUse], ToolUse]) -> Yields:
    return lambda event, reading: (change(event),) if isinstance(event, ToolUse) else (event,)


def result(change: Callable[[ToolResult], ToolResult]) -> Yields:
    return lambda event, reading: (change(event),) if isinstance(event, ToolResult) else (event,)


def twice(kind: str) -> Yields:
    return lambda event, reading: (event, event) if kind_of(event) == kind else (event,)
