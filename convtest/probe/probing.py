"""Measures what a client does where honest ones differ, and how it takes a wire that fails; against the simulator."""

from collections.abc import Iterator, Mapping
from typing import Any

from convtest.checks.conduct import conduct_of
from convtest.checks.sends import common
from convtest.checks.settings import are_fixed
from convtest.checks.spacing import spacing_of
from convtest.config import Config
from convtest.errors import ClientError, ConvtestError
from convtest.gateway.door import Door
from convtest.policy import Signature
from convtest.probe.behind_http import check_url
from convtest.probe.beside import beside, main_of
from convtest.probe.cut_short import cut_short, early_interrupt, killed_policy, prompt_after, text_after
from convtest.probe.frames import frame_of, frame_place, said_by, sealed_by, thinking_of
from convtest.probe.plays import Observation, Plays, how, way_of
from convtest.probe.probes import FAULTS, STAND_INS
from convtest.structs import Struct
from convtest.temporary import temporary
from convtest.transcript import ActRecord, Transcript


class Probed(Struct, frozen=True, kw_only=True):
    client: str
    observations: tuple[Observation, ...]
    policy: Mapping[str, str]
    """The choices that could be measured."""
    sends: Mapping[str, Any]
    """What every request carried beside its messages."""
    main: Signature | None = None
    """What tells the requests of the conversation from those beside it, where there are any."""
    opening: int | tuple[str, ...] | None = None
    """What its sessions begin with: texts of messages, or how many where the texts vary; None where that varies."""


def probe(config: Config, client: str, door: Door | None = None) -> Probed:
    """Play the probes with the client. `door`: where an application that runs already finds its model. Raises
    ConfigError or ClientError where it cannot be used at all."""
    check_url(config, client)
    with temporary("probe") as folder:
        play = Plays(config, client, folder, door)
        if play.wire != "history":
            raise ClientError(f"its wire is {play.wire!r}: what it sends cannot be seen", client=client)
        policy, main = _policy(play), main_of(play.turns("answers"))
        opening = _opening(play)
        observations = [
            *_begins(opening),
            *_answers(play),
            *_settings(play),
            *_beside(play, main),
            *_framed(play),
            *cut_short(play, *own_tools(play)),
            *_sessions(play),
            *_under_faults(play),
        ]
        sends = _sends(play)
    return Probed(
        client=client, observations=tuple(observations), policy=policy, main=main, sends=sends, opening=opening
    )


def _beside(play: Plays, main: Signature | None) -> Iterator[Observation]:
    if beside(play.turns("answers")):
        words = f"the conversation is told by {main}" if main else "nothing that they ask with tells which they are"
        yield Observation("requests beside the conversation", words)


def _sends(play: Plays) -> dict[str, Any]:
    found = [play.of(name) for name in ("answers", "interrupted", "killed", "cleared")]
    turns = [turn for one in found if isinstance(one, Transcript) for turn in one.turns("main")]
    return common((one for turn in turns for one in turn.main()), but_for=STAND_INS)


def own_tools(play: Plays) -> list[str]:
    """Names of the tools that the client offers, and the scenario does not."""
    return list(_sends(play).get("tools", {}))


def _policy(play: Plays) -> dict[str, str]:
    found: dict[str, str] = {}
    if prompt := prompt_after(play, "interrupted", "interrupted early"):
        found["interrupted_prompt"] = prompt
    if early := early_interrupt(play):
        found["early_interrupt"] = early
    if (fixed := are_fixed(play.turns("answers"))) is not None:
        found["settings"] = "fixed" if fixed else "vary"
    if (answer := _thinking(play)) is not None:
        found["answer"] = answer
    if (sealed := _sealed(play)) is not None:
        found["thinking"] = sealed
    if (spaced := spacing_of(play.turns("answers"))) is not None:
        found["white_space"] = "kept" if spaced else "any"
    if rung := said_by([*play.turns("answers"), *play.turns("answers again")]):
        found["said"] = rung
    if (frame := _frame(play)) is not None:
        found["prompt"] = frame
    if (place := frame_place(play.turns("answers"))) is not None:
        found["frame"] = place
    if text := text_after(play, "interrupted"):
        found["partial_text"] = text
    found |= killed_policy(play)
    cleared = play.turns("cleared")
    if (same := _same_id(play)) is not None:
        found["cleared_id"] = "same" if same else "new"
    if len(cleared) > 1 and (sent := cleared[-1].sent()) is not None:
        found["cleared"] = "back" if any("My name is Ada." in one for one in sent.texts()) else "gone"
    said = {conduct_of(turn).text for name in FAULTS for turn in play.turns(name)} - {None}
    if said:
        found["restarted_text"] = "doubled" if "doubled" in said else "once"
    return found


