"""Two runs beside each other: whether they may be compared, what both have, and what the difference comes to."""

from collections.abc import Iterator, Mapping, Sequence

from convtest.errors import RetentionError
from convtest.retention.baseline import Conversation, Line, Origin, Run
from convtest.retention.exact import Stratum
from convtest.retention.power import Gates
from convtest.retention.verdict import Compared, Verdict, judged
from convtest.structs import Struct

_FINE = 20
"""Parts of a probe in which one without a reply is counted."""
_SHOWN = 12
"""Probes that are named, of those that differ."""

Key = tuple[tuple[str, str, int], str]
Pair = tuple[Line, Line]


class Comparison(Struct, frozen=True, kw_only=True):
    """A verdict, with what there is to say beside it."""

    verdict: Verdict
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def compare(base: Run, now: Run, gates: Gates | None = None) -> Comparison:
    """Raises RetentionError where the runs are not of the same thing, or too many probes had no reply."""
    _refuse(base, now)
    first, second = _lines(base), _lines(now)
    both = [(first[key], second[key]) for key in sorted(first.keys() & second.keys())]
    notes = [*_only(first, second)]
    hard = [*_torn(base, now), *_some(list(_hard(both)))]
    if now.origin.mode == "simulated":
        verdict, more = _exactly(both, hard)
        notes += [*more, *_tokens(base, now)]
    else:
        verdict = judged(compared(both, hard), gates)
        notes += _summaries(both)
    return Comparison(verdict=verdict, warnings=tuple(_warnings(base.origin, now.origin)), notes=tuple(notes))


def _lines(run: Run) -> dict[Key, Line]:
    return {(one.template, one.id): one for one in run.probes}


def _refuse(base: Run, now: Run) -> None:
    was, new = base.origin, now.origin
    what = None
    if was.mode != new.mode:
        what = f"the baseline is of a {was.mode} run, and this one is {new.mode}"
    elif was.client != new.client:
        what = f"the baseline is of the client {was.client!r}, and this run is of {new.client!r}"
    elif not was.scenarios.keys() & new.scenarios.keys():
        what = f"the baseline is of other scenarios: {_names(was.scenarios)}; this run is of {_names(new.scenarios)}"
    elif changed := [one for one in was.scenarios if new.scenarios.get(one, was.scenarios[one]) != was.scenarios[one]]:
        what = f"the scenario {changed[0]!r} is not what it was when the baseline was saved"
    elif was.policy != new.policy:
        what = f"the client's policy is not what it was: {_differs(was.policy, new.policy)}"
    elif base.seeds != now.seeds:
        what = f"the baseline is of the seeds {_listed(base.seeds)}, and this run is of {_listed(now.seeds)}"
    if what is not None:
        raise RetentionError(what, help="compare like with like, or save a baseline of what is there now: --save")


def _names(given: Mapping[str, str]) -> str:
    return ", ".join(sorted(given)) or "none"


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds)) or "none"


def _differs(was: Mapping[str, str], new: Mapping[str, str]) -> str:
    name = min(one for one in {*was, *new} if was.get(one) != new.get(one))
    return f"{name} was {was.get(name, 'not said')!r} and is {new.get(name, 'not said')!r}"


def _warnings(was: Origin, new: Origin) -> Iterator[str]:
    if was.models != new.models:
        then, today = (", ".join(one.models) or "unknown" for one in (was, new))
        yield f"another model answered: {then} then, {today} now"
    if was.settings != new.settings:
        yield "other settings are sent than then: system prompt, tools or sampling"
    if was.convtest != new.convtest:
        yield f"the baseline was saved by convtest {was.convtest}, this is {new.convtest}"


def _only(first: Mapping[Key, Line], second: Mapping[Key, Line]) -> Iterator[str]:
    if missing := len(first.keys() - second.keys()):
        yield f"{missing} probe{'s' * (missing > 1)} of the baseline not asked in this run"
    if added := len(second.keys() - first.keys()):
        yield f"{added} probe{'s' * (added > 1)} of this run not in the baseline"


# What is simulated is exact


def _exactly(both: Sequence[Pair], hard: Sequence[str]) -> tuple[Verdict, list[str]]:
    worse = [_changed(*pair) for pair in both if _is_worse(*pair)]
    other = [_changed(*pair) for pair in both if not _is_worse(*pair) and _letters(pair[0]) != _letters(pair[1])]
    notes = [f"changed, and not for the worse: {one}" for one in _some(other)]
    if hard or worse:
        return Verdict(word="regressed", why=(*_some(worse), *hard)), notes
    if not both:
        raise RetentionError(
            "nothing can be compared: this run asked nothing that the baseline has",
            help="run the items that the baseline was made of, or save another: --save",
        )
    same = len(both) - len(other)
    return Verdict(word="no change detected", why=(f"{same} of {len(both)} probes are exactly as they were",)), notes


