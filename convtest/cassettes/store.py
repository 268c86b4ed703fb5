"""Cassettes on disk: read strictly, written whole or not at all."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from convtest.cassettes.format import Recording, from_plain, to_text
from convtest.cassettes.forms import NotACassette
from convtest.cassettes.naming import Names
from convtest.cassettes.reading import Refused, is_braced, read
from convtest.cassettes.steady import steadied
from convtest.errors import Place, RecordedElsewhere, UnreadableCassette
from convtest.limits import DEFAULTS, Limits
from convtest.wire.interaction import Interaction
from convtest.wire.marks import Finds


def load(path: Path, *, shown: str, command: str = "", limits: Limits = DEFAULTS) -> list[Interaction]:
    """The interactions of a cassette. Raises UnreadableCassette; a broken file is never an empty one. TooLarge is
    raised before it is read."""
    return load_recording(path, shown=shown, command=command, limits=limits).interactions


def load_recording(path: Path, *, shown: str, command: str = "", limits: Limits = DEFAULTS) -> Recording:
    """The same, with all that stands in the file."""
    limits.check("cassette", path.stat().st_size, f"the cassette {shown}")
    return recording(path.read_bytes(), shown=shown, command=command, limits=limits)


def recording(data: bytes, *, shown: str, command: str = "", limits: Limits = DEFAULTS) -> Recording:
    """What a cassette's bytes hold. Raises UnreadableCassette, which names it as `shown`."""
    try:
        plain = read(data, limits)
        return Recording(from_plain(plain, may_be_cut=not is_braced(data), limits=limits), plain)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(shown, mark.line + 1, mark.column + 1) if mark else Place(shown)
        raise UnreadableCassette(str(error.problem or error.context), place=place, command=command) from None
    except Refused as error:
        raise UnreadableCassette(str(error), place=Place(shown, error.line), command=command) from None
    except (yaml.YAMLError, UnicodeDecodeError, NotACassette) as error:
        raise UnreadableCassette(str(error), place=Place(shown), command=command) from None


def save(path: Path, interactions: Iterable[Interaction], names: Names | None = None) -> None:
    """Replace the file at once (fsync, then rename): whoever reads sees the old one or the new one, whole."""
    _write(path, to_text(interactions, names))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def partial_of(path: Path) -> Path:
    """Where the turns of a recording stand until it is finished."""
    return path.with_name(f"{path.name}.partial")


def save_partial(path: Path, interactions: Iterable[Interaction], names: Names) -> None:
    """Keep what has been recorded so far: whatever ends this process, complete turns are not lost."""
    save(partial_of(path), [one for one in interactions if one.ended is not None], names)


@contextlib.contextmanager
def only_writer(path: Path, *, shown: str) -> Iterator[None]:
    """Nobody else records this cassette meanwhile. Raises RecordedElsewhere at once if somebody does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RecordedElsewhere(cassette=shown) from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.with_name(f"{path.name}.lock").unlink()
        lock.release()


@dataclass(frozen=True, slots=True)
class Cassette:
    """Where one recording is kept, how messages name it, and the command that records it anew."""

    path: Path
    shown: str
    command: str = ""
    limits: Limits = DEFAULTS

    @property
    def is_there(self) -> bool:
        return self.path.is_file()

    @property
    def partial(self) -> "Cassette":
        """Where its turns stand until it is finished."""
        shown = f"{self.shown}.partial"
        return replace(self, path=partial_of(self.path), shown=shown)

    @property
    def for_review(self) -> "Cassette":
        """Beside it: what was recorded by an item that failed."""
        return replace(self, path=self.path.with_suffix(".yaml.new"), shown=f"{self.shown}.new")

    def load(self, volatile: frozenset[str] = frozenset(), secrets: Finds | None = None) -> list[Interaction]:
        """Its interactions, compared without what stands under `volatile` keys; what others recorded has `secrets` in
        it, which count as ours do. Raises UnreadableCassette."""
        found = load(self.path, shown=self.shown, command=self.command, limits=self.limits)
        for interaction in found:
            interaction.volatile = volatile
            interaction.secrets = secrets if interaction.foreign else None
        return found

    def save(self, interactions: Iterable[Interaction], names: Names) -> None:
        save(self.path, interactions, names)

    def renew(self, interactions: Iterable[Interaction], names: Names) -> None:
        """Replace it; what is the same in the new recording but for times, ids and order stays byte for byte."""
        text = to_text(interactions, names)
        try:
            old = self.path.read_text(encoding="utf-8") if self.is_there else ""
        except (OSError, UnicodeDecodeError):
            old = ""
        steady = steadied(old, text, names) if old else text
        if steady != old:
            _write(self.path, steady)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def only_writer(self) -> AbstractContextManager[None]:
        """Raises RecordedElsewhere at once if somebody else records it."""
        return only_writer(self.path, shown=self.shown)
