"""What each session's next request must extend: followed through turns, forks, restores and clears."""

from collections.abc import Iterable, Iterator, Sequence

from convtest.checks.adoption import adopt
from convtest.checks.cutting import SENTENCE, is_bound
from convtest.checks.framing import as_sent, bare, unframed
from convtest.checks.habits import without_thinking
from convtest.checks.states import Prompt, State, after_request
from convtest.checks.threads import Choice, Form, Manner, name_roles
from convtest.scenario.model import Act, SessionSpec
from convtest.structs import Struct, field, replace
from convtest.transcript import ActRecord, StepRecord, Transcript, TurnRecord
from convtest.wire.blocks import Block, collapsed, merged, request_blocks, sealed_of
from convtest.wire.canonical import Canonical
from convtest.wire.interaction import Interaction


class Seen(Struct, frozen=True, kw_only=True):
    """One main request with what it had to extend."""

    record: TurnRecord
    before: State
    interaction: Interaction
    is_first: bool
    """The turn's first request; later ones bring tool results."""

    @property
    def sent(self) -> Canonical:
        return self.interaction.canonical

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The request's, as they are compared with what it has to extend."""
        return self._forms[0](request_blocks(self.sent))

    @property
    def bound(self) -> tuple[Block, ...] | None:
        """What it has to begin with; None where nothing is known."""
        blocks = self.before.blocks
        return None if blocks is None else self._forms[1](blocks)

    @property
    def _forms(self) -> tuple[Form, Form]:
        own = 1 if self.is_first else 0
        return _forms(self.record, self.before.prompts[: len(self.before.prompts) - own])


class _Sessions(Struct):
    states: dict[str, State] = field(default_factory=dict)
    after_turn: dict[str, list[State]] = field(default_factory=dict)
    saved: dict[str, State] = field(default_factory=dict)
    in_turn: dict[int, State] = field(default_factory=dict)
    """By the index of a turn: what is bound while it runs."""
    last: str | None = None


def assign(transcript: Transcript) -> None:
    """Tell each turn which of its requests are the conversation: by what its session has to go on with."""
    adopt(transcript)
    sessions = _begun(transcript)
    manners: dict[str, Manner] = {}
    followed: list[Seen] = []
    for position, record in enumerate(transcript.records):
        if isinstance(record, TurnRecord):
            if record.wire == "history":
                state = _bound(record, sessions)
                manner = next((manners[one] for one in transcript.lineage(record.session) if one in manners), None)
                found = Choice(record, state.blocks, manner, *_forms(record, state.prompts)).thread(
                    _next_sent(transcript, position)
                )
                record.chosen, record.astray, record.unsure = found.main, found.astray, found.unsure
                name_roles(record)
                if found.main:
                    manners[record.session] = Manner.of(found.main[-1].canonical)
            followed += _turn(record, sessions)
        elif isinstance(record, ActRecord) and record.error is None:
            _act(record.act, record, sessions)
    transcript.followed = followed


def _forms(record: TurnRecord, prompts: Sequence[Prompt]) -> tuple[Form, Form]:
    """How what a request holds, and what it has to begin with, are compared, as the client's policy says: the last
    prompt before its own is stored in another form than it was sent in."""
    last, policy = prompts[-1] if prompts else Prompt("", False), record.policy
    text = collapsed(last.text)

    def found(blocks: Iterable[Block]) -> tuple[Block, ...]:
        return spoken(unframed(blocks, text) if policy.prompt == "framed" and last.sent == text else blocks)

    def bound(blocks: Iterable[Block]) -> tuple[Block, ...]:
        return spoken(bare(blocks, text, last.sent) if policy.prompt == "bare" and last.sent else blocks)

    def spoken(blocks: Iterable[Block]) -> tuple[Block, ...]:
        return without_thinking(blocks) if policy.answer == "without_thinking" else tuple(blocks)

    return found, bound


def _next_sent(transcript: Transcript, position: int) -> list[Interaction]:
    """What the session's next turn sends."""
    session = transcript.records[position].session
    later = (one for one in transcript.records[position + 1 :] if isinstance(one, TurnRecord))
    return next((one.interactions for one in later if one.session == session and one.interactions), [])


def _begun(transcript: Transcript) -> _Sessions:
    sessions = _Sessions()
    for name, spec in transcript.scenario.sessions.items():
        if spec.history:
            sessions.states[name] = _preset(spec)
    return sessions


def follow(transcript: Transcript) -> Iterator[Seen]:
    """Every main request of every session whose wire is seen, in order; found once where it has been judged."""
    if transcript.followed is not None:
        yield from transcript.followed
        return
    sessions = _begun(transcript)
    for record in transcript.records:
        if isinstance(record, TurnRecord):
            yield from _turn(record, sessions)
        elif isinstance(record, ActRecord) and record.error is None:
            _act(record.act, record, sessions)