def _same_id(play: Plays) -> bool | None:
    """Whether a session that was cleared has the id that it had before; None where that is not known."""
    cleared = play.of("cleared")
    records = cleared.records if isinstance(cleared, Transcript) else []
    position = next((i for i, one in enumerate(records) if isinstance(one, ActRecord) and one.act.kind == "clear"), 0)
    if not position or records[position].error or records[position].session_id is None:
        return None
    before = records[position].session_id_before
    return records[position].session_id == before if before is not None else None


def _frame(play: Plays) -> str | None:
    found = play.of("interrupted")
    return frame_of(found) if isinstance(found, Transcript) else None


def _opening(play: Plays) -> int | tuple[str, ...] | None:
    begun = [found for name in ("interrupted", "answers", "killed") if (found := play.began(name)) is not None]
    if len({len(one) for one in begun}) != 1:
        return None
    return (tuple(begun[0]) if all(one == begun[0] for one in begun) else len(begun[0])) or 0


def _begins(opening: int | tuple[str, ...] | None) -> Iterator[Observation]:
    if opening is None:
        yield Observation("a fresh session begins with", "more or fewer messages from run to run")
    else:
        count = opening if isinstance(opening, int) else len(opening)
        words = f"{count} messages before its prompt" if count else "its prompt alone"
        yield Observation("a fresh session begins with", words)


def _answers(play: Plays) -> Iterator[Observation]:
    words = {
        "exact": "passed on to the letter",
        "words": "passed on but for white space",
        "final": "only the last one of a turn is passed on",
        "transformed": "changed on their way, which permits that words are LOST",
    }
    one, other = play.turns("answers"), play.turns("answers again")
    if rung := said_by([*one, *other]):
        same = [turn.text for turn in one] == [turn.text for turn in other]
        yield Observation("the model's answers", words[rung] + ("" if same else ", and differ from run to run"))
    if (sealed := _sealed(play)) is not None:
        yield Observation("the model's thinking", "is sent back as it came" if sealed == "kept" else "is not sent back")
    if (spaced := spacing_of(play.turns("answers"))) is not None:
        yield Observation("white space of answers", "is sent back as it came" if spaced else "is laid out anew")


def _thinking(play: Plays) -> str | None:
    found = play.of("answers")
    return thinking_of(found) if isinstance(found, Transcript) else None


def _sealed(play: Plays) -> str | None:
    found = play.of("answers")
    return sealed_by(found) if isinstance(found, Transcript) else None


def _settings(play: Plays) -> Iterator[Observation]:
    if (fixed := are_fixed(play.turns("answers"))) is not None:
        words = "the same in every request" if fixed else "vary from request to request"
        yield Observation("the settings of its requests", words)


def _framed(play: Plays) -> Iterator[Observation]:
    if (frame := _frame(play)) is not None:
        about = "prompts that are stored in a frame" if frame == "framed" else "prompts that are sent in a frame"
        words = {"bare": "are stored bare", "as_sent": "are stored as they are sent", "framed": "are sent bare"}
        yield Observation(about, words[frame])


def _sessions(play: Plays) -> Iterator[Observation]:
    cleared = play.of("cleared")
    if isinstance(cleared, ConvtestError):
        way = "" if play.behind_http else "a method clear_history() of the client makes it playable"
        yield Observation("cleared, then resumed", "it has no way to clear a history", way=way)
    elif (choice := _policy(play).get("cleared")) is not None:
        words = "what was cleared is back" if choice == "back" else "what was cleared stays gone"
        if (same := _same_id(play)) is not None:
            words += f"; the id is {'the same' if same else 'a new one'}"
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


def _under_faults(play: Plays) -> Iterator[Observation]:
    for name, about in FAULTS.items():
        turns = play.turns(name)
        if not turns:
            yield Observation(about, "nothing could be seen")
            continue
        found = conduct_of(turns[0])
        swallowed = found.truncated == "taken_as_complete" or bool(turns[0].hung or turns[0].crash)
        words = f"{str(found) or 'not tried again'}; the turn ends {how(turns[0])}"
        yield Observation(about, words, swallowed, way_of(turns[0]))
