"""The matrix: what was told, by how long ago it was and by what came between."""

from collections import Counter
from collections.abc import Sequence

from convtest.retention.baseline import Line, Run
from convtest.retention.pictures.sheet import Sheet, wide

_CELL = 54.0, 24.0
_TOP = 96.0
_GAP = 14.0


def heat(run: Run) -> str:
    """A row is a family and the turn of its telling, a column a distance; each disturbance has columns of its own."""
    rows = sorted({(one.family, one.told_at) for one in run.probes})
    groups = columns(run.probes)
    cells: dict[tuple[str, int, str, int], list[Line]] = {}
    for one in run.probes:
        cells.setdefault((one.family, one.told_at, one.disturb, one.after), []).append(one)
    left = 24 + max((wide(_row(*row)) for row in rows), default=0.0)
    width = left + sum(_GAP + max(len(after) * _CELL[0], wide(name) + 16) for name, after in groups) + 24
    sheet = Sheet(max(width, 560), _TOP + len(rows) * _CELL[1] + 52, "What is still known", _says(run))
    sheet.text(12, 44, "columns: turns of filler between telling and asking, by what came between", "dim")
    x = left
    for name, distances in groups:
        _group(sheet, name, distances, (x, _TOP + len(rows) * _CELL[1]))
        if torn := [one for key, some in run.torn.items() if name.partition("-")[0] == key for one in some]:
            size = len(distances) * _CELL[0] + 4, len(rows) * _CELL[1] + 4
            sheet.box((x - 3, _TOP - 3), size, "broken", "\n".join(f"{one.id}: {one.broken}" for one in torn[:10]))
        for at, after in enumerate(distances):
            for down, row in enumerate(rows):
                given = cells.get((*row, name, after), [])
                _cell(sheet, (x + at * _CELL[0], _TOP + down * _CELL[1]), given)
        x += _GAP + max(len(distances) * _CELL[0], wide(name) + 16)
    for down, row in enumerate(rows):
        sheet.text(12, _TOP + down * _CELL[1] + 16, _row(*row))
    legend = (
        "held / asked, and the letter of what came instead; a thick frame: the wire is broken, of a cell or a trunk"
    )
    sheet.text(12, _TOP + len(rows) * _CELL[1] + 26, legend, "dim small")
    letters = "M nothing  S an older value  G several  C another fact  L another session's  F made up  N no reply"
    sheet.text(12, _TOP + len(rows) * _CELL[1] + 42, letters, "dim small")
    return sheet.svg()


def columns(probes: Sequence[Line]) -> list[tuple[str, list[int]]]:
    """Each disturbance with its distances; what was not disturbed comes first."""
    names = sorted({one.disturb for one in probes}, key=lambda name: (name != "none", name))
    return [(name, sorted({one.after for one in probes if one.disturb == name})) for name in names]


def _row(family: str, told_at: int) -> str:
    return f"{family}, told in turn {told_at}"


def _group(sheet: Sheet, name: str, distances: Sequence[int], at: tuple[float, float]) -> None:
    x, bottom = at
    if name != "none":
        sheet.line([(x - _GAP / 2, 56), (x - _GAP / 2, bottom)], "rule")
        sheet.area([(x - _GAP / 2 - 5, 54), (x - _GAP / 2 + 5, 54), (x - _GAP / 2, 63)], "mark")
    sheet.text(x + 4, 68, "undisturbed" if name == "none" else name, "bold")
    for number, after in enumerate(distances):
        sheet.text(x + (number + 0.5) * _CELL[0], 88, str(after), "dim", "middle")


def _cell(sheet: Sheet, at: tuple[float, float], lines: Sequence[Line]) -> None:
    size = _CELL[0] - 2, _CELL[1] - 2
    letters = Counter("".join(one.outcomes for one in lines))
    asked = letters.total()
    if not asked:
        sheet.box(at, size, "empty")
        return
    held = letters["H"]
    other = "L" if letters["L"] else next((one for one, _ in letters.most_common() if one != "H"), "")
    kind = "all" if held == asked else "none" if not held else "most" if 2 * held >= asked else "some"
    names = "\n".join(f"{one.id}: {one.outcomes}, wire {one.wire}" for one in lines[:10])
    sheet.box(at, size, kind, names)
    sheet.text(at[0] + size[0] / 2, at[1] + 16, f"{held}/{asked} {other}".strip(), _ink(kind), "middle")
    if any(one.broken for one in lines):
        sheet.box((at[0] + 1.5, at[1] + 1.5), (size[0] - 3, size[1] - 3), "broken")


def _ink(kind: str) -> str:
    return kind if kind == "none" else ""


def _says(run: Run) -> str:
    parts = []
    for name, _ in columns(run.probes):
        letters = "".join(one.outcomes for one in run.probes if one.disturb == name)
        parts.append(f"{name}: {letters.count('H')} of {len(letters)} held")
    parts += [f"{name}: the conversation itself is broken" for name in run.torn]
    return "; ".join(parts)
