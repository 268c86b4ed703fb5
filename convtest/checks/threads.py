"""Which requests of a turn are the conversation: those that extend the session's tip and end in the turn's prompt.

The tip is what the session's next request has to begin with. All other requests are side requests: titles, guards,
classifications, counts. They may quote the prompt, or carry the whole conversation; they never move the tip.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from convtest.checks.framing import as_sent, bare, unframed
from convtest.checks.habits import is_kept
from convtest.checks.signatures import formats_of, has, is_declared_side
from convtest.structs import Struct
from convtest.transcript import TurnRecord
from convtest.wire.blocks import Block, blocks_of, collapsed, encoded, merged, request_blocks
from convtest.wire.canonical import Canonical
from convtest.wire.interaction import Interaction
from convtest.wire.messages import digest_of
from convtest.wire.messages_api import text_of_content

_COUNTS = "/count_tokens"


class Manner(Struct, frozen=True):
    """What a request asks with beside its messages; side requests of an application differ in it."""

    system: str
    tools: str
    format: str

    @staticmethod
    def of(sent: Canonical) -> "Manner":
        """That of a request."""
        return _manner(sent)

    def likeness(self, other: "Manner | None") -> int:
        """How much of it is the same, 0 to 3."""
        if other is None:
            return 0
        return (self.system == other.system) + (self.tools == other.tools) + (self.format == other.format)


@lru_cache(maxsize=1024)
def _manner(sent: Canonical) -> Manner:
    fields = sent.fields
    return Manner(sent.system, encoded(fields.get("tools") or []), encoded(formats_of(sent)))


class Thread(Struct, frozen=True, kw_only=True):
    """The requests of one turn that are the conversation."""

    main: tuple[Interaction, ...] = ()
    astray: tuple[Interaction, ...] = ()
    """Those that ask as the conversation does, end in the prompt, and carry no history: the client lost it."""
    unsure: bool = False
    """Several requests may be it, and nothing tells which."""


Form = Callable[[Iterable[Block]], tuple[Block, ...]]
"""How a client's blocks are compared: as they are, or with what its policy says taken out."""


class Choice(Struct, frozen=True):
    """The choice of one turn: `before` is what its first request has to begin with, None where nothing is known;
    `manner` how the session's last request asked."""

    record: TurnRecord
    before: tuple[Block, ...] | None
    manner: Manner | None
    form: Form = tuple
    stored: Form = tuple
    """How a request, and what it has to begin with, are compared."""

    def thread(self, later: Sequence[Interaction]) -> Thread:
        """`later`: what the session's next turn sends, by which hindsight chooses in a first turn."""
        record = self.record
        sent = [one for one in record.interactions or record.borrowed if self._may_be_main(one)]
        opening = [one for one in sent if ends_in_prompt(one.canonical, record.turn.prompt)]
        extending = [one for one in opening if self._extends(one)]
        if self._is_unsent(sent):
            return Thread()
        if self.before:
            if not extending and self._is_cut_before(opening):
                return Thread()
            candidates, hindsight = extending or opening, False
        else:
            shown = [one for one in opening if record.yielded(one)]
            whole = [one for one in shown if _is_said(one, record)]
            candidates, hindsight = whole or shown or opening, self.manner is None
        if not candidates:
            return Thread(main=tuple(one for one in record.guessed() if one in sent or not one.canonical.messages))
        first, unsure = self._by_hindsight(candidates, later) if hindsight else (self._best(candidates), False)
        main = self._rounds(first, sent)
        astray = [one for one in opening if one not in main and self._lost(one, first)]
        return Thread(main=tuple(main), astray=tuple(astray), unsure=unsure)

    def _is_cut_before(self, opening: Sequence[Interaction]) -> bool:
        """The turn was cut short while something else was asked: the request of the conversation never left."""
        alike = [one for one in opening if Manner.of(one.canonical) == self.manner]
        return self.record.disturbed and self.manner is not None and not alike

    def _may_be_main(self, one: Interaction) -> bool:
        asks = bool(one.canonical.messages) and not one.canonical.url.partition("?")[0].endswith(_COUNTS)
        return asks and not is_declared_side(self.record.policy.side, one)

    def _is_unsent(self, sent: Sequence[Interaction]) -> bool:
        """Answered by itself, as the policy permits: nothing that the model said was shown."""
        record = self.record
        if record.disturbed or not record.policy.may_be_unsent(record.turn.prompt):
            return False
        return not any(record.yielded(one) for one in sent)

    def _extends(self, one: Interaction) -> bool:
        return bool(self.before) and extends(self.form(_blocks(one)), self.stored(self.before or ()))

    def _best(self, candidates: Sequence[Interaction]) -> Interaction:
        """The one that asks as the session does; then one whose answer was yielded; then the first."""
        return max(
            candidates,
            key=lambda one: (Manner.of(one.canonical).likeness(self.manner), self.record.yielded(one)),
        )

    def _by_hindsight(
        self, candidates: Sequence[Interaction], later: Sequence[Interaction]
    ) -> tuple[Interaction, bool]:
        """The one that later turns go on with, and whether another might as well be it."""

        def goes_on(one: Interaction) -> int:
            mine, answered = Manner.of(one.canonical), self._as_stored(one)
            onward = [other for other in later if extends(self._as_found(one, other), answered)]
            return max((1 + mine.likeness(Manner.of(other.canonical)) for other in onward), default=0)

        ranked = sorted(candidates, key=goes_on, reverse=True)
        best = self._told([one for one in ranked if goes_on(one) == goes_on(ranked[0])])
        return best[0], len({asked(one) for one in best}) > 1

    def _as_stored(self, one: Interaction) -> tuple[Block, ...]:
        """What the next turn has to begin with, if this request is the conversation."""
        answered, prompt = self.stored(_answered(one)), collapsed(self.record.turn.prompt)
        sent = as_sent(_blocks(one), prompt) if self.record.policy.prompt == "bare" else ""
        return bare(answered, prompt, sent) if sent else answered

    def _as_found(self, one: Interaction, other: Interaction) -> tuple[Block, ...]:
        """The next turn's request, if this one is the conversation."""
        blocks, prompt = self.form(_blocks(other)), collapsed(self.record.turn.prompt)
        stored_framed = self.record.policy.prompt == "framed" and as_sent(_blocks(one), prompt) == prompt
        return unframed(blocks, prompt) if stored_framed else blocks

    def _told(self, best: list[Interaction]) -> list[Interaction]:
        """Where equal answers leave it open: as it was when they were recorded, or those that ask as the profile says
        that the conversation does."""
        wanted = self.record.policy.main
        recorded = [one for one in best if one.recorded is not None and one.recorded.role == "main"]
        signed = [one for one in best if wanted is not None and has(wanted, one.canonical)]
        return recorded or signed or best

    def _rounds(self, first: Interaction, sent: Sequence[Interaction]) -> list[Interaction]:
        """The first request, what is asked again, and the rounds of the tool loop, in the order of sending."""
        main, current = [first], first
        for one in sent:
            if one is first or (one.number < first.number and not _is_again(one, first)):
                continue
            again = _is_again(one, current) or _is_again(one, first)
            if again or (one.number > current.number and self._goes_on(one, current)):
                main.append(one)
                # What was refused is no round: another form of it goes on from where it did.
                current = one if one.number > current.number and not one.refused else current
        return sorted(main, key=lambda one: one.number)

    def _goes_on(self, one: Interaction, current: Interaction) -> bool:
        """It brings results for the tools that were asked for, or says on; or it is tried again after a failure."""
        if not is_whole(current):
            return (not self.before or self._extends(one)) and _like(one, current)
        same = Manner.of(one.canonical) == Manner.of(current.canonical)
        if same and _asks_for_tools(current) and _holds(one, self.record.turn.prompt):
            # What comes of the tools, however wrong: a result that is missing is for the checks to find.
            return True
        if not extends(self.form(_blocks(one)), self.stored(_answered(current))):
            return False
        last = blocks_of(one.canonical.messages[-1])
        # A request for suggestions goes on from the answer as well: it asks otherwise, or nobody is shown its answer.
        return any(block.kind == "tool_result" for block in last) or (same and self.record.yielded(one))

    def _lost(self, one: Interaction, first: Interaction) -> bool:
        """It asks as the conversation does and ends in just what the prompt is sent as; the history is not there."""
        if not self.before or self.manner is None or self._extends(one):
            return False
        same_words = _blocks(one)[-1:] == _blocks(first)[-1:]
        return same_words and Manner.of(one.canonical) == self.manner and one.canonical.url == first.canonical.url


