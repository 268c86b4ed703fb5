"""Matrices from the outside: which cells hold, on which layer the others break, and under which disturbance."""

import json
from pathlib import Path

import pytest

from convtest.errors import ScenarioError
from convtest.plugin.spreading import scope as scope_of
from convtest.retention.families import FAMILIES, Ask, Maker, Question
from convtest.retention.outcomes import Values, outcome
from convtest.retention.pools import Pool
from convtest.retention.wording import WORDINGS
from convtest.simulator.conversation import conversation_of
from convtest.simulator.oracle import answer
from tests.matrices import play, scenario
from tests.project import SECTION, Project

CLIENTS = "tests.retention_clients:"
SMALL = """
    scenario: memory
    retention:
      ask_after: [{after}]
      disturb: [{disturb}]
      seed: {seed}
      language: {language}
    """


def small(disturb: str, after: str = "2", seed: int = 0, language: str = "en") -> str:
    return SMALL.format(disturb=disturb, after=after, seed=seed, language=language)


def test_an_honest_client_holds(tmp_path: Path) -> None:
    played = play(tmp_path, small("none, kill, fork, clear", "1, 2"), kind="messages")

    assert (played.red, played.trunks) == ({}, {})
    assert set(played.letters.values()) == {"H"}
    assert len(played.cells) == 5 * 13 * 2 + 2
    layers = {name: one.probe.reply_layer for name, one in played.cells.items() if one and "recall" in name}
    assert layers["recall.word-told@1-after@1-none"] == "store"
    assert layers["recall.word-told@1-after@2-none"] == "live"


def test_an_honest_client_of_another_api_holds_under_the_other_disturbances(tmp_path: Path) -> None:
    played = play(tmp_path, small("kill@1, interrupt@2, resume, restore, 529"), kind="chat_completions")

    assert (played.red, played.trunks) == ({}, {})


@pytest.mark.parametrize("language", [one for one in WORDINGS if one != "en"])
def test_every_language_is_told_and_asked(tmp_path: Path, language: str) -> None:
    played = play(tmp_path, small("clear", language=language, seed=1))

    assert (played.red, played.trunks) == ({}, {})
    forgets = play(tmp_path, small("none", "3", language=language), f"{CLIENTS}Window", only="recall")
    assert forgets.red == {"recall.word-told@1-after@3-none": ("wire", "reply")}


@pytest.mark.parametrize(("target", "wire"), [("Compacts", "P"), ("CompactsByModel", "C")])
def test_an_honest_client_may_condense_where_it_is_told_to(tmp_path: Path, target: str, wire: str) -> None:
    played = play(tmp_path, small("compact"), f"{CLIENTS}{target}")

    assert (played.red, played.trunks) == ({}, {})
    (cell,) = (one for name, one in played.cells.items() if one and "overwrite.late" in name)
    assert cell.probe.wire == wire


def test_one_cell_alone_is_judged_as_in_the_whole_matrix(tmp_path: Path) -> None:
    text = small("none, resume", "1, 3").replace("seed: 0", "families: [recall, overwrite, unknown]")
    whole = play(tmp_path, text, f"{CLIENTS}ResumeDropsLast")

    for name in ("recall.word-told@1-after@1-resume", "overwrite.old_last-told@1-after@3-resume"):
        alone = play(tmp_path, text, f"{CLIENTS}ResumeDropsLast", only=name)
        assert {name: alone.red.get(name)} == {name: whole.red.get(name)}
        assert set(alone.cells) == {name}


def test_a_client_that_does_not_fork_plays_each_cell_in_full(tmp_path: Path) -> None:
    text = small("none, fork", "1").replace("seed: 0", "families: [recall, unknown]")

    played = play(tmp_path, text, f"{CLIENTS}NoFork")

    assert not [name for name in played.red if name.endswith("none")]
    assert all(one.in_full for one in played.outcomes.values())
    assert {one.probe.reply_layer for one in played.cells.values() if one} == {"live"}


def test_a_client_that_refuses_to_fork_is_not_asked_to(tmp_path: Path) -> None:
    text = small("none, fork", "1").replace("seed: 0", "families: [recall, unknown]")

    played = play(tmp_path, text, f"{CLIENTS}RefusesFork")

    assert (played.red, played.trunks) == ({}, {})
    assert {name: one.skip for name, one in played.outcomes.items()} == {
        "trunk-none": "", "trunk-fork": "client 'assistant' cannot fork",
    }  # fmt: skip
    assert all(name.endswith("-none") for name in played.cells)