def _letters(one: Line) -> tuple[set[tuple[str, str]], bool]:
    """Repeats of what is simulated are alike: their number does not count."""
    return set(zip(one.outcomes, one.wire, strict=True)), bool(one.broken)


def _is_worse(base: Line, now: Line) -> bool:
    held = [one.outcomes.count("H") / len(one.outcomes) for one in (base, now)]
    return held[1] < held[0] or (bool(now.broken) and not base.broken)


def _changed(base: Line, now: Line) -> str:
    return f"{now.id}: {base.outcomes} was {now.outcomes} is, wire {base.wire} was {now.wire} is"


def _some(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return [*lines[:_SHOWN], *([f"… and {more} more"] if more > 0 else [])]


def _tokens(base: Run, now: Run) -> Iterator[str]:
    was = {(one.id, one.row, one.seed, one.repeat): one.prompt_tokens for one in base.conversations}
    new = {(one.id, one.row, one.seed, one.repeat): one.prompt_tokens for one in now.conversations}
    differ = sorted(key for key in was.keys() & new.keys() if was[key] != new[key])
    if differ:
        before, after = was[differ[0]], new[differ[0]]
        length = min(len(before), len(after))
        turn = next((at for at in range(length) if before[at] != after[at]), length)
        told = " and ".join(str(one[turn]) if turn < len(one) else "none" for one in (before, after))
        yield f"prompt tokens differ in {len(differ)} trunks; first in {differ[0][0]}, turn {turn + 1}: {told}"


# What is live is chance


def compared(both: Sequence[Pair], hard: Sequence[str] = ()) -> Compared:
    """What the statistics are told."""
    silent = tuple(
        (sum(pair[at].outcomes.count("N") for pair in both), sum(len(pair[at].outcomes) for pair in both))
        for at in (0, 1)
    )
    scale = _FINE if any(count for count, _ in silent) else 1
    families = sorted({now.family for _, now in both})
    return Compared(
        strata=_strata(both, scale),
        families={name: _strata([pair for pair in both if pair[1].family == name], scale) for name in families},
        silent=(silent[0], silent[1]),
        hard=tuple(hard),
    )


def _strata(both: Sequence[Pair], scale: int) -> list[Stratum]:
    by_template: dict[tuple[str, str, int], list[Pair]] = {}
    for pair in both:
        by_template.setdefault(pair[1].template, []).append(pair)
    return [_stratum(pairs, scale) for pairs in by_template.values()]


def _stratum(pairs: Sequence[Pair], scale: int) -> Stratum:
    """A trunk in which nothing was answered is none. What has no reply counts as the others of its template, of both
    sides together: it is then the same whichever side it stands on."""
    sides = [[one[side].outcomes for one in pairs] for side in (0, 1)]
    answered = sum(len(text) - text.count("N") for side in sides for text in side)
    rate = sum(text.count("H") for side in sides for text in side) / answered if answered else 0.0
    base, now = (
        tuple(
            round(scale * (letters.count("H") + letters.count("N") * rate))
            for letters in zip(*side, strict=True)
            if set(letters) != {"N"}
        )
        for side in sides
    )
    return Stratum(base, now, len(pairs), scale)


def _hard(both: Sequence[Pair]) -> Iterator[str]:
    for _, now in both:
        at = [number for number, letter in enumerate(now.outcomes, 1) if letter == "L"]
        if at:
            yield f"{now.id}: a value of another session was named, in repeat {_listed(at)}"
    for base, now in both:
        if now.broken:
            too = " (in the baseline too)" if base.broken else ""
            yield f"{now.id}: the wire is broken, in repeat {_listed(now.broken)}{too}"


def _torn(base: Run, now: Run) -> Iterator[str]:
    """Conversations that do not hold in themselves; what was answered in them proves nothing."""
    asked = {line.template for line in base.probes}  # where it broke off, now has no probes of it
    was = {(one.id, one.row, one.seed) for one in base.conversations if one.broken}
    found: dict[tuple[str, str, int], list[Conversation]] = {}
    for one in now.conversations:
        key = one.id, one.row, one.seed
        if one.broken and key in asked:
            found.setdefault(key, []).append(one)
    for key, same in found.items():
        too = " (in the baseline too)" if key in was else ""
        yield f"{key[0]}: {same[0].broken}, in repeat {_listed([one.repeat for one in same])}{too}"


def _summaries(both: Sequence[Pair]) -> Iterator[str]:
    count = sum("C" in now.wire and "C" not in base.wire for base, now in both)
    if count:
        yield f"{count} probe{'s' * (count > 1)} found in a summary only, and in the messages then"
