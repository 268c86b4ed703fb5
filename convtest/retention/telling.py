"""A run and its verdict in words: for a terminal, for a pull request, for other programs."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.etree import ElementTree

from convtest.retention.baseline import Line, Run
from convtest.retention.comparing import Comparison
from convtest.retention.intervals import wilson
from convtest.retention.pictures.heat import columns
from convtest.retention.verdict import Difference
from convtest.structs import to_builtins
from convtest.textmatch import visible

_MARKS = {"regressed": "✗", "no change detected": "✓", "underpowered": "?"}


def strips(run: Run) -> list[str]:
    """One line for each fact and disturbance: its letters in all repeats, distance by distance (`HHHH|HHSS|M`)."""
    ordered = sorted(run.probes, key=lambda one: (one.disturb != "none", one.disturb, *_fact(one), one.after, one.id))
    made: list[tuple[str, str, str, str]] = []
    for (disturb, *fact), lines in groupby(ordered, key=lambda one: (one.disturb, *_fact(one))):
        parts, distances, torn = [], [], False
        for after, same in groupby(lines, key=lambda one: one.after):
            given = list(same)
            distances.append(str(after))
            torn = torn or any(one.broken for one in given)
            parts.append("".join(one.outcomes for one in given))
        name = " ".join(one for one in fact if one)
        made.append((disturb, name, "|".join(parts), f"after {'|'.join(distances)}{', wire broken' if torn else ''}"))
    width = [max((len(one[at]) for one in made), default=0) for at in range(3)]
    return [visible(f"{a:<{width[0]}}  {b:<{width[1]}}  {c:<{width[2]}}  {d}") for a, b, c, d in made]


def _fact(one: Line) -> tuple[str, ...]:
    seed = f"seed {one.seed}" if one.seed else ""
    return one.row, f"{one.family}.{one.slot}", seed, f"told@{one.told_at}"


def counts(run: Run) -> list[str]:
    """What held under each disturbance, one line each; then under which most is lost."""
    lines: list[str] = []
    rates: dict[str, float] = {}
    for name, _ in columns(run.probes):
        letters = "".join(one.outcomes for one in run.probes if one.disturb == name)
        held, asked = letters.count("H"), len(letters) - letters.count("N")
        low, high = wilson(held, asked)
        rates[name] = held / asked if asked else 1.0
        torn = sum(len(one.broken) for one in run.probes if one.disturb == name)
        more = f", wire broken in {torn}" if torn else ""
        more += f", conversation broken in {count}" if (count := len(run.torn.get(_trunk(name), []))) else ""
        more += f", {letters.count('L')} leaked" if "L" in letters else ""
        more += f", {letters.count('N')} without a reply" if "N" in letters else ""
        shown = "undisturbed" if name == "none" else name
        lines.append(f"{shown}: {held} of {asked} held ({low:.0%} to {high:.0%}){more}")
    weakest = min(rates, key=lambda name: rates[name], default="none")
    if rates and rates[weakest] < min(1.0, rates.get("none", 1.0)):
        beside = f", {rates['none']:.0%} undisturbed" if "none" in rates else ""
        lines.append(f"most is lost under {weakest}: {rates[weakest]:.0%} held{beside}")
    for name, broken in run.torn.items():
        lines.append(f"the conversation itself is broken under {name}: {broken[0].broken}")
    return [visible(one) for one in lines]


def _trunk(disturb: str) -> str:
    """A fork's cells are of parent and child, its conversation is one."""
    return "fork" if disturb.startswith("fork-") else disturb


def verdict_lines(found: Comparison) -> list[str]:
    """The verdict, why, and what there is to say beside it."""
    verdict = found.verdict
    lines = [f"{_MARKS[verdict.word]} {verdict.word}", *(f"    {one}" for one in verdict.why)]
    if verdict.all is not None:
        rows = [("all", verdict.all), *verdict.families.items()]
        wide = max(len(name) for name, _ in rows)
        lines += [f"    {name:<{wide}}  {_said(one)}" for name, one in rows]
        lines.append(
            f"    {verdict.trunks[0]} trunks in the baseline, {verdict.trunks[1]} now; of families p is Holm's"
        )
    lines += [f"note: {one}" for one in found.notes]
    return [visible(one) for one in lines]