def test_what_a_client_lacks_is_skipped_with_its_reason(tmp_path: Path) -> None:
    played = play(tmp_path, small("compact"), kind="messages")

    assert [one.skip for one in played.outcomes.values()] == ["client 'assistant' has no compact_history"]


def test_the_scenario_s_own_facts_are_asked_for(tmp_path: Path) -> None:
    text = """
        scenario: own
        facts: {city: {tell: I live in Ghent., ask: Where is my home?, answer: Ghent,
                       then: [{tell: I moved to Oslo., answer: Oslo}]}}
        retention: {facts: [city], families: [unknown], tell_at: [1, 3], ask_after: [1], disturb: kill}
        """

    played = play(tmp_path, text)

    assert played.letters == {
        f"{name}-told@{told}-after@1-kill": "H" for told in (1, 3) for name in ("fact.city", "unknown.word")
    }


@pytest.mark.parametrize("language", list(WORDINGS))
def test_the_simulator_answers_only_while_each_needed_fact_is_in_the_request(language: str) -> None:
    made = Maker(Pool(language, 7), WORDINGS[language])
    for question in (one for family in FAMILIES.values() for one in family(made)):
        if not question.needs or question.options:
            continue
        ask = question.asks[-1]
        values = Values(current=ask.answer, older=(*ask.older, *question.values) if ask.answer is None else ask.older)

        def said(without: int | None, question: Question = question, ask: Ask = ask) -> str:
            texts = [one.text for place, one in enumerate(question.needs) if place != without]
            messages = [part for text in texts for part in (("user", text), ("assistant", "Noted."))]
            whole = [*messages, ("user", ask.text)]
            return answer(conversation_of({"messages": [{"role": r, "content": t} for r, t in whole]}), ())

        assert outcome(said(None), values) == "hit", (question.name, said(None))
        newest = len(question.needs) - 1
        wanted = [newest] if question.family in {"overwrite", "retract"} else range(len(question.needs))
        for place in wanted:
            reply = said(place)
            assert outcome(reply, values) != "hit", (question.name, reply)


def test_the_assistant_s_own_choice_is_read_from_its_own_words() -> None:
    (question,) = FAMILIES["own_choice"](Maker(Pool("en", 0), WORDINGS["en"]))
    (telling,), (ask,) = question.needs, question.asks

    picked = answer(conversation_of({"messages": [{"role": "user", "content": telling.text}]}), ())
    (chosen,) = (one for one in question.options if one in picked)
    said = [("user", telling.text), ("assistant", picked), ("user", ask.text)]
    whole = {"messages": [{"role": role, "content": text} for role, text in said]}
    without = {"messages": [{"role": "user", "content": ask.text}]}

    assert answer(conversation_of(whole), ()) == f"{chosen}."
    assert not [one for one in question.options if one in answer(conversation_of(without), ())]


@pytest.mark.parametrize(
    ("retention", "message"),
    [
        ("{facts: [hwo]}", "unknown fact 'hwo'\n    did you mean 'who'?"),
        ("{families: [recal]}", "recall"),
        ("{disturb: [kil]}", "unknown disturbance 'kil'"),
        ("{disturb: [fork@2]}", "unknown disturbance 'fork@2'"),
        ("{tell_at: [0]}", "tell_at counts turns from 1"),
        ("{ask_after: [0], disturb: [kill]}", "leaves no turn for a disturbance"),
        ("{ask_after: [3], filler: [Hello there., Nice day.]}", "filler has 2 turns, and 3 are needed"),
        ("{ask_after: [1], filler: [Ada was here.]}", "filler holds 'Ada', a value that is told"),
        ("{families: [recall], pool: [fox, red fox]}", "the value 'fox' of the pool stands within 'red fox'"),
        ("{families: [recall], pool: [fox, Fox]}", "stands there twice"),
        ("{families: [overwrite], pool: [fox, owl]}", "the pool has only 2 values"),
        ("{families: []}", "families names nothing"),
    ],
)
def test_what_makes_no_sense_is_one_error_with_its_place(tmp_path: Path, retention: str, message: str) -> None:
    who = "facts: {who: {tell: I am Ada., ask: Who am I?, answer: Ada}}"

    with pytest.raises(ScenarioError) as caught:
        scenario(tmp_path, f"scenario: x\n{who}\nretention: {retention}\n")

    assert "matrix.yaml:3:" in str(caught.value)
    assert message in str(caught.value)


