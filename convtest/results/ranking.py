"""Which of several findings says most: what was sent or lost first comes before what follows from it."""

from collections.abc import Mapping, Sequence

from convtest.results.model import Found

_ENDINGS = ("ended", "error", "timeout", "client", "disturb", "network")
"""How a turn went wrong as a whole; what comes later may only follow from it."""
_CONSEQUENCES = ("miss", "unplayed")
_STRUCTURE = ("fresh", "isolation", "history", "prompts_once", "tool_pairs", "settings")
"""What is wrong with a request as a whole; that a fact is not in it follows."""
_LAYERS = ("wire", "mass", "reply", None)
_SIDES = {
    "wire": "the client sent something else than it should (layer wire)",
    "mass": "the client sent less than it should (layer mass)",
    "reply": "the answer is wrong, what was sent is not to blame (layer reply)",
}
_FOLLOWS = 2.0
"""The weight of what may follow from something else that was sent or lost."""
_WHOLE = float("inf")
"""The moment of what concerns no step alone."""


def layer_of(found: Sequence[Found]) -> str | None:
    """The first layer that broke: the wire, then mass, then the reply."""
    return min((one.layer for one in found), key=_LAYERS.index, default=None)


def ranked(found: Sequence[Found], moments: Mapping[int, float] | None = None) -> list[Found]:
    """The root cause first, then the others in the order of the conversation.

    `moments` tells by a step's index when it began to send: steps of branches that run at once are not in their order.
    """
    when = moments or {}
    all_there = not any(one.layer in ("wire", "mass") and one.check not in _CONSEQUENCES for one in found)

    def moment(one: Found) -> tuple[float, int]:
        if one.check == "network" and all_there:
            return -1.0, 0  # nothing else was sent wrong: what the client could not reach is why it went wrong
        return (when.get(one.step, float(one.step)) if one.step else _WHOLE), one.step

    def as_told(one: Found) -> tuple[tuple[float, int], bool, float]:
        return moment(one), one.layer != "wire" or one.check in _CONSEQUENCES, _weight(one)

    ordered = sorted(found, key=as_told)
    root = min(ordered, key=lambda one: (_order(one), moment(one), _weight(one)), default=None)
    return [one for one in ordered if one is root] + [one for one in ordered if one is not root]


def headline(found: Sequence[Found]) -> str:
    """The root cause of what was ranked, in one line; empty where nothing was found."""
    return line_of(found[0]) if found else ""


def side(found: Sequence[Found]) -> str:
    """Which side broke, of what was ranked."""
    if not found or found[0].check in (*_ENDINGS, "said"):
        return headline(found)
    return _SIDES.get(found[0].layer or "", headline(found))


def causes(found: Sequence[Found]) -> list[str]:
    """Of what was ranked, in one line each: the root cause, then the first finding of every other check that does not
    only follow from one."""
    first: dict[str, Found] = {}
    for one in found:
        if not first or (_order(one) == 0 and _weight(one) < _FOLLOWS and not _ended_by(one, found)):
            first.setdefault(one.check, one)
    return [line_of(one) for one in first.values()]


def line_of(one: Found) -> str:
    """A finding in one line: its check, its layer, what was found."""
    layer = f" (layer {one.layer})" if one.layer else ""
    return f"{one.check}{layer}: {one.message}"


def _ended_by(one: Found, found: Sequence[Found]) -> bool:
    """A turn that ended wrongly with a request that was wrong: it was refused."""
    sent = (other for other in found if other.layer in ("wire", "mass") and other.check not in _CONSEQUENCES)
    return one.check in _ENDINGS and any(other.step == one.step for other in sent)


def _order(one: Found) -> int:
    """What was sent or lost, or ended wrongly; then answers and limits; then what only follows."""
    if one.check in _CONSEQUENCES:
        return 2
    return 0 if one.layer in ("wire", "mass") or one.check in (*_ENDINGS, "said") else 1


def _weight(one: Found) -> float:
    """Among findings of one moment: where the client passed on something else, a wrong reply is the client's."""
    if one.check in _STRUCTURE:
        return _STRUCTURE.index(one.check) / 10
    if one.check == "said":
        return 1.0
    if one.check in _ENDINGS:
        return 1.5
    return _FOLLOWS + _LAYERS.index(one.layer)
