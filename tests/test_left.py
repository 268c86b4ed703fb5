"""The application's task is cancelled in mid-turn, its reader leaves, or is slow: the session holds together."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.config import Profile
from convtest.errors import ScenarioError
from convtest.events import Event, TurnEnd
from convtest.play.mode import Mode
from convtest.play.perform import Played
from convtest.structs import replace
from tests.playing import GOOD, Stage, checks_of, finding_of

STORY = """
    scenario: left
    timeout: 20s
    facts: {{who: {{tell: My name is Ada., ask: What is my name?, answer: Ada}}}}
    steps:
      - tell: who
      - user: Tell me about the sea.
        simulate: {{text: The sea is wide and blue.}}
        disturb: {disturb}
        expect: {expect}
      - user: What is 1 + 1?
        expect: {{contains: "2"}}
      - ask: who
    """
TOOLS = """
    scenario: left at a tool
    timeout: 20s
    facts: {{who: {{tell: My name is Ada., ask: What is my name?, answer: Ada}}}}
    tools:
      look: {{input: {{what: string}}, answers: [{{return: here}}]}}
    steps:
      - tell: who
      - user: Where are my keys?
        simulate:
          - {{text: I will look., calls: [{{look: {{what: keys}}}}]}}
          - {{text: They are here.}}
        disturb: {disturb}
        expect: {expect}
      - ask: who
    """
INTERRUPTED = "{ended: interrupted}"
WAYS = {
    "cancelled": "{do: cancel, after: 3}",
    "cancelled twice": "{do: cancel, after: 3, times: 2}",
    "cancelled with the request out": "{do: cancel, after: 0}",
    "cancelled before the request": "{do: cancel, at: before_request}",
    "left": "{do: leave, after: 3}",
    "left with the request out": "{do: leave, after: 0}",
    "left in time": "{do: leave, at: before_request, after: 50ms}",
}


class Left(MessagesClient):
    """It does something of its own where nobody read on."""

    def left(self) -> None:
        raise NotImplementedError

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        try:
            async with aclosing(super().receive_response()) as events:
                async for event in events:
                    yield event
        except BaseException:
            self.left()
            raise


class GoesOn(Left):
    """What was asked is still its turn where nobody reads on: the next prompt waits behind it."""

    def left(self) -> None:
        self._asked = True


class KeepsAll(Left):
    """It puts down an answer that it made up where nobody read on."""

    def left(self) -> None:
        self._messages.append({"role": "assistant", "content": [{"type": "text", "text": "The sea is deep."}]})


class LeavesToolOpen(MessagesClient):
    """A tool use has no result where nobody read on."""

    def _answer_open(self, calls: Any, why: str) -> None:
        """Nothing."""


class Forgets(Left):
    """A cancelled task takes the history with it."""

    def left(self) -> None:
        self._messages, self._turns = [], []


class Swallows(MessagesClient):
    """It catches its own cancellation, and goes on telling as if nothing were."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        try:
            async with aclosing(super().receive_response()) as events:
                async for event in events:
                    yield event
        except BaseException as error:
            if isinstance(error, GeneratorExit):
                raise
        yield TurnEnd()


