"""Scenarios that were made go to the project's folders: whole, and over nothing that is there."""

from collections.abc import Iterator
from pathlib import Path

from convtest.cassettes import store
from convtest.cassettes.naming import Names
from convtest.config import Config
from convtest.importing.conversation import shown
from convtest.importing.importer import Import, Outcome
from convtest.importing.reading.content import NotImportable
from convtest.importing.scenario_text import document
from convtest.play.prepare import scrubber_of
from convtest.scenario.editor import keep_schema, modeline
from convtest.scenario.loading import load_file
from convtest.scenario.names import slug
from convtest.scenario.nodes import MAX_BYTES
from convtest.structs import Struct

_HEAD = """\
# Imported from {file} ({format}).
# What stands under `proposed` was guessed from what was said: read it, then take the mark away.
"""


class Written(Struct, frozen=True):
    """A file that was written; a cassette belongs to an outcome."""

    path: Path
    outcome: Outcome | None = None
    scenarios: int = 0


def target_of(config: Config, source: str, output: Path | None) -> Path:
    """Where the scenarios of a file go: `output`, else a file named after it in the first folder of scenarios."""
    if output is not None:
        return output.resolve()
    name = Path(source).name
    stem = name.partition(".")[0] if name.partition(".")[0] else name.strip(".")
    folder = config.scenarios[0] if config.scenarios else config.root
    return folder / f"{slug(stem)}.yaml"


def written(made: Import, config: Config, target: Path, *, force: bool) -> list[Written]:
    """Write the scenarios and their cassettes. Raises NotImportable, with nothing written, where something is there."""
    schemas = config.scenarios[0] if config.scenarios else config.root
    files = list(_files(made, target, modeline(target, schemas)))
    cassettes = {id(one): _cassette(config, path, one) for path, _, outcomes in files for one in outcomes}
    there = [path for path in [*(path for path, _, _ in files), *cassettes.values()] if path.exists()]
    if there and not force:
        listed = ", ".join(config.shown(path) for path in there[:3])
        raise NotImportable(made.file, f"there is {listed} already", "name another file with --output, or say --force")
    done: list[Written] = []
    names = Names(scrubber_of(config))
    keep_schema(schemas)
    for path, text, outcomes in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        done.append(Written(path, scenarios=len(outcomes)))
        for one in outcomes:
            interactions = one.proof.interactions if one.proof else []
            if interactions:
                store.save(cassettes[id(one)], interactions, names)
                done.append(Written(cassettes[id(one)], one))
            else:
                cassettes[id(one)].unlink(missing_ok=True)
        load_file(path, config)
    return done


def _files(made: Import, target: Path, first: str) -> Iterator[tuple[Path, str, list[Outcome]]]:
    """As few files as the size of one allows."""
    head = first + _HEAD.format(file=shown(Path(made.file).name), format=made.found.format)
    parts: list[str] = []
    held: list[Outcome] = []
    number = 1
    for one in made.written:
        assert one.proof is not None
        text = document(one.proof.draft.data, [f"{one.conversation.where}: {note}" for note in one.notes])
        if parts and len((head + "---\n".join([*parts, text])).encode()) > MAX_BYTES:
            yield _numbered(target, number), head + "---\n".join(parts), held
            number, parts, held = number + 1, [], []
        parts.append(text)
        held.append(one)
    if parts:
        yield _numbered(target, number), head + "---\n".join(parts), held


def _numbered(target: Path, number: int) -> Path:
    return target if number == 1 else target.with_name(f"{target.stem}-{number}{target.suffix}")


def _cassette(config: Config, path: Path, one: Outcome) -> Path:
    """Where plain pytest looks for it: see cassette_path."""
    below = path.relative_to(config.root_of(path)).with_suffix("")
    return config.cassettes / below / f"{slug(one.title)}.yaml"
