"""pytest's face: options, marks, collection of scenario files, and one line of summary.

Nothing heavy is imported here: scenarios are loaded when a scenario file is collected, clients when an item runs.
"""

import json
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from convtest.config import Config, load_config
from convtest.errors import ConfigError, ConversationFailed, ConvtestError
from convtest.pytest_gateway import GatewayAddress
from convtest.pytest_sweep import Sweeps, asked_sweep, headline_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convtest.pytest_items import ScenarioFile
    from convtest.recording import Recording

STATE = pytest.StashKey["State"]()
PROPERTY = "convtest"
HEADLINE = "convtest_headline"
_MARKS = {
    "live": "a scenario that is played against the real upstream",
    "sweep": "one point of a sweep",
    "retention": "one cell of a retention matrix",
}


@dataclass(slots=True)
class State:
    """What the plugin knows during one run of pytest."""

    config: Config
    tags: set[str] = field(default_factory=set)
    sources: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
    gateway: GatewayAddress = field(default_factory=GatewayAddress)
    purse: Any = None
    """What recording may cost, for all items of this process together."""
    unseen: int = 0
    """Items in which a check could not look at the wire."""
    sweeps: Sweeps = field(default_factory=Sweeps)


@dataclass(frozen=True, slots=True)
class Crash:
    """Where and what, in one line: what pytest's short summary shows."""

    path: str
    lineno: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.lineno}: {self.message}"


class Shown:
    """The report of a failed item: whole in the terminal, one line in the summary."""

    def __init__(self, text: str, crash: Crash) -> None:
        self._text = text
        self.reprcrash = crash

    def toterminal(self, tw: Any) -> None:
        for line in self._text.splitlines():
            tw.line(line, **_markup(line))

    def __str__(self) -> str:
        return self._text


def _markup(line: str) -> dict[str, bool]:
    first = line.split(maxsplit=1)[0] if line.strip() else ""
    return {"bold": first == ">", "green": first == "expected", "red": first == "seen"}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("convtest", "conversation tests")
    group.addoption(
        "--convtest-record",
        metavar="MODE",
        choices=["once", "new_episodes", "all"],
        help="record cassettes: once (where there is none), new_episodes (what is not recorded yet), all (anew)",
    )
    group.addoption("--convtest-client", metavar="NAME", help="play every scenario with this client profile")
    group.addoption(
        "--convtest-live", action="store_true", help="ask the upstream; cassettes are neither read nor written"
    )
    group.addoption(
        "--convtest-speed",
        metavar="N",
        type=float,
        default=0.0,
        help="pace of replay: 0 waits for nothing (default), 1 is the recorded pace",
    )
    group.addoption(
        "--convtest-strict",
        action="store_true",
        help="an item that is simulated because it has no cassette is an error",
    )
    group.addoption(
        "--convtest-backend",
        metavar="NAME",
        choices=["asyncio", "trio"],
        default="asyncio",
        help="the event loop to play on: asyncio (default) or trio",
    )
    group.addoption(
        "--convtest-resume", action="store_true", help="while recording: go on with recordings that broke off"
    )
    group.addoption(
        "--convtest-max-usd",
        metavar="USD",
        type=float,
        help="while recording: send no further request once this much is spent (under xdist: each worker)",
    )
    group.addoption("--convtest-sweep-turn", metavar="ID", help="sweep this turn, whatever the scenario says of it")
    group.addoption(
        "--convtest-sweep-disturb", metavar="NAME", action="append", help="sweep by this disturbance (repeatable)"
    )
    group.addoption("--convtest-sweep-at", metavar="POINTS", help="sweep at: every event, every change, or a kind")
    group.addoption("--convtest-progress", metavar="FILE", help="append one JSON object per started and finished item")


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in _MARKS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    try:
        loaded = load_config(config.rootpath)
        if loaded is None:
            return
        if config.getoption("--convtest-client"):
            loaded.profile(config.getoption("--convtest-client"))
        _need_backend(config.getoption("--convtest-backend"))
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from None
    asked_sweep(config)  # what is misspelt in it is said now, not at the first file
    config.stash[STATE] = State(loaded)
    config.pluginmanager.register(_Counter(config.stash[STATE]), "convtest-counter")
    if config.getoption("--convtest-live") and config.getoption("--convtest-record"):
        raise pytest.UsageError("--convtest-live reads and writes no cassettes: leave out --convtest-record")
    if config.getoption("--convtest-speed") < 0:
        raise pytest.UsageError("--convtest-speed is 0 or more")
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        # testpaths say where the Python tests are; scenarios stand where [tool.convtest] says.
        config.args += [str(root) for root in loaded.scenarios if root.is_dir()]
    if config.getoption("markers", False):
        _register_all_tags(config)


def _need_backend(name: str) -> None:
    if find_spec(name) is None:
        raise ConfigError(f"{name} is not installed", where=f"--convtest-backend={name}", help=f"pip install {name}")


def _register_all_tags(config: pytest.Config) -> None:
    from convtest.pytest_items import tags_of

    for root in config.stash[STATE].config.scenarios:
        for path in sorted(root.rglob("*.y*ml")):
            register_tags(config, tags_of(path, config.stash[STATE].config))


