"""The points of a sweep, counted from what the base's cassette keeps of the turn, or from what is simulated in it."""

from collections.abc import Callable, Iterator, Sequence

from convtest.clients.registry import SIMULATOR, is_elsewhere, make, path_of
from convtest.config import Config
from convtest.errors import NothingToSweep
from convtest.play.prepare import base_recording, cassette_path, record_command
from convtest.scenario.digest import digest
from convtest.scenario.disturbances import BETWEEN, ON_CLIENT, ON_WIRE
from convtest.scenario.model import Point, Scenario, Sweep, Turn
from convtest.scenario.sweeping import point_of
from convtest.wire.counting import Round, rounds_of, split_at
from convtest.wire.interaction import Chunk, Interaction, Request

STRETCH = (0, 1, 5, 20, 50, 100)
"""Milliseconds after the prompt at which a client elsewhere is tried: when its request leaves nobody here knows."""


def points(config: Config, base: Scenario) -> list[Scenario]:
    """The items of the scenario's sweep. Raises NothingToSweep, or CassetteError for a cassette that cannot be used."""
    sweep = base.sweep
    assert sweep is not None
    rounds = _rounds(config, base, sweep.turn)
    found = [point for do in sweep.disturb for point in [*_before(config, base, do), *_points(do, sweep, rounds)]]
    if not found:
        kinds = ", ".join(dict.fromkeys(kind for one in rounds for kind in one.kinds)) or "none"
        why = f"the turn has no event at which the sweep would disturb it (at: {sweep.at}); it has {kinds}"
        raise NothingToSweep(why, place=base.place_of("sweep", "at"))
    return [point_of(base, sweep, point) for point in found]


def _rounds(config: Config, base: Scenario, turn: Turn) -> list[Round]:
    recorded = base_recording(config, base)
    command, place = record_command(config, base), turn.place
    if recorded:
        if recorded[0].digest and recorded[0].digest != digest(base):
            anew = command.replace("convtest record", "convtest record --mode all", 1)
            raise NothingToSweep("the scenario changed since it was recorded", place=place, command=anew)
        rounds = rounds_of([one for one in of_turn(recorded, base, turn) if one.status == 200])
        if not rounds:
            shown = config.shown(cassette_path(config, base))
            raise NothingToSweep(f"{shown} holds no answer to this turn", place=place, command=command)
        return rounds
    client = _client(base, turn)
    if not turn.simulate or config.profile(client).upstream != SIMULATOR:
        raise NothingToSweep("of which events this turn is made is not known", place=place, command=command)
    path = path_of(config, client)
    from convtest.simulator.source import rehearsed

    return rounds_of([_simulated(body, number, turn, path) for number, body in enumerate(rehearsed(base, turn, path))])


def _client(base: Scenario, turn: Turn) -> str:
    spec = base.sessions.get(turn.session)
    return spec.client if spec else base.client


def _simulated(body: bytes, number: int, turn: Turn, path: str) -> Interaction:
    # The number stands in the body so that no round is taken for another one asked again.
    request = Request(method="POST", url=f"http://simulator{path}", headers=(), body=b'{"round": %d}' % number)
    return Interaction(
        number=number, lane=turn.session, turn=turn.index, request=request, status=200, ended="complete",
        headers=(("content-type", "text/event-stream"),), chunks=[Chunk(0.0, body)],
    )  # fmt: skip


def of_turn(recorded: Sequence[Interaction], scenario: Scenario, turn: Turn) -> list[Interaction]:
    """The turn's requests: as they were recorded or, where no turns are kept, by the prompt; the second time that it
    was sent, alone or within another, is the second turn that has it."""
    kept = [one for one in recorded if one.turn == turn.index and one.lane in {turn.session, None}]
    if kept or any(one.turn is not None for one in recorded):
        return kept
    prompt = turn.prompt.strip()
    turns = [step.index for step in scenario.steps if isinstance(step, Turn) and prompt in step.prompt]
    sent = _by_sending([one for one in recorded if prompt in (_last_words(one)[0] or "")])
    place = turns.index(turn.index)
    return sent[place] if place < len(sent) else []


def _by_sending(recorded: Sequence[Interaction]) -> list[list[Interaction]]:
    """A prompt that stands last in a request begins a turn, unless the same is asked once more."""
    found: list[list[Interaction]] = []
    for one in recorded:
        _, is_last = _last_words(one)
        again = bool(found) and any(one.canonical.key == other.canonical.key for other in found[-1])
        if found and (again or not is_last):
            found[-1].append(one)
        else:
            found.append([one])
    return found


