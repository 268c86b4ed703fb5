"""The verdict on one cell of a matrix: what the trunk's own request held, and what was answered."""

from collections.abc import Iterator
from functools import cached_property

from convtest.checks.result import Finding, at_step
from convtest.checks.sent import summary
from convtest.retention.families import MAIN, OTHER, Ask, Question
from convtest.retention.matrix import CHILD, Cell, Matrix
from convtest.retention.outcomes import Values, affirmed, outcome
from convtest.retention.probes import LETTERS, Outcome, Probe, ReplyLayer, Wire
from convtest.scenario.trunks import Played
from convtest.structs import Struct
from convtest.textmatch import contains_value, find_value, folded, tokens
from convtest.transcript import Transcript, TurnRecord
from convtest.wire.messages_api import usage_of


class Judged(Struct, frozen=True):
    """A cell's record, and what did not hold."""

    probe: Probe
    findings: tuple[Finding, ...]


class Trial(Struct, frozen=True, dict=True):
    """A trunk that was played, for the cells that are asked in it."""

    matrix: Matrix
    played: Played
    transcript: Transcript

    def turn(self, index: int) -> TurnRecord | None:
        """The turn of this step, once it was played."""
        found = self._turns.get(index)
        return found if found is not None and (found.end is not None or found.interactions) else None

    @cached_property
    def _turns(self) -> dict[int, TurnRecord]:
        return {one.step.index: one for one in self.transcript.turns()}

    def judged(self, cell: Cell, row: str) -> Judged | None:
        """None where the trunk did not get as far."""
        looked = self.turn(self.played.looked[cell.session, cell.after])
        asked = self.played.asked.get(cell.label)
        turns = [self.turn(index) for index in ((*asked.store, *asked.live) if asked else ())]
        if looked is None or None in turns:
            return None
        wire, broken = self._wire(cell, looked)
        if broken is None:
            wire, broken = self._asked_on_the_wire(cell, wire)
        said, layer, wrong = self._reply(cell, broken is None)
        tokens = usage_of(main[-1].reply()).prompt_tokens if (main := looked.main()) else 0
        probe = Probe(
            id=f"{row}-{cell.label}" if row else cell.label,
            family=cell.question.family,
            slot=cell.question.slot,
            session=cell.session,
            told_at=cell.trunk.told_at,
            after=cell.after,
            disturb=cell.disturb,
            row=row,
            seed=self.matrix.seed,
            repeat=cell.trunk.repeat,
            trunk=self.transcript.scenario.name,
            outcome=LETTERS[said],
            wire=wire,
            intact=broken is None,
            prompt_tokens=tokens,
            reply_layer=layer,
            leaked=self._owner(cell) if said == "leak" else "",
        )
        return Judged(probe, tuple(one for one in (broken, wrong) if one is not None))

    def _wire(self, cell: Cell, record: TurnRecord) -> tuple[Wire, Finding | None]:
        if record.wire != "history":
            return "-", None
        wire, what = self._state(cell, record)
        if what is None or (sent := record.sent()) is None:
            return wire, None if what is None else at_step(record, "retention", "wire", what)
        advice = self._since(cell, record)
        return wire, at_step(record, "retention", "wire", what, seen=summary(sent), advice=advice)

    def _asked_on_the_wire(self, cell: Cell, wire: Wire) -> tuple[Wire, Finding | None]:
        """The requests that asked, too: on a fork they hold what was saved. What is asked in place after a clear is no
        proof: other questions name values."""
        asked = self.played.asked[cell.label]
        for where, turns in (("on a fork", asked.store), ("at the end", asked.live if cell.disturb != "clear" else ())):
            for index in turns:
                record = self.turn(index)
                if record is not None and record.wire == "history" and (found := self._state(cell, record))[1]:
                    broken = at_step(
                        record,
                        "retention",
                        "wire",
                        f"asked {where}: {found[1]}",
                        advice="what was saved is not what was said" if where == "on a fork" else "",
                    )
                    return found[0], broken
        return wire, None

    def _state(self, cell: Cell, record: TurnRecord) -> tuple[Wire, str | None]:
        """What the request has of all that is needed, and what is wrong with that."""
        sent = record.sent()
        if sent is None:
            unsent = record.policy.may_be_unsent(record.turn.prompt)
            return ("-", None) if unsent else ("A", "no request was sent, so nothing can be known")
        texts = _before_prompt(sent.texts(), record.turn.prompt)
        question = cell.question
        held = next((v for v in question.foreign if any(contains_value(one, v) for one in texts)), None)
        if held is not None:
            return "P", f"the request holds {held!r}, which only another session was told"
        if not question.needs:
            return "P", None
        if cell.disturb == "clear":
            held = next((v for v in question.values if any(contains_value(one, v) for one in texts)), None)
            return ("A", None) if held is None else ("P", f"the request still holds {held!r}, told before the clear")
        lost = _lost(question, texts) or self._lost_choice(cell, texts)
        if lost is None:
            return "P", None
        if _stands(question, texts):
            return "C", None if _condensed(cell, record) else lost
        return "A", lost

    def _lost_choice(self, cell: Cell, texts: list[str]) -> str | None:
        """The answer to the telling has to stand in the request too, where it was a choice."""
        if not cell.question.options:
            return None
        (told,) = cell.question.needs
        record = self.turn(self.played.told[told])
        said = folded(record.text) if record is not None else ""
        if any(said in folded(text) for text in texts):
            return None
        return f"the request does not hold the assistant's own choice: {said!r}"

    def _since(self, cell: Cell, record: TurnRecord) -> str:
        """From which turn on it has not been as it must be, and what came there."""
        played = self.played
        marks = [
            index
            for (session, after), index in played.looked.items()
            if session == cell.session and after <= cell.after
        ]
        before = "the telling"
        for index in sorted(marks):
            turn = self.turn(index)
            if turn is not None and self._state(cell, turn)[1] is not None:
                break
            before = f"step {index}"
        else:
            index = record.step.index
        came = f"; {cell.disturb} came at step {played.disturbed[0]}" if played.disturbed else ""
        return f"held after {before}, not in step {index}{came}: look at what the client does there"

    def _reply(self, cell: Cell, intact: bool) -> tuple[Outcome, ReplyLayer, Finding | None]:
        """The first answer that is none, on the fork and then in place."""
        asked = self.played.asked[cell.label]
        layer: ReplyLayer = ""
        kinds: tuple[tuple[ReplyLayer, tuple[int, ...]], ...] = (("store", asked.store), ("live", asked.live))
        for layer_of, turns in kinds:
            for ask, index in zip(cell.question.asks, turns, strict=False):
                record = self.turn(index)
                assert record is not None
                layer = layer_of
                found, what = self._answer(cell, ask, record)
                if found != "hit":
                    return found, layer, _wrong(cell, ask, record, found, f"{what} ({layer})", intact)
        return "hit", layer, None

    def _owner(self, cell: Cell) -> str:
        """The other session whose value was named in an answer."""
        asked = self.played.asked[cell.label]
        said = [record.text for index in (*asked.store, *asked.live) if (record := self.turn(index)) is not None]
        told = [(OTHER, one) for one in self.matrix.elsewhere()] + [(CHILD, self.matrix.branch()[1])]
        values = [(owner, value) for owner, telling in told for value in telling.values]
        return next((owner for owner, value in values if any(contains_value(one, value) for one in said)), "")

    def _answer(self, cell: Cell, ask: Ask, record: TurnRecord) -> tuple[Outcome, str]:
        if record.end is None or (record.end.ended != "complete" and not record.text.strip()):
            return "no_reply", "there is no answer"
        values = self._values(cell, ask)
        if values is None:
            return "no_reply", "the assistant chose none of what it was offered, so there is nothing to ask for"
        text = _until(record.text, ask, values)
        found = outcome(text, values)
        if found == "miss" and ask.old and _condensed(cell, record):
            found = "hit"
        if found == "hit" and cell.question.rule and cell.disturb != "clear":
            disobeyed = self._disobeyed(cell, record.step.index)
            if disobeyed is not None:
                return "miss", f"turn {disobeyed} does not end as it was told to"
        return found, f"the answer is {found}"

    def _values(self, cell: Cell, ask: Ask) -> Values | None:
        question = cell.question
        current, older = ask.answer, ask.older
        if question.options:
            current = self._chosen(question)
            if current is None:
                return None
        if cell.disturb == "clear" and question.needs:
            current, older = None, question.values
        known = [one for one in self.matrix.questions() if one.name != question.name and not one.rule]
        others = [v for one in known for v in one.values if not one.options and not contains_value(ask.text, v)]
        foreign = [value for one in self.matrix.elsewhere() for value in one.values]
        if cell.session == MAIN and cell.trunk.disturb == "fork":
            foreign += self.matrix.branch()[1].values
        own = {folded(value) for value in (*question.values, *question.options)}
        return Values(
            current=current,
            older=tuple(value for value in older if not contains_value(ask.text, value)),
            others=tuple(value for value in others if folded(value) not in own),
            foreign=tuple(foreign),
            untold=self.matrix.untold(),
            known_words=frozenset(token.text for token in tokens(ask.text)),
        )

    def _chosen(self, question: Question) -> str | None:
        record = self.turn(self.played.told[question.needs[0]])
        named = [one for one in question.options if record is not None and affirmed(record.text, one)]
        return named[0] if len(named) == 1 else None

    def _disobeyed(self, cell: Cell, until: int) -> int | None:
        """The first turn of the session since the rule that was answered otherwise."""
        start = self.played.told[cell.question.needs[0]]
        session = self.turn(self.played.looked[cell.session, cell.after])
        for record in self.transcript.turns(session.session if session is not None else None):
            ended = record.end is not None and record.end.ended == "complete"
            quiet = ended and not record.turn.disturbances
            if start < record.step.index < until and quiet and not contains_value(record.text, cell.question.rule):
                return record.step.index
        return None


