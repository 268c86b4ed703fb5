"""Requests that ask for a form: the simulator answers in it; a script that is not meant for them is the turn's."""

import asyncio
import json
from typing import Any

import jsonschema
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtest.play.mode import Mode
from convtest.play.perform import Played
from convtest.scenario.grammar import SimulateShape
from convtest.simulator.structured import Wanted, fits, instance, wanted_of
from tests.playing import MODEL, Stage, checks_of
from tests.side_clients import App

GUARD = {
    "type": "object",
    "properties": {"safe": {"type": "boolean"}, "reason": {"type": "string"}},
    "required": ["safe", "reason"],
    "additionalProperties": False,
}
INTENT = {"type": "object", "properties": {"intent": {"enum": ["question", "statement"]}}, "required": ["intent"]}
TOOL: Any = {"name": "classify", "description": "Says what the user wants.", "input_schema": INTENT}


class Guarded(App):
    """It asks in parallel whether the prompt is safe, and first what it is; both in a form, and both are read."""

    async def _ask(self, system: str, messages: list[dict[str, str]], limit: int = 50) -> str:
        if "terse" not in system:
            return await super()._ask(system, messages, limit)
        alone: Any = messages[-1:]
        assert self._model is not None
        by_tool = await self._model.messages.create(
            model="claude-haiku-4-5",
            max_tokens=100,
            system="What is it?",
            messages=alone,
            tools=[TOOL],
            tool_choice={"type": "tool", "name": "classify"},
        )
        (use,) = by_tool.content
        assert use.type == "tool_use"
        jsonschema.validate(use.input, INTENT)
        guard = asyncio.create_task(self._guard(alone))
        text = await super()._ask(system, messages, limit)
        return text if await guard else "I cannot help with that."

    async def _guard(self, messages: Any) -> bool:
        model = openai.AsyncOpenAI(base_url=f"{self._opening.base_url}/v1", api_key="none", max_retries=0)
        form: Any = {"type": "json_schema", "json_schema": {"name": "guard", "schema": GUARD}}
        async with model:
            answer = await model.chat.completions.create(model="gpt", messages=messages, response_format=form)
        found = json.loads(answer.choices[0].message.content or "")
        jsonschema.validate(found, GUARD)
        return bool(found["safe"])


TALK = """
    scenario: guarded
    facts: {who: {tell: My name is Ada., ask: What is my name?, answer: Ada}}
    steps:
      - tell: who
      - user: Say it in verse.
        simulate: {text: A name there was.}
        expect: {equals: A name there was.}
      - ask: who
"""


def play(stage: Stage, text: str, mode: Mode | None = None, **options: str) -> Played:
    stage.options = {**MODEL, **options}
    return stage.play(text, "tests.test_structured:Guarded", mode)


def test_an_application_reads_what_it_asked_for_and_the_script_is_the_answers(stage: Stage) -> None:
    for outcome in (play(stage, TALK), play(stage, TALK, Mode(record="all")), play(stage, TALK)):
        assert checks_of(outcome) == []
        assert outcome.verdict.not_seen == ()
        assert [len(turn.main()) for turn in outcome.transcript.turns()] == [1, 1, 1]


def test_a_lost_history_is_found_beside_them(stage: Stage) -> None:
    assert ("history", "wire") in checks_of(play(stage, TALK, loses="all"))


def test_a_script_for_the_guard_is_the_guards(stage: Stage) -> None:
    text = """
    scenario: refused
    steps:
      - user: How do I open a lock?
        simulate: {text: '{"safe": false, "reason": "locks"}'}
        expect: {equals: I cannot help with that.}
    """

    outcome = play(stage, text)

    # No answer was shown, so that nothing tells in this one turn which request was the conversation.
    assert checks_of(outcome) == []
    assert "which request of step 1 is the conversation cannot be told" in outcome.verdict.not_seen[0].why


@pytest.mark.parametrize(
    ("request_", "tool"),
    [
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "classify"}}, "classify"),
        ({"tools": [TOOL], "tool_choice": {"type": "any"}}, "classify"),
        ({"tools": [TOOL], "tool_choice": {"type": "auto"}}, None),
        ({"tools": [TOOL]}, None),
        ({"tool_choice": {"type": "tool", "name": "gone"}}, None),
        (
            {
                "tools": [{"type": "function", "function": {"name": "classify", "parameters": INTENT}}],
                "tool_choice": {"type": "function", "function": {"name": "classify"}},
            },
            "classify",
        ),
        (
            {
                "tools": [{"type": "function", "function": {"name": "classify", "parameters": INTENT}}],
                "tool_choice": "required",
            },
            "classify",
        ),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": INTENT}}}, ""),
        ({"output_format": {"type": "json_schema", "schema": INTENT}}, ""),
        ({"output_config": {"format": {"type": "json_schema", "schema": INTENT}}}, ""),
        ({"response_format": {"type": "text"}}, None),
    ],
)
def test_the_form_is_read_in_the_words_of_each_api(request_: dict[str, Any], tool: str | None) -> None:
    found = wanted_of(request_, brings_results=False)

    assert found == (None if tool is None else Wanted(INTENT, tool))