def register_tags(config: pytest.Config, tags: tuple[str, ...]) -> None:
    """Tags are marks like any other: `-m`, `--strict-markers` and `--markers` know them."""
    known = config.stash[STATE].tags
    for tag in tags:
        if tag not in known:
            known.add(tag)
            config.addinivalue_line("markers", f"{tag}: a tag of convtest scenarios")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "ScenarioFile | None":
    state = parent.config.stash.get(STATE, None)
    if state is None or file_path.suffix not in {".yaml", ".yml"}:
        return None
    path = file_path.resolve()
    named = parent.session.isinitpath(file_path)
    inside = any(path.is_relative_to(root) for root in state.config.scenarios)
    if path.is_relative_to(state.config.cassettes) or not (named or inside):
        return None
    from convtest.pytest_items import ScenarioFile

    return ScenarioFile.from_parent(parent, path=file_path)


@pytest.fixture(scope="session")
def convtest_gateway(pytestconfig: pytest.Config) -> GatewayAddress:
    """The address at which an application under test finds its model: give it `url` (or `environment`) and `token`."""
    state = pytestconfig.stash.get(STATE, None)
    if state is None:
        raise pytest.UsageError("convtest_gateway needs [tool.convtest] in pyproject.toml: convtest init")
    return state.gateway


@pytest.fixture
def convtest_client_options() -> dict[str, Any]:
    """Define it anew to lay options over the client profiles: the URL of a server that a fixture started."""
    return {}


@pytest.fixture
def convtest_upstream() -> str | None:
    """Define it anew to say at run time which model answers: a base URL, or `simulator`."""
    return None


@pytest.fixture
def convtest_scrub() -> list[str]:
    """Define it anew to add regular expressions of secrets that only the run knows."""
    return []


@pytest.fixture
def convtest_cassette(request: pytest.FixtureRequest) -> "Iterator[Recording]":
    """Records and replays what this test sends through httpx or httpx2, sync or async, the SDKs on them included.

    The cassette stands under the test file's path and the test's name; the options are those of scenarios. A request
    that is not recorded fails the test with the difference, whatever the test made of the answer.
    """
    from convtest.pytest_recording import recording_of

    with recording_of(request) as recording:
        yield recording


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """A miss is a failure of the test itself, whatever the test made of the answer."""
    recording: Any = pyfuncitem.funcargs.get("convtest_cassette")
    try:
        result = yield
    except pytest.skip.Exception:
        if recording is not None:
            recording.failed = True  # what it sent so far is not all that it sends
        raise
    except (Exception, pytest.fail.Exception):
        if recording is not None:
            recording.verify()
            recording.failed = True
        raise
    if recording is not None:
        recording.verify()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.config.stash.get(STATE, None) is None or call.excinfo is None:
        if hasattr(item, "convtest_report"):
            item.convtest_report(report, call)
        return report
    error = call.excinfo.value
    if hasattr(item, "convtest_report"):
        item.convtest_report(report, call)
    elif isinstance(error, ConvtestError | ConversationFailed):
        line = str(error).splitlines()[0]
        path, number, _ = item.location
        headline = error.headline if isinstance(error, ConversationFailed) else line
        report.longrepr = Shown(str(error), Crash(path, (number or 0) + 1, headline))  # type: ignore[assignment]
    return report


class _Counter:
    """Counts what the reports say; registered for one run, so that no state outlives it."""

    def __init__(self, state: State) -> None:
        self._state = state

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counted where the report is shown: under xdist that is the controller, not the worker."""
        properties = dict(report.user_properties)
        if HEADLINE in properties and isinstance(report.longrepr, str):
            # xdist sends text; make it again what the worker had.
            report.longrepr = Shown(report.longrepr, Crash(*json.loads(str(properties[HEADLINE]))))  # type: ignore[assignment]
        same = self._state.sweeps.note(report, headline_of(report))
        if same is not None and isinstance(report.longrepr, Shown):
            report.longrepr = Shown(same, report.longrepr.reprcrash)
        found: Any = properties.get(PROPERTY)
        if report.when != "call" or not found:
            return
        facts = json.loads(found)
        self._state.sources[facts["source"]] += 1
        self._state.tokens += facts["tokens"]
        self._state.usd += facts["usd"] or 0.0
        self._state.unpriced += facts["usd"] is None
        self._state.unseen += facts["unseen"]


def pytest_unconfigure(config: pytest.Config) -> None:
    state = config.stash.get(STATE, None)
    if state is not None:
        state.gateway.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    state = config.stash.get(STATE, None)
    if state is None:
        return
    for line in state.sweeps.lines():
        terminalreporter.write_line(line)
    if not state.sources:
        return
    parts = [f"{count} {source}" for source, count in sorted(state.sources.items())]
    text = f"convtest: {', '.join(parts)}"
    if state.sources["simulated"] and not config.getoption("--convtest-live"):
        text += " (no cassette: the simulator answered; record them, or refuse them with --convtest-strict)"
    if state.sources["recorded"] or state.sources["live"]:
        cost = f"{state.usd:.4f} USD" + (f", {state.unpriced} items without a price" if state.unpriced else "")
        text += f"; {state.tokens} tokens, {cost}"
    if state.unseen:
        text += f"; wire not seen in {state.unseen}"
    terminalreporter.write_line(text)
