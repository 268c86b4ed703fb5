"""The conformance suite for session clients: scenarios that every client must pass. No pytest in it.

results = await check_client(factory, folder=tmp_path)
assert_conforms(results)
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from convtest.checks.judge import judge
from convtest.clients.port import Factory, Made
from convtest.clock import VirtualClock
from convtest.errors import MissingCapability, unwrapped
from convtest.play.cast import Cast
from convtest.play.network import blocked
from convtest.play.runner import Runner
from convtest.play.surroundings import Surroundings
from convtest.reporting.failure import failure_text
from convtest.results.making import about_of, result_of
from convtest.scenario.loader import load
from convtest.scenario.model import Scenario
from convtest.simulator.source import Simulator, scripts_of, slots_of
from convtest.wire import lanes
from convtest.wire.messages_api import PUBLIC_URL
from convtest.wire.tap import Tap

_CASES = Path(__file__).with_name("conformance.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """How a client did in one case; `lacks` is for a capability that it does not offer."""

    case: str
    status: Literal["passed", "failed", "lacks"]
    detail: str = ""


def cases() -> list[Scenario]:
    """The scenarios of the suite."""
    return load(_CASES, shown="conformance.yaml", default_client="client", clients=("client",))


async def check_client(
    factory: Factory,
    *,
    folder: Path,
    options: Mapping[str, Any] | None = None,
    wire: str = "history",
    only: Iterable[str] | None = None,
) -> list[CaseResult]:
    """Play the cases, each in a folder of its own below `folder`, with the simulator behind `Opening.transport`.

    `options` are the client's own; `only` names cases. Runs on whatever event loop it is awaited in. Until it returns,
    what the process sends through httpx or httpx2 is the client's, and connections that leave this machine raise
    NetworkBlocked.
    """
    made = Made(
        profile="client",
        factory=factory,
        options={"model": "claude-haiku-4-5", **(options or {})},
        wire=wire,
        base_url=PUBLIC_URL,
        upstream="simulator",
    )
    wanted = set(only) if only is not None else None
    return [await _result(case, made, folder / case.id) for case in cases() if wanted is None or case.id in wanted]


async def _result(case: Scenario, made: Made, folder: Path) -> CaseResult:
    clock = VirtualClock()
    tap = Tap(Simulator(slots_of(case), scripts_of(case)), clock)
    surroundings = Surroundings(cast=Cast(case, lambda name: made), tap=tap, folder=folder)
    runner = Runner(case, surroundings, source="simulated")
    with lanes.active(tap), blocked(f"conformance.yaml::{case.id}", ()) as traffic:
        try:
            transcript = await runner.play()
        except BaseExceptionGroup as error:
            raise unwrapped(error) from None
    if traffic.attempts:
        raise traffic.attempts[0]
    if isinstance(transcript.trouble, MissingCapability):
        return CaseResult(case=case.id, status="lacks", detail=str(transcript.trouble))
    if transcript.trouble is not None:
        raise transcript.trouble
    verdict = judge(transcript)
    if verdict.passed:
        return CaseResult(case=case.id, status="passed")
    about = about_of(case, item=f"conformance.yaml::{case.id}")
    return CaseResult(case=case.id, status="failed", detail=failure_text(result_of(about, transcript, verdict)))


def assert_conforms(results: Iterable[CaseResult]) -> None:
    """Raises AssertionError with the report of every case that failed."""
    failed = [result for result in results if result.status == "failed"]
    if failed:
        raise AssertionError("\n\n".join(f"case {result.case}:\n{result.detail}" for result in failed))
