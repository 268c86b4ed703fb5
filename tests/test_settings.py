"""System, tools, model and sampling change where a step or the policy says so."""

from typing import Any

import msgspec
import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.clients.registry import make
from convtest.config import Config
from convtest.play.mode import Mode
from convtest.play.perform import Played, ready
from convtest.probe.probing import probe
from convtest.structs import replace
from tests.playing import Stage, checks_of, finding_of

ME = "tests.test_settings"
TALK = """
scenario: a talk
options: {system: You are terse., temperature: 0.5}
tools: {look_up: {input: {what: string}, answers: [{return: in the attic}]}}
steps:
  - user: My name is Ada.
  - user: What is 1 + 1?
  - user: What is my name?
"""


class Varies(MessagesClient):
    """From the second turn on its body is another one."""

    def _body(self) -> bytes:
        body: dict[str, Any] = msgspec.json.decode(super()._body())
        return msgspec.json.encode(self.changed(body) if len(self._turns) > 1 else body)

    def changed(self, body: dict[str, Any]) -> dict[str, Any]:
        return body


class OtherModel(Varies):
    def changed(self, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "model": "claude-opus-5"}


class NoTools(Varies):
    def changed(self, body: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in body.items() if key != "tools"}


class Warmer(Varies):
    def changed(self, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "temperature": 1.0}


class Clock(Varies):
    """An honest one: what time it is stands in the system prompt."""

    def changed(self, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "system": f"{body['system']} It is {len(self._turns)} o'clock."}


def config(stage: Stage, client: type[MessagesClient], **policy: str) -> Config:
    made = stage.config(f"tests.test_settings:{client.__name__}")
    return replace(made, clients={"assistant": replace(made.profile("assistant"), policy=policy)})


def play(stage: Stage, client: type[MessagesClient], mode: Mode | None = None, **policy: str) -> Played:
    (scenario,) = stage.scenarios(TALK)
    stage.runs += 1
    folder = stage.root / f"run-{stage.runs}"
    folder.mkdir()
    return ready(config(stage, client, **policy), scenario, mode or Mode()).play(folder)


@pytest.mark.parametrize(("client", "name"), [(OtherModel, "model"), (NoTools, "tools")])
@pytest.mark.parametrize("mode", [Mode(), Mode(record="all")], ids=["simulated", "recorded"])
def test_what_was_there_and_is_gone_fails_also_where_nothing_is_replayed(
    stage: Stage, client: type[MessagesClient], name: str, mode: Mode
) -> None:
    found = finding_of(play(stage, client, mode), "settings")

    assert (found.layer, found.step) == ("wire", 2)
    assert found.message.startswith(name)


@pytest.mark.parametrize("client", [Warmer, Clock])
def test_what_may_vary_is_a_choice(stage: Stage, client: type[MessagesClient]) -> None:
    assert checks_of(play(stage, client)) == []
    assert {check for check, _ in checks_of(play(stage, client, settings="fixed"))} == {"settings"}


@pytest.mark.parametrize("client", [OtherModel, NoTools])
def test_a_client_that_chooses_its_model_says_so(stage: Stage, client: type[MessagesClient]) -> None:
    found = finding_of(play(stage, client), "settings")

    assert "settings = 'free'" in found.advice
    assert checks_of(play(stage, client, settings="free")) == []


def test_a_step_may_change_them(stage: Stage) -> None:
    text = """
        scenario: changed
        steps:
          - user: My name is Ada.
          - set: main
            options: {model: claude-opus-5, system: You are kind.}
          - user: What is 1 + 1?
          - fork: main
            as: other
          - session: other
            user: What is my name?
          - set: main
            options: {temperature: 0.2}
          - fork: main
            as: third
          - session: third
            user: What is my name?
    """
    made = stage.config()
    strict = replace(made, clients={"assistant": replace(made.profile("assistant"), policy={"settings": "fixed"})})
    (scenario,) = stage.scenarios(text)
    folder = stage.root / "run"
    folder.mkdir()

    assert checks_of(ready(strict, scenario, Mode()).play(folder)) == []


def test_the_probe_measures_whether_they_vary(stage: Stage) -> None:
    stage.options = {**stage.options, "system": "You are terse."}

    assert probe(stage.config(), "assistant").policy["settings"] == "fixed"
    assert probe(config(stage, Clock), "assistant").policy["settings"] == "vary"


def test_our_own_client_is_held_to_them(stage: Stage) -> None:
    """By its kind: a `messages` profile declares nothing and is fixed."""
    made = stage.config()
    own = replace(made, clients={"assistant": replace(made.profile("assistant"), kind="messages", target=None)})

    assert make(own, "assistant").policy({}).settings == "fixed"


class CutsSchemas(MessagesClient):
    """Its tools are offered without what they take."""

    def _body(self) -> bytes:
        body: dict[str, Any] = msgspec.json.decode(super()._body())
        bare = {"type": "object", "properties": {}}
        return msgspec.json.encode({**body, "tools": [{**tool, "input_schema": bare} for tool in body["tools"]]})


class StrictSchemas(MessagesClient):
    """Honest: schemas are made strict, and names are written in its own way."""

    def _body(self) -> bytes:
        body: dict[str, Any] = msgspec.json.decode(super()._body())
        strict = {"type": "object", "properties": {"What": {"type": "string"}}, "additionalProperties": False}
        return msgspec.json.encode({**body, "tools": [{**tool, "input_schema": strict} for tool in body["tools"]]})


