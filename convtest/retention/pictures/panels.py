"""Small charts beside each other, one for each disturbance: retention over distance, and prompt tokens by turn."""

from collections.abc import Mapping, Sequence
from math import ceil, log2

from convtest.retention.baseline import Conversation, Line, Run
from convtest.retention.intervals import wilson
from convtest.retention.pictures.heat import columns
from convtest.retention.pictures.sheet import Point, Sheet
from convtest.structs import Struct

_SIZE = 236.0, 150.0
_STEP = 300.0, 226.0
_TOP = 92.0
_A_ROW = 4
_MOST = 5
"""Conversations that are drawn, of each disturbance and side."""

Counts = Mapping[float, tuple[int, int]]
"""(held, asked) by distance."""


class _Panel(Struct, frozen=True):
    """The corner of one chart, and its scales: from 0, `across` and `up` are where they end."""

    x: float
    y: float
    across: float
    up: float

    def at(self, right: float, high: float) -> Point:
        return self.x + _SIZE[0] * right / self.across, self.y + _SIZE[1] * (1 - high / self.up)


def distance_in_turns(now: Run, base: Run | None) -> str:
    """What is held, by turns of filler."""
    sides = [_by_turns(now), _by_turns(base) if base else {}]
    return _distances("What is held over turns", "turns of filler between telling and asking", sides, now)


def distance_in_tokens(now: Run, base: Run | None) -> str | None:
    """What is held, by tokens that the prompt grew; None where nobody reported any."""
    sides = [_by_tokens(now), _by_tokens(base) if base else {}]
    if not any(sides[0].values()):
        return None
    return _distances("What is held over tokens", "tokens that the prompt grew since the telling (up to)", sides, now)


def _by_turns(run: Run) -> dict[str, dict[float, tuple[int, int]]]:
    found: dict[str, dict[float, tuple[int, int]]] = {}
    for one in run.probes:
        _add(found.setdefault(one.disturb, {}), float(one.after), one.outcomes)
    return found


def _by_tokens(run: Run) -> dict[str, dict[float, tuple[int, int]]]:
    """In bins that double."""
    tokens = {(one.id, one.row, one.seed, one.repeat): one.prompt_tokens for one in run.conversations}
    found: dict[str, dict[float, tuple[int, int]]] = {}
    for one in run.probes:
        for repeat, letter in enumerate(one.outcomes, 1):
            grown = _grown(one, tokens.get((*one.template, repeat), ()))
            if grown is not None:
                _add(found.setdefault(one.disturb, {}), float(2 ** ceil(log2(max(64, grown)))), letter)
    return found


def _grown(one: Line, tokens: Sequence[int]) -> int | None:
    """From the telling to the turn before the question; less than nothing where the history was made shorter."""
    told, asked = one.told_at - 1, one.told_at + one.after - 1
    if asked >= len(tokens) or not tokens[told] or not tokens[asked]:
        return None
    return tokens[asked] - tokens[told]


def _add(counts: dict[float, tuple[int, int]], distance: float, letters: str) -> None:
    held, asked = counts.get(distance, (0, 0))
    counts[distance] = held + letters.count("H"), asked + len(letters) - letters.count("N")


def _distances(title: str, below: str, sides: Sequence[Mapping[str, Counts]], now: Run) -> str:
    names = [name for name, _ in columns(now.probes)]
    sheet = _sheet(title, f"{below}; bands are 95 % (Wilson)", len(names), both=bool(sides[1]))
    every = [distance for side in sides for counts in side.values() for distance in counts]
    least, most = min(every, default=1.0), max(every, default=1.0)
    across = max(1.0, log2(most + 1) - log2(least + 1))
    for number, name in enumerate(names):
        panel = _panel(sheet, number, name, across, 1.0)
        for high in (0.0, 0.5, 1.0):
            sheet.text(panel.x - 6, panel.at(0, high)[1] + 4, f"{high:.0%}", "dim small", "end")
        ticks = sorted({distance for side in sides for distance in side.get(name, {})})
        for distance in ticks:
            right = log2(distance + 1) - log2(least + 1)
            sheet.text(panel.at(right, 0)[0], panel.y + _SIZE[1] + 16, f"{distance:g}", "dim small", "middle")
        for side, kind in ((sides[1], "base"), (sides[0], "now")):
            _curve(sheet, panel, side.get(name, {}), least, kind)
    return sheet.svg()


