"""Who told what of whom, and by how much each family of questions changed."""

from collections.abc import Mapping

from convtest.retention.baseline import Run
from convtest.retention.pictures.sheet import Sheet, wide
from convtest.retention.verdict import Difference, Verdict

_UNNAMED = "another"


def leaks(run: Run) -> str:
    """How often a session was asked, and how often it named a value of another one."""
    asked: dict[str, int] = {}
    named: dict[tuple[str, str], int] = {}
    for one in run.probes:
        asked[one.session] = asked.get(one.session, 0) + len(one.outcomes) - one.outcomes.count("N")
        if count := one.outcomes.count("L"):
            key = one.session, one.leaked or _UNNAMED
            named[key] = named.get(key, 0) + count
    rows = sorted(asked)
    across = sorted({*rows, *(owner for _, owner in named)}, key=lambda name: (name == _UNNAMED, name))
    cell = max(74.0, *(wide(one) + 16 for one in across)) if across else 74.0
    left = 30 + max((wide(one) for one in rows), default=0.0)
    total = sum(named.values())
    bound = _bound(total, sum(asked.values()))
    sheet = Sheet(max(560, left + cell * len(across) + 20), 110 + 26 * len(rows), "Who told what of whom", bound)
    sheet.text(12, 44, "rows: the session that was asked; columns: the session whose value it named", "dim")
    for at, owner in enumerate(across):
        sheet.text(left + (at + 0.5) * cell, 74, owner, "bold", "middle")
    for down, session in enumerate(rows):
        y = 82 + 26 * down
        sheet.text(12, y + 17, session)
        for at, owner in enumerate(across):
            count = named.get((session, owner), 0)
            kind = "none" if count else "empty" if owner == session else "all"
            sheet.box((left + at * cell, y), (cell - 2, 24), kind)
            text = "its own" if owner == session and not count else f"{count} of {asked[session]}"
            sheet.text(left + (at + 0.5) * cell, y + 17, text, "none" if count else "dim small", "middle")
    sheet.text(12, 100 + 26 * len(rows), bound, "dim small")
    return sheet.svg()


def _bound(leaked: int, asked: int) -> str:
    """With none seen in n, 3 / n is the upper end of the 95 % interval (the rule of three)."""
    if leaked or not asked:
        return f"{leaked} of {asked} replies named a value of another session"
    return f"no leak in {asked} replies: at most {min(1.0, 3 / asked):.1%} of them would leak (95 %)"


_LEFT, _WIDE = 250.0, 420.0


def families(verdict: Verdict) -> str | None:
    """By how much each family lost, with its interval; None where nothing was compared by chance."""
    if verdict.all is None:
        return None
    rows: Mapping[str, Difference] = {"all": verdict.all, **verdict.families}
    least = min(-0.1, *(one.interval[0] for one in rows.values()))
    most = max(0.1, *(one.interval[1] for one in rows.values()))
    says = "; ".join(f"{name}: {one.drop:+.3f}" for name, one in rows.items())
    sheet = Sheet(_LEFT + _WIDE + 220, 120 + 28 * len(rows), f"By how much less is held: {verdict.word}", says)
    sheet.text(12, 44, "a point right of the rule: less is held now; the line is its 95 % interval (Newcombe)", "dim")

    def across(value: float) -> float:
        return _LEFT + _WIDE * (value - least) / (most - least)

    bottom = 74 + 28 * len(rows)
    sheet.line([(across(0), 62), (across(0), bottom)], "edge")
    for value in sorted({least, 0.0, most}):
        sheet.text(across(value), bottom + 18, f"{value:+.2f}" if value else "0", "dim small", "middle")
    for down, (name, one) in enumerate(rows.items()):
        y = 84.0 + 28 * down
        sheet.text(12, y + 4, name, "bold" if name == "all" else "")
        sheet.text(_LEFT - 16, y + 4, f"{one.base:.0%} → {one.now:.0%}", "dim", "end")
        sheet.line([(across(one.interval[0]), y), (across(one.interval[1]), y)], "now")
        for end in one.interval:
            sheet.line([(across(end), y - 5), (across(end), y + 5)], "now")
        sheet.dot((across(one.drop), y), "now-dot")
        chance = f"p = {one.p:.3f}" if one.p >= 0.001 else "p < 0.001"
        said = f"{one.drop:+.3f}, {chance}{'' if name == 'all' else ' (Holm)'}"
        sheet.text(_LEFT + _WIDE + 16, y + 4, said, "bold" if one.p < 0.05 else "dim")
    return sheet.svg()
