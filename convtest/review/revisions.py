"""Cassettes and snapshots that differ from a revision of git, or between two."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from convtest.config import Config
from convtest.errors import ReviewError
from convtest.review.changed import Changed, Kind

_AS_IT_IS = {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def changes(config: Config, revisions: str, paths: Sequence[Path] = ()) -> list[Changed]:
    """What changed since `REV` in the working tree, between `A..B`, or since the two of `A...B` parted; without B it is
    the working tree. `paths` are files or folders to look at; all of the project's without any.

    Raises ReviewError: no git, no repository, no such revision.
    """
    git = _Git(config.root)
    first, second = _ends(git, revisions)
    found = [
        made
        for status, was, now in _changed(git, first, second, _places(config, paths))
        if (made := _made(config, git, (first, second), (status, was, now))) is not None
    ]
    return sorted(found, key=lambda one: (one.kind, one.id))


def _ends(git: "_Git", revisions: str) -> tuple[str, str | None]:
    """The commits on both sides; None for the working tree."""
    for between in ("...", ".."):
        first, found, second = revisions.partition(between)
        if not found:
            continue
        before, after = git.commit(first or "HEAD"), git.commit(second) if second else None
        if between == "...":
            before = git.asked(
                "merge-base", before, after or "HEAD", what=f"{revisions}: the two have nothing in common"
            )
        return before, after
    return git.commit(revisions), None


def _places(config: Config, paths: Sequence[Path]) -> list[str]:
    if paths:
        return [str(path.absolute()) for path in paths]
    return [str(config.cassettes), *(str(root) for root in config.scenarios)]


def _changed(git: "_Git", first: str, second: str | None, places: list[str]) -> Iterator[tuple[str, str, str]]:
    """(what became of it, its name before, its name now), names as the repository has them."""
    with git.with_untracked(places) if second is None else git.as_it_is() as environment:
        asked = ["diff", "--name-status", "-z", "--find-renames", first, *([second] if second else []), "--", *places]
        words = git.bytes_of(*asked, environment=environment).decode("utf-8", "surrogateescape").split("\0")
    at = 0
    while at + 1 < len(words):
        status = words[at][:1]
        names = 2 if status in "RC" else 1
        yield status, words[at + 1], words[at + names]
        at += 1 + names


def _made(config: Config, git: "_Git", ends: tuple[str, str | None], row: tuple[str, str, str]) -> Changed | None:
    status, was, now = row
    first, second = ends
    path = git.top / now
    kind = _kind(config, path)
    if kind is None:
        return None
    new = None if status == "D" else path.read_bytes() if second is None else git.blob(second, now)
    return Changed(
        id=config.shown(path),
        kind=kind,
        old=None if status in "AC" else git.blob(first, was),
        new=new,
        was=config.shown(git.top / was) if status == "R" else "",
    )


def _kind(config: Config, path: Path) -> Kind | None:
    if path.suffix == ".txt" and "__snapshots__" in path.parts:
        return "snapshot"
    in_scenarios = any(path.is_relative_to(root) for root in config.scenarios)
    in_cassettes = path.is_relative_to(config.cassettes)
    return "cassette" if path.suffix in {".yaml", ".yml"} and (in_cassettes or not in_scenarios) else None


class _Git:
    """git, called in the project's folder; it changes nothing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        if shutil.which("git") is None:
            raise ReviewError("git is not installed", help="convtest diff A B compares two files without it")
        self.top = Path(self.asked("rev-parse", "--show-toplevel", what=f"{root} is in no git repository"))

    def commit(self, revision: str) -> str:
        asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return self.asked(
            *asked, what=f"there is no revision {revision!r} here", help="git fetch brings what is elsewhere"
        )

    def blob(self, commit: str, name: str) -> bytes:
        return self.bytes_of("cat-file", "blob", f"{commit}:{name}")

    def asked(self, *words: str, what: str, help: str = "") -> str:
        done = self._run(words)
        if done.returncode:
            raise ReviewError(what, help=help or _said(done))
        return os.fsdecode(done.stdout).rstrip("\n")

    def bytes_of(self, *words: str, environment: dict[str, str] | None = None) -> bytes:
        done = self._run(words, environment)
        if done.returncode:
            raise ReviewError(f"git {words[0]} failed", help=_said(done))
        return done.stdout

    def _run(
        self, words: Sequence[str], environment: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[bytes]":
        env = {**os.environ, **_AS_IT_IS, **(environment or {})}
        return subprocess.run(["git", *words], cwd=self._root, env=env, capture_output=True, check=False)

    @contextlib.contextmanager
    def as_it_is(self) -> Iterator[dict[str, str]]:
        yield {}

    @contextlib.contextmanager
    def with_untracked(self, places: Sequence[str]) -> Iterator[dict[str, str]]:
        """An index of its own in which files that nobody added yet are known, so that renames are found among them."""
        with tempfile.TemporaryDirectory(prefix="convtest-git-") as folder:
            index = Path(folder) / "index"
            real = self._root / self.asked("rev-parse", "--git-path", "index", what="git names no index")
            if real.is_file():
                shutil.copyfile(real, index)
            environment = {"GIT_INDEX_FILE": str(index)}
            there = [place for place in places if Path(place).exists()]
            if there:
                self.bytes_of("add", "--intent-to-add", "--", *there, environment=environment)
            yield environment


def _said(done: "subprocess.CompletedProcess[bytes]") -> str:
    return done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