MATRIX = """\
scenario: memory
retention:
  families: [recall, overwrite]
  ask_after: [1, 3]
  disturb: [none, kill, compact]
"""


PLAYS = """\
import convtest.play.retention as playing

play = playing.play_trunk

def noted(asking, base, trunk, cells):
    with open("played.txt", "a") as file:
        file.write(trunk.label + "\\n")
    return play(asking, base, trunk, cells)

playing.play_trunk = noted
"""
"""A conftest.py that notes each play of a trunk."""


@pytest.mark.parametrize(
    ("item", "scope"),
    [
        ("a.yaml::m[trunk-kill]", "a.yaml::m[kill"),
        ("a.yaml::m[recall.word-told@1-after@3-kill]", "a.yaml::m[kill"),
        ("a.yaml::m[trunk-told@3-interrupt@2]", "a.yaml::m[interrupt@2"),
        ("a.yaml::m[fact.my_city-told@3-after@3-interrupt@2]", "a.yaml::m[interrupt@2"),
        ("a.yaml::m[en-1-trunk-fork]", "a.yaml::m[en-1-fork"),
        ("a.yaml::m[en-1-recall.word-told@1-after@3-fork-child]", "a.yaml::m[en-1-fork"),
        ("a.yaml::m[en-1-recall.word-told@1-after@3-fork-parent]", "a.yaml::m[en-1-fork"),
        ("a.yaml::a conversation[kill@1]", ""),
        ("test_a.py::test_trunk[1-2]", ""),
    ],
)
def test_what_is_asked_in_one_conversation_is_one_scope(item: str, scope: str) -> None:
    assert scope_of(item) == scope


def test_cells_are_items_with_a_summary(project: Project) -> None:
    project.write("scenarios/memory.yaml", MATRIX)

    listed = project.pytest("--collect-only", "-q", "-m", "retention")
    assert "scenarios/memory.yaml::memory[trunk-kill]" in listed.out
    assert "scenarios/memory.yaml::memory[recall.word-told@1-after@3-kill]" in listed.out

    project.write("conftest.py", PLAYS)
    run = project.pytest("--convtest-strict", "--convtest-probes", "probes.jsonl", "-n", "2", "--dist", "loadgroup")
    assert run.counts() == {"passed": 22, "skipped": 11}, run.text
    assert "retention of scenarios/memory.yaml::memory: 20 of 20 cells hold" in run.out
    assert "overwrite.late       HH|HH" in run.out
    assert "10 cells skipped: client 'assistant' has no compact_history" in run.out
    lines = [json.loads(line) for line in (project.root / "probes.jsonl").read_text().splitlines()]
    assert sum("probe" in line for line in lines) == 20
    assert sum("trunk" in line for line in lines) == 2
    assert sorted(project.read("played.txt").split()) == ["trunk-compact", "trunk-kill", "trunk-none"]


def test_a_cell_that_forgets_says_where_and_its_trunk_says_why(project: Project) -> None:
    project.write("scenarios/memory.yaml", MATRIX)
    section = SECTION.replace('kind = "messages"', 'kind = "python"\ntarget = "forgets:Window"')
    project.write("pyproject.toml", section)
    source = (Path(__file__).parent / "retention_clients.py").read_text()
    project.write("forgets.py", source)

    run = project.pytest("-k", "recall and none or trunk-none")

    assert run.code == 1
    assert "the request does not hold 'My " in run.out
    assert "layer wire" in run.out
    cell = "scenarios/memory.yaml::memory[recall.word-told@1-after@{}-none]"
    assert f"run just this item: pytest '{cell.format(1)}'" in run.out
    assert f"as recall.word-told@1-after@1-none, layer wire; by itself: pytest '{cell.format(3)}'" in run.out
    assert run.out.count("the request does not hold") == 1
    assert "none: 2 of 2 cells fail, layer wire" in run.out
