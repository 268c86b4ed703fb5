"""What a replayed item costs, beside the floor and beside peers run as their users run them: one table of one run.

    .venv/bin/pip install pytest-recording respx pytest-httpx
    .venv/bin/python benchmarks/items.py [--rounds N] [--json FILE]

CPU milliseconds an item: the slope between runs of pytest with 20 and with 220 items (medians over interleaved rounds),
and CPU seconds of a run with one item. Exits with 1 where a limit is exceeded.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import floor, projects  # noqa: E402
from benchmarks.children import ran  # noqa: E402
from benchmarks.projects import BASE, PROMPTS, URL, Side, environment  # noqa: E402
from benchmarks.rows import Row, reported, say  # noqa: E402

FEW, MANY = 20, 220
PACKAGES = ("convtest", "pytest", "httpx", "anthropic", "vcrpy", "pytest-recording", "respx", "pytest-httpx")
PLAIN, PACKAGE = "pytest-recording, httpx", "pytest-recording, anthropic"
PACKAGE_ASYNC = f"{PACKAGE}, async"
"""As the client is that convtest plays."""
LIMITS = (  # (of, at most so many times, the other)
    ("convtest, messages", 3.0, "floor"),
    ("convtest, messages", 1 / 4, PLAIN),
    ("convtest, anthropic", 1 / 1.5, PACKAGE),
    ("convtest, anthropic", 1 / 1.5, PACKAGE_ASYNC),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="the medians")
    given = parser.parse_args()
    say(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; " + ", ".join(versions()))
    rows = reported(found(given.rounds), given.json)
    return 0 if all(row.held for row in rows) else 1


def found(rounds: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="items-") as folder:
        root = Path(folder)
        made = sides(root)
        for one in made:
            for count in (1, FEW, MANY):
                (place := root / one.name / str(count)).mkdir(parents=True)
                one.make(place, count)
        yield from judged(measured(root, made, rounds))


def sides(root: Path) -> list[Side]:
    projects.ours("messages")(first := make_folder(root / "first"), 1)
    answers = projects.chunks(first)
    whole = ["".join(one) for one in answers]
    text = partial(projects.RECORDED.format, prompts=PROMPTS, base=BASE, url=URL, prepare="    pass")
    packaged = projects.RECORDED_PACKAGED.format(prompts=PROMPTS, base=BASE)
    waited = projects.RECORDED_PACKAGED_ASYNC.format(prompts=PROMPTS, base=BASE)
    here = ("-p", "convtest.plugin")
    made = [
        Side("floor", partial(floor.make, prompts=PROMPTS, answers=answers), ("-p", "benchmarks.floor")),
        Side("convtest, messages", projects.ours("messages"), here),
        Side("convtest, anthropic", projects.ours("packaged"), here),
        Side("vcrpy, httpx", projects.plain(whole), ()),
    ]
    if there("pytest_recording"):
        vcr = text(mark="@pytest.mark.vcr", fixture="")
        made.append(Side(PLAIN, projects.recorded(whole, vcr), ("-p", "pytest_recording.plugin")))
        arguments = ("-p", "pytest_recording.plugin")
        made.append(Side(PACKAGE, projects.recorded(whole, packaged), arguments))
        made.append(Side(PACKAGE_ASYNC, projects.recorded(whole, waited), arguments))
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
    return ran(command, place, environment(PYTHONPATH=str(ROOT))).cpu


def judged(measured: dict[str, tuple[float, float]]) -> Iterator[Row]:
    for name, (slope, single) in measured.items():
        yield Row(f"an item, {name}", slope, None, "ms")
        yield Row(f"a run of one item, {name}", single, None, "s")
    apart = [measured[name][0] for name in (PACKAGE, PLAIN) if name in measured]
    if len(apart) == 2:
        yield Row("of that, what the anthropic package adds to pytest-recording", apart[0] - apart[1], None, "ms")
    for one, times, other in LIMITS:
        if other not in measured:
            say(f"not measured: {one} against {other}, which is not installed")
            continue
        yield Row(f"{one}, times {other}", measured[one][0] / measured[other][0], times, "times")


if __name__ == "__main__":
    sys.exit(main())
