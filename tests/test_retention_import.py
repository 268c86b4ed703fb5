"""Published questions of memory become scenarios, from files that a user has."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convtest.importing.benchmarks import benchmarks
from convtest.importing.reading.content import NotImportable
from convtest.importing.scenario_text import document
from convtest.scenario.loader import load


def lines(path: Path, *rows: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def said(*texts: str) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": text}] for text in texts]


def bfcl(folder: Path) -> Path:
    talks, answers = folder / "memory_prereq_conversation", folder / "possible_answer"
    lines(
        talks / "memory_shop.json",
        {"id": "p0-shop-0", "question": said("Hello, I am Ada.", "I have 35 lamps."), "scenario": "shop"},
        {"id": "p1-shop-1", "question": said("The code is ${x}, of course."), "scenario": "shop"},
    )
    lines(talks / "memory_work.json", {"id": "p2-work-0", "question": said("I weld."), "scenario": "work"})
    lines(
        folder / "BFCL_v4_memory.json",
        {"id": "m0", "question": said("What is my name?"), "scenario": "shop"},
        {"id": "m1", "question": said("How many lamps have I got?"), "scenario": "shop"},
        {"id": "m2", "question": said("What time is it?"), "scenario": "shop"},
        {"id": "m3", "question": said("What do I do?"), "scenario": "work"},
    )
    lines(
        answers / "BFCL_v4_memory.json",
        {"id": "m0", "ground_truth": ["Ada"], "source": ""},
        {"id": "m1", "ground_truth": ["35", "thirty five"], "source": ""},
        {"id": "m2", "ground_truth": ["05:30 AM"], "source": ""},
        {"id": "m3", "ground_truth": ["weld"], "source": ""},
    )
    return folder


def locomo(folder: Path) -> Path:
    talk = {
        "speaker_a": "Ann",
        "speaker_b": "Ben",
        "session_10_date_time": "3 pm on 9 May, 2023",
        "session_10": [{"speaker": "Ben", "dia_id": "D10:1", "text": "My cat is called Moss."}],
        "session_2": [{"speaker": "Ann", "dia_id": "D2:1", "text": "I bought 2 bikes."}],
        "session_2_date_time": "1 pm on 8 May, 2023",
        "session_3": [],
    }
    qa = [
        {"question": "What is Ben's cat called?", "answer": "Moss", "evidence": ["D10:1"], "category": 4},
        {"question": "How many bikes did Ann buy?", "answer": 2, "evidence": ["D2:1"], "category": 4},
        {"question": "When did Ann buy them?", "answer": "8 May in the year 2023", "evidence": ["D2:1"], "category": 2},
        {"question": "What is Ann's cat called?", "adversarial_answer": "Moss", "evidence": [], "category": 5},
    ]
    path = folder / "locomo10.json"
    path.write_text(json.dumps([{"sample_id": "conv-26", "conversation": talk, "qa": qa}]))
    return path


def test_bfcl_is_a_scenario_for_each_topic(tmp_path: Path) -> None:
    shop, work = benchmarks("bfcl-memory", bfcl(tmp_path))

    assert (shop.asked, shop.left_out, work.asked) == (2, 1, 1)
    assert [step["user"] for step in shop.data["steps"]] == [
        "Hello, I am Ada.",
        "I have 35 lamps.",
        "The code is $${x}, of course.",
        "What is my name?",
        "How many lamps have I got?",
    ]


def test_locomo_is_told_day_by_day_in_order(tmp_path: Path) -> None:
    (made,) = benchmarks("locomo", locomo(tmp_path))

    assert (made.asked, made.left_out) == (3, 1)
    assert made.data["id"] == "locomo-conv-26"
    assert [step["user"] for step in made.data["steps"][:2]] == [
        "A conversation of 1 pm on 8 May, 2023:\nAnn: I bought 2 bikes.",
        "A conversation of 3 pm on 9 May, 2023:\nBen: My cat is called Moss.",
    ]


@pytest.mark.parametrize(("kind", "files"), [("bfcl-memory", bfcl), ("locomo", locomo)])
def test_what_is_made_is_a_scenario(tmp_path: Path, kind: str, files: Callable[[Path], Path]) -> None:
    for made in benchmarks(kind, files(tmp_path)):
        path = tmp_path / "made.yaml"
        path.write_text(document(made.data))
        (scenario,) = load(path, shown="made.yaml", default_client="assistant", clients=("assistant",))

        assert len(scenario.steps) == len(made.data["steps"])
        assert not scenario.warnings


@pytest.mark.parametrize(
    ("reply", "holds"),
    [("You have 35.", True), ("Thirty five lamps!", True), ("You have 350.", False), ("No idea.", False)],
)
def test_any_accepted_answer_is_enough_and_only_as_whole_words(tmp_path: Path, reply: str, holds: bool) -> None:
    import re

    shop, _ = benchmarks("bfcl-memory", bfcl(tmp_path))

    assert bool(re.search(shop.data["steps"][-1]["expect"]["matches"], reply)) is holds


def test_a_question_that_nothing_answers_must_not_have_the_tempting_answer(tmp_path: Path) -> None:
    (made,) = benchmarks("locomo", locomo(tmp_path))

    assert made.data["steps"][-1]["expect"] == {"not": {"matches": r"(?i)(?<!\w)(?:Moss)(?!\w)"}}


def nothing(folder: Path) -> None:
    return None


def no_json(folder: Path) -> None:
    (folder / "BFCL_v4_memory.json").write_text("{")
    (folder / "locomo10.json").write_text("{")


def another(folder: Path) -> None:
    lines(folder / "BFCL_v4_memory.json", {"id": "m0", "question": said("?"), "scenario": "x"})
    lines(folder / "possible_answer" / "BFCL_v4_memory.json", {"id": "m0", "ground_truth": ["x"]})
    (folder / "locomo10.json").write_text('{"qa": []}')


@pytest.mark.parametrize(("kind", "name"), [("bfcl-memory", "."), ("locomo", "locomo10.json")])
@pytest.mark.parametrize(
    ("made", "what"), [(nothing, "No such file"), (no_json, "this is no"), (another, "conversations")]
)
def test_what_is_something_else_is_one_clear_error(
    tmp_path: Path, kind: str, name: str, made: Callable[[Path], None], what: str
) -> None:
    made(tmp_path)

    with pytest.raises(NotImportable, match=what) as caught:
        benchmarks(kind, tmp_path / name)

    assert "\n    name " in str(caught.value)