def _said(one: Difference) -> str:
    low, high = one.interval
    p = f"p = {one.p:.3f}" if one.p >= 0.001 else "p < 0.001"
    return f"{one.base:6.1%} then, {one.now:6.1%} now: {one.drop:+.3f} less ({low:+.2f} to {high:+.2f}), {p}"


def as_data(run: Run, found: Comparison | None) -> dict[str, object]:
    """What `--json` prints."""
    data: dict[str, object] = {
        "client": run.origin.client,
        "mode": run.origin.mode,
        "models": list(run.origin.models),
        "repeats": run.repeats,
        "probes": len(run.probes),
        "held": sum(one.outcomes.count("H") for one in run.probes),
        "asked": sum(len(one.outcomes) for one in run.probes),
        "leaks": sum(one.outcomes.count("L") for one in run.probes),
        "no_reply": sum(one.outcomes.count("N") for one in run.probes),
        "broken": [one.id for one in run.probes if one.broken],
        "broken_conversations": {one.id: one.broken for some in run.torn.values() for one in some},
    }
    if found is not None:
        data |= {"verdict": to_builtins(found.verdict), "exit": found.verdict.code}
        data |= {"warnings": list(found.warnings), "notes": list(found.notes)}
    return data


def as_markdown(run: Run, found: Comparison | None) -> str:
    """For a pull request, as GitHub reads it (https://github.github.com/gfm/)."""
    return "\n".join(_markdown(run, found)) + "\n"


def _markdown(run: Run, found: Comparison | None) -> Iterator[str]:
    word = f": {found.verdict.word}" if found else ""
    yield f"### Retention of {_text(run.origin.client)}{word}"
    yield ""
    if found is not None:
        yield from (f"- {_text(one)}" for one in (*found.verdict.why, *found.warnings, *found.notes))
        yield ""
        if found.verdict.all is not None:
            yield "| questions | baseline | now | less held (95 %) | p |"
            yield "|---|---|---|---|---|"
            for name, one in (("all", found.verdict.all), *found.verdict.families.items()):
                lost = f"{one.drop:+.3f} ({one.interval[0]:+.2f} to {one.interval[1]:+.2f})"
                yield f"| {_text(name)} | {one.base:.1%} | {one.now:.1%} | {lost} | {one.p:.3f} |"
            yield ""
    yield from (f"- {_text(one)}" for one in counts(run))
    yield ""
    yield "<details><summary>one line a fact</summary>"
    yield ""
    yield from _fenced(strips(run))
    yield "</details>"


def _fenced(lines: Sequence[str]) -> Iterator[str]:
    yield "````text"
    yield from (line.replace("````", "'''''") for line in lines)
    yield "````"
    yield ""


def _text(text: str) -> str:
    """In one line; nothing in it is markup."""
    made = visible(" ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{one}" if one in "\\`*_[]|~@#" else one for one in made)


def as_junit(run: Run, found: Comparison) -> str:
    """The verdict as one test, for what reads JUnit's XML."""
    verdict = found.verdict
    bad = verdict.word == "regressed"
    suite = ElementTree.Element(
        "testsuite", name="convtest retention", tests="1", failures=str(int(bad)), errors="0", skipped="0"
    )
    case = ElementTree.SubElement(suite, "testcase", classname="convtest.retention", name=visible(run.origin.client))
    if bad:
        failure = ElementTree.SubElement(case, "failure", message=visible(verdict.why[0]))
        failure.text = "\n".join(verdict_lines(found))
    out = ElementTree.SubElement(case, "system-out")
    out.text = "\n".join([*verdict_lines(found), *map(visible, found.warnings)])
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def json_text(run: Run, found: Comparison | None, usd: float = 0.0) -> str:
    return json.dumps({**as_data(run, found), "usd": round(usd, 6)}, indent=2, ensure_ascii=False)
