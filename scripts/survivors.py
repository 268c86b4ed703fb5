"""Says which small edits of a module no test notices:
scripts/survivors [--most=N] [--again] [MODULE[:FUNCTION]…] [TESTS…].

Each mutant (mutations.py makes them) is put into a fork of one pytest that has collected the tests; those that run its
lines are run until one fails. What no test notices is printed as a difference, unless equivalent.yaml says why it
changes nothing. Which test runs which lines is looked at once (--again: anew), and again where a file of tests changed.
"""

import difflib
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from coverage import Coverage
from mutations import Mutant, mutants

ROOT = Path(__file__).parent.parent
EQUIVALENT = ROOT / "scripts/equivalent.yaml"
KNOWN = ROOT / ".venv/survivors.json"
CHECKS = sorted(str(one.relative_to(ROOT)) for one in (ROOT / "convtest/checks").glob("[!_]*.py"))
MODULES = [*CHECKS, "convtest/play/runner.py", "convtest/play/perform.py"]
TESTS = [
    *(f"tests/test_{name}.py" for name in (
        "broken_clients", "conduct", "disturbing", "during", "expectations", "facts", "false_greens", "frames", "fresh",
        "histories", "isolation", "judging", "kept_by_the_server", "killed", "neighbours", "policies", "reminders",
        "replaying", "rewrites", "roles", "root_causes", "said", "sealed", "sent", "session_history", "settings",
        "side_requests", "sweep_clients", "tool_results", "tool_use", "unnamed", "unsent", "waiting",
    )),
]  # fmt: skip
"""Those that play in this process: what runs in another one does not see the mutant."""
OWN = {
    "conduct": ("conduct",),
    "histories": ("histories", "kept_by_the_server"),
    "invariants": ("histories", "settings"),
    "isolation": ("isolation", "unnamed"),
    "judge": ("judging", "kept_by_the_server", "root_causes", "unnamed", "unsent"),
    "runner": ("judging", "during", "disturbing", "waiting"),
    "sent": ("sent", "judging", "unsent"),
    "mixing": ("unnamed", "isolation"),
    "session_history": ("session_history", "histories"),
    "ways": ("conduct", "disturbing"),
}
"""The files of tests that leave no mutant of a module unnoticed, all of which are tried; for the others TESTS."""
MOST = 150
"""Tests that a mutant is tried on unless --most=N says otherwise: first one row of each table of tests."""
LONG = 3.0
"""Seconds; tests that take longer are left to the whole suite."""
FAILS = 1e9
"""Seconds that a test is said to take which does not pass here."""
PATIENCE = 10
"""Seconds of computing for one test over a mutant; without one it takes a fraction of that."""

Say = Callable[[str], None]


def main() -> int:
    arguments = sys.argv[1:]
    tests = [one for one in arguments if one.startswith("tests/")]
    named = [one for one in arguments if not one.startswith(("--", "tests/"))]
    modules = [path for one in named for path in MODULES if _is_named(path, one)] if named else MODULES
    functions = frozenset(one.partition(":")[2] for one in named) - {""}
    if not modules:
        sys.stderr.write(f"no such module: {' '.join(named)}; one of {' '.join(MODULES)}\n")
        return 2
    os.chdir(ROOT)
    if "--again" in arguments:
        KNOWN.unlink(missing_ok=True)
    most = next((int(one.partition("=")[2]) for one in arguments if one.startswith("--most=")), MOST)
    hunt = Hunt(modules, most, bool(tests), functions)
    files = tests or [*dict.fromkeys(file for path in modules for file in _tests_of(path))]
    code = pytest.main(["-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", *files], plugins=[hunt])
    return hunt.code if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else int(code)


def _tests_of(path: str) -> list[str]:
    own = OWN.get(Path(path).stem)
    return [f"tests/test_{name}.py" for name in own] if own else TESTS


def _is_named(path: str, name: str) -> bool:
    module = name.partition(":")[0]
    return path == module or path.endswith(f"/{module.removesuffix('.py')}.py")


@dataclass
class Ran:
    """What one test ran of our modules."""

    seconds: float
    lines: frozenset[str]
    """As `path:text`, so that they are the same when others move; and the paths themselves."""


