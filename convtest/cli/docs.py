"""`convtest docs`: the pages of the documentation, which travel with the package."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from convtest.cli.saying import say
from convtest.errors import did_you_mean

_HERE = Path(__file__).parent.parent
_PLACES = (_HERE / "docs", _HERE.parent / "docs")
"""Of a wheel, and of a clone of the repository that is installed as editable."""


@click.command(name="docs")
@click.argument("page", default="")
@click.option("--path", is_flag=True, help="Print where the page's file stands, and not the page.")
def command(page: str, path: bool) -> None:
    """Print PAGE of the documentation, such as cassettes, or one section of it, such as cassettes#secrets.

    Without PAGE the names of all pages. On the site the same address is PAGE.html.
    """
    name, _, anchor = page.partition("#")
    name = name.removesuffix(".md").removesuffix(".html")
    pages = _pages()
    if not name:
        width = max(map(len, pages))
        for one, file in pages.items():
            say(f"{one:<{width}}  {_title(file)}")
        return
    if name not in pages:
        raise click.UsageError(f"there is no page {name!r}: {did_you_mean(name, pages)}")
    if path:
        say(str(pages[name]))
        return
    text = pages[name].read_text(encoding="utf-8")
    say(_section(text, anchor).rstrip("\n"))


def _pages() -> dict[str, Path]:
    folder = next(place for place in _PLACES if place.is_dir())
    return {path.stem: path for path in sorted(folder.glob("*.md"))}


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return next((line.removeprefix("# ").strip() for line in file if line.startswith("# ")), "")


def _section(text: str, anchor: str) -> str:
    """From the heading with this anchor to the next one of its level or above. Raises UsageError for one that is
    not there."""
    if not anchor:
        return text
    lines = text.splitlines(keepends=True)
    headings = list(headings_of(text))
    for index, (first, level, title) in enumerate(headings):
        if anchor_of(title) == anchor:
            ends = (line for line, other, _ in headings[index + 1 :] if other <= level)
            return "".join(lines[first : next(ends, None)])
    known = [anchor_of(title) for _, _, title in headings]
    raise click.UsageError(f"there is no section {anchor!r}: {did_you_mean(anchor, known)}")


def headings_of(text: str) -> Iterator[tuple[int, int, str]]:
    """Index of the line, level and title of each heading; a comment in a block of code is none."""
    fence = ""
    for index, line in enumerate(text.splitlines()):
        ticks = re.match(r"`{3,}", line)
        if ticks:
            fence = "" if fence == line.strip() else fence or ticks[0]
        elif not fence and (found := re.match(r"(#{1,6}) (.*)", line)):
            yield index, len(found[1]), found[2].strip()


def anchor_of(title: str) -> str:
    """`What plain pytest plays` as the site and repositories name it: `what-plain-pytest-plays`."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
    return re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
