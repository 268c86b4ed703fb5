"""What a replayed item costs, beside the floor and beside peers run as their users run them: one table of one run.

    .venv/bin/pip install pytest-recording respx pytest-httpx
    .venv/bin/python benchmarks/items.py [--rounds N] [--json FILE]

CPU milliseconds an item: the slope between runs of pytest with 20 and with 220 items (medians over interleaved rounds),
and CPU seconds of a run with one item. Exits with 1 where a limit is exceeded.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import floor, projects  # noqa: E402
from benchmarks.projects import BASE, PROMPTS, URL, Side, environment  # noqa: E402

FEW, MANY = 20, 220
PACKAGES = ("convtest", "pytest", "httpx", "anthropic", "vcrpy", "pytest-recording", "respx", "pytest-httpx")
LIMITS = (  # (of, at most so many times, the other)
    ("convtest, messages", 3.0, "floor"),
    ("convtest, messages", 1 / 4, "pytest-recording, httpx"),
    ("convtest, anthropic", 1 / 1.5, "pytest-recording, anthropic"),
)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="the medians")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="items-") as folder:
        root = Path(folder)
        made = sides(root)
        for one in made:
            for count in (1, FEW, MANY):
                (place := root / one.name / str(count)).mkdir(parents=True)
                one.make(place, count)
        found = measured(root, made, given.rounds)
    say(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; " + ", ".join(versions()))
    say(f"{'':30} {'ms an item':>10} {'x floor':>8} {'one item, s':>12}")
    for name, (slope, single) in found.items():
        say(f"{name:30} {slope:10.2f} {slope / found['floor'][0]:8.2f} {single:12.2f}")
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return judged(found)


def sides(root: Path) -> list[Side]:
    projects.ours("messages")(first := make_folder(root / "first"), 1)
    answers = projects.chunks(first)
    whole = ["".join(one) for one in answers]
    text = partial(projects.RECORDED.format, prompts=PROMPTS, base=BASE, url=URL, prepare="    pass")
    packaged = projects.RECORDED_PACKAGED.format(prompts=PROMPTS, base=BASE)
    here = ("-p", "convtest.plugin")
    made = [
        Side("floor", partial(floor.make, prompts=PROMPTS, answers=answers), ("-p", "benchmarks.floor")),
        Side("convtest, messages", projects.ours("messages"), here),
        Side("convtest, anthropic", projects.ours("packaged"), here),
        Side("vcrpy, httpx", projects.plain(whole), ()),
    ]
    if there("pytest_recording"):
        vcr = text(mark="@pytest.mark.vcr", fixture="")
        made.append(Side("pytest-recording, httpx", projects.recorded(whole, vcr), ("-p", "pytest_recording.plugin")))
        arguments = ("-p", "pytest_recording.plugin")
        made.append(Side("pytest-recording, anthropic", projects.recorded(whole, packaged), arguments))
    if there("respx"):
        made.append(Side("respx", projects.mocked(whole, "respx_mock", projects.RESPX), ("-p", "respx.plugin")))
    if there("pytest_httpx"):
        made.append(
            Side("pytest-httpx", projects.mocked(whole, "httpx_mock", projects.PYTEST_HTTPX), ("-p", "pytest_httpx"))
        )
    return made


def make_folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def versions() -> list[str]:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return found


def measured(root: Path, made: list[Side], rounds: int) -> dict[str, tuple[float, float]]:
    """By side: CPU milliseconds an item, CPU seconds of a run of one item; medians."""
    slopes: dict[str, list[float]] = {one.name: [] for one in made}
    singles: dict[str, list[float]] = {one.name: [] for one in made}
    for _ in range(rounds):
        for one in made:
            place = root / one.name
            few, many = (cpu(one, place / str(count)) for count in (FEW, MANY))
            slopes[one.name].append((many - few) / (MANY - FEW) * 1000)
            singles[one.name].append(cpu(one, place / "1"))
    return {one.name: (statistics.median(slopes[one.name]), statistics.median(singles[one.name])) for one in made}


def cpu(side: Side, place: Path) -> float:
    """CPU seconds of pytest in the project, its own and its children's."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *side.arguments]
    child = subprocess.Popen(command, cwd=place, env=environment(PYTHONPATH=str(ROOT)), stdout=subprocess.PIPE)
    assert child.stdout is not None
    out = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{side.name}: {out.decode()[-2000:]}")
    return used.ru_utime + used.ru_stime


def judged(found: dict[str, tuple[float, float]]) -> int:
    bad = 0
    for one, times, other in LIMITS:
        if other not in found:
            say(f"not measured: {one} against {other}, which is not installed")
            continue
        ratio = found[one][0] / found[other][0]
        verdict = "held" if ratio <= times else "MISSED"
        say(f"{verdict}: {one} takes {ratio:.2f} times what {other} takes (at most {times:.2f})")
        bad += ratio > times
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
