"""`sent` and `knows`, key by key: what a request must hold, and what a fact must be known from."""

from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from convtest.events import Event, TextDelta, TurnEnd
from tests.playing import Stage, checks_of, finding_of
from tests.test_histories import Spoils


class Says(Spoils):
    """The option `says` gives what it yields for a prompt, whatever the model says."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self._says: dict[str, str] = self._options.pop("says", {})

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        says = self._says.get(self._messages[-1]["content"][-1]["text"])
        async for event in super().receive_response():
            if says is not None and isinstance(event, TurnEnd):
                yield TextDelta(text=says)
            if says is None or isinstance(event, TurnEnd):
                yield event


SAYS = "tests.test_sent:Says"
ONE = """
scenario: one turn
options:
  {{system: You are terse., temperature: 0.5, top_p: 0.9, top_k: 40, max_tokens: 77, stop_sequences: [END, STOP],
   tool_choice: {{type: auto}}, thinking: {{type: disabled}}}}
tools:
  look_up: {{input: {{what: string}}, answers: [{{return: found}}]}}
  put_down: {{input: {{what: string}}, answers: [{{return: done}}]}}
steps:
  - user: My name is Ada.
  - {{user: What is 1 + 1?, expect: {{sent: {{{sent}}}}}}}
"""


@pytest.mark.parametrize(
    "sent",
    [
        "model: claude-haiku-4-5",
        "temperature: 0.5",
        "max_tokens: 77",
        "top_p: 0.9",
        "top_k: 40",
        "stop_sequences: [END, STOP]",
        "thinking: {type: disabled}",
        "tool_choice: {type: auto}",
        "system: You are terse.",
        "messages: 3",
        "roles: [user, assistant, user]",
        "tools: [look_up, put_down]",
        "contains: [Ada, '1 + 1']",
        "lacks: [Grace, Bob]",
    ],
)
def test_what_is_sent_is_as_expected(stage: Stage, sent: str) -> None:
    assert checks_of(stage.play(ONE.format(sent=sent))) == []


@pytest.mark.parametrize(
    ("sent", "expected", "seen"),
    [
        ("model: claude-opus-4-1", "'claude-opus-4-1'", "'claude-haiku-4-5'"),
        ("temperature: 0.6", "0.6", "0.5"),
        ("max_tokens: 78", "78", "77"),
        ("top_p: 0.8", "0.8", "0.9"),
        ("top_k: 41", "41", "40"),
        ("stop_sequences: [END]", "['END']", "['END', 'STOP']"),
        ("thinking: {type: enabled}", "{'type': 'enabled'}", "{'type': 'disabled'}"),
        ("tool_choice: {type: any}", "{'type': 'any'}", "{'type': 'auto'}"),
        ("system: You are kind.", "'You are kind.'", "'You are terse.'"),
        ("messages: 2", "2", "3"),
        ("roles: [user, user]", "['user', 'user']", "['user', 'assistant', 'user']"),
        ("tools: [look_up]", "['look_up']", "['look_up', 'put_down']"),
        ("tools: [look_up, put_up]", "['look_up', 'put_up']", "['look_up', 'put_down']"),
        ("tools: []", "[]", "['look_up', 'put_down']"),
    ],
)
def test_what_is_sent_otherwise_fails_by_its_key(stage: Stage, sent: str, expected: str, seen: str) -> None:
    found = stage.play(ONE.format(sent=sent)).verdict.findings

    assert [(one.check, one.layer, one.step, one.expected, one.seen) for one in found] == [
        ("sent", "wire", 2, expected, seen)
    ]
    assert found[0].message == f"{sent.partition(':')[0]} is not as expected"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [("contains: [Ada, Grace, Bob]", ["Grace", "Bob"]), ("lacks: [Grace, Ada, terse]", ["no 'Ada'", "no 'terse'"])],
)
def test_of_a_list_each_text_is_looked_for(stage: Stage, sent: str, expected: list[str]) -> None:
    found = stage.play(ONE.format(sent=sent)).verdict.findings

    assert [one.expected for one in found] == expected
    assert found[0].seen == "3 messages (user, assistant, user), the last: 'What is 1 + 1?'"


def test_of_a_long_request_the_last_messages_are_shown_and_that_there_are_more(stage: Stage) -> None:
    turns = "".join("      - {user: What is 1 + 1?}\n" for _ in range(3))
    text = f"scenario: long\nsteps:\n{turns}      - {{user: What is 1 + 1?, expect: {{sent: {{contains: Ada}}}}}}\n"

    found = finding_of(stage.play(text), "sent")

    assert found.seen.startswith("7 messages (…, assistant, user, assistant, user, assistant, user), the last: ")


TOOLS = """
scenario: tools
options: {{schema: {schema}}}
tools:
  find: {{input: {{type: string, n: integer}}, answers: [{{return: found}}]}}
  put_down: {{input: {{what: string}}, answers: [{{return: done}}]}}
