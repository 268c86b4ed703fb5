"""What a client did when the wire failed it: tried again, took a broken stream for a whole one, said things twice."""

from collections.abc import Mapping
from typing import Any, Literal

from convtest.checks.threads import asked
from convtest.checks.told import same_input, told_in
from convtest.structs import Struct
from convtest.transcript import TurnRecord
from convtest.wire.counting import is_spoilt
from convtest.wire.interaction import Interaction
from convtest.wire.messages_api import text_of_content

EARLY = 0.05
"""Seconds by which a try may come before its time and still have waited for it: shorter waits are not counted."""


class Conduct(Struct, frozen=True, kw_only=True):
    """One turn's verdicts; None where nothing happened that could show it."""

    waits: tuple[float, ...] = ()
    """Seconds from the end of each answer to the next request for the same: how often and how soon."""
    retry_after: Literal["obeyed", "ignored"] | None = None
    truncated: Literal["noticed", "taken_as_complete"] | None = None
    text: Literal["once", "doubled"] | None = None
    """Whether the beginning of an answer that broke off was said again."""
    surfaced: str = ""
    """As what the failure reached the user: how the turn ended, and the error's name."""

    def __str__(self) -> str:
        waits = ", ".join(f"{wait:.1f}s" for wait in self.waits)
        parts = [f"tried again after {waits}"] if waits else []
        parts += [f"retry-after {self.retry_after}"] if self.retry_after else []
        parts += ["a truncated stream taken as complete"] if self.truncated == "taken_as_complete" else []
        parts += ["said the beginning twice"] if self.text == "doubled" else []
        return ", ".join(parts)


def conduct_of(record: TurnRecord) -> Conduct:
    """The verdicts on a turn; empty where nothing failed and nothing was asked twice."""
    sent, main = record.interactions or record.borrowed, record.main()
    broken = [one for one in main if is_broken(one)]
    failed = broken or [one for one in main if not 200 <= one.status < 300]
    return Conduct(
        waits=tuple(_waits(sent)),
        retry_after=_obeyed(sent),
        truncated=_truncated(record, main, broken),
        text=_said(record, main) if broken and record.end and record.end.ended == "complete" else None,
        surfaced=_surfaced(record) if failed else "",
    )


def is_broken(one: Interaction) -> bool:
    """Its stream began and did not come to its end, for no fault of the client."""
    if not 200 <= one.status < 300 or one.ended is None or _is_whole(one):
        return False
    # A client that closes a stream in which nonsense or an error came did not cut it.
    return one.ended != "closed_by_client" or is_spoilt(one)


def _is_whole(one: Interaction) -> bool:
    """All that matters has come once the reason is there for which the model stopped."""
    return one.reply().get("stop_reason") is not None


def _waits(sent: list[Interaction]) -> list[float]:
    """Seconds from the end of each answer to the next request for the same."""
    last: dict[Any, float] = {}
    found: list[float] = []
    for one in sent:
        key = asked(one)
        if key in last:
            found.append((one.sent_at - last[key]) / 1000)
        last[key] = _ended_at(one)
    return found


def _ended_at(one: Interaction) -> float:
    return one.sent_at + (one.chunks[-1].ms if one.chunks else one.first_byte or 0.0)


def _obeyed(sent: list[Interaction]) -> Literal["obeyed", "ignored"] | None:
    found: Literal["obeyed", "ignored"] | None = None
    for position, one in enumerate(sent):
        wanted = _seconds(one)
        after = next((other for other in sent[position + 1 :] if asked(other) == asked(one)), None)
        if wanted is None or after is None:
            continue
        if (after.sent_at - _ended_at(one)) / 1000 < wanted - EARLY:
            return "ignored"
        found = "obeyed"
    return found


def _seconds(one: Interaction) -> float | None:
    given = next((value for name, value in one.headers if name.lower() == "retry-after"), "")
    try:
        return float(given)
    except ValueError:
        return None  # a date: the clock that it means is not ours


def _truncated(
    record: TurnRecord, main: list[Interaction], broken: list[Interaction]
) -> Literal["noticed", "taken_as_complete"] | None:
    if not broken or record.end is None:
        return None
    swallowed = record.end.ended == "complete" and main[-1] is broken[-1]
    return "taken_as_complete" if swallowed or any(goes_on_from(one, main) for one in broken) else "noticed"


def goes_on_from(broken: Interaction, main: list[Interaction]) -> bool:
    """Whether the model is told what tools came to that a broken answer asked for: what else it would have said or
    asked for is lost, and nobody knows. A tool that is told as not run, or asked for again, is no such thing."""
    uses = [block for block in broken.reply().get("content") or [] if block.get("type") == "tool_use"]
    later = [one for one in main if one.number > broken.number]
    return any(_done(one, use) > _done(broken, use) for one in later[:1] for use in uses)


def _done(one: Interaction, use: Mapping[str, Any]) -> int:
    name, given = str(use.get("name")).rpartition("__")[2], use.get("input") or {}
    return sum(
        told.is_done and told.name == name and same_input(told.input, given) for told in told_in(one.canonical.messages)
    )


def _said(record: TurnRecord, main: list[Interaction]) -> Literal["once", "doubled"] | None:
    """Compared with the turn as the model saw it at its end, white space apart: what it was sent of its own words (a
    client may let it go on with a broken answer), and its last answer."""
    if not _is_whole(main[-1]):
        return None
    last = "".join(text_of_content(main[-1].reply().get("content")).split())
    right = "".join("".join(_own_words(main[-1], record.turn.prompt)).split()) + last
    said = "".join(record.text.split())
    return "doubled" if len(said) > len(right) and said.endswith(last) else "once"


def _own_words(last: Interaction, prompt: str) -> list[str]:
    """What the request holds of the assistant's text since the turn's prompt."""
    found: list[str] = []
    for message in reversed(last.canonical.messages):
        blocks = [block for block in message.get("content") or [] if isinstance(block, dict)]
        texts = [str(block.get("text", "")) for block in blocks if block.get("type") == "text"]
        if message.get("role") == "assistant":
            found[:0] = texts
        elif any(prompt.strip() in text for text in texts):
            break
    return found


def _surfaced(record: TurnRecord) -> str:
    if record.crash:
        return "an exception"
    if record.end is None:
        return "nothing"
    return f"{record.end.ended} ({record.end.error})" if record.end.error else record.end.ended
