"""Mutants: broken clients of all classes are found, honest ones are not, and the account of them can fail."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from convtest.config import load_config
from convtest.events import Event, TextDelta, TurnEnd
from convtest.mutate.account import Account, markdown
from convtest.mutate.catalogue import ALL, BROKEN, HONEST
from convtest.mutate.mutant import Mutant
from convtest.mutate.mutator import Body, Class, Known, Mutator, Reading
from convtest.mutate.playing import SOURCES, Source, Stage, Trial, concerned, scenarios, stage, trials
from convtest.mutate.running import Job, files_of, run
from convtest.mutate.shapes import SHAPES, shape_of
from convtest.mutate.survivors import LEAST, SURVIVORS, Survivor
from convtest.play.openings import Openings
from convtest.scenario.model import Scenario
from convtest.wire.canonical import canonical

ROOT = Path(__file__).parent.parent
SAMPLE = [
    "loses the history in later turns",
    "loses the last exchange after a resume",
    "swaps the first two exchanges",
    "changes names in earlier prompts",
    "sends the prompt of the turn before",
    "loses the system prompt after a resume",
    "asks another model in later turns",
    "swaps the ids of two results",
    "truncates results",
    "begins with a stranger's history",
    "sends what was cleared",
    "keeps more of an interrupted answer than was yielded",
    "loses every second piece of text",
    "says what another session was told",
    "calls a broken answer complete",
    "tries again at once",
    "ignores an interrupt",
]


def some(*names: str) -> list[Mutator]:
    return [one for one in ALL if one.name in names]


@pytest.fixture(scope="module")
def plays() -> list[Scenario]:
    config = load_config(ROOT)
    assert config is not None
    return scenarios(config, files_of(config))


def staged(plays: Sequence[Scenario], source: Source, mutators: Sequence[Mutator], only: str = "") -> list[Trial]:
    config = load_config(ROOT)
    assert config is not None
    with stage(config, [one for one in plays if only in one.name], source) as made:
        return list(trials(made, mutators, every=bool(only)))


def test_there_are_many_of_all_classes_each_with_its_bug() -> None:
    assert len(BROKEN) >= 120
    assert {one.kind for one in BROKEN} == set(get_args(Class))
    assert len({one.name for one in ALL}) == len(ALL)
    assert all(one.bug for one in ALL)
    assert all(one.sends or one.yields or one.opens or one.tries or one.does or one.id for one in BROKEN)


@pytest.mark.parametrize("source", SOURCES)
def test_mutants_of_all_classes_are_found(plays: list[Scenario], source: Source) -> None:
    assert {one.kind for one in some(*SAMPLE)} == set(get_args(Class))

    account = Account(some(*SAMPLE), staged(plays, source, some(*SAMPLE)))

    assert len(account.concerning(source)) == len(SAMPLE)
    assert account.survivors(source) == []


@pytest.mark.parametrize("source", SOURCES)
def test_no_honest_variation_is_blamed(plays: list[Scenario], source: Source) -> None:
    account = Account(HONEST, staged([one for one in plays if "tool" in one.name], source, HONEST))

    assert {trial.mutator for trial in account.trials} >= {"sends texts as strings", "sends results in another order"}
    assert account.false_alarms() == []


def test_what_changes_nothing_in_a_scenario_says_nothing_about_it(plays: list[Scenario]) -> None:
    mutators = some("loses the history in a fork", "truncates results", "changes nothing")

    found = {trial.mutator for trial in staged(plays, "simulated", mutators, only="fork")}

    assert found == {"loses the history in a fork"}


def test_where_a_mutator_only_looks_it_sees_where_it_would_edit(plays: list[Scenario]) -> None:
    config = load_config(ROOT)
    assert config is not None
    mutators = [one for one in some(*SAMPLE) if one.tries is None]
    few = [one for one in plays if one.name in {"calculator", "two-users", "resume"}]
    with stage(config, few, "simulated") as made:
        looked = concerned(made, mutators)
        played = list(_all(made, mutators))

    assert {(trial.mutator, trial.scenario) for trial in played} == {
        (name, scenario) for name, where in looked.items() for scenario in where
    }


def _all(made: Stage, mutators: Sequence[Mutator]) -> list[Trial]:
    """Without looking first."""
    found = []
    for mutator in mutators:
        for name, item in made.items:
            mutant = Mutant(mutator)
            checks = made.play(item, mutant.around, Openings())
            if mutant.applied:
                found.append(Trial(mutator=mutator.name, scenario=name, source=made.source, found=checks))
    return found


def test_the_same_holds_for_another_api() -> None:
    config = load_config(ROOT)
    assert config is not None
    names = (
        "loses the history in later turns",
        "loses results in later turns",
        "loses the system prompt in later turns",
    )
    files = tuple(file for file in files_of(config) if file.name in {"tools.yaml", "failures.yaml", "sessions.yaml"})

    account = run(Job(root=ROOT, files=files, names=names, every=False, kind="chat_completions"))

    assert {(trial.mutator, trial.source) for trial in account.trials} == {(n, s) for n in names for s in SOURCES}
    assert [account.survivors(source) for source in SOURCES] == [[], []]


# The account


def trial(mutator: str, *found: str, source: Source = "replayed") -> Trial:
    return Trial(mutator=mutator, scenario="talk", source=source, found=found)


LOST, HALVED = some("loses the history in later turns", "halves the prompt")


def test_a_survivor_that_is_not_written_down_is_a_problem() -> None:
    account = Account([LOST, HALVED], [trial(LOST.name, "history"), trial(HALVED.name)], written=())

    assert account.share("replayed") == 0.5
    assert f"{HALVED.name} survives, replayed, and no reason is written down" in list(account.problems())


def test_a_survivor_that_is_written_down_is_none_while_it_survives() -> None:
    written = [Survivor(mutator=HALVED.name, sources=("replayed",), reason="so it is", equivalent=True)]

    account = Account([LOST, HALVED], [trial(LOST.name, "history"), trial(HALVED.name)], written)
    assert (list(account.problems()), account.share("replayed")) == ([], 1.0)
    assert f"equivalent, replayed: {HALVED.name}: so it is" in account.table()

    account = Account([LOST, HALVED], [trial(LOST.name, "history"), trial(HALVED.name, "said")], written)
    assert list(account.problems()) == [
        f"{HALVED.name} is found, replayed, and written down as a survivor: take it out of survivors.py"
    ]


def test_too_many_survivors_are_a_problem_though_each_is_written_down() -> None:
    written = [Survivor(mutator=HALVED.name, sources=("replayed",), reason="so it is")]

    account = Account([LOST, HALVED], [trial(LOST.name, "history"), trial(HALVED.name)], written)

    assert list(account.problems()) == ["replayed: 50.0% were found, and 100.0% have to be"]
    assert LEAST == {"replayed": 1.0, "simulated": 0.97}


def test_an_honest_one_that_goes_red_is_a_problem() -> None:
    account = Account(HONEST, [trial("sends texts as strings", "miss")], written=())

    assert list(account.problems()) == ["sends texts as strings is honest and goes red in talk, replayed: miss"]


def test_a_survivor_is_one_of_the_mutators() -> None:
    names = {one.name for one in ALL}

    assert [one.mutator for one in SURVIVORS if one.mutator not in names or not one.reason] == []


def test_the_docs_say_what_is_found() -> None:
    docs = (ROOT / "docs/checks.md").read_text()

    assert all(line in docs.split("\n") for line in markdown(ALL).split("\n"))
    assert f"| all | {len(BROKEN)} | {len(BROKEN)} |" in markdown(ALL)


def test_an_edit_that_no_check_can_see_survives(plays: list[Scenario]) -> None:
    """The harness itself can fail: a mutant is not found because it is one."""
    unseen = Mutator(
        name="sends a key that nobody reads",
        kind="settings",
        bug="none",
        sends=lambda body, known: {**body, "metadata": {"user_id": "u1"}},
    )

    (found,) = staged(plays, "simulated", [unseen], only="remembers-the-name[Ada]")

    assert found.found == ()


# Shapes


CHAT: Body = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be terse."},
        {"role": "user", "content": "Where is it?"},
        {
            "role": "assistant",
            "content": "I will look.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"what":"it"}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "in the attic"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "look_up", "description": "", "parameters": {"type": "object"}}}
    ],
}
RESPONSES: Body = {
    "model": "m",
    "instructions": "Be terse.",
    "previous_response_id": "resp_1",
    "input": [
        {"role": "user", "content": "Where is it?"},
        {"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": '{"what":"it"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "in the attic"},
    ],
    "tools": [{"type": "function", "name": "look_up", "parameters": {"type": "object"}}],
}
MESSAGES: Body = {
    "model": "m",
    "max_tokens": 9,
    "system": "Be terse.",
    "messages": [{"role": "user", "content": "Where is it?"}],
    "tools": [{"name": "look_up", "input_schema": {"type": "object"}}],
}


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/chat/completions", CHAT), ("/v1/responses", RESPONSES), ("/v1/messages", MESSAGES)],
)
def test_a_body_that_is_read_and_written_asks_the_same(path: str, body: Body) -> None:
    shape = shape_of(path)
    assert shape is not None

    written = shape.write(shape.read(msgspec.json.decode(msgspec.json.encode(body))))

    assert key_of(path, written) == key_of(path, body)
    assert shape.read(body)["system"] == "Be terse."
    assert shape.read(body)["messages"][0] == {"role": "user", "content": [{"type": "text", "text": "Where is it?"}]}
    assert shape.read(body)["tools"][0]["input_schema"] == {"type": "object"}
    bare = {key: value for key, value in body.items() if key not in {"tools", "system", "instructions"}}
    assert key_of(path, shape.write(shape.read(bare))) == key_of(path, bare)


def key_of(path: str, body: Body) -> str:
    return canonical("POST", f"https://api.example.com{path}", msgspec.json.encode(body)).key


def test_other_addresses_have_no_shape() -> None:
    assert shape_of("/v1/messages/count_tokens") is None
    assert len(SHAPES) == 3


def test_an_edit_of_events_sees_what_came_before_it() -> None:
    (halves,) = some("loses the second piece of text")
    assert halves.yields is not None
    reading, yielded = Reading(Known("main")), list[Event]()
    for event in (TextDelta(text="a"), TextDelta(text="b"), TextDelta(text="c"), TurnEnd()):
        reading.honest.append(event)
        yielded += halves.yields(event, reading)

    assert yielded == [TextDelta(text="a"), TextDelta(text="c"), TurnEnd()]
