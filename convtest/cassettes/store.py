"""Cassettes on disk: read strictly, written whole or not at all."""

import contextlib
import errno
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from convtest.cassettes.folding import folded, unfolded
from convtest.cassettes.format import KEY, Recording, from_plain, to_text
from convtest.cassettes.forms import NotACassette
from convtest.cassettes.naming import Names
from convtest.cassettes.reading import UNREADABLE, Refused, is_braced, read
from convtest.cassettes.steady import steadied
from convtest.cassettes.yaml_text import dump
from convtest.errors import Place, RecordedElsewhere, UnreadableCassette, UnwritableCassette
from convtest.limits import DEFAULTS, Limits
from convtest.structs import Struct, replace
from convtest.wire.interaction import Interaction

_SWEEPING = 0.25
"""Seconds for which a run may hold a lock that only sweeps up."""


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
        plain = unfolded(read(data, limits), KEY, limits.cassette)
        return Recording(from_plain(plain, may_be_cut=not is_braced(data), limits=limits), plain)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(shown, mark.line + 1, mark.column + 1) if mark else Place(shown)
        raise UnreadableCassette(str(error.problem or error.context), place=place, command=command) from None
    except Refused as error:
        raise UnreadableCassette(str(error), place=Place(shown, error.line), command=command) from None
    except (yaml.YAMLError, UnicodeDecodeError, NotACassette) as error:
        raise UnreadableCassette(str(error), place=Place(shown), command=command) from None


def save(
    path: Path,
    interactions: Iterable[Interaction],
    names: Names | None = None,
    *,
    shown: str = "",
    added: bool = False,
) -> None:
    """Replace the file at once (fsync, then rename): whoever reads sees the old one or the new one, whole.

    Raises UnwritableCassette; what stood there stays.
    """
    text = to_text(interactions, names)
    _write(path, _folded(text) if added else text, shown)


def _folded(text: str) -> str:
    """The text of a cassette with its requests as what they add."""
    return dump(folded(read(text.encode()), KEY))


def _unfolded(text: str) -> str:
    """The text that was folded; as it is where it was not."""
    try:
        plain = read(text.encode())
        whole = unfolded(plain, KEY, DEFAULTS.cassette)
    except UNREADABLE:
        return text
    return text if whole is plain else dump(whole)


def _write(path: Path, text: str, shown: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UnwritableCassette(error, cassette=shown or path) from None


def partial_of(path: Path) -> Path:
    """Where the turns of a recording stand until it is finished."""
    return path.with_name(f"{path.name}.partial")


@contextlib.contextmanager
def only_writer(path: Path, *, shown: str) -> Iterator[None]:
    """Nobody else records this cassette meanwhile, and it can be written.

    Raises RecordedElsewhere if somebody does, UnwritableCassette where nothing can be put there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _refuse_folders(path)
        lock = _locked(path)
    except Timeout:
        raise RecordedElsewhere(cassette=shown) from None
    except OSError as error:
        raise UnwritableCassette(error, cassette=shown) from None
    try:
        _sweep(path)
        yield
    finally:
        with contextlib.suppress(OSError):
            _lock_of(path).unlink()
        lock.release()


def _refuse_folders(path: Path) -> None:
    """What cannot become a file is refused before anything is asked."""
    for one in (path, partial_of(path), _lock_of(path)):
        if one.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(one))


def _locked(path: Path) -> FileLock:
    """Raises Timeout where somebody else holds it."""
    while True:
        lock = FileLock(_lock_of(path))
        lock.acquire(timeout=_SWEEPING)
        if _lock_of(path).exists():
            return lock
        # Whoever had it has removed the file after we had opened it: a third may have made a new one.
        lock.release()


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _sweep(path: Path) -> None:
    """What writers of this cassette left that were killed. To be called by its only writer."""
    temporary = re.compile(rf"{re.escape(path.name)}(\.partial|\.new)?\.\d+\.tmp")
    for one in path.parent.iterdir():
        if temporary.fullmatch(one.name):
            with contextlib.suppress(OSError):
                one.unlink()


_LEFT = re.compile(r"(.+\.yaml)(?:\.lock|(?:\.partial|\.new)?\.\d+\.tmp)")


def sweep(folder: Path) -> None:
    """Remove what recordings in a folder left that were killed; those in progress are left alone."""
    left = {path.with_name(found[1]) for path in folder.rglob("*.yaml.*") if (found := _LEFT.fullmatch(path.name))}
    for path in left:
        with contextlib.suppress(RecordedElsewhere, UnwritableCassette), only_writer(path, shown=""):
            pass


class Cassette(Struct, frozen=True):
    """Where one recording is kept, how messages name it, and the command that records it anew."""

    path: Path
    shown: str
    command: str = ""
    limits: Limits = DEFAULTS
    added: bool = False
    """Each request stands in the file as what it adds to the one before it."""

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

    def load(self, volatile: frozenset[str] = frozenset()) -> list[Interaction]:
        """Its interactions, compared without what stands under `volatile` keys. Raises UnreadableCassette."""
        found = load(self.path, shown=self.shown, command=self.command, limits=self.limits)
        for interaction in found:
            interaction.volatile = volatile
        return found

    def save(self, interactions: Iterable[Interaction], names: Names) -> None:
        """Raises UnwritableCassette; what stood there stays."""
        save(self.path, interactions, names, shown=self.shown, added=self.added)

    def renew(self, interactions: Iterable[Interaction], names: Names) -> None:
        """Replace it; what is the same in the new recording but for times, ids and order stays byte for byte. Raises
        UnwritableCassette."""
        text = to_text(interactions, names)
        try:
            old = self.path.read_text(encoding="utf-8") if self.is_there else ""
        except (OSError, UnicodeDecodeError):
            old = ""
        steady = steadied(_unfolded(old), text, names) if old else text
        steady = _folded(steady) if self.added else steady
        if steady != old:
            _write(self.path, steady, self.shown)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def put_aside(self) -> str:
        """Give it a name of its own, under which nobody writes; that name, as it is shown."""
        number = next(n for n in itertools.count(1) if not self.path.with_name(f"{self.path.name}-{n}").exists())
        self.path.rename(self.path.with_name(f"{self.path.name}-{number}"))
        return f"{self.shown}-{number}"

    def state(self) -> tuple[tuple[int, int] | None, ...]:
        """What changes as soon as somebody else records it."""
        return tuple(_state_of(one) for one in (self.path, partial_of(self.path)))

    def only_writer(self) -> AbstractContextManager[None]:
        """Raises RecordedElsewhere if somebody else records it, UnwritableCassette where nothing can be put there."""
        return only_writer(self.path, shown=self.shown)


def _state_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
