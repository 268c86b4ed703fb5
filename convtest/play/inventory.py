"""What stands in the cassette and snapshot folders: secrets, recordings nobody plays, recordings that are stale."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from convtest.cassettes import store
from convtest.cassettes.naming import SECRET_HEADERS
from convtest.config import Config
from convtest.errors import CassetteError
from convtest.play.placeholders import texts_in
from convtest.play.prepare import cassette_path, scrubber_of
from convtest.scenario.digest import digest
from convtest.scenario.model import Scenario
from convtest.wire.marks import PLACEHOLDER


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


def leaked(config: Config, scenarios: Iterable[Scenario]) -> Iterator[str]:
    """A line for each place of a cassette or snapshot that holds something to scrub; what stands in a scenario file is
    nothing to scrub."""
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in _scenario_files(config)]
    scrubber = scrubber_of(config).but_for([*texts, *(word for one in scenarios for word in texts_in(one))])
    for path in _artefacts(config):
        yield from _headers_kept(config, path)
        text = path.read_text(encoding="utf-8", errors="replace")
        if not scrubber.finds(text):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if scrubber.finds(line):
                yield f"{config.shown(path)}:{number}: a secret stands here: {scrubber.text(line).strip()[:80]}"


def _headers_kept(config: Config, path: Path) -> Iterator[str]:
    """What other recorders leave in the headers that are never kept: of any shape, so only their names tell."""
    try:
        recorded = store.load(path, shown=config.shown(path), limits=config.limits) if path.suffix == ".yaml" else []
    except CassetteError:
        return  # whoever plays it says so
    for number, one in enumerate(recorded, 1):
        kept = [name for name, value in (*one.request.headers, *one.headers) if value and PLACEHOLDER not in value]
        for name in dict.fromkeys(name for name in kept if name in SECRET_HEADERS):
            yield f"{config.shown(path)}: interaction {number}: a secret stands here: the header {name}, as it was sent"


def _scenario_files(config: Config) -> Iterator[Path]:
    roots = [root for root in config.scenarios if root.is_dir()]
    return (path for root in roots for path in root.rglob("*.y*ml") if path.is_file())


def _artefacts(config: Config) -> Iterator[Path]:
    roots = [(config.cassettes, "*.yaml*"), *((root, "__snapshots__/**/*.txt") for root in config.scenarios)]
    for root, pattern in roots:
        if root.is_dir():
            yield from sorted(path for path in root.rglob(pattern) if path.is_file())


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