def _preset(spec: SessionSpec) -> State:
    blocks = [Block(role, "text", collapsed(text)) for role, text in spec.history]
    prompts = tuple(Prompt(text, True) for role, text in spec.history if role == "user")
    said = tuple(block.text for block in blocks if block.role == "assistant")
    return State(blocks=merged(blocks), prompts=prompts, said=said)


def _turn(record: TurnRecord, sessions: _Sessions) -> Iterator[Seen]:
    if record.wire != "history":
        return
    state = _bound(record, sessions)
    # A fork in mid-turn may be made before or after its client noted the prompt: both are right.
    sessions.in_turn[record.step.index] = replace(
        state, prompts=(*state.prompts, Prompt(record.turn.prompt, False)), quiet=True
    )
    state = _with_prompt(state, record)
    main = record.main()
    for index, one in enumerate(main):
        yield Seen(record=record, before=state, interaction=one, is_first=index == 0)
        state = after_request(state, one)
    if main:
        state = _after_turn(state, record, main[-1])
    elif record.policy.may_be_unsent(record.turn.prompt):
        state = replace(state, prompts=state.prompts[:-1])
    elif record.end is None or record.end.ended != "complete":
        # It never left. Whether a client that was not told to stop has kept it is the client's to say.
        state = replace(state, prompts=(*state.prompts[:-1], Prompt(record.turn.prompt, is_bound(record))))
    sessions.states[record.session] = state
    sessions.after_turn.setdefault(record.session, []).append(state)
    sessions.last = record.session


def _bound(record: TurnRecord, sessions: _Sessions) -> State:
    """What the turn's first request has to begin with."""
    state = sessions.states.get(record.session, State())
    if record.turn.boundary or (record.end is not None and record.end.boundary):
        return State(prompts=tuple(replace(p, required=False) for p in state.prompts))
    if record.policy.memory != "messages":
        # Its requests hold another form of what was said. A summary weighs less only where a boundary says so.
        weighed = record.policy.memory == "summary"
        return State(blocks=() if weighed else None, mass=state.mass, settings=state.settings, quiet=state.quiet)
    return state


def _with_prompt(state: State, record: TurnRecord) -> State:
    main, text = record.main(), collapsed(record.turn.prompt)
    sent = as_sent(request_blocks(main[0].canonical), text) if main else ""
    return replace(state, prompts=(*state.prompts, Prompt(record.turn.prompt, True, sent)))


def _after_turn(state: State, record: TurnRecord, last: Interaction) -> State:
    """A turn that was cut short binds nothing but what was there before its prompt."""
    if not record.disturbed:
        return state
    blocks = list(request_blocks(last.canonical))
    # What of the cut turn stands in the next request is for kept_text and the policy: history binds up to its prompt.
    while blocks and not (blocks[-1].kind == "text" and record.turn.prompt.strip() in blocks[-1].text):
        blocks.pop()
    prompts = (*state.prompts[:-1], replace(state.prompts[-1], required=is_bound(record)))
    sealed = tuple(one for one in sealed_of(last.canonical.messages) if one.place < len(blocks[:-1]))
    return replace(state, blocks=tuple(blocks[:-1]), sealed=sealed, prompts=prompts, quiet=True)


def _act(act: Act, record: StepRecord, sessions: _Sessions) -> None:
    states, name = sessions.states, act.session
    match act.kind:
        case "save":
            sessions.saved[act.target] = states.get(act.target, State())
        case "restore":
            states[name] = _unbound_mass(sessions.saved.get(act.target, State()))
        case "fork" | "resume":
            states[name] = _resumed(act, sessions)
            if states[name].gone and record.policy.cleared != "gone":
                # What was cleared may be there again, before all that was said since.
                states[name] = State(prompts=tuple(replace(p, required=False) for p in states[name].prompts))
        case "continue":
            states[name] = states.get(sessions.last or name, State())
        case "clear":
            cleared = states.get(name, State())
            said = [
                *(prompt.text for prompt in cleared.prompts),
                *(one for one in cleared.said if len(one) >= SENTENCE),
            ]
            states[name] = State(gone=(*cleared.gone, *said))
        case "delete" | "connect":
            states[name] = State()
        case "compact":
            # What is left is the client's to say: only the prompts that follow have to stand in it.
            states[name] = State(prompts=tuple(replace(p, required=False) for p in states.get(name, State()).prompts))
        case _:
            return
    if act.kind == "fork" or act.new is not None:
        sessions.after_turn[name] = list(sessions.after_turn.get(act.target, []))[: act.at]


def _resumed(act: Act, sessions: _Sessions) -> State:
    if act.session_id is not None:
        return State()
    if act.within in sessions.in_turn and act.kind == "fork":
        return sessions.in_turn[act.within]
    turns = sessions.after_turn.get(act.target, [])
    if act.at is not None and act.at <= len(turns):
        return turns[act.at - 1]
    return sessions.states.get(act.target, State())


def _unbound_mass(state: State) -> State:
    """What is restored was weighed at another time, perhaps with other tools."""
    return replace(state, mass=None)
