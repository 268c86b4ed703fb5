"""Prompts in frames: stored bare, stored as sent, sent bare and stored in one; honest clients and broken ones."""

from typing import Any

import pytest

from convtest.checks.framing import found_prompts, place_of
from convtest.play.mode import Mode
from convtest.play.perform import Played, ready
from convtest.probe.probing import probe
from convtest.structs import replace
from convtest.wire.blocks import Block
from tests.playing import MODEL, Stage, checks_of, finding_of
from tests.side_clients import App

HERE = "tests.test_frames"
TALK = """
    scenario: prompts in frames
    facts: {who: {tell: My name is Ada., ask: What is my name?, answer: Ada}}
    steps:
      - tell: who
      - user: What is 15 * 7?
        expect: {contains: "105"}
      - user: I like tea.
      - ask: who
"""


class Framing(App):
    """`how`: where the frame is put when a prompt is sent; `keeps`: in what form it is stored; `bug`: what is wrong in
    the third turn."""

    def _sent(self, turn: int) -> list[dict[str, str]]:
        option = self._opening.options
        asked = self._history[-1]["content"]
        bug = str(option.get("bug", "")) if turn == 3 else ""
        framed = {
            "before": f"Context: page {turn}.\n\n{asked}",
            "after": f"{asked}\n\n(It is {turn} o'clock.)",
            "around": f"<q n={turn}>{asked}</q>",
            "none": asked,
        }
        sent = framed["none" if bug == "bare" else str(option.get("how", "before"))]
        messages = [*super()._sent(turn)[:-1], {"role": "user", "content": sent}]
        if bug == "quotes a lost one":
            messages = [{"role": "user", "content": f"Earlier: {self._history[0]['content']} Page 3.\n\n{asked}"}]
        if option.get("keeps") == "as sent":
            self._history[-1] = {"role": "user", "content": sent}
        if option.get("keeps") == "framed":
            stored = asked if bug == "stored bare" else f"<q n={turn}>{asked}</q>"
            self._history[-1] = {"role": "user", "content": stored}
        return messages


def play(stage: Stage, policy: dict[str, Any], **options: str) -> Played:
    stage.options = {**MODEL, **options}
    config = stage.config(f"{HERE}:Framing")
    config = replace(config, clients={"assistant": replace(config.profile("assistant"), policy=policy)})
    (scenario,) = stage.scenarios(TALK)
    stage.runs += 1
    folder = stage.root / f"run-{stage.runs}"
    folder.mkdir()
    return ready(config, scenario, Mode()).play(folder)


def measured(stage: Stage, **options: str) -> dict[str, Any]:
    stage.options = {**MODEL, **options}
    return dict(probe(stage.config(f"{HERE}:Framing"), "assistant").policy)


KINDS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "context before it, stored bare": ({"how": "before"}, {"prompt": "bare", "frame": "before"}),
    "the time after it, stored bare": ({"how": "after"}, {"prompt": "bare", "frame": "after"}),
    "a template, stored as sent": ({"how": "around", "keeps": "as sent"}, {"prompt": "as_sent", "frame": "around"}),
    "sent bare, stored in a template": ({"how": "none", "keeps": "framed"}, {"prompt": "framed"}),
}


@pytest.mark.parametrize(("options", "policy"), KINDS.values(), ids=KINDS)
def test_a_frame_is_measured_and_the_client_is_held_to_it(
    stage: Stage, options: dict[str, str], policy: dict[str, str]
) -> None:
    found = measured(stage, **options)

    assert {name: found[name] for name in ("prompt", "frame") if name in found} == policy
    honest = play(stage, found, **options)
    assert checks_of(honest) == []
    assert honest.verdict.not_seen == ()
    for loses in ("all", "the first answer"):
        assert "wire" in {layer for _, layer in checks_of(play(stage, found, **options, loses=loses))}


@pytest.mark.parametrize("how", ["before", "after", "around"])
@pytest.mark.parametrize("keeps", ["", "as sent"])
def test_what_a_client_always_does_does_not_change_from_turn_to_turn(stage: Stage, how: str, keeps: str) -> None:
    policy = {"prompt": "as_sent" if keeps else "bare", "frame": how}
    found = finding_of(play(stage, policy, how=how, keeps=keeps, bug="bare"), "prompts_once")

    assert (found.step, found.message) == (3, "the prompt stands in another frame than in other turns")
    assert found.seen == "'I like tea.'"
    assert checks_of(play(stage, {**policy, "frame": "any"}, how=how, keeps=keeps, bug="bare")) == []


def test_a_prompt_that_is_stored_bare_for_once_is_found(stage: Stage) -> None:
    broken = play(stage, {"prompt": "framed"}, how="none", keeps="framed", bug="stored bare")

    assert [(one.check, one.step) for one in broken.verdict.findings] == [("history", 4)]
    assert "without its frame" in broken.verdict.findings[0].seen


def test_a_lost_prompt_that_the_context_quotes_is_lost(stage: Stage) -> None:
    checks = checks_of(play(stage, {"prompt": "bare"}, bug="quotes a lost one"))

    assert {("history", "wire"), ("prompts_once", "wire")} <= set(checks)


def blocks(*texts: str) -> list[Block]:
    return [Block("user", "text", text) for text in texts]


@pytest.mark.parametrize(
    ("prompts", "texts", "found"),
    [
        (["A b.", "C d."], ["A b.", "C d."], ["A b.", "C d."]),
        (["A b.", "C d."], ["A b.", "You said: A b. Now: C d."], ["A b.", "C d."]),
        (["A b.", "C d."], ["You said: A b. before. Now: C d."], ["C d."]),
        (["A b.", "C d."], ["A b. C d."], ["A b.", "C d."]),
        (["A b.", "C d."], ["A b.", "<memory> A b. </memory>", "C d."], ["A b.", "C d."]),
        (["A b.", "C d."], ["A b.", "[12:00] A b.", "C d."], ["A b.", "A b.", "C d."]),
        (["A b.", "C d."], ["<q>A b.</q>", "C d."], ["A b.", "C d."]),
        (["A b.", "C d."], ["A b.", "[12:01] C d.", "[12:02] C d."], ["A b.", "C d.", "C d."]),
        (["A b.", "A b. C d."], ["A b.", "A b. C d."], ["A b.", "A b. C d."]),
        (["Hi", "C d."], ["Hints: none", "C d."], ["C d."]),
        (["Hi", "C d."], ["Hints: Hi", "C d."], ["Hi", "C d."]),
        (["你好", "再见"], ["问题你好", "再见"], ["你好", "再见"]),
    ],
)
def test_prompts_are_compared_whole(prompts: list[str], texts: list[str], found: list[str]) -> None:
    assert found_prompts([(one, "") for one in prompts], blocks(*texts)) == found


def test_a_text_that_was_sent_is_known_again_whatever_it_quotes() -> None:
    prompts = [("A b.", "A b."), ("C d.", "Context: A b. C d."), ("E f.", "")]

    assert found_prompts(prompts, blocks("A b.", "Context: A b. C d.", "E f.")) == ["A b.", "C d.", "E f."]


@pytest.mark.parametrize(
    ("text", "place"), [("x", "none"), ("a x", "before"), ("x b", "after"), ("a x b", "around"), ("y", None)]
)
def test_where_a_frame_stands(text: str, place: str | None) -> None:
    assert place_of(text, "x") == place
