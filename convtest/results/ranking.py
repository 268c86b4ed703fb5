"""Which of several findings says most: what was sent wrong comes before what follows from it."""

from collections.abc import Sequence

from convtest.results.model import Found

_CAUSES = ("ended", "error", "timeout", "client", "disturb", "said")
_CONSEQUENCES = ("miss", "unplayed")
_LAYERS = ("wire", "mass", "reply", None)
_SIDES = {
    "wire": "the client sent something else than it should (layer wire)",
    "mass": "the client sent less than it should (layer mass)",
    "reply": "the answer is wrong, what was sent is not to blame (layer reply)",
}


def layer_of(found: Sequence[Found]) -> str | None:
    """The first layer that broke: the wire, then mass, then the reply."""
    return min((one.layer for one in found), key=_LAYERS.index, default=None)


def headline(found: Sequence[Found]) -> str:
    """The finding that says most, in one line: the wire first, then mass, then the reply; empty where there is none."""
    if not found:
        return ""
    first = min(found, key=lambda one: (one.check in _CONSEQUENCES, _rank(one)))
    layer = f" (layer {first.layer})" if first.layer else ""
    return f"{first.check}{layer}: {first.message}"


def _rank(one: Found) -> float:
    """A reply that is wrong because the client passed on something else is the client's, whatever the layer."""
    return _LAYERS.index("reply") - 0.5 if one.check == "said" else _LAYERS.index(one.layer)


def side(found: Sequence[Found]) -> str:
    """Which side broke."""
    first = next(iter(causes_first(found)), None)
    if first is not None and first.check in _CAUSES:
        return headline([first])
    return _SIDES.get(layer_of(found) or "", headline(found))


def causes_first(found: Sequence[Found]) -> list[Found]:
    """In the order of the conversation; in each step what was sent wrong before what came of it."""

    def rank(one: Found) -> tuple[float, bool, bool]:
        consequence = one.layer != "wire" or one.check in _CONSEQUENCES
        return one.step or float("inf"), consequence, one.check != "said"

    return sorted(found, key=rank)
