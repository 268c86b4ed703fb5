"""What stays of a turn in which the client was killed; tools that ran, and tools that only seem to have."""

import dataclasses
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from convtest.clients.messages.chat_completions import ChatCompletionsClient
from convtest.clients.messages.client import MessagesClient
from convtest.config import Config
from convtest.events import Event, ToolResult, ToolUse
from convtest.play.mode import Mode
from convtest.play.perform import Played, ready
from convtest.probe.probing import probe
from convtest.structs import replace
from tests.playing import GOOD, Stage, checks_of, finding_of

KILLED = """
scenario: killed
tools: {look_up: {input: {what: string}, answers: [{return: in the attic}]}}
steps:
  - user: My name is Ada.
  - user: Where is it?
    simulate: [{text: "I look for it. ", calls: [{look_up: {what: it}}]}, {words: 10}]
    disturb: {do: kill, AT}
    expect: {ended: connection_lost}
  - resume: main
  - user: And now?
"""
IN_TEXT, AT_TOOL = KILLED.replace("AT}", "after: 2}"), KILLED.replace("AT}", "at: tool_use}")


class Edits(MessagesClient):
    """Changes what it has stored of a killed turn when it is resumed."""

    def edited(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return messages

    async def connect(self) -> None:
        await super().connect()
        if self._opening.resume and self._turns:
            begin = self._turns[-1]
            self._messages[begin:] = self.edited(self._messages[begin:])
            self._turns = self._turns if len(self._messages) > begin else self._turns[:-1]


class DropsTheTurn(Edits):
    def edited(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return []


class KeepsThePrompt(Edits):
    """As a client that writes a turn down at its end alone."""

    def edited(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return messages[:1]


class DropsTheUse(Edits):
    def edited(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        kept = [{**one, "content": [b for b in one["content"] if b["type"] == "text"]} for one in messages]
        return [one for one in kept if one["content"]]


class MakesUpAResult(Edits):
    """Tells the model that the tool has worked, and has never run it."""

    says = "It is done."

    def edited(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        def told(block: dict[str, Any]) -> dict[str, Any]:
            if block["type"] != "tool_result":
                return block
            return {"type": "tool_result", "tool_use_id": block["tool_use_id"], "content": self.says}

        return [{**one, "content": [told(block) for block in one["content"]]} for one in messages]


class SaysSoInWords(MakesUpAResult):
    """Honest: without the flag, as many clients do it."""

    says = "Tool call look_up was cancelled before it could be completed."


def target(client: type[MessagesClient]) -> str:
    return GOOD if client is MessagesClient else f"tests.test_killed:{client.__name__}"


def config(stage: Stage, client: type[MessagesClient], **policy: str) -> Config:
    made = stage.config(target(client))
    return replace(made, clients={"assistant": replace(made.profile("assistant"), policy=policy)})


def play(stage: Stage, client: type[MessagesClient], text: str, **policy: str) -> Played:
    (scenario,) = stage.scenarios(text)
    stage.runs += 1
    folder = stage.root / f"run-{stage.runs}"
    folder.mkdir()
    return ready(config(stage, client, **policy), scenario, Mode()).play(folder)


def failed(outcome: Played) -> set[str]:
    return {check for check, _ in checks_of(outcome)}


@pytest.mark.parametrize(
    ("client", "text", "policy", "fails"),
    [
        (MessagesClient, IN_TEXT, {}, None),
        (MessagesClient, AT_TOOL, {}, None),
        (MessagesClient, IN_TEXT, {"killed_prompt": "kept", "killed_text": "yielded"}, None),
        (MessagesClient, IN_TEXT, {"killed_prompt": "dropped"}, "kept_text"),
        (MessagesClient, IN_TEXT, {"killed_text": "dropped"}, "kept_text"),
        (MessagesClient, AT_TOOL, {"killed_tool_use": "dropped"}, "kept_text"),
        (MessagesClient, AT_TOOL, {"killed_tool_use": "either"}, None),
        (DropsTheTurn, IN_TEXT, {}, None),
        (DropsTheTurn, IN_TEXT, {"killed_prompt": "dropped"}, None),
        (DropsTheTurn, IN_TEXT, {"killed_prompt": "kept"}, "prompts_once"),
        (DropsTheTurn, AT_TOOL, {}, "kept_text"),
        (DropsTheTurn, AT_TOOL, {"killed_tool_use": "dropped"}, None),
        (KeepsThePrompt, IN_TEXT, {"killed_prompt": "kept", "killed_text": "dropped"}, None),
        (KeepsThePrompt, IN_TEXT, {"killed_text": "yielded"}, "kept_text"),
        (KeepsThePrompt, AT_TOOL, {}, "kept_text"),
        (DropsTheUse, AT_TOOL, {}, "kept_text"),
        (DropsTheUse, AT_TOOL, {"killed_tool_use": "either"}, None),
        # An interrupt's choices say nothing of a kill.
        (MessagesClient, IN_TEXT, {"interrupted_prompt": "dropped", "partial_text": "dropped"}, None),
    ],
)
def test_what_stays_of_a_killed_turn_is_what_the_policy_says(
    stage: Stage, client: type[MessagesClient], text: str, policy: dict[str, str], fails: str | None
) -> None:
    assert failed(play(stage, client, text, **policy)) == ({fails} if fails else set())


def test_a_tool_use_that_is_lost_is_named_with_what_to_do(stage: Stage) -> None:
    found = finding_of(play(stage, KeepsThePrompt, AT_TOOL), "kept_text")

    assert found.message == "a tool use that was yielded before the kill is gone from the history: look_up"
    assert 'killed_tool_use = "dropped"' in found.advice


def test_a_killed_process_of_our_own_client_loses_no_tool_use(stage: Stage) -> None:
    made = stage.config()
    made = replace(made, clients={"assistant": replace(made.profile("assistant"), own_process=True)})
    (scenario,) = stage.scenarios(AT_TOOL)
    folder = stage.root / "own"
    folder.mkdir()

    assert checks_of(ready(made, scenario, Mode()).play(folder)) == []


@pytest.mark.parametrize(
    ("client", "choices"),
    [
        (MessagesClient, ("kept", "yielded", "kept")),
        (KeepsThePrompt, ("kept", "dropped", "dropped")),
        (DropsTheTurn, ("dropped", None, "dropped")),
    ],
)
def test_the_probe_measures_a_kill(stage: Stage, client: type[MessagesClient], choices: tuple[str | None, ...]) -> None:
    policy = probe(config(stage, client), "assistant").policy

    assert tuple(policy.get(name) for name in ("killed_prompt", "killed_text", "killed_tool_use")) == choices


@pytest.mark.parametrize("client", [MakesUpAResult, SaysSoInWords])
def test_a_result_that_nothing_carried_out_is_told_as_an_error(stage: Stage, client: type[MessagesClient]) -> None:
    outcome = play(stage, client, AT_TOOL)

    if client is SaysSoInWords:
        assert failed(outcome) == set()
        return
    assert failed(outcome) == {"tool_pairs"}
    found = finding_of(outcome, "tool_pairs")
    assert "told what the tool look_up came to, and nothing carried it out" in found.message
    assert found.seen == "'It is done.'"


TOOLS = """
scenario: tools
tools: {look_up: {input: {what: string}, answers: [{return: in the attic}]}}
steps:
  - user: Where is it?
    simulate: [{calls: [{look_up: {what: it}}]}, {text: There.}]
  - user: Where was it?
    simulate: [{calls: [{look_up: {what: it}}]}, {text: There.}]
"""


class NeverRuns(MessagesClient):
    """In the middle of an ordinary turn, too."""

    async def _run_tools(self, calls: Any) -> AsyncGenerator[Event, None]:
        done = [{"type": "tool_result", "tool_use_id": one.id, "content": "on the roof"} for one in calls]
        self._messages.append({"role": "user", "content": done})
        for _ in ():
            yield _


class NeverRunsChat(ChatCompletionsClient):
    _run_tools = NeverRuns._run_tools


class Caches(MessagesClient):
    """Honest: runs a tool once for the same arguments."""

    known: dict[str, Any]

    async def connect(self) -> None:
        self.known = {}
        for name, tool in self._tools.items():
            self._tools[name] = dataclasses.replace(tool, call=self._once(tool.call))
        await super().connect()

    def _once(self, call: Any) -> Any:
        async def cached(given: Any) -> Any:
            if str(given) not in self.known:
                self.known[str(given)] = await call(given)
            return self.known[str(given)]

        return cached


@pytest.mark.parametrize(
    ("client", "fails"), [(MessagesClient, False), (Caches, False), (NeverRuns, True), (NeverRunsChat, True)]
)
def test_made_up_results_of_ordinary_turns(stage: Stage, client: type[MessagesClient], fails: bool) -> None:
    outcome = play(stage, client, TOOLS)

    assert failed(outcome) == ({"tool_pairs"} if fails else set())


CUT = """
scenario: cut
tools: {look_up: {input: {what: string}, answers: [{return: in the attic}]}}
steps:
  - user: Where is it?
    simulate: [{text: I look., calls: [{look_up: {what: it}}, {look_up: {what: that}}]}, {text: In the attic.}]
    fault: {do: HOW, after: AFTER}
    expect: {ended: {one_of: [complete, connection_lost]}}
"""


class RunsWhatCame(MessagesClient):
    """Any tool use that came whole is run, whether the answer did or not."""

    async def _read(self, response: Any, current: Any) -> AsyncGenerator[Event, None]:
        try:
            async for event in super()._read(response, current):
                yield event
        except Exception:
            if not current.calls:
                raise
        if current.calls:
            current.end = None


class TellsOfTheCut(RunsWhatCame):
    """Honest: goes on as well, and tells the model that nothing was run."""

    async def _run_tools(self, calls: Any) -> AsyncGenerator[Event, None]:
        self._answer_open(calls, "not run: the connection broke off")
        for _ in ():
            yield _


@pytest.mark.parametrize("how", ["close", "eof", "reset"])
@pytest.mark.parametrize(("client", "fails"), [(MessagesClient, False), (RunsWhatCame, True), (TellsOfTheCut, False)])
def test_a_tool_of_an_answer_that_broke_off_is_not_run(
    stage: Stage, how: str, client: type[MessagesClient], fails: bool
) -> None:
    whole = stage.play(CUT.replace("    fault: {do: HOW, after: AFTER}\n", "")).transcript.interactions[0]
    pieces = whole.body.split(b"\n\n")
    stops = [number for number, one in enumerate(pieces, 1) if b"event: content_block_stop" in one]

    outcome = play(stage, client, CUT.replace("HOW", how).replace("AFTER", str(stops[1])))

    assert failed(outcome) == ({"whole_answer"} if fails else set())
    assert (
        failed(play(stage, client, CUT.replace("HOW", how).replace("AFTER", str(stops[1])), broken_tools="run"))
        == set()
    )
    if fails:
        assert "its tools were run and it went on" in finding_of(outcome, "whole_answer").seen


class HidesTools(MessagesClient):
    """Honest: shows nobody its tools."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async for event in super().receive_response():
            if not isinstance(event, ToolUse | ToolResult):
                yield event


@pytest.mark.parametrize("do", ["interrupt", "kill"])
def test_tools_that_a_client_shows_nobody_may_stand_in_its_history(stage: Stage, do: str) -> None:
    text = KILLED.replace("{do: kill, AT}", f"{{do: {do}, after: 8}}").replace(
        "ended: connection_lost", "ended: {one_of: [connection_lost, interrupted]}"
    )

    assert failed(play(stage, HidesTools, text)) == set()