class LoadsTools(MessagesClient):
    """Honest: schemas are found by a search, and the tools themselves come without."""

    def _body(self) -> bytes:
        body: dict[str, Any] = msgspec.json.decode(super()._body())
        given = [{k: v for k, v in tool.items() if k != "input_schema"} for tool in body["tools"]]
        return msgspec.json.encode({**body, "tools": [{**tool, "defer_loading": True} for tool in given]})


def test_a_tool_that_is_offered_without_its_parameters_is_told_once(stage: Stage) -> None:
    found = [one for one in stage.play(TALK, f"{ME}:CutsSchemas").verdict.findings if one.check == "settings"]

    assert [(one.message, one.expected, one.seen) for one in found] == [
        ("the tool look_up is offered without all its parameters", "what", "no parameters")
    ]


@pytest.mark.parametrize("client", ["StrictSchemas", "LoadsTools"])
def test_a_tool_that_is_offered_in_another_form_is_the_same(stage: Stage, client: str) -> None:
    assert "settings" not in {check for check, _ in checks_of(stage.play(TALK, f"{ME}:{client}"))}


class OtherSchema(MessagesClient):
    """Offers the scenario's tool with a schema that lost its arguments, from the second turn on."""

    def _body(self) -> bytes:
        body: dict[str, Any] = msgspec.json.decode(super()._body())
        if len(self._turns) > 1:
            body["tools"] = [{**tool, "input_schema": {"type": "object"}} for tool in body["tools"]]
        return msgspec.json.encode(body)


def test_tools_are_compared_with_their_schemas(stage: Stage) -> None:
    played = play(stage, OtherSchema, settings="fixed")
    (found,) = [one for one in played.verdict.findings if one.message.startswith("tools")]

    assert (found.check, found.step) == ("settings", 2)
    assert "what" in found.expected
    assert "what" not in found.seen


OWN_TOOL = {"name": "find", "description": "Finds.", "input_schema": {"type": "object", "properties": {"x": {}}}}


class WithTools(MessagesClient):
    """Has a tool, a stop sequence, a beta and a query of its own; `lost` says what of it one version has no more."""

    lost = ""

    def _body(self) -> bytes:
        body: dict[str, Any] = msgspec.json.decode(super()._body())
        body["tools"] = [*body.get("tools", []), OWN_TOOL]
        body["stop_sequences"] = ["END"]
        match self.lost:
            case "schema":
                body["tools"][-1] = {**OWN_TOOL, "input_schema": {"type": "object"}}
            case "tool":
                body["tools"].pop()
            case "model":
                body["model"] = "claude-opus-5"
            case "system" | "stop_sequences":
                body.pop(self.lost)
        return msgspec.json.encode(body)


class NoTool(WithTools):
    lost = "tool"


class NoSchema(WithTools):
    lost = "schema"


class NoStop(WithTools):
    lost = "stop_sequences"


class NoSystem(WithTools):
    lost = "system"


class FromTheStartAnother(WithTools):
    lost = "model"


HELLO = """
scenario: hello
tools: {look_up: {input: {what: string}, answers: [{return: in the attic}]}}
steps: [{user: My name is Ada.}, {user: What is my name?}]
"""


def with_sends(stage: Stage, client: type[MessagesClient], text: str, sends: dict[str, Any]) -> Played:
    made = config(stage, client)
    own = replace(made, clients={"assistant": replace(made.profile("assistant"), sends=sends)})
    (scenario,) = stage.scenarios(text)
    stage.runs += 1
    folder = stage.root / f"run-{stage.runs}"
    folder.mkdir()
    return ready(own, scenario, Mode()).play(folder)


def test_what_every_request_carries_is_measured_and_held_to_from_the_first_one_on(stage: Stage) -> None:
    stage.options = {**stage.options, "system": "You are terse."}
    sends = dict(probe(config(stage, WithTools), "assistant").sends)

    assert sends["model"] == "claude-haiku-4-5"
    assert sends["system"] == "You are terse."
    assert sends["stop_sequences"] == ["END"]
    assert list(sends["tools"]) == ["find"]
    assert sends["headers"] == {"anthropic-version": "2023-06-01"}
    assert checks_of(with_sends(stage, WithTools, HELLO, sends)) == []
    broken = {
        NoTool: "tools find is not sent",
        NoSchema: "tools find is not what every request of this client carries",
        NoStop: "stop_sequences is not sent",
        NoSystem: "system is not sent",
        FromTheStartAnother: "model is not what every request of this client carries",
    }
    for client, message in broken.items():
        found = finding_of(with_sends(stage, client, HELLO, sends), "settings")
        assert (found.message, found.layer, found.step) == (message, "wire", 1)
        assert "convtest probe assistant" in found.advice


def test_what_a_scenario_sets_is_its_own_business(stage: Stage) -> None:
    stage.options = {**stage.options, "system": "You are terse."}
    sends = dict(probe(config(stage, WithTools), "assistant").sends)
    kind = HELLO.replace("tools:", "options: {system: You are kind., temperature: 0.5}\ntools:")
    same_name = HELLO.replace("look_up", "find")

    assert checks_of(with_sends(stage, WithTools, kind, sends)) == []
    assert "settings" not in {check for check, _ in checks_of(with_sends(stage, NoTool, same_name, sends))}