def name_roles(record: TurnRecord) -> None:
    """Where a turn asked for more than the answer: a recording keeps which requests were the conversation."""
    asked = [one for one in record.interactions if one.canonical.messages]
    if record.unsure or not record.chosen or len(asked) == len(record.chosen):
        return
    for one in asked:
        one.role = "main" if one in record.chosen else "side"


def ends_in_prompt(sent: Canonical, prompt: str) -> bool:
    """Whether the last message is the user's and holds the prompt, alone or in a frame."""
    last = sent.messages[-1] if sent.messages else {}
    wanted = " ".join(prompt.split())
    blocks = blocks_of(last) if last.get("role") == "user" else []
    return any(block.kind == "text" and wanted in block.text for block in blocks)


def extends(found: tuple[Block, ...], before: tuple[Block, ...]) -> bool:
    """Whether a request begins with all that has to stand there."""
    if found[: len(before)] == before:
        return True
    return len(found) >= len(before) and all(is_kept(*pair) for pair in zip(before, found, strict=False))


def _is_said(one: Interaction, record: TurnRecord) -> bool:
    """Its answer is all that the turn yielded, and not just a part of it."""
    return collapsed(text_of_content(one.reply().get("content") or [])) == collapsed(record.text)


def _blocks(one: Interaction) -> tuple[Block, ...]:
    return request_blocks(one.canonical)


def _answered(one: Interaction) -> tuple[Block, ...]:
    """The request and its whole answer: what goes on from it has to begin with."""
    reply = blocks_of({"role": "assistant", "content": one.reply().get("content") or []}) if is_whole(one) else []
    return merged(reply, _blocks(one))


def is_whole(one: Interaction) -> bool:
    """Its answer came to its end; one that broke off binds nobody."""
    return one.ended == "complete" and one.reply().get("stop_reason") is not None


def asked(one: Interaction) -> tuple[str, Manner, bytes]:
    """What a request asks for: another try is one that asks for the same, streamed or not."""
    return one.canonical.url, Manner.of(one.canonical), digest_of(one.canonical.messages)


def _is_again(one: Interaction, other: Interaction) -> bool:
    return asked(one) == asked(other)


def _like(one: Interaction, other: Interaction) -> bool:
    """A client may change one thing between two tries."""
    return Manner.of(one.canonical).likeness(Manner.of(other.canonical)) >= 2


def _asks_for_tools(one: Interaction) -> bool:
    return any(block.kind == "tool_use" for block in _answered(one)[len(_blocks(one)) :])


def _holds(one: Interaction, prompt: str) -> bool:
    wanted = " ".join(prompt.split())
    return any(block.role == "user" and wanted in block.text for block in _blocks(one))
