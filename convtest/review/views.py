"""What a person, or a program, is shown of a file that changed."""

from collections.abc import Sequence
from typing import Any

from convtest.cassettes.comparison import HEADLINES, Change, compared
from convtest.cassettes.format import Recording
from convtest.cassettes.store import recording
from convtest.errors import ConvtestError
from convtest.reporting.beside import Beside, Pair, beside
from convtest.reporting.exchanges import Exchange, exchanges_in, exchanges_of
from convtest.review.changed import Changed
from convtest.structs import Struct, field

_MOST = 12
"""Requests that are named of one change."""
_IN_THE_CONVERSATION = ("request", "answer", "missing", "new")
"""Verdicts that the two conversations show by themselves."""


class View(Struct):
    """Both sides as conversations, and what beside them differs."""

    changed: Changed | None
    """None for two files of any name."""
    exchanges: list[Beside] = field(default_factory=list)
    changes: tuple[Change, ...] = ()
    anew: tuple[str, ...] = ()
    trouble: list[str] = field(default_factory=list)
    """Why a side cannot be shown."""

    @property
    def differs(self) -> bool:
        """Whether there is more to it than what each run has anew, and a name."""
        return bool(self.changes or self.trouble or any(one.state != "same" for one in self.exchanges))

    @property
    def headlines(self) -> list[str]:
        """What changed, and in which requests."""
        where: dict[tuple[str, str], list[int]] = {}
        for one in self.changes:
            where.setdefault((_lane(one), HEADLINES[one.verdict]), []).append(one.number)
        return [f"{lane}{_requests(numbers)}: {what}" for (lane, what), numbers in where.items()]

    @property
    def beside(self) -> list[str]:
        """Lines of what no conversation shows: the shape of the wire, headers, counts of tokens."""
        told = [one for one in self.changes if one.verdict not in _IN_THE_CONVERSATION or self._is_unseen(one)]
        return [line for one in told for line in (f"{_where(one)}: {HEADLINES[one.verdict]}", *one.lines)]

    def _is_unseen(self, change: Change) -> bool:
        return bool(change.lines) and not any(one.state != "same" for one in self.exchanges)

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        rows = [
            {"verdict": c.verdict, "lane": c.lane, "request": c.number, "lines": list(c.lines)} for c in self.changes
        ]
        one = self.changed
        named = {"id": one.id, "kind": one.kind, "state": one.state, "was": one.was, "item": one.item} if one else {}
        conversation = [
            {"session": it.session, "title": it.title, "state": it.state, "lines": [_plain(pair) for pair in it.pairs]}
            for it in self.exchanges
        ]
        return {**named, "changes": rows, "anew": self.anew, "trouble": self.trouble, "conversation": conversation}


def _plain(pair: Pair) -> dict[str, Any]:
    said = pair.new or pair.old
    assert said is not None
    old, new = (one and one.text for one in (pair.old, pair.new))
    return {"label": said.label, "state": pair.state, "old": old, "new": new}


def _where(one: Change) -> str:
    return f"{_lane(one)}{_requests([one.number])}"


def _lane(one: Change) -> str:
    return (one.lane or "unknown lane") if one.number else "the file"


def _requests(numbers: Sequence[int]) -> str:
    if not all(numbers):
        return ""
    few = [str(number) for number in numbers[:_MOST]]
    more = [f"{len(numbers) - _MOST} more"] if len(numbers) > _MOST else []
    *most, last = [*few, *more]
    return f", request{'s' * (len(numbers) > 1)} {' and '.join(filter(None, [', '.join(most), last]))}"


def view_of(changed: Changed) -> View:
    """Both sides read; what cannot be read says so, and is never taken for empty."""
    view = View(changed)
    if changed.kind == "snapshot":
        texts = ((one or b"").decode("utf-8", "replace") for one in (changed.old, changed.new))
        view.exchanges = beside(*map(exchanges_in, texts))
        return view
    names = (changed.was or changed.id, changed.id)
    old, new = (_read(view, data, name) for data, name in zip((changed.old, changed.new), names, strict=True))
    _compare(view, old, new)
    return view


def view_of_recordings(first: Recording, second: Recording) -> View:
    """Two recordings, whatever their files are called."""
    view = View(None)
    _compare(view, first, second)
    return view


def _compare(view: View, old: Recording | None, new: Recording | None) -> None:
    if old is not None and new is not None:
        found = compared(old, new)
        view.changes, view.anew = found.changes, found.anew
    view.exchanges = beside(_exchanges(old), _exchanges(new))


def _read(view: View, data: bytes | None, name: str) -> Recording | None:
    if data is None:
        return None
    try:
        return recording(data, shown=name)
    except ConvtestError as error:  # unreadable, or too large
        view.trouble.append(str(error))
        return None


def _exchanges(side: Recording | None) -> list[Exchange]:
    return exchanges_of(side.interactions) if side is not None else []
