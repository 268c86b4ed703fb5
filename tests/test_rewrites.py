"""What honest clients change in what they send back, and what looks like it and is none of it."""

from typing import Any

import msgspec
import pytest

from convtest.checks.habits import is_kept
from convtest.checks.tool_use import _pair_problem
from convtest.clients.messages.client import MessagesClient
from convtest.config import Config
from convtest.play.mode import Mode
from convtest.play.perform import Played, ready
from convtest.probe.probing import probe
from convtest.structs import replace
from convtest.wire.blocks import Block
from tests.playing import Stage, checks_of

TALK = """
scenario: thinks aloud
steps:
  - user: What is six times seven?
    simulate: {text: "<think> Six sevens are 42. </think> It is 42."}
  - user: And in JSON?
    simulate: {text: '{"answer":  42,   "sure": true}'}
  - user: Thank you.
"""


class Keeps(MessagesClient):
    """Rewrites the assistant's texts when it sends them again."""

    def rewritten(self, text: str) -> str:
        return text

    def _body(self) -> bytes:
        body: dict[str, Any] = msgspec.json.decode(super()._body())
        for message in body["messages"]:
            for block in message["content"] if message["role"] == "assistant" else ():
                if block["type"] == "text":
                    block["text"] = self.rewritten(block["text"])
        return msgspec.json.encode(body)


class WithoutThoughts(Keeps):
    def rewritten(self, text: str) -> str:
        return text.partition("</think>")[2].strip() or text


class LaysOut(Keeps):
    def rewritten(self, text: str) -> str:
        return msgspec.json.encode(msgspec.json.decode(text)).decode() if text.startswith("{") else text


class ChangesAnswers(Keeps):
    def rewritten(self, text: str) -> str:
        return text.replace("42", "43")


def config(stage: Stage, client: type[MessagesClient], **policy: str) -> Config:
    made = stage.config(f"tests.test_rewrites:{client.__name__}")
    return replace(made, clients={"assistant": replace(made.profile("assistant"), policy=policy)})


def play(stage: Stage, client: type[MessagesClient], **policy: str) -> Played:
    (scenario,) = stage.scenarios(TALK)
    stage.runs += 1
    folder = stage.root / f"run-{stage.runs}"
    folder.mkdir()
    return ready(config(stage, client, **policy), scenario, Mode()).play(folder)


def test_a_structured_answer_may_be_laid_out_anew(stage: Stage) -> None:
    assert checks_of(play(stage, LaysOut)) == []


def test_thoughts_that_are_not_sent_back_are_a_choice_that_the_probe_measures(stage: Stage) -> None:
    assert ("history", "wire") in checks_of(play(stage, WithoutThoughts))
    policy = probe(config(stage, WithoutThoughts), "assistant").policy

    assert policy["answer"] == "without_thinking"
    assert checks_of(play(stage, WithoutThoughts, **policy)) == []
    assert "answer" not in probe(stage.config(), "assistant").policy


@pytest.mark.parametrize("policy", [{}, {"answer": "without_thinking"}])
def test_another_answer_is_another_one_under_every_policy(stage: Stage, policy: dict[str, str]) -> None:
    assert ("history", "wire") in checks_of(play(stage, ChangesAnswers, **policy))


def test_json_with_another_value_is_another_answer() -> None:
    before = Block("assistant", "text", '{"name": "Ada", "age": 3}')

    assert is_kept(before, Block("assistant", "text", '{"age":3,"name":"Ada"}'))
    assert not is_kept(before, Block("assistant", "text", '{"name":"Ada","age":4}'))
    assert not is_kept(before, Block("user", "text", '{"name":"Ada","age":3}'))
    assert not is_kept(Block("assistant", "text", "[1"), Block("assistant", "text", "[1]"))


USE = {"type": "tool_use", "id": "1", "name": "load", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "1", "content": []}
TEXT = {"type": "text", "text": "Hm."}


def said(role: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


@pytest.mark.parametrize(
    "messages",
    [
        [said("user", TEXT), said("assistant", USE), said("assistant", TEXT), said("user", RESULT)],
        [said("user", TEXT), said("assistant", USE), said("user"), said("user", RESULT)],
        [said("user", TEXT), said("assistant", USE), said("user", {"type": "text", "text": " "}), said("user", RESULT)],
    ],
    ids=["two of the assistant", "an empty one of the user", "a blank one of the user"],
)
def test_messages_are_paired_as_the_apis_read_them(messages: list[dict[str, Any]]) -> None:
    assert _pair_problem(messages) == ""
    assert _pair_problem(messages[:-1]) == "the tool use load has no result"
    other = {**RESULT, "tool_use_id": "2"}
    assert _pair_problem([*messages[:-1], said("user", other)]) == "the tool use load has no result"