@dataclass
class Hunt:
    """The plugin: where pytest would run what it has collected, each mutant is tried on it."""

    modules: list[str]
    most: int
    named: bool
    """Whether the command named the tests."""
    functions: frozenset[str]
    """Those that the command named, if it did."""
    code: int = 0
    seen: dict[str, Ran] = field(default_factory=dict)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        # What starts pytest itself sees no mutant.
        items = {one.nodeid: one for one in session.items if "project" not in getattr(one, "fixturenames", ())}
        self.seen = _seen(items)
        excuses = Excuses(yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8")) or [])
        left = sum(self._module(path, items, excuses) for path in self.modules)
        stale = [] if self.functions else excuses.unused(self.modules)
        for one in stale:
            _say(f"\nequivalent.yaml, no longer so: {one['in']}\n    - {one['was']}\n    + {one['now']}")
        self.code = 1 if left or stale else 0
        return True

    def _module(self, path: str, items: Mapping[str, Any], excuses: "Excuses") -> int:
        source, began = (ROOT / path).read_bytes(), time.monotonic()
        found, killers = mutants(source), Counter[str]()
        if self.functions:
            found = [one for one in found if one.function.rpartition(".")[2] in self.functions]
        left = excused = 0
        for mutant in found:
            run = self._chosen(path, source, mutant, killers)
            killer = _tried(path, source, mutant, [items[name] for name in run if name in items])
            if killer is not None:
                killers[killer] += 1
            elif excuses.of(path, mutant, source):
                excused += 1
            else:
                left += 1
                _show(path, source, mutant, len(run))
        took, killed = time.monotonic() - began, len(found) - excused - left
        _say(f"{path}: {len(found)} mutants, {killed} killed, {excused} equivalent, {left} left ({took:.0f} s)")
        return left

    def _chosen(self, path: str, source: bytes, mutant: Mutant, killers: Counter[str]) -> list[str]:
        """Tests that run it: those that have noticed most, then one row of each table of tests, the quick first."""
        texts = source.decode().splitlines()[mutant.first - 1 : mutant.last]
        lines = {f"{path}:{' '.join(text.split())}" for text in texts} if mutant.function else {path}
        files = _tests_of(path)
        seen = {name: ran for name, ran in self.seen.items() if self.named or name.partition("::")[0] in files}
        run = [name for name, ran in seen.items() if not lines.isdisjoint(ran.lines)]
        if not run:  # the line is newer than what is known of the tests
            run = [name for name, ran in seen.items() if path in ran.lines]
        rows, place = Counter[str](), dict[str, int]()
        for name in sorted(run, key=lambda name: self.seen[name].seconds):
            table = name.partition("[")[0]
            place[name] = rows[table]
            rows[table] += 1
        found = sorted(place, key=lambda name: (-killers[name], place[name]))
        return found if Path(path).stem in OWN else found[: self.most]


class Excuses:
    """Mutants that change nothing that anybody could see, each with its reason."""

    def __init__(self, rows: list[dict[str, str]]) -> None:
        self._rows = rows
        self._used: set[int] = set()

    def of(self, path: str, mutant: Mutant, source: bytes) -> bool:
        was, now = mutant.lines(source)
        wanted = f"{path} {mutant.function}".strip(), was, now
        rows = enumerate(self._rows)
        found = [index for index, row in rows if (row["in"], row["was"], row["now"]) == wanted]
        self._used.update(found)
        return bool(found)

    def unused(self, paths: list[str]) -> list[dict[str, str]]:
        rows = enumerate(self._rows)
        return [row for index, row in rows if index not in self._used and row["in"].split()[0] in paths]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _show(path: str, source: bytes, mutant: Mutant, tests: int) -> None:
    was, now = source.decode().splitlines(), mutant.of(source).decode().splitlines()
    _say(f"\n{path}:{mutant.line} {mutant.function} survives {tests} tests")
    for line in list(difflib.unified_diff(was, now, n=0, lineterm=""))[3:]:
        _say(f"    {line}")


def _seen(items: Mapping[str, Any]) -> dict[str, Ran]:
    """What each test runs; kept from call to call for tests whose file has not changed since."""
    stamps = {name: (ROOT / name.partition("::")[0]).stat().st_mtime for name in items}
    rows = KNOWN.read_text(encoding="utf-8").splitlines() if KNOWN.exists() else []
    known = {name: row for name, *row in map(json.loads, rows)}
    fresh = [item for name, item in items.items() if known.get(name, [None])[0] != stamps[name]]
    if fresh:
        _say(f"looking at what {len(fresh)} tests run")
    with KNOWN.open("a", encoding="utf-8") as file:
        for name, seconds, lines in _traced(fresh):
            known[name] = [stamps[name], seconds, lines]
            file.write(json.dumps([name, *known[name]]) + "\n")
            file.flush()
    if len(known.keys() & items.keys()) < len(items):
        raise RuntimeError(f"{next(one for one in items if one not in known)}: what it runs cannot be looked at")
    quick = {name: row for name, row in known.items() if name in items and row[1] < LONG}
    return {name: Ran(seconds, frozenset(lines)) for name, (_, seconds, lines) in quick.items()}


def _traced(items: list[Any]) -> Iterator[Any]:
    """In a fork, as nothing of it may stay: each test with its seconds and its lines."""

    def look(say: Say) -> None:
        for item in items:
            began = time.monotonic()
            ran = Coverage(data_file=None, include=MODULES)
            ran.set_option("run:disable_warnings", ["no-data-collected"])
            ran.start()
            try:
                passed = _passes(item)
            finally:
                ran.stop()
            say(json.dumps([item.nodeid, time.monotonic() - began if passed else FAILS, sorted(_texts(ran))]))

    yield from map(json.loads, _forked(look))


def _texts(ran: Coverage) -> Iterator[str]:
    data = ran.get_data()
    for name in data.measured_files():
        path, texts = str(Path(name).relative_to(ROOT)), Path(name).read_text(encoding="utf-8").splitlines()
        yield path
        # Where an exception passes, lines of another file may be counted in.
        ran = [number for number in data.lines(name) or () if number <= len(texts)]
        yield from {f"{path}:{' '.join(texts[number - 1].split())}" for number in ran}


def _passes(item: Any) -> bool:
    reports: list[Any] = []

    class Notes:
        def pytest_runtest_logreport(self, report: Any) -> None:
            reports.append(report)

    notes = Notes()
    item.config.pluginmanager.register(notes)
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    item.config.pluginmanager.unregister(notes)
    return not any(report.failed for report in reports) and any(report.passed for report in reports)


def _tried(path: str, source: bytes, mutant: Mutant, items: list[Any]) -> str | None:
    """The test that noticed, by failing or by never ending; None if none did."""

    def look(say: Say) -> None:
        _put(path, mutant.of(source), mutant.function)
        for item in items:
            signal.setitimer(signal.ITIMER_PROF, PATIENCE)
            signal.alarm(6 * PATIENCE)
            say(item.nodeid)
            if not _passes(item):
                return
        say("")

    if not items:
        return None
    said = list(_forked(look))
    if not said:
        raise RuntimeError(f"{path}:{mutant.line}: the mutant cannot be put in its place: {mutant.text}")
    return said[-1] or None


def _forked(look: Callable[[Say], None]) -> Iterator[str]:
    """The lines that `look` says in a fork of this process, which is ended with all that it started."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setpgrp()
        _in_child(look, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as lines:
        yield from (line.rstrip("\n") for line in lines)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _in_child(look: Callable[[Say], None], writing: int) -> None:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    folder = os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.mkdtemp(prefix="survivors-")

    def say(text: str) -> None:
        data = f"{text}\n".encode()
        while data:
            data = data[os.write(writing, data) :]

    try:
        look(say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


def _put(path: str, source: bytes, function: str) -> None:
    """Into the functions as they are, since others hold them by name; a module's own values wherever they are held."""
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    code = compile(source, str(ROOT / path), "exec")
    if function:
        outer = function.partition(".<locals>")[0]
        _function(module, outer).__code__ = _code(code, outer)
        return
    other = types.ModuleType(module.__name__)
    exec(code, vars(other))
    values = {name: value for name, value in vars(module).items() if not name.startswith("__")}
    for name, value in values.items():
        if name in vars(other) and not isinstance(value, type | types.FunctionType | types.ModuleType):
            for each in list(sys.modules.values()):
                if each.__name__.startswith(("convtest", "tests")) and vars(each).get(name) is value:
                    setattr(each, name, vars(other)[name])


def _function(module: types.ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        found = vars(found)[part]
    for inner in ("fget", "__func__", "__wrapped__"):
        found = getattr(found, inner, found)
    return found


def _code(code: types.CodeType, name: str) -> types.CodeType:
    waiting = [code]
    while waiting:
        one = waiting.pop()
        if one.co_qualname == name:
            return one
        waiting += [each for each in one.co_consts if isinstance(each, types.CodeType)]
    raise LookupError(name)


if __name__ == "__main__":
    sys.exit(main())
