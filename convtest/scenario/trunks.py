"""The steps of a trunk: tellings, filler, the disturbance, questions on forks and at the end; up to what is needed."""

from collections.abc import Collection
from typing import Any

from convtest.retention.families import MAIN, OTHER, Question, Telling
from convtest.retention.matrix import CHILD, Cell, Matrix, Trunk, parted
from convtest.scenario.disturbances import FAILED, KINDS
from convtest.scenario.expectations import EndedShape, ExpectShape
from convtest.scenario.model import Act, ActKind, Disturbance, Scenario, SessionSpec, Step, Turn
from convtest.structs import Struct, field, replace

_ACTS: dict[str, tuple[ActKind, ...]] = {
    "kill": ("kill", "resume"),
    "resume": ("resume",),
    "clear": ("clear",),
    "compact": ("compact",),
    "restore": ("save", "restore"),
}
"""What a disturbance before a turn of filler is."""


class Asked(Struct, frozen=True):
    """Where a cell's questions are asked: the turns' indices."""

    store: tuple[int, ...] = ()
    """On a fork, read from what was saved."""
    live: tuple[int, ...] = ()
    """In the conversation itself, at its end."""


class Played(Struct):
    """A trunk with its steps, and where in them everything stands; by the index of the step."""

    trunk: Trunk
    steps: list[Step] = field(default_factory=list)
    told: dict[Telling, int] = field(default_factory=dict)
    looked: dict[tuple[str, int], int] = field(default_factory=dict)
    """By session and turns of filler before it: the turn whose request is looked at."""
    filler: dict[str, list[int]] = field(default_factory=dict)
    disturbed: list[int] = field(default_factory=list)
    asked: dict[str, Asked] = field(default_factory=dict)
    """By cell."""
    scenario: Scenario | None = None


def trunk_of(
    base: Scenario, matrix: Matrix, trunk: Trunk, cells: Collection[Cell], *, forks: bool = True, stored: bool = True
) -> Played:
    """The trunk up to what these cells need. `forks`: questions before its end are asked on forks, else all in place;
    `stored`: what is read from a fork tells something."""
    made = _Maker(base, matrix, trunk)
    made.begin()
    live = [cell for cell in cells if not forks or trunk.disturb != "none" or cell.after == max(matrix.ask_after)]
    last = max(matrix.ask_after) if forks and live else max(cell.after for cell in cells)
    for after in range(last + 1):
        if after:
            made.between(after)
        if forks and stored:
            made.on_forks(
                [cell for cell in cells if cell.after == after and (cell not in live or trunk.disturb != "none")]
            )
    made.at_last(live, last, in_full=forks)
    made.end(last)
    made.played.scenario = replace(
        base,
        name=named(base, trunk.label),
        steps=tuple(made.played.steps),
        sessions=made.sessions(),
        sweep=None,
        retention=None,
        xfail=None,
        budget=None,
        snapshot=False,
        unplayed=0,
        trunk=True,
    )
    return made.played


def named(base: Scenario, label: str) -> str:
    """The name of an item of the scenario's matrix."""
    return f"{base.name[:-1]}-{label}]" if base.row else f"{base.name}[{label}]"


