"""Conversations beside each other on a terminal: in two columns where it is wide, above each other where it is not."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from convtest.reporting.beside import Beside, Pair, Span, words
from convtest.reporting.exchanges import HEAD, Line
from convtest.review.changed import Changed
from convtest.review.views import View
from convtest.textmatch import cut, visible

_WIDE = 100
"""Columns from which on two stand beside each other."""
_LONG = 400
"""Characters shown of a text that is only on one side, and around what differs."""
_AROUND = 60
_SAME = 100
_MARKS = {"same": " ", "gone": "-", "new": "+"}
_STYLES = {"same": "dim", "gone": "red", "new": "green"}


def shower() -> Console:
    """Where it is shown; colours where the terminal has them."""
    return Console(highlight=False, emoji=False, markup=False)


def show(console: Console, view: View, *, whole: bool = False) -> None:
    """One change: its name, what changed in one line each, and both conversations."""
    if view.changed is not None:
        console.print(Text(visible(_title(view.changed)), style="bold"), soft_wrap=True)
    margin = "  " if view.changed is not None else ""
    for line in view.headlines:
        console.print(Text(visible(f"{margin}{line}")), soft_wrap=True)
    for text in view.trouble:
        console.print(Text(visible(f"{margin}{text}"), style="red"), soft_wrap=True)
    if not view.differs:
        anew = f", but for {', '.join(view.anew)}" if view.anew else ""
        console.print(f"{margin}the same conversation{anew}", soft_wrap=True)
        return
    _conversation(console, view.exchanges, whole)
    if view.beside:
        console.print()
    for line in view.beside:
        console.print(Text(visible(f"  {line}"), style=_STYLES[_sign(line)]), soft_wrap=True)


def _title(one: Changed) -> str:
    item = f"  ({one.item})" if one.item else ""
    state = one.state if not one.was else f"renamed from {one.was}{'' if one.old == one.new else ', changed'}"
    return visible(f"{one.id}  {one.kind}, {state}{item}")


def _sign(line: str) -> str:
    return {"-": "gone", "+": "new"}.get(line[:1], "same")


def _conversation(console: Console, exchanges: Sequence[Beside], whole: bool) -> None:
    left_out = 0
    for at, one in enumerate(exchanges):
        near = exchanges[max(0, at - 1) : at + 2]
        if not whole and (all(other.state == "same" for other in near) or (one.title == HEAD and one.state == "same")):
            left_out += one.title != HEAD
            continue
        _skipped(console, left_out)
        left_out = 0
        console.print()
        console.print(Text(visible(f"  {one.session}  {one.title}".rstrip()), style="bold"), soft_wrap=True)
        _exchange(console, one.pairs, whole)
    _skipped(console, left_out)


def _skipped(console: Console, count: int) -> None:
    if count:
        console.print()
        console.print(Text(f"  … {count} exchange{'s' * (count != 1)} the same", style="dim"))


def _exchange(console: Console, pairs: Iterable[Pair], whole: bool) -> None:
    """What is the same is there to find one's way: settings that did not change are left out."""
    shown = [one for one in pairs if whole or one.state != "same" or (one.new or one.old or _NOBODY).said]
    width = max((len(line.label) for one in shown for line in (one.old, one.new) if line), default=0)
    one_sided = len({one.state for one in shown}) == 1 and shown[0].state in ("new", "gone")
    if console.is_terminal and console.width >= _WIDE and not one_sided:
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(ratio=1, overflow="fold")
        table.add_column(ratio=1, overflow="fold")
        for one in shown:
            table.add_row(*_sides(console, one, width, whole))
        console.print(table)
        return
    for one in shown:
        left, right = _sides(console, one, width, whole)
        for text in (left, right) if one.state == "changed" else (right if one.new else left,):
            console.print(text, soft_wrap=True)


_NOBODY = Line("", "", said=False)


def _sides(console: Console, one: Pair, width: int, whole: bool) -> tuple[Text, Text]:
    """Both halves of a line; empty where a side has none."""
    if one.state == "same" and one.old and one.new:
        text = [(one.new.text, False)]
        return _text(console, "same", one.old, text, width, whole), _text(console, "same", one.new, text, width, whole)
    if one.old and one.new:
        before, after = words(one.old.text, one.new.text)
    else:
        before, after = [(one.old.text if one.old else "", False)], [(one.new.text if one.new else "", False)]
    left = _text(console, "gone", one.old, before, width, whole) if one.old else Text()
    return left, _text(console, "new", one.new, after, width, whole) if one.new else Text()


def _text(console: Console, state: str, line: Line, spans: Sequence[Span], width: int, whole: bool) -> Text:
    style, colours = _STYLES[state], console.color_system is not None and not console.no_color
    made = Text(f"  {_MARKS[state]} {visible(line.label):<{width}}  ", style=style)
    for text, differs in spans if whole else _short(spans, _SAME if state == "same" else _LONG):
        said = visible(text)
        if differs and colours:
            made.append(said, style=f"bold reverse {style}")
        else:
            made.append(f"[{said}]" if differs else said)
    return made


def _short(spans: Sequence[Span], most: int) -> list[Span]:
    """What is the same far from what differs is left out."""
    if len(spans) == 1:
        return [(cut(spans[0][0], most), spans[0][1])]
    made: list[Span] = []
    for at, (text, differs) in enumerate(spans):
        if differs:
            made.append((cut(text, most), True))
        elif len(text) > 3 * _AROUND:
            start = text[:_AROUND] if at else ""
            end = text[-_AROUND:] if at + 1 < len(spans) else ""
            made.append((f"{start}…{end}", False))
        else:
            made.append((text, False))
    return made
