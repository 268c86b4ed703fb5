"""One item before it is played: its clients found and checked, its cassette read, its source chosen."""

import os
import shlex
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path

from convtest.cassettes.scrubbing import Scrubber
from convtest.cassettes.secrets import secret_values
from convtest.cassettes.store import Cassette
from convtest.clients.port import Made
from convtest.clients.registry import SIMULATOR, key_names, make, stand_in_key, wrong_options
from convtest.config import Config
from convtest.errors import ClientError, NoCassette
from convtest.gateway.door import Door
from convtest.play.apps import Applications
from convtest.play.mode import Mode
from convtest.play.placeholders import texts_in
from convtest.scenario.model import Scenario
from convtest.structs import Struct, field
from convtest.transcript import SourceName
from convtest.wire.interaction import Interaction


class Prepared(Struct, frozen=True, kw_only=True):
    """An item whose clients and cassette have been found."""

    scenario: Scenario
    config: Config
    mode: Mode
    source: SourceName
    make: Callable[[str], Made]
    cassette: Cassette
    recorded: tuple[Interaction, ...]
    simulated: bool
    """All upstreams are the simulator."""
    scrubber: Scrubber
    seen: tuple[object, ...] = ()
    """What stood on disk when it was read."""
    door: Door = field(default_factory=Door)
    """The gateway's, where an application was told of it before the item began."""
    apps: Applications = field(default_factory=Applications)
    """Applications under test that fixtures started."""

    @property
    def needs_gateway(self) -> bool:
        return any(self.make(name).gateway for name in client_names(self.scenario))

    @property
    def node(self) -> str:
        """The item's id for pytest and for convtest record."""
        return f"{self.config.shown(self.scenario.file)}::{self.scenario.name}"

    @property
    def record_command(self) -> str:
        """What records the item anew."""
        return self.cassette.command


def client_names(scenario: Scenario) -> list[str]:
    """The profiles that the scenario's sessions are played with."""
    return sorted({spec.client for spec in scenario.sessions.values()} | {scenario.client})


def cassette_path(config: Config, scenario: Scenario) -> Path:
    """`cassettes/<the scenario file's path under its root>/<item>.yaml`."""
    if scenario.cassette is not None:
        return scenario.cassette.resolve()
    file = scenario.file.resolve()
    below = file.relative_to(config.root_of(file)).with_suffix("")
    return config.cassettes / below / f"{scenario.recording}.yaml"


def cassette_of(config: Config, scenario: Scenario) -> Cassette:
    """The scenario's cassette, or that of the one it is a point of."""
    path = cassette_path(config, scenario)
    anew = record_command(config, scenario).replace("convtest record", "convtest record --mode all", 1)
    return Cassette(path, config.shown(path), anew, config.limits, config.requests == "added")


def record_command(config: Config, scenario: Scenario) -> str:
    """What records the scenario where there is no cassette yet."""
    return f"convtest record {shlex.quote(f'{config.shown(scenario.file)}::{scenario.recording}')}"


def base_recording(config: Config, scenario: Scenario) -> tuple[Interaction, ...]:
    """What the cassette of a scenario, or of the one it is a point of, holds; nothing where there is none."""
    cassette = cassette_of(config, scenario)
    if not cassette.is_there:
        return ()
    state = cassette.path.stat()
    return _read_once(cassette, (state.st_mtime_ns, state.st_size), config.volatile)


@lru_cache(maxsize=4)
def _read_once(cassette: Cassette, state: tuple[int, int], volatile: frozenset[str]) -> tuple[Interaction, ...]:
    """Hundreds of points play one cassette; none of them changes it."""
    return tuple(cassette.load(volatile))


def prepare(config: Config, scenario: Scenario, mode: Mode, door: Door | None = None) -> Prepared:
    """Resolve clients and cassette. Raises ConfigError, ClientError, NoCassette or UnreadableCassette."""
    making = cache(lambda name: make(config, name))
    made = [making(name) for name in client_names(scenario)]
    _check_options(config, scenario)
    _check_visible(scenario, making)
    cassette = cassette_of(config, scenario)
    for one in made:
        _check_key(one, mode, cassette.is_there)
    simulated = all(one.upstream == SIMULATOR for one in made) or (scenario.trunk and not mode.live)
    seen = cassette.state()
    source, recorded = _recorded(config, scenario, mode, simulated)
    return Prepared(
        scenario=scenario,
        config=config,
        mode=mode,
        source=source,
        make=making,
        cassette=cassette,
        recorded=recorded,
        simulated=simulated,
        scrubber=scrubber_of(config).but_for(words_of(scenario.file)).but_for(texts_in(scenario)),
        seen=seen,
        door=door or Door(),
    )


def _recorded(
    config: Config, scenario: Scenario, mode: Mode, simulated: bool
) -> tuple[SourceName, tuple[Interaction, ...]]:
    """Who answers, and what has been recorded of it."""
    if scenario.point is not None:
        return "swept", base_recording(config, scenario)
    if scenario.trunk:
        return "live" if mode.live else "simulated", ()
    cassette = cassette_of(config, scenario)
    source, reads = _source(mode, cassette.path, simulated and scenario.cassette is None)
    if scenario.cassette is not None and not mode.live:
        source, reads = "replayed", True
    if source == "replayed" and not cassette.is_there:
        left = cassette.partial.shown if cassette.partial.is_there else ""
        raise NoCassette(cassette=cassette.shown, command=record_command(config, scenario), partial=left)
    if mode.resume and source == "recorded" and cassette.partial.is_there:
        return source, tuple(cassette.partial.load(config.volatile))
    return source, tuple(cassette.load(config.volatile)) if reads else ()


def scrubber_of(config: Config) -> Scrubber:
    """What must not be stored or shown: the values of the clients' keys, the patterns of the project. What stands in
    for a key that is not set is found as that key is."""
    names = key_names(config)
    values, _ = secret_values(names)
    stand_ins = {name: stand_in_key(name) for name in names if name and not os.environ.get(name)}
    return _scrubber(tuple({**stand_ins, **values}.items()), tuple(config.scrub), Path.home())


@lru_cache(maxsize=4)
def _scrubber(values: tuple[tuple[str, str], ...], patterns: tuple[str, ...], home: Path) -> Scrubber:
    """The items of a run have the same secrets: what it has once looked through is kept with it.

    `home` is one of them: a fixture may give the process another.
    """
    return Scrubber(dict(values), patterns)


def words_of(file: Path) -> Iterator[str]:
    """What its author wrote there."""
    if file.is_file():
        yield file.read_text(encoding="utf-8", errors="replace")


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
    for name in client_names(scenario):
        making(name)
    _check_options(config, scenario)
    _check_visible(scenario, making)


def missing(config: Config, scenario: Scenario) -> tuple[str, str] | None:
    """(the first client that lacks something, what to install)."""
    return next(((name, what) for name in client_names(scenario) if (what := make(config, name).missing)), None)


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
        for what, help in wrong_options(config, client, options):
            raise ClientError(f"{place}: {what}", client=client, help=help)


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
