"""Whether a live run is worse than its baseline: three verdicts, and what they rest on."""

from collections.abc import Mapping, Sequence
from typing import Literal

from convtest.errors import RetentionError
from convtest.retention.exact import Stratum, holm, p_of_drop
from convtest.retention.intervals import newcombe
from convtest.retention.power import Gates, Spread, drop_of, is_regressed, power_of, repeats_for
from convtest.structs import Struct, field

Word = Literal["regressed", "no change detected", "underpowered"]
MOST_SILENT = 0.05
"""The part of a side's probes that may have had no reply."""


class Compared(Struct, frozen=True, kw_only=True):
    """Two runs side by side; only what both have."""

    strata: Sequence[Stratum]
    families: Mapping[str, Sequence[Stratum]] = field(default_factory=dict)
    silent: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    """(without a reply, asked), in the baseline and now."""
    hard: Sequence[str] = ()
    """Leaks and broken wires of now, one line each: they need no statistics."""


class Difference(Struct, frozen=True, kw_only=True):
    """What one group of probes held, as parts of 1; `drop` is positive where now holds less."""

    base: float
    now: float
    drop: float
    interval: tuple[float, float]
    """95 %, by probes that count as fewer the more those of a trunk fail together."""
    p: float
    """Exact and one-sided; of families adjusted by Holm."""


class Verdict(Struct, frozen=True, kw_only=True):
    """One pooled test decides; families say where to look."""

    word: Word
    why: tuple[str, ...]
    all: Difference | None = None
    families: Mapping[str, Difference] = field(default_factory=dict)
    trunks: tuple[int, int] = (0, 0)
    power: float | None = None
    """Simulated, at `detect`, with the gates; None where it was not asked for."""
    enough: int | None = None
    """How many trunks a side would do, where these do not."""

    @property
    def code(self) -> int:
        """The exit code."""
        return int(self.word == "regressed")


def judged(compared: Compared, gates: Gates | None = None) -> Verdict:
    """Raises RetentionError where too many probes had no reply, or nothing can be compared."""
    gates = gates or Gates()
    _check_replies(compared)
    strata = [one for one in compared.strata if one.base and one.now and one.probes]
    trunks = sum(len(one.base) for one in strata), sum(len(one.now) for one in strata)
    if not strata:
        if compared.hard:
            return Verdict(word="regressed", why=tuple(compared.hard))
        raise RetentionError(
            "nothing can be compared: no trunk of this run has probes that the baseline has too",
            help="run the items that the baseline was made of, or save another: --save",
        )
    spread = Spread.seen(strata)
    pooled = _difference(strata, spread)
    families = _families(compared.families, spread)
    dropped = is_regressed(strata, gates)
    if compared.hard or dropped:
        why = (*compared.hard, *([_drop_text(pooled, gates)] if dropped else []))
        return Verdict(word="regressed", why=why, all=pooled, families=families, trunks=trunks)
    power = power_of(strata, gates, spread)
    few = min(trunks) < gates.trunks
    if power >= gates.power and not few:
        why = (f"a drop of {gates.detect:.2f} would be seen {power:.0%} of the time",)
        return Verdict(word="no change detected", why=why, all=pooled, families=families, trunks=trunks, power=power)
    repeats = repeats_for(strata, gates, spread)
    enough = None if repeats is None else repeats * len(strata)
    why = (_few_text(gates, trunks, power, spread, few=few), _enough_text(repeats, enough, len(strata)))
    return Verdict(
        word="underpowered", why=why, all=pooled, families=families, trunks=trunks, power=power, enough=enough
    )


def _check_replies(compared: Compared) -> None:
    for side, (silent, asked) in zip(("the baseline", "this run"), compared.silent, strict=True):
        if asked and silent > MOST_SILENT * asked:
            raise RetentionError(
                f"{silent} of {asked} probes of {side} had no reply, which is more than {MOST_SILENT:.0%}: "
                "what is left of them says little of memory",
                help="look at what the model or the wire answered instead, and run it again",
            )


def _difference(strata: Sequence[Stratum], spread: Spread) -> Difference:
    (base, first), (now, second) = (
        _side([(one, one.base) for one in strata], spread),
        _side([(one, one.now) for one in strata], spread),
    )
    interval = newcombe((base * first, first), (now * second, second))
    return Difference(base=base, now=now, drop=drop_of(strata), interval=interval, p=p_of_drop(strata))


def _side(given: Sequence[tuple[Stratum, Sequence[int]]], spread: Spread) -> tuple[float, float]:
    """What one side held, as a part of 1, and how many probes that stand alone would say as much."""
    probes = sum(one.probes for one, _ in given)
    held = sum(sum(trunks) / len(trunks) / one.parts for one, trunks in given)
    return held / probes, sum(len(trunks) * one.probes / spread.weight(one.probes) for one, trunks in given)


def _families(given: Mapping[str, Sequence[Stratum]], spread: Spread) -> dict[str, Difference]:
    told = {name: [one for one in strata if one.base and one.now and one.probes] for name, strata in given.items()}
    found = {name: _difference(strata, spread) for name, strata in sorted(told.items()) if strata}
    adjusted = holm({name: one.p for name, one in found.items()})
    return {
        name: Difference(base=one.base, now=one.now, drop=one.drop, interval=one.interval, p=adjusted[name])
        for name, one in found.items()
    }


def _drop_text(found: Difference, gates: Gates) -> str:
    return (
        f"{found.base:.1%} held in the baseline, {found.now:.1%} now: a drop of {found.drop:.3f} "
        f"(at least {gates.min_drop:.2f} counts), p = {found.p:.4f} (below {gates.alpha:.2f})"
    )


def _few_text(gates: Gates, trunks: tuple[int, int], power: float, spread: Spread, *, few: bool) -> str:
    if spread.rate <= gates.detect:
        return f"the baseline holds {spread.rate:.1%}: there is no drop of {gates.detect:.2f} to be seen"
    if few:
        return f"{min(trunks)} trunks a side: fewer than {gates.trunks} cannot rule a change out"
    return f"{min(trunks)} trunks a side would see a drop of {gates.detect:.2f} only {power:.0%} of the time"


def _enough_text(repeats: int | None, enough: int | None, templates: int) -> str:
    if repeats is None:
        return "no sensible number of trunks would do: ask more, or easier, questions"
    return f"{enough} trunks a side would do: --repeats {repeats} with {templates} template{'s' * (templates > 1)}"
