"""`during`: a second prompt, or another session's step, while a turn streams."""

import pytest

from convtest.errors import ScenarioError
from convtest.play.mode import Mode
from convtest.wire.tap import OpenTurn, Tap
from tests.playing import GOOD, Stage, checks_of, finding_of
from tests.test_processes import own, play

SECOND = """
    scenario: a second prompt in mid-turn
    timeout: 10s
    facts:
      who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
    steps:
      - tell: who
      - user: Tell me a long story about a lighthouse.
        during:
          after: 3
          steps:
            - ask: who
              id: second
        expect: {contains: lighthouse}
      - user: What is 1 + 1?
        expect: {contains: "2", sent: {messages: 7}}
    """
OTHER = """
    scenario: another session in mid-turn
    timeout: 10s
    sessions: {alice: {}, bob: {}}
    steps:
      - session: alice
        user: Tell me a long story about a lighthouse.
        during:
          at: first_event
          steps:
            - {session: bob, user: What is 2 + 3?, expect: {contains: "5", sent: {messages: 1}}}
            - {fork: bob, as: carol}
            - {session: carol, user: What is 2 + 4?, expect: {contains: "6", sent: {messages: 3}}}
        expect: {contains: lighthouse}
      - session: alice
        user: What is 1 + 1?
        expect: {sent: {messages: 3}}
    """


@pytest.mark.parametrize("text", [SECOND, OTHER], ids=["second", "other"])
@pytest.mark.parametrize("process", ["ours", "own"])
def test_it_plays_simulated_recorded_and_replayed(stage: Stage, text: str, process: str) -> None:
    for mode in (Mode(), Mode(record="all"), Mode()):
        outcome = stage.play(text, mode=mode) if process == "ours" else play(stage, text, own(), mode)

        assert outcome.verdict.passed, outcome.verdict
        order = [record.step.index for record in outcome.transcript.records]
        assert order == list(range(1, len(order) + 1))
    first = outcome.transcript.turns()[1 if text is SECOND else 0]
    assert len(first.events) > 10
    assert outcome.transcript.source == "replayed"


def test_a_request_that_overtakes_its_turn_is_handed_over(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a process is quicker than its turn end is read."""
    real = Tap.begin_turn

    def late(tap: Tap, lane: str, turn: OpenTurn) -> None:
        turn.number = 2 if turn.number == 3 else turn.number
        real(tap, lane, turn)

    monkeypatch.setattr(Tap, "begin_turn", late)

    outcome = stage.play(SECOND)

    assert outcome.verdict.passed, outcome.verdict
    assert [one.turn for one in outcome.transcript.interactions] == [1, 2, 3, 4]


def test_the_other_session_is_answered_before_the_turn_ends(stage: Stage) -> None:
    outcome = stage.play(OTHER)

    alice, bob = (outcome.transcript.turns(name)[0].interactions[0] for name in ("alice", "bob"))
    last = alice.chunks[-1].ms + alice.sent_at
    assert alice.sent_at < bob.sent_at < bob.sent_at + bob.chunks[-1].ms < last


def test_a_client_that_mixes_the_two_prompts_is_caught(stage: Stage) -> None:
    outcome = stage.play(SECOND, "tests.test_during:mixes")

    assert ("history", "wire") in checks_of(outcome)


def mixes(opening: object) -> object:
    """Takes the second prompt into its history at once, before the answer to the first."""
    from convtest.clients.messages.client import MessagesClient

    class Mixes(MessagesClient):
        async def query(self, text: str) -> None:
            asked, self._asked = self._asked, False
            await super().query(text)
            self._twice = asked

        async def receive_response(self):  # type: ignore[no-untyped-def]
            async for event in super().receive_response():
                yield event
            self._asked = True

    return Mixes(opening)  # type: ignore[arg-type]


def test_a_point_that_is_never_reached_fails_and_the_steps_are_not_run(stage: Stage) -> None:
    outcome = stage.play(SECOND.replace("after: 3", "after: 300"))

    assert finding_of(outcome, "disturb").expected == "during after 300"
    assert [turn.step.id for turn in outcome.transcript.turns()] == [None, None, None]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("after: 3", "times: 3"), "unknown key 'times'"),
        (("          after: 3\n", ""), "during needs either after: or at:"),
        (("- ask: who\n              id: second", "- clear: main"), "clear on the session whose turn is streaming"),
        (("- ask: who\n              id: second", "- together: [[{user: a}]]"), "together needs branches"),
    ],
)
def test_what_makes_no_sense_is_refused(stage: Stage, change: tuple[str, str], says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        stage.prepare(SECOND.replace(*change), GOOD)
