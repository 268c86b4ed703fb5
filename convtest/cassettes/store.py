"""Cassettes on disk: read strictly, written whole or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path

import yaml

from convtest.cassettes.format import NotACassette, from_plain, to_text
from convtest.cassettes.scrubbing import NOTHING_KNOWN, Scrubber
from convtest.errors import Place, UnreadableCassette
from convtest.wire.interaction import Interaction

_Loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


def load(path: Path, *, shown: str, command: str = "") -> list[Interaction]:
    """The interactions of a cassette. Raises UnreadableCassette; a broken file is never an empty one."""
    try:
        return from_plain(yaml.load(path.read_bytes(), _Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(shown, mark.line + 1, mark.column + 1) if mark else Place(shown)
        raise UnreadableCassette(str(error.problem or error.context), place=place, command=command) from None
    except (yaml.YAMLError, UnicodeDecodeError, NotACassette, RecursionError) as error:
        raise UnreadableCassette(str(error), place=Place(shown), command=command) from None


def save(path: Path, interactions: Iterable[Interaction], scrubber: Scrubber = NOTHING_KNOWN) -> None:
    """Replace the file at once (fsync, then rename): whoever reads sees the old one or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(to_text(interactions, scrubber))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