def _curve(sheet: Sheet, panel: _Panel, counts: Counts, least: float, kind: str) -> None:
    told = [(log2(distance + 1) - log2(least + 1), *counts[distance]) for distance in sorted(counts)]
    told = [one for one in told if one[2]]
    bands = [(right, wilson(held, asked)) for right, held, asked in told]
    around = [panel.at(right, high) for right, (_, high) in bands]
    around += [panel.at(right, low) for right, (low, _) in reversed(bands)]
    if len(told) > 1:
        sheet.area(around, f"{kind}-band")
        sheet.line([panel.at(right, held / asked) for right, held, asked in told], kind)
    elif told:
        sheet.line(around, kind)
    for right, held, asked in told:
        sheet.dot(panel.at(right, held / asked), f"{kind}-dot", f"{held} of {asked}")


def prompt_tokens(now: Run, base: Run | None) -> str | None:
    """What each turn's prompt weighed: a saw where a history is made shorter, a cliff where one is lost. None where
    nobody reported any."""
    every = [one for run in (now, base) if run for one in run.conversations if any(one.prompt_tokens)]
    names = [name for name, _ in columns(now.probes)]
    if not any(one in every for one in now.conversations):
        return None
    across = max(1.0, max(len(one.prompt_tokens) for one in every) - 1.0)
    up = max(max(one.prompt_tokens) for one in every) * 1.05
    sheet = _sheet("Prompt tokens by turn", "the dotted rule: the disturbance", len(names), both=base is not None)
    for number, name in enumerate(names):
        panel = _panel(sheet, number, name, across, up)
        for part in (0.0, 0.5, 1.0):
            sheet.text(panel.x - 6, panel.at(0, up * part)[1] + 4, f"{up * part:,.0f}", "dim small", "end")
        for turn in sorted({1, round(across / 2) + 1, round(across) + 1}):
            sheet.text(panel.at(turn - 1, 0)[0], panel.y + _SIZE[1] + 16, str(turn), "dim small", "middle")
        for run, kind in ((base, "base"), (now, "now")):
            for one in _some(run, name):
                _trace(sheet, panel, one, kind)
    return sheet.svg()


def _some(run: Run | None, name: str) -> list[Conversation]:
    return [one for one in run.conversations if one.disturb == name][:_MOST] if run else []


def _trace(sheet: Sheet, panel: _Panel, one: Conversation, kind: str) -> None:
    told = [(turn, tokens) for turn, tokens in enumerate(one.prompt_tokens) if tokens]
    if kind == "now":
        for turn in one.disturbed:
            sheet.line([panel.at(turn - 1, 0), panel.at(turn - 1, panel.up)], "rule")
    if len(told) > 1:
        sheet.line([panel.at(turn, tokens) for turn, tokens in told], kind)
    for turn, tokens in told[:1]:
        sheet.dot(panel.at(turn, tokens), f"{kind}-dot", f"{one.id}, repeat {one.repeat}")


def _sheet(title: str, about: str, panels: int, *, both: bool) -> Sheet:
    rows = max(1, ceil(panels / _A_ROW))
    width = 24 + _STEP[0] * max(2, min(panels, _A_ROW))
    sheet = Sheet(width, _TOP + rows * _STEP[1] - 16, title, f"{title}: {about}")
    sheet.text(12, 44, about, "dim")
    sheet.line([(12, 60), (44, 60)], "now")
    sheet.dot((28, 60), "now-dot")
    sheet.text(50, 64, "now")
    if both:
        sheet.line([(92, 60), (124, 60)], "base")
        sheet.dot((108, 60), "base-dot")
        sheet.text(130, 64, "baseline")
    return sheet


def _panel(sheet: Sheet, number: int, name: str, across: float, up: float) -> _Panel:
    down, right = divmod(number, _A_ROW)
    panel = _Panel(58 + right * _STEP[0], _TOP + 14 + down * _STEP[1], across, up)
    sheet.text(panel.x, panel.y - 8, "undisturbed" if name == "none" else f"▼ {name}", "bold")
    for high in (0.0, 0.5, 1.0):
        sheet.line([panel.at(0, up * high), panel.at(across, up * high)], "grid")
    sheet.box((panel.x, panel.y), _SIZE, "edge")
    return panel
