"""Trunks of a matrix, played: what became of each cell that is asked in them."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

from convtest.checks.result import Verdict
from convtest.checks.retention import Judged, Trial, prompt_tokens
from convtest.clients.registry import make
from convtest.config import Config
from convtest.errors import ConvtestError, MissingCapability
from convtest.gateway.door import Door
from convtest.play.mode import Mode
from convtest.play.perform import Played, ready
from convtest.policy import choices
from convtest.results.model import Result
from convtest.retention.journal import Finished
from convtest.retention.matrix import Cell, Trunk
from convtest.retention.probes import Trunk as TrunkRecord
from convtest.scenario.digest import digest
from convtest.scenario.model import Act, Scenario, Turn
from convtest.scenario.trunks import Played as Laid
from convtest.scenario.trunks import named, trunk_of
from convtest.structs import Struct, replace
from convtest.textmatch import contains_value
from convtest.transcript import ActRecord

Forks = Literal["yes", "refused", "forgets"]
MOST_WITH_PROCESSES = 40
"""Cells that a client with processes of its own is asked, where nobody wants more."""
_ALWAYS = {"messages", "chat_completions", "claude_agent_sdk"}
"""Kinds of clients that are known to fork."""
_WORD = "heliotrope"


class TrunkFailed(ConvtestError, page="retention"):
    """A cell's conversation did not hold, or broke off: what the cell found tells nothing."""

    def __init__(self, *, trunk: str, why: str) -> None:
        super().__init__(f"{why}\n    what failed in it: pytest '{trunk}'")


@dataclass(slots=True)
class Outcome:
    """What became of a trunk."""

    cells: dict[str, Judged | None] = field(default_factory=dict)
    """By label; None for one that was not come to."""
    played: Played | None = None
    """The play, where its own findings are to be told."""
    trouble: ConvtestError | None = None
    """Why it could not be played."""
    skip: str = ""
    """Why it cannot be asked of this client at all."""
    record: TrunkRecord | None = None
    told: dict[str, Callable[[str], Result]] = field(default_factory=dict)
    """By the label of a cell that failed: what is to be said of it, by the id of its item."""
    in_full: bool = False
    """Each cell was played by itself: the client does not fork."""
    plays: list[Played] = field(default_factory=list)
    """All that was played, for what it cost."""


class Asking(Struct, frozen=True, kw_only=True):
    """With what trunks are played."""

    config: Config
    mode: Mode
    door: Door | None
    room: Callable[[], Path]
    """A fresh folder for each play."""


