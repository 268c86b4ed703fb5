"""The probes as they are played with one client, each once, and what is read off them."""

from pathlib import Path
from textwrap import dedent, indent

from convtest.checks.fresh import first_turns, opening_of
from convtest.checks.kept import Kept, kept_of
from convtest.clients.registry import SIMULATOR, make, overridden
from convtest.config import Config
from convtest.errors import ClientError, ConvtestError, MissingCapability
from convtest.gateway.door import Door
from convtest.play.mode import Mode
from convtest.play.perform import ready
from convtest.play.prepare import missing
from convtest.probe.probes import HEAD, PROBES
from convtest.scenario.loader import load
from convtest.structs import Struct, replace
from convtest.transcript import Transcript, TurnRecord


class Observation(Struct, frozen=True):
    """One thing that was measured: what it is about, and in words what the client does."""

    about: str
    words: str
    defect: bool = False
    """No choice of the client's: convtest fails on it."""
    way: str = ""
    """Where it could not be played, or not to its end: how it can be."""


class Plays:
    """Each probe is played once, with a policy that asks for nothing."""

    def __init__(self, config: Config, client: str, folder: Path, door: Door | None = None) -> None:
        """`door`: where the gateway of every probe listens, for an application that runs already."""
        made = overridden(config, None, SIMULATOR)
        profile = replace(made.profile(client), policy={}, main=None)
        self._config = replace(
            made, scenarios=(folder,), cassettes=folder / "cassettes", client=client, clients={client: profile}
        )
        self._folder = folder
        self._client = client
        self._door = door
        self._played: dict[str, Transcript | ConvtestError] = {}
        self.behind_http = profile.kind == "sse"
        """It is asked as its readers ask it: it is given no stand-ins, and no method can be added to it."""
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
            transcript = ready(self._config, scenario, Mode(), self._door).play(folder).transcript
        except MissingCapability as error:
            return error
        told = transcript.turns()[0]
        if told.end is None or told.end.ended != "complete":
            # What it does when it is disturbed says nothing of a client that does not play one plain turn.
            what = f"it does not play a plain turn ({told.turn.prompt!r}): the turn ends {how(told)}"
            raise ClientError(what, client=self._client, help="nothing was measured, and nothing is written")
        self._has_to_remember(transcript)
        return transcript

    def _has_to_remember(self, transcript: Transcript) -> None:
        """What is gone from the history anyway, no interrupt took out of it."""
        told, second = transcript.turns()[0], transcript.records[1]
        sent = second.main() if isinstance(second, TurnRecord) else []
        if sent and not any(told.turn.prompt in text for one in sent for text in one.canonical.texts()):
            what = f"it forgets a turn that nothing disturbed: {told.turn.prompt!r} is not in its next request"
            raise ClientError(what, client=self._client, help="nothing was measured, and nothing is written")

    def turns(self, name: str) -> list[TurnRecord]:
        """The turns of the session `main` after the fact was told; none where the probe could not be played."""
        found = self.of(name)
        return found.turns("main")[1:] if isinstance(found, Transcript) else []

    def began(self, name: str) -> list[str] | None:
        """What stood before the probe's first prompt, a text for each message."""
        found = self.of(name)
        first = next(first_turns(found), None) if isinstance(found, Transcript) else None
        return opening_of(found, first) if isinstance(found, Transcript) and first is not None else None

    def kept(self, name: str) -> "tuple[TurnRecord, Kept | None] | None":
        """The turn that was cut short, and what the next request holds of it; None where nothing was sent."""
        turns = self.turns(name)
        sent = turns[1].sent() if len(turns) > 1 else None
        return (turns[0], kept_of(sent, turns[0], turns[1].turn.prompt)) if sent is not None else None


MAP_IT = (
    "an exception is no end of a turn: map it, in ended(error) of a convtest.adapters.Adapter, or by a TurnEnd(ended=…)"
    " of any other client"
)


def way_of(turn: TurnRecord) -> str:
    """How a turn that ended in an exception can be played to an end."""
    return MAP_IT if turn.crash and not turn.hung else ""


def is_complete(turn: TurnRecord) -> bool:
    """It ran to its own end."""
    return turn.end is not None and turn.end.ended == "complete"


def how(turn: TurnRecord) -> str:
    """How the turn ended, in words."""
    if turn.hung:
        return "never: it hangs"
    if turn.crash:
        return f"in an exception: {turn.crash}"
    if turn.error is not None:
        return f"before it began: {turn.error.code}: {turn.error.message}"
    if turn.end is None:
        return "without a turn end"
    return turn.end.ended + (f" ({turn.end.error})" if turn.end.error else "")
