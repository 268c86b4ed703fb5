"""One item before it is played: its clients found and checked, its cassette read, its source chosen."""

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from socket import socket
from typing import Literal

from convtest.cassettes import store
from convtest.cassettes.scrubbing import Scrubber, secret_values
from convtest.clients.port import Made
from convtest.clients.registry import KINDS, SIMULATOR, make, unknown_options
from convtest.config import Config
from convtest.errors import ClientError, NoCassette, did_you_mean
from convtest.scenario.model import Scenario
from convtest.transcript import SourceName
from convtest.wire.interaction import Interaction
from convtest.wire.spending import Purse

RecordMode = Literal["none", "once", "new_episodes", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """How items are to be played; `speed` 0 waits for nothing, 1 is the recorded pace."""

    record: RecordMode = "none"
    live: bool = False
    speed: float = 0.0
    resume: bool = False
    """Go on with a recording that broke off."""
    purse: Purse | None = None
    backend: str = "asyncio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An item whose clients and cassette have been found."""

    scenario: Scenario
    config: Config
    mode: Mode
    source: SourceName
    make: Callable[[str], Made]
    cassette: Path
    recorded: tuple[Interaction, ...]
    simulated: bool
    """All upstreams are the simulator."""
    scrubber: Scrubber

    listening: Callable[[], socket | None] = lambda: None
    """A socket for the gateway, where an application was given its address before the item began."""
    token: str = ""
    """The run's token, where an application was given it before."""

    @property
    def needs_gateway(self) -> bool:
        names = {spec.client for spec in self.scenario.sessions.values()} | {self.scenario.client}
        return any(self.make(name).gateway for name in names)

    def missing(self) -> tuple[str, str] | None:
        """(the first client that lacks something, what to install)."""
        names = {spec.client for spec in self.scenario.sessions.values()} | {self.scenario.client}
        return next(((name, what) for name in sorted(names) if (what := self.make(name).missing)), None)

    def made_of(self, session: str | None, clients: Mapping[str, tuple[str, object]]) -> Made:
        """What the session is opened with, by `clients`, which the play keeps; the scenario's client for any other."""
        return self.make(clients.get(session or "", (self.scenario.client, {}))[0])

    @property
    def node(self) -> str:
        """The item's id for pytest and for convtest record."""
        return f"{self.config.shown(self.scenario.file)}::{self.scenario.name}"

    @property
    def record_command(self) -> str:
        return self.first_record_command.replace("convtest record", "convtest record --mode all", 1)

    @property
    def first_record_command(self) -> str:
        """Where there is no cassette yet."""
        return record_command(self.config, self.scenario)


def cassette_path(config: Config, scenario: Scenario) -> Path:
    """`cassettes/<the scenario file's path under its root>/<item>.yaml`."""
    if scenario.cassette is not None:
        return scenario.cassette.resolve()
    file = scenario.file.resolve()
    below = file.relative_to(config.root_of(file)).with_suffix("")
    return config.cassettes / below / f"{scenario.recording}.yaml"


def record_command(config: Config, scenario: Scenario) -> str:
    """What records the scenario where there is no cassette yet."""
    return f"convtest record {shlex.quote(f'{config.shown(scenario.file)}::{scenario.recording}')}"


def base_recording(config: Config, scenario: Scenario) -> tuple[Interaction, ...]:
    """What the cassette of a scenario, or of the one it is a point of, holds; nothing where there is none."""
    path = cassette_path(config, scenario)
    if not path.is_file():
        return ()
    state = path.stat()
    anew = record_command(config, scenario).replace("convtest record", "convtest record --mode all", 1)
    return _read_once(path, (state.st_mtime_ns, state.st_size), config.shown(path), anew, config.volatile)


@lru_cache(maxsize=4)
def _read_once(
    path: Path, state: tuple[int, int], shown: str, command: str, volatile: frozenset[str]
) -> tuple[Interaction, ...]:
    """Hundreds of points play one cassette; none of them changes it."""
    recorded = store.load(path, shown=shown, command=command)
    for interaction in recorded:
        interaction.volatile = volatile
    return tuple(recorded)


def _at_point(
    config: Config, scenario: Scenario, mode: Mode, making: Callable[[str], Made], simulated: bool
) -> Prepared:
    return Prepared(
        scenario=scenario,
        config=config,
        mode=mode,
        source="swept",
        make=making,
        cassette=cassette_path(config, scenario),
        recorded=base_recording(config, scenario),
        simulated=simulated,
        scrubber=scrubber_of(config),
    )


def prepare(config: Config, scenario: Scenario, mode: Mode) -> Prepared:
    """Resolve clients and cassette. Raises ConfigError, ClientError, NoCassette or UnreadableCassette."""
    making = cache(lambda name: make(config, name))
    names = {spec.client for spec in scenario.sessions.values()} | {scenario.client}
    made = [making(name) for name in sorted(names)]
    _check_options(config, scenario)
    _check_visible(scenario, making)
    simulated = all(one.upstream == SIMULATOR for one in made)
    path = cassette_path(config, scenario)
    for one in made:
        _check_key(one, mode, path.is_file())
    if scenario.point is not None:
        return _at_point(config, scenario, mode, making, simulated)
    command = record_command(config, scenario)
    source, read = _source(mode, path, simulated and scenario.cassette is None)
    if scenario.cassette is not None and not mode.live:
        source, read = "replayed", True
    if source == "replayed" and not path.is_file():
        partial = store.partial_of(path)
        left = config.shown(partial) if partial.is_file() else ""
        raise NoCassette(cassette=config.shown(path), command=command, partial=left)
    anew = command.replace("convtest record", "convtest record --mode all", 1)
    if mode.resume and source == "recorded" and store.partial_of(path).is_file():
        path_read, read = store.partial_of(path), True
    else:
        path_read = path
    recorded = store.load(path_read, shown=config.shown(path_read), command=anew) if read else []
    for interaction in recorded:
        interaction.volatile = config.volatile
    return Prepared(
        scenario=scenario,
        config=config,
        mode=mode,
        source=source,
        make=making,
        cassette=path,
        recorded=tuple(recorded),
        simulated=simulated,
        scrubber=scrubber_of(config),
    )


def key_names(config: Config) -> list[str]:
    """The environment variables that hold keys of the profiles' models."""
    kinds = {name: kind.api_key_env for name, kind in KINDS.items()}
    return [profile.api_key_env or kinds.get(profile.kind, "") for profile in config.clients.values()]


def scrubber_of(config: Config) -> Scrubber:
    """What must not be stored or shown: the values of the clients' keys, the patterns of the project."""
    values, _ = secret_values(key_names(config))
    return Scrubber(values, config.scrub)


def _source(mode: Mode, path: Path, simulated: bool) -> tuple[SourceName, bool]:
    """Who answers, and whether the cassette is read."""
    there = path.is_file()
    if mode.live:
        return ("simulated" if simulated else "live"), False
    match mode.record:
        case "none":
            return ("replayed", there) if there or not simulated else ("simulated", False)
        case "once":
            return ("replayed", True) if there else ("recorded", False)
        case "new_episodes":
            return "recorded", there
        case "all":
            return "recorded", False


def check(config: Config, scenario: Scenario) -> None:
    """What can be known to be wrong before playing. Raises ConfigError or ClientError."""
    making = cache(lambda name: make(config, name))
    for name in sorted({spec.client for spec in scenario.sessions.values()} | {scenario.client}):
        making(name)
    _check_options(config, scenario)
    _check_visible(scenario, making)


def _check_key(made: Made, mode: Mode, there: bool) -> None:
    """The public API needs a key; whatever else is behind a base URL may not."""
    asks = mode.live or mode.record in {"all", "new_episodes"} or (mode.record == "once" and not there)
    if asks and made.public and not os.environ.get(made.api_key_env):
        help = f"export {made.api_key_env}=…, or name another variable as api_key_env in the profile"
        raise ClientError(f"{made.api_key_env} is not set", client=made.profile, help=help)


def _check_options(config: Config, scenario: Scenario) -> None:
    given = [(spec.client, spec.options, scenario.place_of("options")) for spec in scenario.sessions.values()]
    for step in scenario.steps:
        spec = scenario.sessions.get(step.session)
        given.append((spec.client if spec else scenario.client, step.options, step.place_of("options")))
    for client, options, place in given:
        for option in unknown_options(config, client, dict(options)):
            kind = config.profile(client).kind
            what = f"{place}: a {kind} client takes no option {option!r}"
            raise ClientError(what, client=client, help=did_you_mean(option, _taken(kind)))


def _check_visible(scenario: Scenario, making: Callable[[str], Made]) -> None:
    """`sent` on a client whose requests are not seen would never fail."""
    for step in scenario.steps:
        spec = scenario.sessions.get(step.session)
        client = spec.client if spec else scenario.client
        if step.expect is not None and step.expect.sent is not None and making(client).wire != "history":
            raise ClientError(
                f"{step.place_of('expect', 'sent')}: sent cannot be looked at: wire is {making(client).wire!r}",
                client=client,
                help='remove sent:, or declare wire = "history" if its requests go through the transport',
            )


def _taken(kind: str) -> frozenset[str]:
    return KINDS[kind].options or frozenset()