def _condensed(cell: Cell, record: TurnRecord) -> bool:
    """A request may hold what is current in other words."""
    return cell.disturb == "compact" or record.policy.memory != "messages"


def _before_prompt(texts: list[str], prompt: str) -> list[str]:
    """What stands in the request but for the words that are asked now."""
    found = list(texts)
    for place in range(len(found) - 1, -1, -1):
        if prompt.strip() in found[place]:
            found[place] = found[place].replace(prompt.strip(), " ")
            break
    return found


def _lost(question: Question, texts: list[str]) -> str | None:
    """The first telling that does not stand there as it was said, after the one before it."""
    at = 0
    for telling in question.needs:
        where = next((i for i, text in enumerate(texts[at:], at) if folded(telling.text) in folded(text)), None)
        if where is None:
            before = any(folded(telling.text) in folded(text) for text in texts)
            how = "only before what it takes the place of" if before else "not"
            return f"the request does {how} hold {telling.text!r}" if how == "not" else f"the request holds it {how}"
        at = where
    return None


def _stands(question: Question, texts: list[str]) -> bool:
    """Whether what holds now stands there in other words; what is over must not."""
    last = question.needs[-1]
    wanted = last.values if question.family in {"overwrite", "fact"} else question.values
    if question.family == "retract":
        return not any(contains_value(text, value) for value in question.values for text in texts)
    if question.options:
        return any(contains_value(text, value) for value in question.options for text in texts)
    return all(any(contains_value(text, value) for text in texts) for value in wanted)


def _until(reply: str, ask: Ask, values: Values) -> str:
    """Of an answer that names both of two values: up to the second of them."""
    places = [find_value(reply, one) for one in (values.current or "", ask.other) if one]
    if not ask.other or len(places) < 2 or not all(places):
        return reply
    return folded(reply)[: max(found[0][0] for found in places)]


def _wrong(cell: Cell, ask: Ask, record: TurnRecord, found: Outcome, what: str, intact: bool) -> Finding:
    expected = (
        "no value: there is nothing to answer" if ask.answer is None and not cell.question.options else ask.answer
    )
    why = "the request holds all that it needs: the model did not use it" if intact and record.wire == "history" else ""
    message = f"{cell.question.name} asked after {cell.after} turns, {cell.disturb}: {what}"
    return at_step(
        record, "retention", "reply", message, expected=expected or "its own choice", seen=record.text[:300], advice=why
    )


def prompt_tokens(transcript: Transcript, session: str) -> Iterator[int]:
    """Of the last request of each turn of a session, in order."""
    for record in transcript.turns(session):
        main = record.main()
        yield usage_of(main[-1].reply()).prompt_tokens if main else 0
