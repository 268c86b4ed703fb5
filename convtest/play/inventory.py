"""What stands in the cassette and snapshot folders: secrets, recordings nobody plays, recordings that are stale."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from convtest.cassettes import store
from convtest.cassettes.leaks import Leak, in_recording, in_text
from convtest.config import Config
from convtest.errors import CassetteError, ConvtestError
from convtest.play.placeholders import texts_in
from convtest.play.prepare import cassette_path, scrubber_of
from convtest.scenario.digest import digest
from convtest.scenario.model import Scenario
from convtest.wire.interaction import Interaction


def written(config: Config, scenarios: Iterable[Scenario]) -> Iterator[str]:
    """A line for each place of a scenario file that holds what would be scrubbed elsewhere: there it counts as any
    word, is recorded and shown."""
    scrubber = scrubber_of(config)
    for path in dict.fromkeys(scenario.file for scenario in scenarios):
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            for token in sorted(scrubber.tokens(line)):
                what = "is the value of a key in the environment" if token in scrubber.named else "looks like a secret"
                yield (
                    f"{config.shown(path)}:{number}: {token[:8]!r}… {what}: it stands in the scenario, so that it is "
                    "recorded and shown as it is"
                )


def leaked(config: Config, scenarios: Iterable[Scenario]) -> Iterator[Leak]:
    """Each place of a cassette or snapshot that holds something to scrub; what stands in a scenario file is nothing to
    scrub."""
    loaded = list(scenarios)
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in _scenario_files(config)]
    scrubber = scrubber_of(config).but_for([*texts, *(word for one in loaded for word in texts_in(one))])
    for path in _artefacts(config, loaded):
        shown = config.shown(path)
        told: set[str] = set()
        for leak, secret in in_text(path.read_text(encoding="utf-8", errors="replace"), shown, scrubber):
            told.add(secret)
            yield leak
        for leak, secret in in_recording(_recorded(config, path), shown, scrubber):
            if secret not in told or leak.kind == "HEADER":
                yield leak


def _recorded(config: Config, path: Path) -> list[Interaction]:
    """What a cassette holds as it reads: encoded, escaped and cut as it may be in the file."""
    if path.suffix == ".txt":
        return []
    try:
        return store.load(path, shown=config.shown(path), limits=config.limits)
    except ConvtestError:
        return []  # whoever plays it says so


def _scenario_files(config: Config) -> Iterator[Path]:
    roots = [root for root in config.scenarios if root.is_dir()]
    return (path for root in roots for path in root.rglob("*.y*ml") if path.is_file())


def _artefacts(config: Config, scenarios: list[Scenario]) -> Iterator[Path]:
    """Cassettes, those in the making too, and snapshots."""
    patterns = ("*.y*ml", "*.json", "*.yaml.new", "*.yaml.partial*")
    roots = [*((config.cassettes, pattern) for pattern in patterns)]
    roots += [(root, "__snapshots__/**/*.txt") for root in config.scenarios]
    found = [path for root, pattern in roots if root.is_dir() for path in root.rglob(pattern)]
    found += [scenario.cassette.resolve() for scenario in scenarios if scenario.cassette is not None]
    yield from sorted({path for path in found if path.is_file()})


def stale(config: Config, scenarios: Iterable[Scenario]) -> Iterator[str]:
    """A line for each cassette whose scenario asks for something else by now."""
    for scenario in scenarios:
        path = cassette_path(config, scenario)
        if scenario.cassette is not None or not path.is_file():
            continue
        try:
            recorded = store.load(path, shown=config.shown(path), limits=config.limits)
        except CassetteError as error:
            yield str(error)
            continue
        if recorded and recorded[0].digest and recorded[0].digest != digest(scenario):
            yield f"{config.shown(path)}: the scenario changed since it was recorded ({scenario.place.line_only})"


def orphans(config: Config, scenarios: Iterable[Scenario]) -> Iterator[str]:
    """A line for each cassette below a scenario's folder that no scenario plays; those of Python tests are left out."""
    played = {cassette_path(config, scenario) for scenario in scenarios}
    files = {path.parent for path in played}
    for path in sorted(config.cassettes.rglob("*.yaml")) if config.cassettes.is_dir() else ():
        if path not in played and (path.parent in files or not _of_a_test(config, path)):
            yield f"{config.shown(path)}: no scenario plays this cassette: remove it, or give back its name"


def _of_a_test(config: Config, path: Path) -> bool:
    below = path.parent.relative_to(config.cassettes)
    return (config.root / below).with_suffix(".py").is_file()
