"""A scenario that was made is played before it is written: what does not hold is taken away, or said."""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from convtest.cassettes import store
from convtest.cassettes.difference import difference
from convtest.cassettes.naming import Names
from convtest.cassettes.scrubbing import NOTHING_KNOWN
from convtest.checks.result import Finding
from convtest.config import SIMULATOR, Config
from convtest.errors import ConvtestError
from convtest.importing.conversation import Conversation
from convtest.importing.drafting import Draft, Plan, drafted
from convtest.importing.reading.exchanges import likeness
from convtest.importing.scenario_text import document
from convtest.play.mode import Mode
from convtest.play.openings import Openings
from convtest.play.perform import Played, ready
from convtest.play.prepare import cassette_path
from convtest.play.sources import as_recorded
from convtest.scenario.digest import digest
from convtest.scenario.loading import load_file
from convtest.scenario.model import Scenario
from convtest.structs import Struct, field, replace
from convtest.wire.blocks import THOUGHT, sealed_of
from convtest.wire.canonical import Canonical
from convtest.wire.interaction import Interaction, Request

_MOST_PLAYS = 60
"""Rounds of taking away and adapting: more than that many things at fault are no scenario."""


class Proof(Struct, kw_only=True):
    """What became of one scenario; `why` it is not green, empty where it is."""

    draft: Draft
    why: str = ""
    interactions: list[Interaction] = field(default_factory=list)
    """What its cassette is to hold; empty where it is simulated."""
    adapted: tuple[str, ...] = ()
    """How the requests differ that the client sends from those that were recorded."""
    dropped: int = 0
    """Proposals that did not hold."""


def proved(config: Config, client: str, made: Conversation, plan: Plan, recorded: Sequence[Interaction]) -> Proof:
    """The scenario, played until it holds, or why it does not. Each play takes away what the last one showed wrong: a
    proposal, or a difference between the client's requests and the recorded ones that is none of the conversation."""
    kept, adapted, dropped = list(recorded), dict[str, None](), 0
    why = ""
    for _ in range(_MOST_PLAYS + len(kept)):
        draft = drafted(made, plan)
        try:
            played = _play(config, client, draft, kept)
        except ConvtestError as error:
            return Proof(draft=draft, why=str(error).splitlines()[0])
        findings = played.verdict.findings
        if not findings:
            return Proof(
                draft=draft, interactions=_recorded(played) if kept else [], adapted=tuple(adapted), dropped=dropped
            )
        missed = next((n for n, one in enumerate(played.transcript.interactions) if one.missed), None)
        if missed is not None and missed < len(kept):
            sent = played.transcript.interactions[missed]
            if not _same_words(kept[missed].canonical, sent.canonical):
                why = _other_words(kept[missed].canonical, sent.canonical)
                break
            adapted |= dict.fromkeys(_settings(kept[missed].canonical, sent.canonical))
            kept = _asked_as(kept, missed, sent.request)
        elif gone := sum(plan.proposals.without(turn, checks) for turn, checks in _at_fault(findings, draft).items()):
            dropped += gone
        else:
            why = f"{findings[0].check}: {findings[0].message}"
            break
    return Proof(draft=draft, why=why or "it did not settle", dropped=dropped)


def _asked_as(kept: Sequence[Interaction], missed: int, request: Request) -> list[Interaction]:
    """That request in the place of the recorded one, and its settings in those after it that asked with the same."""
    before, body = kept[missed].canonical, msgspec.json.decode(request.body)
    made = list(kept)
    made[missed] = dataclasses.replace(kept[missed], request=request)
    for number in range(missed + 1, len(kept)):
        one = kept[number]
        if one.canonical.url == before.url and one.canonical.settings() == before.settings():
            words = msgspec.json.decode(one.request.body)["messages"]
            like = dataclasses.replace(request, body=msgspec.json.encode({**body, "messages": words}))
            made[number] = dataclasses.replace(one, request=like)
    return made


