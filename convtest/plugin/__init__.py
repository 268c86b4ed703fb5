"""pytest's face: options, marks, collection of scenario files, and one line of summary.

Nothing heavy is imported here: scenarios are loaded when a scenario file is collected, clients when an item runs.
"""

import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from convtest.config import load_config
from convtest.errors import ConfigError, ConversationFailed, ConvtestError, told
from convtest.gateway.standing import GatewayAddress
from convtest.later import resting
from convtest.plugin.matrices import begin_probes
from convtest.plugin.options import add_options, need_backend
from convtest.plugin.outputs import begin_outputs, end_outputs, tell_worker, written
from convtest.plugin.results import begin_results
from convtest.plugin.roots import LEFT_OUT, LeftOut, root_of
from convtest.plugin.state import STATE, Crash, Shown, State, register_tags
from convtest.plugin.summary import Counting, summary
from convtest.plugin.sweeps import asked_sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convtest.play.recording import Recording
    from convtest.plugin.apps import Start
    from convtest.plugin.files import ScenarioFile

_MARKS = {
    "live": "a scenario that is played against the real upstream",
    "sweep": "one point of a sweep",
    "retention": "one cell of a retention matrix",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in _MARKS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    try:
        loaded = load_config(root_of(config))
        if loaded is None:
            config.stash[LEFT_OUT] = LeftOut(config.rootpath)
            return
        if config.getoption("--convtest-client"):
            loaded.profile(config.getoption("--convtest-client"))
        need_backend(config.getoption("--convtest-backend"))
    except ConfigError as error:
        from convtest.textmatch import visible

        raise pytest.UsageError(visible(error.told)) from None
    asked_sweep(config)  # what is misspelt in it is said now, not at the first file
    config.stash[STATE] = State(loaded)
    config.pluginmanager.register(Counting(config.stash[STATE]), "convtest-counter")
    if config.getoption("--convtest-live") and config.getoption("--convtest-record"):
        raise pytest.UsageError(
            told("--convtest-live reads and writes no cassettes: leave out --convtest-record", "cassettes")
        )
    if config.getoption("--convtest-record") and not hasattr(config, "workerinput"):
        from convtest.cassettes.store import sweep

        sweep(loaded.cassettes)
    begin_outputs(config)
    config.stash[STATE].cells.path = begin_probes(config)
    begin_results(config)
    if config.getoption("--convtest-speed") < 0:
        raise pytest.UsageError(told("--convtest-speed is 0 or more", "options"))
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        # testpaths say where the Python tests are; scenarios stand where [tool.convtest] says.
        config.args += [str(root) for root in loaded.scenarios if root.is_dir()]
    if config.getoption("markers", False):
        _register_all_tags(config)


def _register_all_tags(config: pytest.Config) -> None:
    from convtest.scenario.loading import tags_of

    for root in config.stash[STATE].config.scenarios:
        for path in sorted(root.rglob("*.y*ml")):
            register_tags(config, tags_of(path, config.stash[STATE].config))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "ScenarioFile | None":
    state = parent.config.stash.get(STATE, None)
    if state is None and file_path.name == "pyproject.toml":
        parent.config.stash[LEFT_OUT].see(file_path)
    if state is None or file_path.suffix not in {".yaml", ".yml"}:
        return None
    path = file_path.resolve()
    named = parent.session.isinitpath(file_path)
    inside = any(path.is_relative_to(root) for root in state.config.scenarios)
    if path.is_relative_to(state.config.cassettes) or not (named or inside):
        return None
    with resting():
        from convtest.plugin.files import ScenarioFile

    return ScenarioFile.from_parent(parent, path=file_path)


@pytest.fixture(scope="session")
def convtest_gateway(pytestconfig: pytest.Config) -> GatewayAddress:
    """The address at which an application under test finds its model: give it `url` (or `environment`) and `token`."""
    state = pytestconfig.stash.get(STATE, None)
    if state is None:
        raise pytest.UsageError(
            told("convtest_gateway needs [tool.convtest] in pyproject.toml: convtest init", "http-app")
        )
    return state.gateway


@pytest.fixture(scope="session")
def convtest_app(
    pytestconfig: pytest.Config, convtest_gateway: GatewayAddress, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Start]":
    """Starts an application whose model is the gateway: `convtest_app(["node", "app.mjs"], health="/health")`
    has its `url`. It ends with the run; an item that it does not survive is an error; `restart: app` is a step."""
    from convtest.plugin.apps import starting

    with starting(pytestconfig.stash[STATE], convtest_gateway, tmp_path_factory) as start:
        yield start


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
    from convtest.plugin.cassette import recording_of

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
        text = error.told if isinstance(error, ConvtestError) else str(error)
        report.longrepr = Shown(text, Crash(path, (number or 0) + 1, headline))  # type: ignore[assignment]
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist's hook: a worker parses the command line anew, and knows nothing else of this process."""
    tell_worker(node.config, node.workerinput)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """xdist's hook: a trunk is played by one worker."""
    from convtest.plugin.spreading import scheduler

    return scheduler(config, log)


def pytest_unconfigure(config: pytest.Config) -> None:
    state = config.stash.get(STATE, None)
    if state is not None:
        state.gateway.close()
        end_outputs(config)
        if (temporary := sys.modules.get("convtest.temporary")) is not None:
            temporary.close_rooms()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    state = config.stash.get(STATE, None)
    if state is None:
        lines = [*config.stash[LEFT_OUT].lines()]
    else:
        lines = [*summary(state, live=bool(config.getoption("--convtest-live"))), *written(config)]
    for line in lines:
        from convtest.textmatch import visible

        terminalreporter.write_line(visible(line))
