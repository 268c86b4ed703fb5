"""A file of conversations becomes scenarios with their cassettes: proved, and then written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from convtest.cassettes.naming import Names
from convtest.clients.registry import KINDS
from convtest.config import SIMULATOR, Config
from convtest.importing.conversation import Conversation, Found, shown
from convtest.importing.drafting import Plan, two_ways
from convtest.importing.proposing import proposals_for
from convtest.importing.proving import Proof, proved, unplayed
from convtest.importing.reading.content import NotImportable
from convtest.importing.reading.formats import found_in
from convtest.importing.reading.threads import without_interactions
from convtest.importing.streams import streamed
from convtest.play.prepare import scrubber_of
from convtest.scenario.names import slug
from convtest.structs import Struct, field, replace
from convtest.wire.interaction import Interaction

_SPEAKS = {"messages": "messages", "chat": "chat_completions"}
"""Which kind of client of ours speaks which API."""
_OURS = frozenset(_SPEAKS.values())
State = Literal["replays", "simulates", "not played", "not written"]


class Outcome(Struct, kw_only=True):
    """What became of one conversation."""

    conversation: Conversation
    state: State
    title: str
    client: str
    proof: Proof | None = None
    why: str = ""
    """Why its recording is not used, or why nothing is written."""
    notes: list[str] = field(default_factory=list)

    @property
    def proposed(self) -> int:
        """How many expectations wait for somebody to read them."""
        steps: Sequence[dict[str, Any]] = self.proof.draft.data["steps"] if self.proof else ()
        return sum(len(step.get("expect", {}).get("proposed", ())) for step in steps)


class Import(Struct, kw_only=True):
    """What a file held, and what became of it."""

    file: str
    found: Found
    outcomes: list[Outcome]

    @property
    def written(self) -> list[Outcome]:
        return [one for one in self.outcomes if one.state != "not written"]


def made_of(path: Path, config: Config, *, forced: str | None = None, client: str | None = None) -> Import:
    """The scenarios of a file, played and not yet written. `forced` names the format, `client` the profile.

    Raises NotImportable, or ConfigError for a client that is not there.
    """
    file = config.shown(path.resolve())
    found = found_in(path, file, Names(scrubber_of(config)), config.limits.cassette, forced)
    if not found.conversations:
        reasons = "".join(f"\n    {line}" for line in found.left_out[:20])
        raise NotImportable(file, f"{found.format}, and no conversation in it{reasons}")
    taken: set[str] = set()
    outcomes = [_outcome(one, config, client, _title(one, taken)) for one in found.conversations]
    return Import(file=file, found=found, outcomes=outcomes)


def _title(made: Conversation, taken: set[str]) -> str:
    first = shown(made.turns[made.recorded_from or 0].prompt, 60).rstrip(" .:") or "conversation"
    number, title = 1, first
    while slug(title) in taken:
        number += 1
        title = f"{first} ({number})"
    taken.add(slug(title))
    return title


def _outcome(made: Conversation, config: Config, wanted: str | None, title: str) -> Outcome:
    name, why = _client(config, made, wanted)
    first = made.recorded_from
    why = why or _unrecorded(made, first)
    if first is not None and not why:
        outcome = _recorded(made, config, name, title, first)
        if outcome.state != "not written":
            return outcome
        why = outcome.why
    outcome = _simulated(made, config, _simulating(config, wanted), title)
    return replace(outcome, why="; ".join(dict.fromkeys(text for text in (why, outcome.why) if text)))


def _unrecorded(made: Conversation, first: int | None) -> str:
    """Why its recording makes no cassette."""
    if first is None:
        return "an answer of it is not in the file" if made.api else ""
    if not all(turn.is_plain for turn in made.turns[:first]):
        return "what came before its first request was more than words, which no scenario can declare"
    return two_ways(made)


def _client(config: Config, made: Conversation, wanted: str | None) -> tuple[str, str]:
    """The profile that is to play the recording; or why there is none."""
    if wanted is not None:
        config.profile(wanted)
        speaks = _SPEAKS.get(made.api)
        kind = config.profile(wanted).kind
        if made.api and kind in _OURS and kind != speaks:
            return wanted, f"client {wanted} is of kind {kind}, and the recording speaks {_api(made)}"
        return wanted, ""
    if made.api == "responses":
        return config.client, "no kind of client speaks the Responses API: name one of your own with --client"
    kind = _SPEAKS.get(made.api, "")
    names = [config.client, *config.clients]
    fits = next((name for name in names if name in config.clients and config.clients[name].kind == kind), None)
    if kind and fits is None:
        return config.client, f"it speaks {_api(made)}, and no profile here is of kind {kind}"
    return fits or config.client, ""


def _api(made: Conversation) -> str:
    return {"messages": "the Messages API", "chat": "Chat Completions", "responses": "the Responses API"}[
        made.api or "chat"
    ]


def _simulating(config: Config, wanted: str | None) -> str:
    names = [config.client, *config.clients]
    ours = next(
        (name for name in names if name in config.clients and config.clients[name].kind in _OURS), config.client
    )
    return wanted or ours


def _plan(config: Config, name: str, title: str, **more: Any) -> Plan:
    profile = config.profile(name)
    return Plan(
        title=title,
        client="" if name == config.client else name,
        options=KINDS[profile.kind].options if profile.kind in _OURS else None,
        profile=profile.options,
        **more,
    )


def _recorded(made: Conversation, config: Config, name: str, title: str, first: int) -> Outcome:
    notes = list(made.notes)
    interactions = list[Interaction]()
    for number, one in enumerate(made.interactions, 1):
        stream = streamed(one, made.api) if config.profile(name).kind in _OURS else None
        if stream is not None:
            notes.append(f"answer {number} was not streamed: its stream is made of it, a chunk for each block")
        interactions.append(stream or one)
    plan = _plan(
        config, name, title, mode="recorded", first=first, proposals=proposals_for(made, first, scripted=False)
    )
    if config.profile(name).kind not in _OURS:
        proof = unplayed(config, name, made, plan, interactions)
        return Outcome(conversation=made, state="not played", title=title, client=name, proof=proof, notes=notes)
    proof = proved(config, name, made, plan, interactions)
    if proof.why:
        return Outcome(conversation=made, state="not written", title=title, client=name, why=proof.why)
    if proof.adapted:
        differ = ", ".join(shown(one, 40) for one in proof.adapted)
        notes.append(f"requests are kept as client {name} sends them; recorded were others in {differ}")
    return Outcome(
        conversation=made, state="replays", title=title, client=name, proof=proof, notes=[*notes, *_dropped(proof)]
    )


def _simulated(made: Conversation, config: Config, name: str, title: str) -> Outcome:
    words = without_interactions(made)
    plan = _plan(config, name, title, mode="simulated", proposals=proposals_for(words, 0, scripted=True))
    notes = [*made.notes, *([found] if (found := two_ways(made)) else [])]
    if config.profile(name).kind not in _OURS:
        proof = unplayed(config, name, words, plan, [])
        return Outcome(conversation=made, state="not played", title=title, client=name, proof=proof, notes=notes)
    proof = proved(config, name, words, plan, [])
    if proof.why:
        return Outcome(conversation=made, state="not written", title=title, client=name, why=proof.why)
    if config.profile(name).upstream != SIMULATOR:
        notes.append(f"client {name} asks a real model: play it with one whose upstream is the simulator, or record it")
    return Outcome(
        conversation=made, state="simulates", title=title, client=name, proof=proof, notes=[*notes, *_dropped(proof)]
    )


def _dropped(proof: Proof) -> list[str]:
    return (
        [f"{proof.dropped} proposed expectations did not hold on what was said, and are left out"]
        if proof.dropped
        else []
    )
