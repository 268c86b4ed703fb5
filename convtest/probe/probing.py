"""Measures what a client does where honest ones differ, and how it takes a wire that fails; against the simulator."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent, indent

from convtest.checks.conduct import conduct_of
from convtest.checks.kept import Kept, kept_of
from convtest.checks.settings import are_fixed
from convtest.clients.registry import SIMULATOR, make, overridden
from convtest.config import Config
from convtest.errors import ClientError, ConvtestError, MissingCapability
from convtest.play.mode import Mode
from convtest.play.perform import ready
from convtest.play.prepare import missing
from convtest.probe.frames import frame_of, said_by, thinking_of
from convtest.probe.probes import FAULTS, HEAD, PROBES
from convtest.scenario.loader import load
from convtest.transcript import Transcript, TurnRecord


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that was measured: what it is about, and in words what the client does."""

    about: str
    words: str
    defect: bool = False
    """No choice of the client's: convtest fails on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    client: str
    observations: tuple[Observation, ...]
    policy: Mapping[str, str]
    """The choices that could be measured."""


def probe(config: Config, client: str) -> Probed:
    """Play the probes with the client. Raises ConfigError or ClientError where it cannot be used at all."""
    with tempfile.TemporaryDirectory(prefix="convtest-probe-", ignore_cleanup_errors=True) as folder:
        play = _Plays(config, client, Path(folder))
        if play.wire != "history":
            raise ClientError(f"its wire is {play.wire!r}: what it sends cannot be seen", client=client)
        policy = _policy(play)
        observations = [
            *_answers(play),
            *_settings(play),
            *_framed(play),
            *_cut_short(play),
            *_sessions(play),
            *_under_faults(play),
        ]
    return Probed(client=client, observations=tuple(observations), policy=policy)


class _Plays:
    """Each probe is played once, with a policy that asks for nothing."""

    def __init__(self, config: Config, client: str, folder: Path) -> None:
        made = overridden(config, None, SIMULATOR)
        profile = replace(made.profile(client), policy={})
        self._config = replace(
            made, scenarios=(folder,), cassettes=folder / "cassettes", client=client, clients={client: profile}
        )
        self._folder = folder
        self._client = client
        self._played: dict[str, Transcript | ConvtestError] = {}
        self.wire = make(self._config, client).wire

    def of(self, name: str) -> Transcript | ConvtestError:
        if name not in self._played:
            self._played[name] = self._play(name)
        return self._played[name]

    def _play(self, name: str) -> Transcript | ConvtestError:
        slug = name.replace(" ", "-")
        path = self._folder / f"{slug}.yaml"
        path.write_text(dedent(HEAD) + indent(dedent(PROBES[name]), "  "), encoding="utf-8")
        (scenario,) = load(path, shown=f"probe {name}", default_client=self._client, clients=(self._client,))
        folder = self._folder / slug
        folder.mkdir()
        if (lacks := missing(self._config, scenario)) is not None:
            raise ClientError("it cannot be used", client=self._client, help=lacks[1])
        try:
            transcript = ready(self._config, scenario, Mode()).play(folder).transcript
        except MissingCapability as error:
            return error
        told = transcript.turns()[0]
        if told.end is None or told.end.ended != "complete":
            # What it does when it is disturbed says nothing of a client that does not play one plain turn.
            what = f"it does not play a plain turn ({told.turn.prompt!r}): the turn ends {_how(told)}"
            raise ClientError(what, client=self._client, help="nothing was measured, and nothing is written")
        self._has_to_remember(transcript)
        return transcript

    def _has_to_remember(self, transcript: Transcript) -> None:
        """What is gone from the history anyway, no interrupt took out of it."""
        told, second = transcript.turns()[0], transcript.records[1]
        sent = second.sent() if isinstance(second, TurnRecord) else None
        if sent is not None and not any(told.turn.prompt in text for text in sent.texts()):
            what = f"it forgets a turn that nothing disturbed: {told.turn.prompt!r} is not in its next request"
            raise ClientError(what, client=self._client, help="nothing was measured, and nothing is written")

    def turns(self, name: str) -> list[TurnRecord]:
        """The turns of the session `main` after the fact was told; none where the probe could not be played."""
        found = self.of(name)
        return found.turns("main")[1:] if isinstance(found, Transcript) else []

    def kept(self, name: str) -> "tuple[TurnRecord, Kept | None] | None":
        """The turn that was cut short, and what the next request holds of it; None where nothing was sent."""
        turns = self.turns(name)
        sent = turns[1].sent() if len(turns) > 1 else None
        return (turns[0], kept_of(sent, turns[0], turns[1].turn.prompt)) if sent is not None else None


def _policy(play: _Plays) -> dict[str, str]:
    found: dict[str, str] = {}
    cut = [kept for name in ("interrupted", "interrupted early") if (kept := play.kept(name)) is not None]
    prompts = {kept is not None for _, kept in cut}
    if cut:
        found["interrupted_prompt"] = "either" if len(prompts) > 1 else "kept" if True in prompts else "dropped"
    if (fixed := are_fixed(play.turns("answers"))) is not None:
        found["settings"] = "fixed" if fixed else "vary"
    if (answer := _thinking(play)) is not None:
        found["answer"] = answer
    if rung := said_by(play.turns("answers")):
        found["said"] = rung
    if (frame := _frame(play)) is not None:
        found["prompt"] = frame
    text = play.kept("interrupted")
    held = text[1] if text is not None else None
    if held is not None and not held.is_more:
        found["partial_text"] = "yielded" if held.text == held.yielded else "prefix" if held.text else "dropped"
    cleared = play.turns("cleared")
    if len(cleared) > 1 and (sent := cleared[-1].sent()) is not None:
        found["cleared"] = "back" if any("My name is Ada." in one for one in sent.texts()) else "gone"
    said = {conduct_of(turn).text for name in FAULTS for turn in play.turns(name)} - {None}
    if said:
        found["restarted_text"] = "doubled" if "doubled" in said else "once"
    return found


def _frame(play: _Plays) -> str | None:
    found = play.of("interrupted")
    return frame_of(found) if isinstance(found, Transcript) else None


def _answers(play: _Plays) -> Iterator[Observation]:
    words = {
        "exact": "passed on to the letter",
        "words": "passed on but for white space",
        "final": "only the last one of a turn is passed on",
        "transformed": "changed on their way, which permits that words are LOST",
    }
    if rung := said_by(play.turns("answers")):
        yield Observation("the model's answers", words[rung])


def _thinking(play: _Plays) -> str | None:
    found = play.of("answers")
    return thinking_of(found) if isinstance(found, Transcript) else None


def _settings(play: _Plays) -> Iterator[Observation]:
    if (fixed := are_fixed(play.turns("answers"))) is not None:
        words = "the same in every request" if fixed else "vary from request to request"
        yield Observation("the settings of its requests", words)


def _framed(play: _Plays) -> Iterator[Observation]:
    if (frame := _frame(play)) is not None:
        words = "are stored bare" if frame == "bare" else "are stored as they are sent"
        yield Observation("prompts that are sent in a frame", words)


def _cut_short(play: _Plays) -> Iterator[Observation]:
    held = play.kept("interrupted")
    more = held is not None and held[1] is not None and held[1].is_more
    yield Observation("interrupted in mid-text", _ending(play, "interrupted") + _text_kept(play, "interrupted"), more)
    yield Observation("interrupted before the first byte", _prompt_kept(play, "interrupted early"))
    yield _at_a_tool(play)
    yield Observation("killed in mid-text, then resumed", _text_kept(play, "killed").removeprefix(", "))


def _at_a_tool(play: _Plays) -> Observation:
    about, kept = "interrupted at a tool use", play.kept("interrupted at a tool")
    if kept is None or not kept[0].calls:
        return Observation(about, "no tool was used: it does not offer the scenario's")
    tool = "is gone" if kept[1] is None or not kept[1].uses else "stays in the history"
    after = play.turns("interrupted at a tool")[1]
    taken = "the next turn works" if _is_complete(after) else f"the next turn ends {_how(after)}"
    return Observation(about, f"the tool use {tool}; {taken}", not _is_complete(after))


def _ending(play: _Plays, name: str) -> str:
    turns = play.turns(name)
    return f"the turn ends {_how(turns[0])}" if turns else "nothing could be seen"


def _text_kept(play: _Plays, name: str) -> str:
    found = play.kept(name)
    if found is None:
        return ", no request came after it"
    if found[1] is None:
        return ", the prompt is gone from the history"
    kept = found[1]
    if kept.is_more:
        return ", the prompt stays, and the history holds MORE text than was yielded (kept_text fails)"
    if kept.text == kept.yielded:
        return ", the prompt stays, with just the text that was yielded"
    return f", the prompt stays, {'with a beginning of' if kept.text else 'without'} the text that was yielded"


def _prompt_kept(play: _Plays, name: str) -> str:
    found = play.kept(name)
    if found is None:
        return "no request came after it"
    return "the prompt is gone from the history" if found[1] is None else "the prompt stays in the history"


def _sessions(play: _Plays) -> Iterator[Observation]:
    cleared = play.of("cleared")
    if isinstance(cleared, ConvtestError):
        yield Observation("cleared, then resumed", "it has no way to clear a history")
    elif (choice := _policy(play).get("cleared")) is not None:
        words = "what was cleared is back" if choice == "back" else "what was cleared stays gone"
        yield Observation("cleared, then resumed", words)
    forked = play.of("fork")
    if isinstance(forked, ConvtestError):
        yield Observation("forked", "it has no way to fork a session")
        return
    turns, fork = forked.turns("main"), next((one for one in forked.records if one.session == "other"), None)
    sent = turns[-1].sent() if len(turns) > 1 else None
    if sent is None or fork is None or fork.error or fork.crash:
        yield Observation("forked", "the fork does not work" + (f": {fork.error.code}" if fork and fork.error else ""))
        return
    leaked = any("Grace" in text for text in sent.texts())
    yield Observation(
        "forked", "the original hears what is said in the FORK" if leaked else "the original is untouched"
    )


def _under_faults(play: _Plays) -> Iterator[Observation]:
    for name, about in FAULTS.items():
        turns = play.turns(name)
        if not turns:
            yield Observation(about, "nothing could be seen")
            continue
        found = conduct_of(turns[0])
        swallowed = found.truncated == "taken_as_complete" or bool(turns[0].hung or turns[0].crash)
        yield Observation(about, f"{str(found) or 'not tried again'}; the turn ends {_how(turns[0])}", swallowed)


def _is_complete(turn: TurnRecord) -> bool:
    return turn.end is not None and turn.end.ended == "complete"


def _how(turn: TurnRecord) -> str:
    if turn.hung:
        return "never: it hangs"
    if turn.crash:
        return f"in an exception: {turn.crash}"
    if turn.error is not None:
        return f"before it began: {turn.error.code}: {turn.error.message}"
    if turn.end is None:
        return "without a turn end"
    return turn.end.ended + (f" ({turn.end.error})" if turn.end.error else "")
