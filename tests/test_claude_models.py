"""The Claude Agent SDK without a model, and with each alias that its CLI knows: recorded, and replayed three times."""

import mmap
import re

import pytest

from convtest.clients.prices import usd
from convtest.config import Profile
from convtest.events import Usage
from convtest.play.mode import Mode
from convtest.play.perform import Played
from convtest.transcript import TurnRecord
from tests.playing import Stage
from tests.test_claude import BUNDLED, QUICK, play, report

TEXT = """
    - ask: who
    - user: Look it up.
      simulate:
        - calls: [{look_up: {what: it}}]
        - text: It is in the attic.
      expect: {contains: attic, calls: [{look_up: {what: it}}]}
    - user: Tell me a long story about a lighthouse.
      interrupt: {after: 5}
      expect: {ended: interrupted}
    - ask: who
"""


def _aliases() -> list[str]:
    """Those that stand in the bundled CLI as a list, in text."""
    (binary,) = (path for path in BUNDLED.iterdir() if path.stat().st_size > 1_000_000)
    with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = re.search(
            rb'\["sonnet","opus","haiku"(?:,"[a-z]+(?:\[1m\])?")*,"best"(?:,"[a-z]+(?:\[1m\])?")*\]', data
        )
        assert found is not None
        return re.findall(r'"([^"]+)"', found[0].decode())


def recorded_and_replayed(stage: Stage, **options: str) -> Played:
    profile = Profile(name="assistant", kind="claude_agent_sdk", upstream="simulator", options=options, env=QUICK)
    recorded = play(stage, TEXT, profile, Mode(record="once"))
    assert report(recorded) == ""
    for _ in range(3):
        replayed = play(stage, TEXT, profile)
        assert report(replayed) == ""
        assert {one.origin for one in replayed.transcript.interactions} == {"replayed"}
    return recorded


def models_of(played: Played) -> set[str]:
    return {one.canonical.fields["model"] for one in played.transcript.interactions if one.canonical.messages}


def test_without_a_model_what_is_recorded_replays(stage: Stage) -> None:
    """The default model is told in a system message how the turn is to be answered: it is sent, and not compared."""
    recorded = recorded_and_replayed(stage)

    asked = recorded.transcript.interactions
    assert [one.status for one in asked if one.status != 200] == []
    told = [one for one in asked if b'"role":"system"' in one.request.body.replace(b" ", b"")]
    assert told
    assert {one.canonical.messages[-1]["role"] for one in told} == {"user"}
    assert all(usd(model, Usage()) is not None for model in models_of(recorded))
    assert all(isinstance(one, TurnRecord) and not one.unsure for one in recorded.transcript.records)


@pytest.mark.slow
@pytest.mark.parametrize("alias", ["default", *_aliases()])
def test_with_each_alias_what_is_recorded_replays(stage: Stage, alias: str) -> None:
    assert all(usd(model, Usage()) is not None for model in models_of(recorded_and_replayed(stage, model=alias)))
