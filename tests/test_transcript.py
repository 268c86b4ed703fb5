"""What a transcript tells is the same in whatever order it is asked, and and what is quick as what is plain."""

import json
from collections import Counter
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from convtest.checks.framing import found_prompts
from convtest.checks.prompts import _prompt_problem
from convtest.checks.states import Prompt
from convtest.errors import Place
from convtest.events import TextDelta, ToolUse, TurnEnd
from convtest.scenario.model import Act, Turn
from convtest.transcript import ActRecord, Origin, StepRecord, Transcript, TurnRecord
from convtest.wire.blocks import request_blocks
from convtest.wire.canonical import canonical

NOTHING = cast("Any", None)
STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["turn", "turn", "clear", "save", "restore", "delete", "wait"])),
    max_size=12,
)
ORIGINS = st.dictionaries(
    st.sampled_from("bc"),
    st.builds(Origin, parent=st.sampled_from("ab"), position=st.integers(0, 8), turns=st.sampled_from([None, 1])),
)


def record_of(index: int, session: str, kind: str) -> StepRecord:
    where = {"id": None, "expect": None, "options": {}, "place": Place("it.yaml", index + 1), "node": NOTHING}
    if kind == "turn":
        step: Any = Turn(index=index, session=session, prompt=f"prompt {index}", **where)
        return TurnRecord(step=step, session=session)
    step = Act(index=index, session=session, kind=cast("Any", kind), target=session, **where)
    return ActRecord(step=step, session=session)


@given(STEPS, ORIGINS, st.lists(st.integers(0, 11), max_size=12))
@settings(deadline=None)
def test_what_was_heard_does_not_depend_on_what_was_asked_before(
    steps: list[tuple[str, str]], origins: dict[str, Origin], order: list[int]
) -> None:
    if origins.get("b") and origins["b"].parent == "b":
        del origins["b"]  # nobody comes from itself
    records = [record_of(index, *step) for index, step in enumerate(steps)]
    asked = Transcript(scenario=NOTHING, source="simulated", records=records, origins=origins)
    for index in order:
        if index < len(records):
            alone = Transcript(scenario=NOTHING, source="simulated", records=records, origins=origins)
            assert list(map(id, asked.heard(records[index]))) == list(map(id, alone.heard(records[index])))
    records.insert(0, record_of(99, "a", "turn"))
    alone = Transcript(scenario=NOTHING, source="simulated", records=records, origins=origins)
    assert list(map(id, asked.heard(records[-1]))) == list(map(id, alone.heard(records[-1])))


def test_a_restore_goes_back_to_the_save_before_it() -> None:
    steps = [("a", "save"), ("a", "restore"), ("a", "turn"), ("a", "save"), ("a", "turn")]
    records = [record_of(index, *step) for index, step in enumerate(steps)]

    assert Transcript(scenario=NOTHING, source="simulated", records=records).heard(records[4]) == [records[2]]


def test_a_turns_text_and_end_are_those_of_its_events_now() -> None:
    record = cast("TurnRecord", record_of(0, "a", "turn"))
    assert record.text == ""
    assert record.end is None

    record.events.append(TextDelta(text="Hel"))
    assert record.text == "Hel"
    record.events += [TextDelta(text="lo"), end := TurnEnd()]
    assert record.text == "Hello"
    assert record.end is end
    record.events[-1] = other = TurnEnd(ended="interrupted")
    assert record.end is other
    record.events = [ToolUse(id="t", name="look", input={})]
    assert record.text == ""
    assert record.end is None


WORDS = st.sampled_from(["Hi.", "I like tea.", "I like tea. And coffee.", "Hi. I like tea.", "tea", ""])
PROMPTS = st.lists(st.builds(Prompt, WORDS, st.booleans(), st.sampled_from(["", "Now: tea"])), min_size=1, max_size=4)


@given(PROMPTS, st.lists(st.tuples(st.sampled_from(["user", "assistant"]), WORDS), max_size=6), st.booleans())
@settings(deadline=None, max_examples=300)
def test_prompts_that_stand_there_as_asked_are_found_as_by_looking_for_each(
    prompts: list[Prompt], said: list[tuple[str, str]], just: bool
) -> None:
    """Against the plain way, which looks for each prompt in each text."""
    given = [("user", prompt.text) for prompt in prompts] if just else said
    body = {"messages": [{"role": role, "content": text} for role, text in given]}
    sent = canonical("POST", "http://x/v1/messages", json.dumps(body).encode())

    counts = Counter(found := found_prompts([(one.words, one.sent) for one in prompts], request_blocks(sent)))
    wanted = Counter(one.words for one in prompts)
    rest = iter([one.words for one in prompts])
    missing = [one for one in prompts if one.required and not counts[one.words]]
    plain = any(counts[text] > most for text, most in wanted.items()) or not counts[prompts[-1].words] or missing
    ordered = all(any(text == other for other in rest) for text in found)
    assert (_prompt_problem(tuple(prompts), sent) is not None) == bool(plain or not ordered)
