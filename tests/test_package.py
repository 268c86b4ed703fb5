"""What users install: the wheel, built from the source distribution, in an environment that has nothing of ours."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.test_public import USER

REPOSITORY = Path(__file__).parent.parent
MEGABYTE = 1024 * 1024


def run(*command: str | Path, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "CI"))}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd, env={**environment, "NO_COLOR": "1"}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_a_release_installs_elsewhere_and_works(tmp_path: Path) -> None:
    dist, home, project = tmp_path / "dist", tmp_path / "home", tmp_path / "project"
    project.mkdir()
    release = [sys.executable, str(REPOSITORY / "scripts" / "release.py"), "--dry-run", "--outdir", str(dist)]
    said = subprocess.run(release, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    # What waits under [Unreleased] is for who makes the release; all else is ready on any day.
    bad = [line for line in said.stdout.splitlines() if line.startswith("not ready: ") and "CHANGELOG.md" not in line]
    assert bad == []
    assert "would upload  convtest-" in said.stdout, said.stdout + said.stderr
    (wheel,), (source,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    assert wheel.stat().st_size < MEGABYTE
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    assert {"convtest/py.typed", "convtest/probe/conformance.yaml", "convtest/cli/__init__.py"} <= names
    with tarfile.open(source) as packed_source:
        kept = {name.partition("/")[2].partition("/")[0] for name in packed_source.getnames()}
    assert {"convtest", "docs", "tests", "LICENSE", "README.md", "pyproject.toml"} <= kept
    assert not kept & {".venv", "cassettes", "node_modules"}

    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=tmp_path)
    python = home / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", wheel, cwd=tmp_path)
    run(home / "bin" / "convtest", "init", cwd=project)
    assert "1 simulated" in run(home / "bin" / "pytest", "-q", "-W", "error", cwd=project)
    run(home / "bin" / "convtest", "record", cwd=project)
    assert "1 replayed" in run(home / "bin" / "pytest", "-q", "--convtest-strict", cwd=project)
    assert run(home / "bin" / "convtest", "--version", cwd=project).count("\n") == 1
    assert run(home / "bin" / "convtest", "docs", "tutorial", cwd=project).startswith("# Ten minutes")
    assert str(home) in run(home / "bin" / "convtest", "docs", "--path", "errors", cwd=project)
    assert "claude-agent-sdk" in run(home / "bin" / "convtest", "check", "--environment", cwd=project)

    (project / "mine.py").write_text(USER)
    mypy = ("-m", "mypy", "--strict", "--no-incremental", "--python-executable", python, "mine.py")
    run(sys.executable, *mypy, cwd=project)
