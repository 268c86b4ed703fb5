"""A release as it would be uploaded, made and looked at: `scripts/release --dry-run`. Nothing here uploads.

Each thing that is not ready is a line, and exit code 1.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from datetime import date
from email import message_from_bytes
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOST = 1024 * 1024
"""Bytes of the wheel."""
NEEDED = {"Name", "Version", "Summary", "Requires-Python", "License-Expression", "License-File", "Classifier"}


def built(folder: Path) -> tuple[Path, Path]:
    """sdist and wheel, the wheel made from the sdist."""
    # Both say the same in each run of one commit, but for the compiler that packed them.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1577836800"}
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return source, wheel


def wrong(source: Path, wheel: Path) -> Iterator[str]:
    """What is not ready."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    yield from _wrong_changes(project["version"])
    size = wheel.stat().st_size
    if size >= MOST:
        yield f"the wheel has {size:,} bytes, {MOST:,} at most"
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        meta = message_from_bytes(packed.read(next(one for one in names if one.endswith("/METADATA"))))
    yield from (f"the wheel's metadata say no {one}" for one in sorted(NEEDED - set(meta.keys())))
    if not any(one.endswith("/licenses/LICENSE") for one in names):
        yield "the wheel has no LICENSE"
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    packed_pages = {one.rpartition("/")[2] for one in names if one.startswith("convtest/docs/")}
    if pages != packed_pages:
        yield f"the wheel's pages are not those of docs/: {', '.join(sorted(pages ^ packed_pages))}"
    yield from (f"the wheel holds {one}" for one in names if not one.startswith(("convtest/", "convtest-")))
    with tarfile.open(source) as packed_source:
        top = {one.partition("/")[2].partition("/")[0] for one in packed_source.getnames()}
    yield from (
        f"the sdist has no {one}" for one in sorted({"LICENSE", "README.md", "pyproject.toml", "tests", "docs"} - top)
    )


def _wrong_changes(version: str) -> Iterator[str]:
    text = (ROOT / "CHANGELOG.md").read_text()
    found = re.search(rf"^## \[{re.escape(version)}\] - (\d{{4}}-\d\d-\d\d)$", text, re.MULTILINE)
    if found is None:
        yield f"CHANGELOG.md has no dated section [{version}]"
        return
    date.fromisoformat(found[1])
    waiting = re.search(r"^## \[Unreleased\]\n(.*?)^## \[", text, re.MULTILINE | re.DOTALL)
    if waiting is not None and waiting[1].strip():
        yield f"CHANGELOG.md has changes under [Unreleased]: are they part of {version}?"


def checked(files: list[Path]) -> Iterator[str]:
    done = subprocess.run(
        [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *map(str, files)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        yield f"twine check: {(done.stdout + done.stderr).strip()}"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def said(source: Path, wheel: Path) -> Iterator[str]:
    """What an upload would do."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    dirty = ", with changes that are not committed" if _git("status", "--porcelain") else ""
    yield f"convtest {version}, of {_git('rev-parse', '--short', 'HEAD') or 'no commit'}{dirty}"
    for path in (source, wheel):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        yield f"would upload  {path.name}  {path.stat().st_size:,} bytes  sha256 {digest}"
    tag = f"v{version}"
    there = _git("tag", "--list", tag)
    yield f"would tag     {tag}{' (it is there already)' if there else ''}"
    yield "by hand:      git tag, git push --tags, twine upload of the two files; a version can be uploaded once"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry-run", action="store_true", required=True, help="there is no other way to run it")
    parser.add_argument("--outdir", type=Path, help="keep the two files here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = asked.outdir or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        source, wheel = built(folder)
        print("\n".join(said(source, wheel)))
        found = [*wrong(source, wheel), *checked([source, wheel])]
    print("\n".join(f"not ready: {one}" for one in found) or "ready: twine check passed, and nothing was uploaded")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
