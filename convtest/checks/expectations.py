"""What an author may ask of a step: one row for each key of `expect`, in the order in which they are judged.

A new expectation is a key in `scenario/expectations`, a function of this room, and its row here, beside its like: what
is found in one step is told in the order of the rows.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from convtest.checks import limits, replies, sent, session_history, ways
from convtest.checks.replies import listed, shown
from convtest.checks.result import Asked, Finding, at_step
from convtest.scenario.expectations import EndedShape, ExpectShape
from convtest.scenario.shapes import Shape
from convtest.structs import Struct
from convtest.transcript import TurnRecord

Check = Callable[[Asked], Iterator[Finding]]


class Expectation(Struct, frozen=True, kw_only=True):
    """How one key is judged."""

    check: Check
    acts: bool = False
    """On acts too, and not on turns alone."""
    negatable: bool = True
    """`not` takes it: it must then fail. What it does not take, `scenario/expecting` refuses."""
    each: bool = False
    """A list means all of it: under `not` none of it may be so."""
    denied: Check | None = None
    """What `not` means where that is more than its failing."""
    after_miss: Check | None = None
    """What can be judged of it where the answer is our own, because nothing recorded answers the request."""

    @property
    def needs_the_wire(self) -> bool:
        return self.after_miss is not None


def judged(asked: Asked) -> Iterator[Finding]:
    """All that is expected of the step; how it ended is judged whether it is expected or not, by itself."""
    for name, one in EXPECTATIONS.items():
        wanted = _value(asked.expect, name)
        if wanted is not None and name != "ended" and (one.acts or isinstance(asked.record, TurnRecord)):
            yield from one.check(_of(asked, wanted))


def after_miss(asked: Asked) -> Iterator[Finding]:
    """What can be judged of a turn that was not answered."""
    for name, one in EXPECTATIONS.items():
        wanted = _value(asked.expect, name)
        if wanted is not None and one.after_miss is not None:
            yield from one.after_miss(_of(asked, wanted))


def _of(asked: Asked, wanted: Any) -> Asked:
    return Asked(transcript=asked.transcript, record=asked.record, expect=asked.expect, wanted=wanted)


def _value(expect: ExpectShape, name: str) -> Any:
    return getattr(expect, "not_" if name == "not" else name)


def _ended(asked: Asked) -> Iterator[Finding]:
    return ways.ended_findings(asked.turn, asked.expect)


def _not(asked: Asked) -> Iterator[Finding]:
    """None of what it holds may be so."""
    for name, one in EXPECTATIONS.items():
        unwanted = _value(asked.wanted, name)
        if unwanted is not None and one.denied is not None:
            yield from one.denied(_of(asked, unwanted))
        elif unwanted is not None and one.negatable:
            yield from _holds(asked, name, one, unwanted)


def _holds(asked: Asked, name: str, one: Expectation, unwanted: Any) -> Iterator[Finding]:
    for value in _parts(name, unwanted):
        alone = Asked(
            transcript=asked.transcript, record=asked.record, expect=ExpectShape(**{name: value}), wanted=value
        )
        if any(finding.check == name for finding in one.check(alone)):
            continue
        yield at_step(
            asked.record,
            "not",
            "wire" if name == "sent" else None,
            f"{name} holds, and must not",
            expected=f"not {name}: {_spelled(value)}",
            seen=shown(asked.turn.text),
            key=f"expect not {name}",
        )


def _parts(name: str, value: Any) -> Iterator[Any]:
    """Each of the things that must not be so, on its own."""
    match value:
        case EndedShape():
            yield value
        case Shape():
            for key in value.__struct_fields__:
                wanted = getattr(value, key)
                parts = listed(wanted) if _is_each(key) else [wanted]
                yield from (type(value)(**{key: one}) for one in parts if one is not None)
        case list() if _is_each(name):
            yield from value
        case dict():
            yield from ({key: one} for key, one in value.items())
        case _:
            yield value


def _is_each(name: str) -> bool:
    return name in EXPECTATIONS and EXPECTATIONS[name].each


def _spelled(value: Any) -> str:
    if isinstance(value, Shape):
        given = {name: getattr(value, name) for name in value.__struct_fields__}
        return ", ".join(f"{name}: {one!r}" for name, one in given.items() if one is not None)
    return repr(value)


EXPECTATIONS: Mapping[str, Expectation] = {
    "ended": Expectation(check=_ended),
    "error": Expectation(check=ways.error, acts=True, negatable=False),
    "session": Expectation(check=ways.session, acts=True),
    "history": Expectation(check=session_history.history, acts=True),
    "files": Expectation(check=ways.files, acts=True),
    "contains": Expectation(check=replies.contains, each=True),
    "lacks": Expectation(check=replies.lacks, each=True),
    "matches": Expectation(check=replies.matches, each=True),
    "equals": Expectation(check=replies.equals),
    "one_of": Expectation(check=replies.one_of),
    "json": Expectation(check=replies.json),
    "json_schema": Expectation(check=replies.json_schema),
    "knows": Expectation(check=sent.knows, denied=sent.not_knows, after_miss=sent.knows_on_the_wire),
    "sent": Expectation(check=sent.sent, after_miss=sent.sent),
    "events": Expectation(check=ways.events),
    "calls": Expectation(check=ways.calls),
    "denied": Expectation(check=ways.denied),
    "usage": Expectation(check=limits.usage),
    "budget": Expectation(check=limits.budget),
    "retries": Expectation(check=ways.retries),
    "conduct": Expectation(check=ways.conduct),
    "not": Expectation(check=_not, negatable=False),
    "check": Expectation(check=ways.own, acts=True, each=True),
}
"""By key. `snapshot` is compared by the face that has snapshots."""
