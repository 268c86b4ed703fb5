"""A sheet to draw on; it becomes an SVG file that needs nothing else: light and dark, readable without colour."""

from collections.abc import Sequence
from html import escape

from convtest.textmatch import visible

Point = tuple[float, float]

_STYLE = """
text{font:12px system-ui,sans-serif;fill:#16191d}.title{font-size:15px;font-weight:600}.dim{fill:#545b66}
.small{font-size:11px}.bold{font-weight:700}.paper{fill:#fff}.edge{fill:none;stroke:#8a919c}.grid{stroke:#d5d9df;fill:none}
.rule{stroke:#8a4b00;stroke-width:1.5;stroke-dasharray:2 3;fill:none}.mark{fill:#8a4b00}
.now{stroke:#0b57b0;stroke-width:2.2;fill:none}.base{stroke:#545b66;stroke-width:1.6;stroke-dasharray:6 4;fill:none}
.now-dot{fill:#0b57b0}.base-dot{fill:#fff;stroke:#545b66;stroke-width:1.5}
.now-band{fill:#0b57b0;fill-opacity:.18}.base-band{fill:none;stroke:#545b66;stroke-width:.8;stroke-dasharray:1 3}
.all{fill:#e3f3e7}.most{fill:#f5edc0}.some{fill:#f2b46b}.none{fill:#a3161d}text.none{fill:#fff;font-weight:700}
.empty{fill:#eef0f2}.broken{fill:none;stroke:#16191d;stroke-width:3}
@media(prefers-color-scheme:dark){text{fill:#e8eaed}.dim{fill:#a9b1bc}.paper{fill:#14171a}.edge{stroke:#7b838f}
.grid{stroke:#343a43}.rule{stroke:#f0b35e}.mark{fill:#f0b35e}.now{stroke:#8ab8f5}.base{stroke:#a9b1bc}.now-dot{fill:#8ab8f5}
.base-dot{fill:#14171a;stroke:#a9b1bc}.now-band{fill:#8ab8f5}.base-band{stroke:#a9b1bc}
.all{fill:#17361f}.most{fill:#4d4413}.some{fill:#84500f}.none{fill:#ff9a94}text.none{fill:#14171a}.empty{fill:#262b31}
.broken{stroke:#e8eaed}}
"""
"""Classes and no variables: programs other than browsers read these too. What is lost is darkest on white, brightest on
black."""


class Sheet:
    """Drawn from the top left, in pixels; `title` and `says` are what a screen reader reads."""

    def __init__(self, width: float, height: float, title: str, says: str) -> None:
        self._size = f"{width:.0f}", f"{height:.0f}"
        self._about = _said(title), _said(says)
        self._parts: list[str] = []
        self.text(12, 24, title, "title")

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}"{_class(kind)} text-anchor="{anchor}">{_said(text)}</text>')

    def box(self, at: Point, size: Point, kind: str, hint: str = "") -> None:
        told = f"<title>{_said(hint)}</title>" if hint else ""
        where = f'x="{at[0]:.1f}" y="{at[1]:.1f}" width="{size[0]:.1f}" height="{size[1]:.1f}"'
        self._parts.append(f"<rect {where}{_class(kind)}>{told}</rect>")

    def line(self, points: Sequence[Point], kind: str) -> None:
        self._parts.append(f'<polyline points="{_points(points)}"{_class(kind)}/>')

    def area(self, points: Sequence[Point], kind: str) -> None:
        self._parts.append(f'<polygon points="{_points(points)}"{_class(kind)}/>')

    def dot(self, at: Point, kind: str, hint: str = "") -> None:
        told = f"<title>{_said(hint)}</title>" if hint else ""
        self._parts.append(f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="3.5"{_class(kind)}>{told}</circle>')

    def svg(self) -> str:
        width, height = self._size
        title, says = self._about
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            f'role="img" aria-labelledby="title says"><title id="title">{title}</title><desc id="says">{says}</desc>'
            f'<style>{_STYLE}</style><rect class="paper" width="100%" height="100%"/>'
        )
        return head + "\n" + "\n".join(self._parts) + "\n</svg>\n"


def wide(text: str) -> float:
    """About how many pixels a text takes; of scripts with wide letters about twice as many."""
    return sum(6.6 if ord(one) < 0x1100 else 12.5 for one in text)


def _said(text: str) -> str:
    """XML takes no control characters, however they are written."""
    return escape(visible(text))


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
