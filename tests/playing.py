"""Plays scenarios in process, against the simulator or a recording, with any client."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

from convtest.checks.result import Finding
from convtest.config import Config, Profile
from convtest.play.mode import Mode
from convtest.play.perform import Played, perform
from convtest.play.prepare import Prepared, prepare
from convtest.scenario.loader import load
from convtest.scenario.model import Scenario

GOOD = "convtest.clients.messages.client:MessagesClient"
MODEL = {"model": "claude-haiku-4-5"}


@dataclass
class Stage:
    """A project without pytest: scenarios in a folder, cassettes beside them."""

    root: Path
    options: Mapping[str, object] = field(default_factory=lambda: MODEL)
    runs: int = 0
    volatile: frozenset[str] = frozenset()

    def config(self, target: str = GOOD, **profile: str) -> Config:
        one = Profile(name="assistant", kind="python", target=target, upstream="simulator", options=self.options)
        if profile:
            one = Profile(
                name="assistant",
                kind="python",
                target=target,
                upstream=profile.get("upstream", "simulator"),
                wire=profile.get("wire", ""),
                options=self.options,
            )
        return Config(
            root=self.root,
            scenarios=(self.root / "scenarios",),
            cassettes=self.root / "cassettes",
            client="assistant",
            clients={"assistant": one},
            volatile=self.volatile,
        )

    def scenarios(self, text: str, name: str = "talk") -> list[Scenario]:
        path = self.root / "scenarios" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return load(path, shown=f"scenarios/{name}.yaml", default_client="assistant", clients=("assistant",))

    def prepare(self, text: str, target: str = GOOD, mode: Mode | None = None, **profile: str) -> Prepared:
        (scenario,) = self.scenarios(text)
        return prepare(self.config(target, **profile), scenario, mode or Mode())

    def play(self, text: str, target: str = GOOD, mode: Mode | None = None, **profile: str) -> Played:
        """The outcome of the one item of the text."""
        prepared = self.prepare(text, target, mode, **profile)
        self.runs += 1
        folder = self.root / f"run-{self.runs}"
        folder.mkdir()
        return perform(prepared, folder)

    def play_with(self, config: Config, text: str, mode: Mode | None = None) -> Played:
        """As `play`, with a configuration of one's own."""
        path = self.root / "scenarios" / "talk.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        (scenario,) = load(path, shown="scenarios/talk.yaml", default_client="assistant", clients=(*config.clients,))
        self.runs += 1
        folder = self.root / f"run-{self.runs}"
        folder.mkdir()
        return perform(prepare(config, scenario, mode or Mode()), folder)

    def record(self, text: str, target: str = GOOD) -> Played:
        outcome = self.play(text, target, Mode(record="all"))
        assert outcome.verdict.passed, outcome.verdict
        return outcome

    def cassette(self) -> Path:
        (found,) = (self.root / "cassettes").rglob("*.yaml")
        return found


def checks_of(outcome: Played) -> list[tuple[str, str | None]]:
    return [(finding.check, finding.layer) for finding in outcome.verdict.findings]


def finding_of(outcome: Played, check: str) -> Finding:
    found = [finding for finding in outcome.verdict.findings if finding.check == check]
    assert found, f"no finding of {check}: {checks_of(outcome)}"
    return found[0]