def _last_words(one: Interaction) -> tuple[str | None, bool]:
    """The last text of the user, and whether it ends the request; tool results may follow it."""
    for message in reversed(one.canonical.messages):
        content = message.get("content")
        texts = [str(b.get("text", "")) for b in content or [] if isinstance(b, dict) and b.get("type") == "text"]
        if message.get("role") == "user" and texts:
            return "\n".join(texts), message is one.canonical.messages[-1]
    return None, False


def _before(config: Config, base: Scenario, do: str) -> Iterator[Point]:
    """Before the turn's request: one point where it is ours to say when that leaves, else a stretch of time, of which
    `every change` takes the first."""
    sweep = base.sweep
    if sweep is None or do not in ON_CLIENT or sweep.at not in {"every event", "every change"}:
        return
    name = _client(base, sweep.turn)
    spec = base.sessions.get(sweep.turn.session)
    policy = make(config, name).policy({**config.profile(name).options, **(spec.options if spec else base.options)})
    missed = do == "interrupt" and policy.early_interrupt == "missed"
    stretch = STRETCH if sweep.at == "every event" else STRETCH[:1]
    for ms in stretch if is_elsewhere(config, name) else (None,):
        yield Point(do=do, after=None, kind="before_request", ms=ms, last=missed)


def _points(do: str, sweep: Sweep, rounds: Sequence[Round]) -> Iterator[Point]:
    if do in ON_CLIENT:
        kinds = ["request", *(kind for one in rounds for kind in one.kinds)]
        for after in _chosen(sweep.at, kinds, [(kind,) for kind in kinds]):
            yield Point(do=do, after=after, kind=kinds[after], last=after == len(kinds) - 1)
    if do in ON_WIRE:
        events = [event for one in rounds for event in one.events][:-1]
        types = ["request", *(event.type for event in events)]
        for after in _chosen(sweep.at, types, [("request",), *(event.yields for event in events)]):
            yield Point(do=do, after=after, kind=types[after])
    if do.isdigit():
        for after, _ in enumerate(rounds):
            yield Point(do=do, after=after, kind="tool_result" if after else "request")
    if do in BETWEEN and rounds[-1].answer.ended == "complete":
        yield Point(do=do, after=None, kind="end")


def _chosen(at: str, names: Sequence[str], kinds: Sequence[tuple[str, ...]]) -> Iterator[int]:
    """Which points `at` means."""
    for position, name in enumerate(names):
        first = position == 0 or names[position - 1] != name
        if at == "every event" or (at == "every change" and first) or at in kinds[position]:
            yield position


def in_pieces(
    scenario: Scenario, recorded: Sequence[Interaction], *, exact: bool
) -> Callable[[Interaction], Sequence[Chunk]]:
    """How what is recorded comes at a point of a sweep: in one piece up to the cut, then as it was recorded.

    Clients in other processes (`exact`) get the swept turn event by event: they are kept in step with what they yield.
    """
    point = scenario.point
    assert point is not None
    turn = next(step for step in scenario.steps if step.index == point.turn)
    assert isinstance(turn, Turn)
    mine = of_turn(recorded, scenario, turn)
    rounds = {id(one.answer): one for one in rounds_of([one for one in mine if one.status == 200])}

    def chunks(one: Interaction) -> Sequence[Chunk]:
        if not any(one is other for other in mine):
            return _joined(one, len(one.body))
        if exact or point.after is None or point.do.isdigit() or id(one) not in rounds:
            return one.chunks
        cut = split_at(list(rounds.values()), rounds[id(one)], point.after, on_wire=point.do in ON_WIRE)
        return _joined(one, cut)

    return chunks


def _joined(one: Interaction, cut: int) -> Sequence[Chunk]:
    """All chunks that end before the cut as one."""
    if len(one.chunks) < 2:
        return one.chunks
    count = size = 0
    for chunk in one.chunks:
        if size + len(chunk.data) > cut:
            break
        count, size = count + 1, size + len(chunk.data)
    head, rest = one.chunks[:count], one.chunks[count:]
    return [Chunk(head[-1].ms, b"".join(chunk.data for chunk in head)), *rest] if head else rest