steps:
  - {{user: What is 1 + 1?, expect: {{sent: {{tools: {tools}}}}}}}
"""
FIND = "{type: object, properties: {type: {type: string}, n: {type: integer}}, required: [type, n]}"


class Offers(Spoils):
    """The option `schema` stands in the place of the schema of its first tool; without it that has none."""

    def _edited(self, body: dict[str, Any]) -> dict[str, Any]:
        first, *others = body["tools"]
        schema = self._schema
        if schema == "none":
            first = {key: value for key, value in first.items() if key != "input_schema"}
        elif schema is not None:
            first = {**first, "input_schema": schema}
        return {**body, "tools": [first, *others]}

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self._schema: Any = self._options.pop("schema", None)


@pytest.mark.parametrize(
    ("tools", "schema", "seen"),
    [
        ("[find, put_down]", "null", ""),
        ("[{find: {type: string, n: integer}}, put_down]", "null", ""),
        (f"[{{find: {FIND}}}, put_down]", "null", ""),
        ("[find, {put_down: {what: string}}]", "null", ""),
        ("[{find: {n: integer}}, put_down]", "null", "[{'find': {'type': 'string', 'n': 'integer'}}, 'put_down']"),
        ("[{find: {type: string, n: integer}}]", "null", "[{'find': {'type': 'string', 'n': 'integer'}}, 'put_down']"),
        ("[find, put_down, find]", "null", "['find', 'put_down']"),
        (
            "[{find: {n: any}}, put_down]",
            "{type: object, properties: {n: true}}",
            "[{'find': {'n': True}}, 'put_down']",
        ),
        ("[{find: {n: any}}, put_down]", "none", "[{'find': None}, 'put_down']"),
        ("[{find: {n: any}}, put_down]", "{type: object}", "[{'find': {'type': 'object'}}, 'put_down']"),
        ("[{find: {type: object}}, put_down]", "{type: object}", ""),
    ],
)
def test_tools_are_compared_as_far_as_they_are_asked_for(stage: Stage, tools: str, schema: str, seen: str) -> None:
    outcome = stage.play(TOOLS.format(tools=tools, schema=schema), "tests.test_sent:Offers")

    assert [one.seen for one in outcome.verdict.findings if one.check == "sent"] == ([seen] if seen else [])


def test_where_requests_are_not_seen_nothing_is_said_of_them(stage: Stage) -> None:
    outcome = stage.play(ONE.format(sent="messages: 2").replace("top_k: 40", "wire: reference"))

    assert checks_of(outcome) == []
    assert "sent" in [one.check for one in outcome.verdict.not_seen]


def test_what_is_not_sent_at_all_is_not_as_expected(stage: Stage) -> None:
    text = "scenario: bare\nsteps: [{user: What is 1 + 1?, expect: {sent: {top_p: 0.9}}}]\n"

    assert finding_of(stage.play(text), "sent").seen == "None"


def test_without_a_request_nothing_was_sent(stage: Stage) -> None:
    text = "scenario: silent\nsteps: [{user: What is 1 + 1?, expect: {sent: {messages: 1}}}]\n"

    found = finding_of(stage.play(text, "tests.broken_clients:AsksNobody"), "sent")

    assert (found.message, found.layer) == ("no request was sent in this turn", "wire")


FACTS = """
scenario: facts
facts:
  who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
  city:
    tell: I live in Ghent.
    ask: Where do I live?
    answer: Ghent
    then: [{tell: I moved to Oslo., answer: Oslo}]