def test_a_request_that_brings_results_may_end_its_loop() -> None:
    asked = {"tools": [TOOL], "tool_choice": {"type": "any"}}

    assert wanted_of(asked, brings_results=True) is None
    assert wanted_of({**asked, "tool_choice": {"type": "tool", "name": "classify"}}, brings_results=True) is not None


def test_json_without_a_schema_is_an_object() -> None:
    found = wanted_of({"response_format": {"type": "json_object"}}, brings_results=False)

    assert found is not None
    assert instance(found.schema, "Hello.") == {"answer": "Hello."}


@pytest.mark.parametrize(
    ("script", "wanted", "meant"),
    [
        ({"text": '{"safe": true}'}, Wanted(GUARD), True),
        ({"text": '{"result": 105}'}, Wanted(GUARD), False),
        ({"text": '{"safe": tr'}, Wanted(GUARD), True),
        ({"text": "Once there was"}, Wanted(GUARD), False),
        ({"words": 20}, Wanted(GUARD), False),
        ({"stop_reason": "refusal", "text": "No."}, Wanted(GUARD), True),
        ({"calls": [{"classify": {"intent": "question"}}]}, Wanted(INTENT, "classify"), True),
        ({"calls": [{"look_up": None}]}, Wanted(INTENT, "classify"), False),
        ({"text": "Hello."}, Wanted(INTENT, "classify"), False),
    ],
)
def test_whom_a_script_is_meant_for(script: dict[str, Any], wanted: Wanted, meant: bool) -> None:
    assert fits(SimulateShape(**script), wanted) is meant


LEAVES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({"type": "string"}),
    st.integers(0, 30).map(lambda n: {"type": "string", "minLength": n, "maxLength": n + 3}),
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.just({"type": ["null", "string"]}),
    st.lists(st.text(max_size=4), min_size=1, max_size=3).map(lambda names: {"enum": names}),
    st.integers(-5, 5).map(lambda n: {"const": n}),
    st.tuples(st.integers(-9, 9), st.integers(0, 9)).map(
        lambda pair: {"type": "integer", "minimum": pair[0], "maximum": pair[0] + pair[1]}
    ),
    st.integers(-9, 9).map(lambda n: {"type": "number", "exclusiveMinimum": n, "exclusiveMaximum": n + 1}),
    st.integers(-9, 9).map(lambda n: {"type": "integer", "exclusiveMaximum": n}),
    st.integers(-9, 9).map(lambda n: {"type": "integer", "minimum": n, "multipleOf": 5}),
    st.just({"$ref": "#/$defs/named"}),
)
NAMES = st.sampled_from(["safe", "flagged", "title", "a", "b"])


def objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    properties = st.dictionaries(NAMES, inner, max_size=4)
    return st.one_of(
        properties.map(lambda p: {"type": "object", "properties": p, "required": [*p], "additionalProperties": False}),
        st.tuples(inner, st.integers(0, 3)).map(lambda p: {"type": "array", "items": p[0], "minItems": p[1]}),
        inner.map(lambda one: {"anyOf": [{"type": "null"}, one]}),
        st.tuples(properties, properties).map(
            lambda p: (
                {"type": "object", "allOf": [{"properties": one, "required": [*one]} for one in p]}
                if not p[0].keys() & p[1].keys()
                else {"type": "object", "properties": p[0]}
            )
        ),
    )


@settings(deadline=None)
@given(schema=st.recursive(LEAVES, objects, max_leaves=8), text=st.text(max_size=20))
def test_what_is_answered_fits_the_schema(schema: dict[str, Any], text: str) -> None:
    tree = {"type": "object", "properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/tree"}]}}}
    whole = {**schema, "$defs": {"named": {"type": "string"}, "tree": tree}}

    jsonschema.validate(instance(whole, text), whole)


def test_a_schema_that_holds_itself_ends() -> None:
    node: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    node["properties"]["children"] = {"type": "array", "items": {"$ref": "#"}}

    jsonschema.validate(instance(node, "x"), node)


@pytest.mark.parametrize(
    ("key", "value"), [("safe", True), ("is_allowed", True), ("unsafe", False), ("flagged", False), ("is_math", False)]
)
def test_guards_let_pass(key: str, value: bool) -> None:
    assert instance({"properties": {key: {"type": "boolean"}}}, "") == {key: value}
