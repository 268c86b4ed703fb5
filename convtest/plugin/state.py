"""What the plugin's modules share during one run of pytest; it imports none of them that hold hooks or items."""

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from convtest.config import Config
from convtest.gateway.standing import GatewayAddress
from convtest.plugin.matrices import Cells
from convtest.plugin.sweeps import Sweeps
from convtest.structs import Struct, field

if TYPE_CHECKING:
    from convtest.play.apps import Applications
    from convtest.play.mode import Mode

STATE = pytest.StashKey["State"]()
PROPERTY = "convtest"
HEADLINE = "convtest_headline"


class State(Struct):
    """What the plugin knows during one run of pytest."""

    config: Config
    tags: set[str] = field(default_factory=set)
    sources: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
    gateway: GatewayAddress = field(default_factory=GatewayAddress)
    apps: "Applications | None" = None
    """Those that fixtures started and have not ended yet."""
    purse: Any = None
    """What recording may cost, for all items of this process together."""
    unseen: int = 0
    """Items in which a check could not look at the wire."""
    sweeps: Sweeps = field(default_factory=Sweeps)
    cells: Cells = field(default_factory=Cells)
    trunks: dict[tuple[str, str], Any] = field(default_factory=dict)
    """What became of the trunks that this process has played, by file and name."""
    left_out: dict[str, int] = field(default_factory=dict)
    """By matrix: cells that are not asked since each takes processes."""
    aside: list[str] = field(default_factory=list)
    """Where turns stand of recordings that broke off and were not gone on with."""


@dataclass(frozen=True, slots=True)
class Crash:
    """Where and what, in one line: what pytest's short summary shows."""

    path: str
    lineno: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.lineno}: {self.message}"


class Shown:
    """The report of a failed item: whole in the terminal, one line in the summary."""

    def __init__(self, text: str, crash: Crash) -> None:
        from convtest.textmatch import visible

        # What a program said or a scenario is called may steer a terminal.
        self._text = visible(text)
        self.reprcrash = replace(crash, message=visible(crash.message))

    def toterminal(self, tw: Any) -> None:
        lines = self._text.splitlines()
        for before, line, after in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
            colour = _markup(line)
            other = after if colour.get("green") else before
            if (colour.get("green") or colour.get("red")) and _word(other) in _PAIR and _word(other) != _word(line):
                start, middle, end = _parted(line, other)
                tw.write(start, **colour)
                tw.write(middle, **colour, bold=True, invert=True)
                tw.line(end, **colour)
            else:
                tw.line(line, **colour)

    def __str__(self) -> str:
        return self._text


_PAIR = ("expected", "seen")


def _markup(line: str) -> dict[str, bool]:
    first = _word(line)
    return {name: True for name, word in (("bold", ">"), ("green", "expected"), ("red", "seen")) if first == word}


def _word(line: str) -> str:
    return line.split(maxsplit=1)[0] if line.strip() else ""


def _parted(line: str, other: str) -> tuple[str, str, str]:
    """A line of a pair: what both begin with, the words in which they differ, and what both end with."""
    mine, theirs = (re.split(r"(\s+)", one) for one in (line, other))
    # The words "expected" and "seen" take equally much room, but are not what differs.
    start = 4
    while start < min(len(mine), len(theirs)) and mine[start] == theirs[start]:
        start += 1
    end = 0
    while end < min(len(mine), len(theirs)) - start and mine[-1 - end] == theirs[-1 - end]:
        end += 1
    if start == 4 and end == 0:
        return line, "", ""  # nothing is the same: there is nothing to point at
    stop = len(mine) - end
    return "".join(mine[:start]), "".join(mine[start:stop]), "".join(mine[stop:])


def register_tags(config: pytest.Config, tags: tuple[str, ...]) -> None:
    """Tags are marks like any other: `-m`, `--strict-markers` and `--markers` know them."""
    known = config.stash[STATE].tags
    for tag in tags:
        if tag not in known:
            known.add(tag)
            config.addinivalue_line("markers", f"{tag}: a tag of convtest scenarios")


def mode_of(config: pytest.Config) -> "Mode":
    """How items are to be played, by the command line."""
    from convtest.clients.prices import usd
    from convtest.play.mode import Mode
    from convtest.wire.pacing import Pace
    from convtest.wire.spending import Ledger, Purse

    option: Any = config.getoption
    state = config.stash[STATE]
    journal = option("--convtest-retention") if option("--convtest-live") else None
    limit = option("--convtest-max-usd")
    if state.purse is None and (limit is not None or journal):
        prices = state.config.prices
        ledger = Ledger(Path(journal).with_suffix(".usd")) if journal else None
        state.purse = Purse(limit, lambda model, usage: usd(model, usage, prices), ledger)
    pace = Pace(
        concurrency=option("--convtest-concurrency"),
        requests=option("--convtest-requests-per-minute"),
        tokens=option("--convtest-tokens-per-minute"),
    )
    return Mode(
        pace=pace,
        resume=option("--convtest-resume"),
        purse=state.purse,
        record=option("--convtest-record") or "none",
        live=option("--convtest-live"),
        speed=option("--convtest-speed"),
        backend=option("--convtest-backend"),
    )