steps:
%s
"""


def knows(
    stage: Stage, *steps: str, says: str = "", client: str = SAYS, wire: str = ""
) -> list[tuple[str | None, str, str]]:
    """(layer, message, advice) of what was found of knows, and of nothing else but it; `says` is the last reply."""
    if says:
        stage.options = {**stage.options, "says": {"And now?": says}}
    text = FACTS % "\n".join(f"  - {{{step}}}" for step in steps)
    found = stage.play(text, client, wire=wire).verdict.findings
    return [(one.layer, one.message, one.advice) for one in found if one.check in {"knows", "not"}]


ASKED = "user: And now?, expect: {knows: who}"


def test_a_fact_that_is_sent_and_said_is_known(stage: Stage) -> None:
    assert knows(stage, "tell: who", ASKED, says="Your name is Ada.") == []


def test_a_fact_that_is_sent_and_not_said_is_the_models(stage: Stage) -> None:
    (found,) = knows(stage, "tell: who", ASKED, says="I cannot tell.")

    assert found == (
        "reply",
        "the reply does not give 'Ada', the current value of who: miss",
        "the request holds it: the model did not use it",
    )


def test_a_fact_that_is_said_and_not_sent_is_the_clients(stage: Stage) -> None:
    stage.options = {**stage.options, "spoils": {"And now?": "keep the last"}}

    (found,) = knows(stage, "tell: who", ASKED, says="Your name is Ada.")

    assert found == (
        "wire",
        "the request does not hold 'Ada', the current value of who",
        "the client lost it: look at the history that it sends",
    )


def test_a_fact_that_is_neither_sent_nor_said_is_the_clients_alone(stage: Stage) -> None:
    stage.options = {**stage.options, "spoils": {"And now?": "keep the last"}}

    assert [one[0] for one in knows(stage, "tell: who", ASKED, says="I cannot tell.")] == ["wire"]


def test_of_a_turn_without_an_end_nothing_is_known(stage: Stage) -> None:
    (found,) = knows(stage, "tell: who", ASKED, client="tests.test_sent:NeverSpeaks")

    assert found[1].endswith("the current value of who: no_reply")


def test_a_turn_that_was_cut_after_a_word_has_not_said_it(stage: Stage) -> None:
    asked = "ask: who, interrupt: {after: 1}, expect: {ended: interrupted, knows: who}"

    found = knows(stage, "tell: who", asked)

    assert [one[0] for one in found] == ["reply"]


def test_where_the_wire_is_not_seen_nothing_is_known_of_it(stage: Stage) -> None:
    asked, says = "user: And now?, expect: {not: {knows: who}}", "I cannot tell."

    assert knows(stage, "tell: who", asked, says=says, wire="reference") == []
    (found,) = knows(stage, "tell: who", ASKED, says=says, wire="reference")
    assert found[2] == ""


def test_without_a_request_nothing_is_held(stage: Stage) -> None:
    asked = "user: And now?, expect: {not: {knows: who}}"

    assert knows(stage, "tell: who", asked, client="tests.broken_clients:AsksNobody") == []


def test_a_fact_in_a_request_beside_the_conversation_is_not_known(stage: Stage) -> None:
    stage.options = {**stage.options, "spoils": {"And now?": "keep the last"}}

    found = knows(stage, "tell: who", ASKED, client="tests.test_sent:Notes", says="You are Ada.")

    assert [one[0] for one in found] == ["wire"]


class Notes(Says):
    """It looks up what it knows in a request beside the conversation."""

    async def query(self, text: str) -> None:
        await super().query(text)
        assert self._http is not None
        known = {"type": "text", "text": "Find what is known: My name is Ada."}
        asked = {"role": "user", "content": [known]}
        body = {"model": "claude-haiku-4-5", "max_tokens": 20, "messages": [asked]}
        await self._http.post(self._url, content=msgspec.json.encode(body), headers=self._headers)


class NeverSpeaks(MessagesClient):
    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async for event in super().receive_response():
            if len(self._messages) < 3:
                yield event


def test_a_fact_that_nobody_told_is_the_scenarios(stage: Stage) -> None:
    (found,) = knows(stage, ASKED, says="Your name is Ada.")

    assert found == (None, "nobody told who in session 'main'", "put tell: who before it")


def test_without_a_request_it_cannot_be_known(stage: Stage) -> None:
    found = knows(stage, "tell: who", "user: And now?, expect: {knows: who}", client="tests.broken_clients:AsksNobody")

    assert found == [("wire", "no request was sent, so 'Ada' cannot be known", "")]


def test_where_the_wire_is_not_seen_the_reply_alone_is_judged(stage: Stage) -> None:
    steps = "tell: who", "user: And now?, expect: {knows: who}"

    (found,) = knows(stage, *steps, client="tests.broken_clients:AsksNobody", wire="none")

    assert found == ("reply", "the reply does not give 'Ada', the current value of who: invented", "") or found[
        1
    ].endswith("miss")


@pytest.mark.parametrize(("ended", "found"), [("interrupted", []), ("complete", ["no_reply"])])
def test_of_a_turn_that_was_cut_before_its_first_word_the_end_says_it(
    stage: Stage, ended: str, found: list[str]
) -> None:
    cut, says = ("interrupt: {after: 0}, ", "") if ended == "interrupted" else ("", " ")
    steps = "tell: who", f"user: And now?, {cut}expect: {{ended: {ended}, knows: who}}"

    assert [one[1].rpartition(": ")[2] for one in knows(stage, *steps, says=says)] == found


def test_each_of_several_facts_is_asked_for(stage: Stage) -> None:
    expect = "expect: {knows: [who, city]}"

    found = knows(stage, "tell: who", "tell: city", f"user: And now?, {expect}", says="You are Ada.")

    assert [one[1] for one in found] == ["the reply does not give 'Ghent', the current value of city: confused"]


@pytest.mark.parametrize(
    ("reply", "word"),
    [
        ("You live in Oslo.", None),
        ("You live in Ghent.", "stale"),
        ("Ghent, no, Oslo.", "hedged"),
        ("Ada.", "confused"),
    ],
)
def test_the_newer_value_is_the_current_one(stage: Stage, reply: str, word: str | None) -> None:
    steps = "tell: who", "tell: city", "tell: city", "user: And now?, expect: {knows: city}"

    found = knows(stage, *steps, says=reply)

    assert [one[1].rpartition(": ")[2] for one in found] == ([word] if word else [])


@pytest.mark.parametrize(
    ("edit", "reply", "layers"),
    [
        (["Ada", "Bob"], "I cannot tell.", []),
        (["Ada", "Bob"], "You are Ada.", ["reply"]),
        (["none", "none"], "I cannot tell.", ["wire"]),
        (["none", "none"], "You are Ada.", ["wire", "reply"]),
    ],
)
def test_what_must_not_be_known_stands_neither_there_nor_there(
    stage: Stage, edit: list[str], reply: str, layers: list[str]
) -> None:
    stage.options = {**stage.options, "spoils": {"And now?": edit}}
    asked = f"user: And now?, simulate: {{text: {reply}}}, expect: {{not: {{knows: who}}}}"

    assert [one[0] for one in knows(stage, "tell: who", asked)] == layers


def test_no_value_that_a_fact_ever_had_may_be_known(stage: Stage) -> None:
    asked = "user: And now?, simulate: {text: I cannot tell.}, expect: {not: {knows: city}}"

    found = knows(stage, "tell: city", "tell: city", asked)

    assert [one[1] for one in found] == [
        "the request still holds 'Ghent', a value of city",
        "the request still holds 'Oslo', a value of city",
    ]