def asked_cells(config: Config, base: Scenario, repeat: int = 1, most: int | None = None) -> tuple[list[Cell], int]:
    """The cells that are items, and how many are left out, since each takes processes."""
    matrix = base.retention
    assert matrix is not None
    cells = [cell for trunk in matrix.trunks(repeat) for cell in matrix.cells(trunk)]
    limit = most if most is not None else MOST_WITH_PROCESSES if make(config, base.client).gateway else None
    if limit is None or len(cells) <= limit:
        return cells, 0
    places = {place * len(cells) // limit for place in range(limit)}
    return [cell for place, cell in enumerate(cells) if place in places], len(cells) - len(places)


def play_trunk(asking: Asking, base: Scenario, trunk: Trunk, cells: Collection[Cell]) -> Outcome:
    """Play the trunk as far as these cells need it, and judge them. Raises ConvtestError before anything is played."""
    matrix = base.retention
    assert matrix is not None
    forks = forks_of(asking, base)
    outcome = Outcome()
    if trunk.disturb == "fork" and forks == "refused":
        outcome.skip = f"client {base.client!r} cannot fork"
        return outcome
    stored = trunk.disturb != "clear" or _cleared(asking.config, base) == "gone"
    wanted = cells or list(matrix.cells(trunk))[-1:]
    if forks == "yes":
        laid = [trunk_of(base, matrix, trunk, wanted, stored=stored)]
        shares: Sequence[Collection[Cell]] = [wanted]
    else:
        outcome.in_full = True
        laid = [trunk_of(base, matrix, trunk, [cell], forks=False) for cell in wanted]
        shares = [[cell] for cell in wanted]
    for one, share in zip(laid, shares, strict=True):
        _play(asking, base, one, share, outcome)
        if outcome.skip or outcome.trouble is not None:
            break
    return outcome


def _play(asking: Asking, base: Scenario, laid: Laid, cells: Collection[Cell], outcome: Outcome) -> None:
    matrix, scenario = base.retention, laid.scenario
    assert matrix is not None
    assert scenario is not None
    try:
        played = ready(asking.config, scenario, asking.mode, asking.door).play(asking.room())
    except MissingCapability as error:
        outcome.skip = f"client {base.client!r} has no {error.capability}"
        return
    except ConvtestError as error:
        outcome.trouble = error
        return
    outcome.plays.append(played)
    trial = Trial(matrix, laid, played.transcript)
    for cell in cells:
        judged = outcome.cells[cell.label] = trial.judged(cell, base.row)
        if judged is not None and judged.findings:
            outcome.told[cell.label] = partial(_told, played, judged)
    if not played.verdict.passed and outcome.played is None:
        outcome.played = played
    record = _record(laid, base, played, live=asking.mode.live)
    before = outcome.record.broken if outcome.record is not None else ""
    outcome.record = replace(record, broken=before or record.broken)


def _told(played: Played, judged: Judged, item: str) -> Result:
    """The wire's finding first: what the reply says follows from it."""
    findings = sorted(judged.findings, key=lambda one: one.layer != "wire")
    return played.result(item, Verdict(findings=tuple(findings)))


def _record(laid: Laid, base: Scenario, played: Played, *, live: bool) -> TrunkRecord:
    transcript = played.transcript
    main = next(iter(base.sessions))
    models = [name for turn in transcript.turns() for one in turn.main() if (name := one.reply().get("model"))]
    turns = [turn.step.index for turn in transcript.turns(main)]
    at = [sum(index <= one for index in turns) for one in laid.disturbed]
    return TrunkRecord(
        id=transcript.scenario.name,
        disturb=laid.trunk.disturb,
        row=base.row,
        seed=base.retention.seed if base.retention else 0,
        repeat=laid.trunk.repeat,
        model=str(models[0]) if models else "",
        prompt_tokens=tuple(prompt_tokens(transcript, main)),
        disturbed=tuple(at),
        trouble="" if not transcript.not_run else f"{len(transcript.not_run)} steps were not run",
        broken=_broken(played, live=live),
    )


def _broken(played: Played, *, live: bool) -> str:
    """What is the client's in what was found; a real model may answer or fail as it likes."""
    found = [one for one in played.verdict.findings if not live or one.layer in {"wire", "mass"}]
    if found:
        return f"{found[0].check}: {found[0].message}"
    return f"{len(played.transcript.not_run)} steps were not run" if played.transcript.not_run and not live else ""


def finished(asking: Asking, base: Scenario, outcome: Outcome) -> Finished | None:
    """The trunk as a journal keeps it; None for one that did not come to its end."""
    matrix, record = base.retention, outcome.record
    if record is None or matrix is None or outcome.skip or outcome.trouble is not None:
        return None
    if record.trouble and asking.mode.live:  # it is played again: what a real model did not do proves nothing
        return None
    made = make(asking.config, base.client)
    options = {**made.options, **base.options}
    policy = made.policy(options)
    return Finished(
        trunk=record,
        probes=tuple(one.probe for one in outcome.cells.values() if one is not None),
        client=base.client,
        mode="live" if asking.mode.live else "simulated",
        scenario=base.name,
        digest=_digest(f"{digest(replace(base, steps=()))} {matrix.words()!r}"),
        policy={name: str(getattr(policy, name)) for name in choices()},
        settings=_digest(repr(sorted((key, repr(value)) for key, value in options.items()))),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _cleared(config: Config, base: Scenario) -> str:
    made = make(config, base.client)
    return str(made.policy({**made.options, **base.options}).cleared)


def forks_of(asking: Asking, base: Scenario) -> Forks:
    """Whether the scenario's client forks; where its kind does not say, it is tried, on the simulator."""
    profile = asking.config.profile(base.client)
    if profile.kind in _ALWAYS:
        return "yes"
    return _tried(_Question(asking, base))


@dataclass(frozen=True, slots=True)
class _Question:
    asking: Asking = field(compare=False, hash=False)
    base: Scenario = field(compare=False, hash=False)
    key: str = ""

    def __post_init__(self) -> None:
        profile = self.asking.config.profile(self.base.client)
        object.__setattr__(self, "key", f"{self.asking.config.root} {profile} {dict(self.base.options)}")


@cache
def _tried(question: _Question) -> Forks:
    asking, base = question.asking, question.base
    main = next(iter(base.sessions))
    fields: dict[str, Any] = {"id": None, "expect": None, "options": {}, "place": base.place, "node": base.node}
    first = Turn(**fields, index=1, session=main, prompt=f"The word of the day is {_WORD}.")
    second = Turn(**fields, index=2, session=main, prompt="The day is long.")
    act = Act(**fields, index=3, session="asked", kind="fork", target=main, new="asked")
    last = Turn(**fields, index=4, session="asked", prompt="Good day.")
    scenario = replace(
        base, name=named(base, "forks"), steps=(first, second, act, last), sweep=None, retention=None, xfail=None,
        budget=None, snapshot=False, trunk=True,
    )  # fmt: skip
    mode = replace(asking.mode, live=False, purse=None)
    try:
        played = ready(asking.config, scenario, mode, asking.door).play(asking.room())
    except ConvtestError:
        return "refused"
    for record in played.transcript.records:
        if isinstance(record, ActRecord) and (record.error is not None or record.crash):
            return "refused"
    sent = [turn.sent() for turn in played.transcript.turns("asked")]
    held = [one is not None and any(contains_value(text, _WORD) for text in one.texts()) for one in sent]
    return "yes" if held and held[-1] else "forgets"