class Drops(MessagesClient):
    """It has room for two events, and drops what comes while its reader is away."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        count = 0
        async with aclosing(super().receive_response()) as events:
            async for event in events:
                count += 1
                if count <= 3 or isinstance(event, TurnEnd):
                    yield event


def played(stage: Stage, text: str, target: str = GOOD, *, own: bool = False, backend: str = "asyncio") -> Played:
    config = stage.config(target if ":" in target else f"tests.test_left:{target}")
    profile = replace(config.clients["assistant"], own_process=own)
    return stage.play_with(replace(config, clients={"assistant": profile}), text, Mode(backend=backend))


@pytest.mark.parametrize("where", ["asyncio", "trio", "own"])
@pytest.mark.parametrize("way", WAYS)
def test_the_session_of_an_honest_client_holds_together(stage: Stage, way: str, where: str) -> None:
    text = STORY.format(disturb=WAYS[way], expect=INTERRUPTED)

    outcome = played(stage, text, own=where == "own", backend="trio" if where == "trio" else "asyncio")

    assert checks_of(outcome) == [], outcome.verdict
    assert outcome.transcript.turns()[1].text == ("The sea is" if "after: 3" in WAYS[way] else "")


@pytest.mark.parametrize("do", ["cancel", "cancel, times: 2", "leave"])
@pytest.mark.parametrize("point", ["text", "tool_use", "tool_result"])
def test_it_does_at_a_tool(stage: Stage, do: str, point: str) -> None:
    text = TOOLS.format(disturb=f"{{do: {do}, at: {point}}}", expect=INTERRUPTED)

    for own in (False, True):
        assert checks_of(played(stage, text, own=own)) == []


@pytest.mark.parametrize("do", ["cancel", "cancel, times: 2", "leave"])
def test_what_was_left_is_recorded_and_replays(stage: Stage, do: str) -> None:
    text = STORY.format(disturb=f"{{do: {do}, after: 3}}", expect=INTERRUPTED)

    stage.record(text)
    replayed = stage.play(text)

    assert checks_of(replayed) == []
    assert replayed.transcript.source == "replayed"


@pytest.mark.parametrize(
    ("target", "text", "do", "check"),
    [
        ("GoesOn", STORY, "cancel", "prompts_once"),
        ("GoesOn", STORY, "leave", "prompts_once"),
        ("KeepsAll", STORY, "cancel", "kept_text"),
        ("KeepsAll", STORY, "leave", "kept_text"),
        ("LeavesToolOpen", TOOLS, "cancel", "tool_pairs"),
        ("LeavesToolOpen", TOOLS, "leave", "tool_pairs"),
        ("Forgets", STORY, "cancel", "knows"),
        ("Forgets", STORY, "cancel, times: 2", "knows"),
        ("Swallows", STORY, "cancel", "ended"),
    ],
)
def test_a_client_that_does_not_hold_is_found(stage: Stage, target: str, text: str, do: str, check: str) -> None:
    at = "at: tool_use" if text == TOOLS else "after: 3"

    outcome = played(stage, text.format(disturb=f"{{do: {do}, {at}}}", expect=INTERRUPTED), target)

    assert check in dict(checks_of(outcome)), checks_of(outcome)


@pytest.mark.parametrize("own", [False, True], ids=["in process", "own"])
def test_a_slow_reader_gets_the_whole_answer_and_history_holds_it(stage: Stage, own: bool) -> None:
    text = STORY.format(disturb="{do: slow, after: 1, pause: 30ms}", expect="{equals: The sea is wide and blue.}")

    outcome = played(stage, text, own=own)

    assert checks_of(outcome) == []
    turn = outcome.transcript.turns()[1]
    assert not turn.disturbed
    assert turn.total_ms is not None
    assert turn.total_ms > 30 * 3


def test_a_client_that_drops_what_its_slow_reader_does_not_take_is_found(stage: Stage) -> None:
    text = STORY.format(disturb="{do: slow, after: 1, pause: 10ms}", expect="{ended: complete}")

    outcome = played(stage, text, "Drops")

    assert "said" in dict(checks_of(outcome)), checks_of(outcome)


def test_a_slow_turn_binds_what_follows_as_any_other(stage: Stage) -> None:
    class_ = "ForgetsTheSea"
    text = STORY.format(disturb="{do: slow, after: 1, pause: 10ms}", expect="{ended: complete}")

    outcome = played(stage, text, class_)

    assert finding_of(outcome, "history").layer == "wire"


class ForgetsTheSea(MessagesClient):
    async def query(self, text: str) -> None:
        if text.startswith("What is 1"):
            del self._messages[2:]
            del self._turns[1:]
        await super().query(text)


@pytest.mark.parametrize(
    ("disturb", "says"),
    [
        ("{do: leave, after: 1, times: 2}", "times: goes with a status, and with cancel: leave is done once"),
        ("{do: cancel, after: 1, pause: 1s}", "pause: is what a slow reader takes for each event (do: slow)"),
        ("{do: slow, after: 1, pause: soon}", "'soon' is not a duration"),
    ],
)
def test_what_makes_no_sense_is_refused(stage: Stage, disturb: str, says: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        stage.play(STORY.format(disturb=disturb, expect=INTERRUPTED))

    assert says in str(caught.value)


def agent(stage: Stage, text: str, **profile: Any) -> Played:
    pytest.importorskip("claude_agent_sdk")
    given = {"kind": "claude_agent_sdk", "options": {"model": "claude-haiku-4-5", "time_limit": 30}, **profile}
    one = Profile(name="assistant", upstream="simulator", env={"CLAUDE_CODE_MAX_RETRIES": "1"}, **given)
    config = replace(stage.config(), clients={"assistant": one})
    return stage.play_with(config, text.replace("timeout: 20s", "timeout: 60s"))


@pytest.mark.parametrize("mode", ["client", "query"])
@pytest.mark.parametrize(
    "disturb",
    ["{do: cancel, after: 3}", "{do: cancel, after: 3, times: 2}", "{do: leave, after: 3}", "{do: cancel, after: 0}"],
)
def test_the_agents_session_holds_together(stage: Stage, disturb: str, mode: str) -> None:
    text = STORY.format(disturb=disturb, expect=INTERRUPTED)

    outcome = agent(stage, text, options={"model": "claude-haiku-4-5", "time_limit": 30, "mode": mode})

    assert checks_of(outcome) == [], outcome.verdict


def test_the_agent_that_nobody_tells_is_a_turn_behind(stage: Stage) -> None:
    text = STORY.format(disturb="{do: leave, after: 3}", expect=INTERRUPTED)

    outcome = agent(stage, text, kind="python", target="tests.claude_clients:TellsNobody", gateway=True)

    assert "one_end" in dict(checks_of(outcome)), checks_of(outcome)


def test_the_agents_slow_reader_gets_all_of_it(stage: Stage) -> None:
    text = STORY.format(disturb="{do: slow, after: 1}", expect="{equals: The sea is wide and blue.}")

    assert checks_of(agent(stage, text)) == []
