"""Scenario files and items for pytest; a ScenarioItem is a pytest.Function, so that every plugin knows it."""

import json
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from syrupy.assertion import SnapshotAssertion

from convtest.config import Config
from convtest.errors import ClientError, ConversationFailed, ConvtestError, NoCassette
from convtest.later import resting
from convtest.plugin.properties import properties_of
from convtest.plugin.results import hand_out, results_file
from convtest.plugin.snapshots import ScenarioSnapshots, Snapshot
from convtest.plugin.state import HEADLINE, PROPERTY, STATE, Crash, Shown, mode_of
from convtest.plugin.sweeps import CAUSES, SWEEP, point_facts
from convtest.scenario.model import Scenario
from convtest.structs import replace
from convtest.temporary import room
from convtest.textmatch import visible

if TYPE_CHECKING:
    from convtest.play.perform import Played, Ready


FIXTURES = pytest.StashKey[dict[Any, Any]]()
"""Of a file: what pytest knows of the fixtures of its items, by their function."""
OVERRIDABLE = ("convtest_client_options", "convtest_upstream", "convtest_scrub")
"""Fixtures of the plugin that a conftest.py may define anew."""


class ScenarioItem(pytest.Function):
    """One scenario with one row and one client."""

    scenario: Scenario
    ready: "Ready"
    written: Path | None
    """What its last play wrote."""
    outcome: "Played | None"
    """What became of it, until it is torn down."""
    trouble: ConvtestError | None
    """Why it cannot be played, known since it was collected."""
    compared: Snapshot | None
    """Its snapshot, once it was compared."""

    @classmethod
    def of(cls, parent: pytest.File, scenario: Scenario) -> "ScenarioItem":
        body = _body(tuple(scenario.fixtures), snapshot=scenario.wants_snapshot)
        # As pytest's own items of one function: which fixtures they use is looked up once for all of a file.
        known = parent.stash.setdefault(FIXTURES, {})
        item: ScenarioItem = cls.from_parent(parent, name=scenario.name, callobj=body, fixtureinfo=known.get(body))
        known[body] = item._fixtureinfo
        _know_brackets(item)
        item.scenario, item.written, item.outcome, item.trouble, item.compared = scenario, None, None, None, None
        if scenario.point is not None:
            item.add_marker(pytest.mark.sweep)
            item.user_properties.append((SWEEP, point_facts(item, scenario, scenario.point)))
        item.extra_keyword_matches.add(scenario.title)
        for tag in scenario.tags:
            item.add_marker(getattr(pytest.mark, tag))
        if scenario.skip:
            item.add_marker(pytest.mark.skip(reason=visible(scenario.skip)))
        if item.config.getoption("--convtest-live"):
            item.add_marker(pytest.mark.live)
        return item

    def setup(self) -> None:
        """Clients and cassette are resolved here, so that what is wrong with them shows as ERROR."""
        with resting():
            from convtest.play.perform import ready
            from convtest.play.prepare import cassette_path, record_command

        config = self.begin()
        state = self.config.stash[STATE]
        self.ready = ready(config, self.scenario, mode_of(self.config), state.gateway.door, state.apps)
        if self._is_unrecorded() and self.config.getoption("--convtest-strict"):
            shown = config.shown(cassette_path(config, self.scenario))
            raise NoCassette(cassette=shown, command=record_command(config, self.scenario))

    def begin(self) -> Config:
        """The configuration that it is played with. Raises ConvtestError for what was wrong before it began."""
        state = self.config.stash[STATE]
        if str(state.config.root) not in sys.path:
            # Last, so that it hides nothing: `target = "module:attr"` is looked for beside pyproject.toml.
            sys.path.append(str(state.config.root))
        self._progress("started")
        if self.trouble is not None:
            raise self.trouble
        # First, because fixtures may say at run time where the client finds what it talks to.
        super().setup()
        config = self._configured(state.config)
        self._need(config)
        return config

    def teardown(self) -> None:
        """pytest keeps its items to the end of the run: thousands of them must not keep their recordings too."""
        ready = vars(self).pop("ready", None)
        self.outcome = self.compared = None
        try:
            super().teardown()
        finally:
            self._look_after_apps(played=ready is not None)

    def _look_after_apps(self, *, played: bool) -> None:
        """Raises ApplicationError where one did not survive the item."""
        apps = self.config.stash[STATE].apps
        if not played or not apps:
            return
        from convtest.play.apps import LINGER

        apps.wait(LINGER)
        death = apps.death()
        if death is not None:
            raise death

    def _look_after_others(self) -> None:
        """Raises ApplicationGone where an application that a fixture of the project's own started did not survive."""
        from convtest.clients.listening import survived
        from convtest.play.apps import LINGER

        survived(LINGER, but=[one.port for one in self.config.stash[STATE].apps or ()])

    def _need(self, config: Config) -> None:
        """Skips, or fails where nothing may be skipped, what needs something that is not installed."""
        from convtest.play.prepare import missing

        found = missing(config, self.scenario)
        if not found:
            return
        if self.config.getoption("--convtest-strict"):
            raise ClientError("it cannot be used", client=found[0], help=found[1])
        pytest.skip(f"client {found[0]!r} needs: {found[1]}")

    def _configured(self, config: Config) -> Config:
        """With what the fixtures convtest_client_options, convtest_upstream and convtest_scrub say."""
        from convtest.clients.registry import overridden

        if self.config.getoption("setupplan"):
            return config  # pytest shows fixtures and makes none
        given: dict[str, Any] = self.funcargs
        made = overridden(config, given["convtest_client_options"], given["convtest_upstream"])
        return replace(made, scrub=(*made.scrub, *given["convtest_scrub"]))

    def _is_unrecorded(self) -> bool:
        return self.ready.source == "simulated" and not self.config.getoption("--convtest-live")

    def play(self, snapshot: SnapshotAssertion | None) -> None:
        """Play, judge, compare. Raises ConversationFailed with the report, or the ConvtestError that stopped it."""
        __tracebackhide__ = True
        from convtest.play.perform import in_time
        from convtest.reporting.failure import failure_text

        with room() as folder:
            outcome = self.ready.play(folder)
        self.written, self.outcome = outcome.written, outcome
        self.user_properties += properties_of(outcome)
        kept = self._snapshot(snapshot)
        if not outcome.verdict.passed:
            result = outcome.result()
            with in_time(self.scenario, "reporting"):
                text = failure_text(result, whole=self.config.get_verbosity() > 0)
            if self.scenario.point is not None:
                self.user_properties.append((CAUSES, json.dumps(result.causes)))
            if result.written is not None:
                text += f"\n  recorded for review: {result.written}"
                text += "\n  look at it, and accept it: convtest review" if result.written.endswith(".new") else ""
            elif result.source == "recorded":
                text += "\n  nothing of this run became a cassette"
            raise ConversationFailed(text, headline=result.headline)
        self._look_after_others()
        if kept is not None:
            self.compared = kept
            with in_time(self.scenario, "comparing the snapshot"):
                kept.compare(outcome)

    def _snapshot(self, assertion: SnapshotAssertion | None) -> Snapshot | None:
        """Its snapshot; what an earlier run found of it waits no more."""
        if assertion is None:
            return None
        config = self.config.stash[STATE].config
        made = Snapshot(config, self.scenario, self.ready.node, assertion.use_extension(ScenarioSnapshots))
        made.forget()
        return made

    def convtest_report(self, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
        """An error of the set-up that shows only while playing is ERROR, not FAILED; and tell of the progress."""
        error = call.excinfo.value if call.excinfo else None
        if isinstance(error, ConvtestError) and call.excinfo is not None:
            if report.when != "call":
                # Outside the call phase pytest does not ask the item how it wants its errors shown.
                report.longrepr = self.repr_failure(call.excinfo)
                report.user_properties = list(self.user_properties)
            report.when = "setup"
        if report.when == "call" or report.outcome != "passed":
            path = results_file(self.config)
            if path is not None:
                played = self.outcome.result() if self.outcome else None
                change = self.compared.change if self.compared else None
                hand_out(path, report, self.scenario, self._node, played, change)
            self._progress("finished", outcome=self._outcome_word(report), seconds=round(report.duration, 3))

    @property
    def _node(self) -> str:
        return f"{self.config.stash[STATE].config.shown(self.scenario.file)}::{self.name}"

    def _outcome_word(self, report: pytest.TestReport) -> str:
        return "error" if report.failed and report.when != "call" else report.outcome

    def _progress(self, what: str, **more: Any) -> None:
        path = self.config.getoption("--convtest-progress")
        if not path:
            return
        facts = json.loads(dict(self.user_properties).get(PROPERTY, "{}"))  # type: ignore[arg-type]
        cassette = str(self.written) if self.written else None
        cause = json.loads(str(dict(self.user_properties).get(HEADLINE, "[null]")))[-1]
        node = f"{self.path}::{self.name}"
        line = {"item": self.nodeid, "node": node, "cause": cause, "what": what, **facts, **more, "cassette": cassette}
        if self.compared is not None and self.compared.written:
            line["snapshot"] = self.compared.written
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]
        error = excinfo.value
        if not isinstance(error, ConversationFailed | ConvtestError):
            return super().repr_failure(excinfo)
        headline = error.headline if isinstance(error, ConversationFailed) else str(error).splitlines()[0]
        shown = self.config.stash[STATE].config.shown(self.path)
        crash = (shown, self.scenario.place.line, headline)
        self.user_properties.append((HEADLINE, json.dumps(crash)))
        return Shown(error.told if isinstance(error, ConvtestError) else str(error), Crash(*crash))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, max(0, self.scenario.place.line - 1), self.name


def _know_brackets(item: pytest.Item) -> None:
    """From pytest 9.2 on `--lf` compares ids in parts, and takes what stands in brackets for params; our names hold
    brackets. Without this an item that failed would not be known again."""
    parse = getattr(type(getattr(item, "id", None)), "parse", None)
    if callable(parse):
        item._id = parse(item.nodeid)


@cache
def _body(fixtures: tuple[str, ...], *, snapshot: bool) -> Any:
    """The item's function; it asks for syrupy's fixture only where the scenario has a snapshot."""
    around = pytest.mark.usefixtures(*fixtures, *OVERRIDABLE)
    if snapshot:

        @around
        def play_with_snapshot(request: pytest.FixtureRequest, snapshot: SnapshotAssertion) -> None:
            __tracebackhide__ = True
            request.node.play(snapshot)

        return play_with_snapshot

    @around
    def play(request: pytest.FixtureRequest) -> None:
        __tracebackhide__ = True
        request.node.play(None)

    return play