class _Maker:
    def __init__(self, base: Scenario, matrix: Matrix, trunk: Trunk) -> None:
        self._base, self._matrix, self._trunk = base, matrix, trunk
        self._main = next(iter(base.sessions))
        self._questions: list[Question] = matrix.questions()
        self._forked = 0
        self.played = Played(trunk)

    def _name(self, session: str) -> str:
        if session == MAIN:
            return self._main
        return next(name for name in (session, f"{session}-session") if name not in self._base.sessions)

    def sessions(self) -> dict[str, SessionSpec]:
        own = self._base.sessions[self._main]
        other = replace(own, name=self._name(OTHER), history=())
        return {self._main: own, **({other.name: other} if self._matrix.elsewhere() else {})}

    def _step(self, session: str) -> dict[str, Any]:
        return {
            "index": len(self.played.steps) + 1,
            "session": self._name(session),
            "id": None,
            "expect": None,
            "options": {},
            "place": self._base.place_of("retention"),
            "node": self._base.node,
        }

    def _turn(self, text: str, session: str = MAIN, **more: Any) -> int:
        turn = Turn(**{**self._step(session), "prompt": text, **more})
        self.played.steps.append(turn)
        return turn.index

    def _act(self, kind: ActKind, target: str = MAIN, new: str | None = None) -> None:
        fields = self._step(new or target)
        named = self._name(new) if new else None
        self.played.steps.append(Act(**fields, kind=kind, target=self._name(target), new=named))

    def begin(self) -> None:
        for number in range(1, self._trunk.told_at):
            self._turn(self._matrix.said_between(number))
        for telling in self._matrix.elsewhere():
            self._turn(telling.text, OTHER)
        facts = {(text.tell, text.answer): (name, place) for name, fact in self._base.facts.items()
                 for place, text in enumerate(fact.versions)}  # fmt: skip
        for telling in self._matrix.tellings():
            tells = facts.get((telling.text, telling.values[0] if telling.values else ""))
            self.played.told[telling] = self._turn(telling.text, telling.session, tells=tells)
        word, after = parted(self._trunk.disturb)
        if after is not None or word == "none":
            return
        self.played.disturbed.append(len(self.played.steps) + 1)
        if word == "fork":
            self._act("fork", MAIN, CHILD)
            self._turn(self._matrix.branch()[1].text, CHILD)
        for kind in _ACTS.get(word, ()):
            self._act(kind)

    def between(self, number: int) -> None:
        """The turns of filler with this number, counted after the telling."""
        text = self._matrix.said_between(self._trunk.told_at - 1 + number)
        for session in (CHILD, MAIN) if self._trunk.disturb == "fork" else (MAIN,):
            self.played.looked.setdefault((session, number - 1), len(self.played.steps) + 1)
            self.played.filler.setdefault(session, []).append(self._filler(text, session, number))

    def _filler(self, text: str, session: str, number: int) -> int:
        word, after = parted(self._trunk.disturb)
        if number > 1 or after is None:
            return self._turn(text, session)
        status = int(word) if word.isdigit() else 0
        done = Disturbance(do="status" if status else word, after=after, status=status)
        ends = FAILED if status else KINDS[word].ends
        index = self._turn(text, session, disturbances=(done,), expect=ExpectShape(ended=EndedShape(one_of=list(ends))))
        self.played.disturbed.append(index)
        if word == "kill":
            self._act("resume")
        return index

    def on_forks(self, cells: Collection[Cell]) -> None:
        """Ask the cells' questions, each on a fork of its own."""
        for cell in cells:
            self._forked += 1
            name = f"asked-{self._forked}"
            self._act("fork", cell.session, name)
            turns = tuple(self._turn(ask.text, name) for ask in cell.question.asks)
            self._act("disconnect", name)
            self.played.asked[cell.label] = Asked(store=turns)

    def at_last(self, cells: Collection[Cell], after: int, *, in_full: bool) -> None:
        """Ask in place, in the order of the matrix; what comes before a cell's question is asked with it."""
        for session in dict.fromkeys(cell.session for cell in cells):
            wanted = {cell.question.name: cell for cell in cells if cell.session == session}
            questions = [*self._questions, self._matrix.branch()[0]]
            last = max(place for place, one in enumerate(questions) if one.name in wanted)
            asked: dict[str, tuple[int, ...]] = {}
            for question in questions[: last + 1] if in_full else [cell.question for cell in cells]:
                if question.slot == "branch" and (self._trunk.disturb != "fork" or session == CHILD):
                    continue
                self.played.looked.setdefault((session, after), len(self.played.steps) + 1)
                asked[question.name] = tuple(self._turn(ask.text, session) for ask in question.asks)
            for cell in (one for one in cells if one.session == session):
                kept = self.played.asked.get(cell.label, Asked())
                self.played.asked[cell.label] = replace(kept, live=asked[cell.question.name])

    def end(self, after: int) -> None:
        """A last turn, where nothing was asked whose request could be looked at."""
        for session in (MAIN, CHILD) if self._trunk.disturb == "fork" else (MAIN,):
            if (session, after) not in self.played.looked:
                self.played.looked[session, after] = self._turn(self._matrix.closing(), session)