def _play(config: Config, client: str, draft: Draft, recorded: Sequence[Interaction]) -> Played:
    with tempfile.TemporaryDirectory(prefix="convtest-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        alone = _alone(config, client, folder, simulated=not recorded)
        scenario = _loaded(alone, draft)
        if recorded:
            laned = [_laned(one, n) for n, one in enumerate(recorded, 1)]
            store.save(cassette_path(alone, scenario), laned, Names(NOTHING_KNOWN))
        run = folder / "run"
        run.mkdir()
        played = ready(alone, scenario, Mode()).play(run, openings=Openings())
        if played.transcript.interactions:
            played.transcript.interactions[0].digest = digest(scenario)
        return played


def _alone(config: Config, client: str, folder: Path, *, simulated: bool) -> Config:
    """A project with nothing but this scenario and its client."""
    profile = config.profile(client)
    profile = replace(profile, upstream=SIMULATOR) if simulated else profile
    clients, cassettes = {**config.clients, client: profile}, folder / "cassettes"
    return replace(config, root=folder, scenarios=(folder,), cassettes=cassettes, clients=clients)


def _loaded(alone: Config, draft: Draft) -> Scenario:
    """Raises ScenarioError."""
    path = alone.root / "imported.yaml"
    path.write_text(document(draft.data), encoding="utf-8")
    (scenario,) = load_file(path, alone)
    return scenario


def _laned(one: Interaction, number: int) -> Interaction:
    return dataclasses.replace(one, number=number, lane="main", turn=None, digest="")


def _recorded(played: Played) -> list[Interaction]:
    return as_recorded(played.transcript.interactions)


def _at_fault(findings: Sequence[Finding], draft: Draft) -> dict[int, set[str]]:
    """By turn: the checks that fail there."""
    found: dict[int, set[str]] = {}
    for one in findings:
        if one.step in draft.turn_of:
            found.setdefault(draft.turn_of[one.step], set()).add(one.check)
    return found


def _same_words(recorded: Canonical, sent: Canonical) -> bool:
    """Whether both tell the model the same conversation: words, pictures and documents; thinking is left to clients."""
    seals = [
        {(one.kind, one.keys) for one in sealed_of(request.messages) if one.kind not in THOUGHT}
        for request in (recorded, sent)
    ]
    return likeness(recorded.messages) == likeness(sent.messages) and seals[0] == seals[1]


def _other_words(recorded: Canonical, sent: Canonical) -> str:
    before, after = likeness(recorded.messages), likeness(sent.messages)
    for one, other in zip(before, after, strict=False):
        if one != other:
            return f"a request holds other words than were recorded: {one}, and not {other}"
    longer = (before if len(before) > len(after) else after)[min(len(before), len(after)) :]
    what = longer[0] if longer else "a picture or a document"
    return f"a request {'lacks' if len(before) >= len(after) else 'adds'} what was recorded: {what}"


def _settings(recorded: Canonical, sent: Canonical) -> list[str]:
    """The names of what differs beside the words."""
    before, after = recorded.settings(), sent.settings()
    found = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    if recorded.url != sent.url:
        found.insert(0, "the address")
    return found or (["how its messages are laid out"] if difference(recorded, sent) else [])


def unplayed(config: Config, client: str, made: Conversation, plan: Plan, recorded: Sequence[Interaction]) -> Proof:
    """The scenario of a client that is not played here: what it would do is not known, nor what that would set off."""
    draft = drafted(made, plan)
    try:
        with tempfile.TemporaryDirectory(prefix="convtest-") as folder:
            scenario = _loaded(_alone(config, client, Path(folder), simulated=not recorded), draft)
    except ConvtestError as error:
        return Proof(draft=draft, why=str(error).splitlines()[0])
    kept = [_laned(one, n) for n, one in enumerate(recorded, 1)]
    if kept:
        kept[0].digest = digest(scenario)
    return Proof(draft=draft, interactions=kept)
