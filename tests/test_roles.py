"""Which of several requests is the conversation, where a profile declares it, or a recording or a probe has kept it."""

from pathlib import Path
from typing import Any

import pytest

from convtest.cli.probe import with_tables
from convtest.config import load_config
from convtest.errors import ConfigError
from convtest.play.mode import Mode
from convtest.play.perform import Played, ready
from convtest.policy import Signature
from convtest.probe.probing import probe
from convtest.structs import replace
from tests.playing import MODEL, Stage, checks_of
from tests.project import SECTION
from tests.side_clients import App

ONE_TURN = """
    scenario: one turn and a title
    steps:
      - user: I like tea very much.
"""
TALK = """
    scenario: a draft beside each answer
    facts: {who: {tell: My name is Ada., ask: What is my name?, answer: Ada}}
    steps:
      - tell: who
      - user: What is 15 * 7?
      - ask: who
"""
TITLE = "Give this chat a title."


class Drafts(App):
    """For each prompt it asks a smaller model for a draft, in just the words of the conversation and without it."""

    async def _ask(self, system: str, messages: list[dict[str, str]], limit: int = 50) -> str:
        assert self._model is not None
        alone: Any = messages[-1:]
        await self._model.messages.create(model="claude-3-haiku", max_tokens=limit, system=system, messages=alone)
        return await super()._ask(system, messages, limit)


def play(stage: Stage, text: str, client: str, mode: Mode | None = None, **profile: Any) -> Played:
    config = stage.config(client)
    config = replace(config, clients={"assistant": replace(config.profile("assistant"), **profile)})
    (scenario,) = stage.scenarios(text)
    stage.runs += 1
    folder = stage.root / f"run-{stage.runs}"
    folder.mkdir()
    return ready(config, scenario, mode or Mode()).play(folder)


def test_what_a_profile_declares_to_be_beside_is_no_lost_history(stage: Stage) -> None:
    drafts, side = "tests.test_roles:Drafts", (Signature(model="claude-3-haiku"),)

    assert ("history", "wire") in checks_of(play(stage, TALK, drafts))
    for mode in (None, Mode(record="all"), None):
        assert checks_of(play(stage, TALK, drafts, mode, side=side)) == []
    assert ("history", "wire") in checks_of(play(stage, TALK, drafts, side=(Signature(model="another"),)))
    stage.options = {**MODEL, "loses": "all"}
    stage.cassette().unlink()
    assert ("history", "wire") in checks_of(play(stage, TALK, drafts, side=side))


def equal_answers(stage: Stage, *, roles: bool) -> None:
    """One turn is recorded with a title beside it; then the title gets the answer's words."""
    stage.options = {**MODEL, "does": "title"}
    recorded = play(stage, ONE_TURN, "tests.side_clients:App", Mode(record="all"))
    (turn,) = recorded.transcript.turns()
    (side,) = turn.side()
    title = side.reply()["content"][0]["text"]
    path = stage.cassette()
    text = path.read_text()
    assert sorted(line.strip() for line in text.splitlines() if "role:" in line and '"' not in line) == [
        "role: main",
        "role: side",
    ]
    text = text.replace(title, turn.text) if len(title) > len(turn.text) else text.replace(turn.text, title)
    if not roles:
        text = "\n".join(line for line in text.splitlines() if line.strip() not in {"role: main", "role: side"}) + "\n"
    path.write_text(text)


@pytest.mark.parametrize(
    ("roles", "profile", "is_seen"),
    [
        (True, {}, True),
        (False, {}, False),
        (False, {"main": Signature(system="You are terse.")}, True),
        (False, {"main": Signature(system="You are somebody else.")}, False),
        (False, {"side": (Signature(system=TITLE),)}, True),
    ],
    ids=["kept", "nothing", "measured", "measured for another", "declared"],
)
def test_equal_answers_are_told_apart_by_what_was_kept_or_not_seen(
    stage: Stage, roles: bool, profile: dict[str, Any], is_seen: bool
) -> None:
    equal_answers(stage, roles=roles)

    replayed = play(stage, ONE_TURN, "tests.side_clients:App", **profile)

    assert replayed.transcript.source == "replayed"
    assert checks_of(replayed) == []
    (turn,) = replayed.transcript.turns()
    if is_seen:
        assert replayed.verdict.not_seen == ()
        assert ["You are terse" in one.canonical.system for one in turn.main()] == [True]
    else:
        assert "which request of step 1 is the conversation cannot be told" in replayed.verdict.not_seen[0].why


@pytest.mark.parametrize("does", ["title", "classify", "guard"])
def test_the_probe_measures_what_tells_the_conversation(stage: Stage, does: str) -> None:
    stage.options = {**MODEL, "does": does}
    found = probe(stage.config("tests.side_clients:App"), "assistant")

    if does == "title":  # asked for in the first turn alone, in which hindsight may not tell
        assert found.main in {None, Signature(system="You are terse.")}
    else:
        assert found.main == Signature(system="You are terse.")
        assert "requests beside the conversation" in {one.about for one in found.observations}


def test_it_is_written_beside_the_policy_and_read_again(tmp_path: Path) -> None:
    signature = Signature(system='Say "hi".', tools=("a", "b"))
    before = SECTION.replace(
        "[tool.convtest.clients.assistant]\n", '[tool.convtest.clients.assistant]\nmain = {model = "x"}\n'
    )
    made = with_tables(before, "assistant", {"policy": {"cleared": "gone"}}, [f"main = {signature}"])
    assert made is not None
    (tmp_path / "pyproject.toml").write_text(made)
    config = load_config(tmp_path)

    assert config is not None
    assert config.profile("assistant").main == signature
    assert config.profile("assistant").policy == {"cleared": "gone"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('side = {system = "x"}', "side is a list of tables"),
        ('side = ["x"]', "side names requests by what they ask with"),
        ("side = [{}]", "side names requests by what they ask with"),
        ('side = [{sistem = "x"}]', "unknown key 'sistem' in side.*did you mean 'system'"),
        ("side = [{model = 3}]", "side: model is a text"),
        ('side = [{tools = "x"}]', "side: tools is a list of names"),
        ('main = [{system = "x"}]', "main names requests by what they ask with"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, line: str, message: str) -> None:
    head = "[tool.convtest.clients.assistant]\n"
    (tmp_path / "pyproject.toml").write_text(SECTION.replace(head, f"{head}{line}\n"))

    with pytest.raises(ConfigError, match=f"(?s){message}"):
        load_config(tmp_path)
