"""Replay: equal requests play, any other word misses, and the message shows the word."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest

from convtest.cassettes.player import Player
from convtest.clock import RealClock, VirtualClock
from convtest.errors import NoCassette, RecordingEnds, ScenarioChanged, UnreadableCassette
from convtest.play.mode import Mode
from convtest.reporting.failure import failure_text
from convtest.simulator.rendering import Reply, chunks
from convtest.wire.interaction import Chunk, Interaction, Request
from convtest.wire.tap import Answer, Via
from tests.playing import Stage, checks_of, finding_of

TALK = """
    scenario: a talk
    steps:
      - user: I am fond of hiking.
      - user: What is 1 + 1?
        expect: {contains: "2"}
    """
TOOLS = """
    scenario: tools
    tools:
      look_up: {input: {what: string}, answers: [{when: {what: a}, return: first}, {return: second}]}
    steps:
      - user: Look it up.
        simulate:
          - calls: [{look_up: {what: a}}, {look_up: {what: b}}]
          - text: Here it is.
      - user: Thank you for that.
    """


def test_a_change_of_what_is_declared_volatile_still_replays(stage: Stage) -> None:
    stage.record(TOOLS)

    assert stage.play(TOOLS, "tests.broken_clients:without_cache_hints").verdict.passed


def test_swapped_ids_miss(stage: Stage) -> None:
    stage.record(TOOLS)

    outcome = stage.play(TOOLS, "tests.broken_clients:swaps_tool_ids")

    assert ("miss", "wire") in checks_of(outcome)


def test_one_other_word_misses_and_the_message_shows_it(stage: Stage) -> None:
    stage.record(TALK)

    outcome = stage.play(TALK, "tests.broken_clients:changes_a_word")

    assert ("miss", "wire") in checks_of(outcome)
    text = failure_text(outcome.result())
    assert "message 1 (user) differs:" in text
    assert "- I am fond of [hiking.]" in text
    assert "+ I am fond of [skiing.]" in text
    assert "if the change is meant, record it: convtest record --mode all scenarios/talk.yaml::a-talk" in text


def test_a_changed_scenario_is_an_error_and_not_the_clients_fault(stage: Stage) -> None:
    stage.record(TALK)

    with pytest.raises(ScenarioChanged) as caught:
        stage.play(TALK.replace("hiking", "skiing"))

    assert "the scenario changed since it was recorded — cassettes/talk/a-talk.yaml" in str(caught.value)
    assert "[skiing.]" in str(caught.value)
    assert "convtest record --mode all scenarios/talk.yaml::a-talk" in str(caught.value)


def test_a_request_recorded_in_another_lane_is_not_played_and_the_message_says_so(stage: Stage) -> None:
    text = """
        scenario: two
        sessions: {alice: {}, bob: {}}
        steps:
          - session: alice
            user: I like winter gardening.
          - session: bob
            user: What is 1 + 1?
        """
    stage.record(text)
    recorded = stage.cassette().read_text()
    stage.cassette().write_text(
        recorded.replace("lane: alice", "lane: carol").replace("lane: bob", "lane: alice").replace("carol", "bob")
    )

    outcome = stage.play(text)

    assert "this is what 'bob' was recorded to send" in finding_of(outcome, "miss").message


def test_what_is_recorded_and_not_asked_for_fails_an_item_that_passed(stage: Stage) -> None:
    stage.record(TALK, "tests.broken_clients:TwoRequests")

    outcome = stage.play(TALK)

    assert checks_of(outcome) == [("unplayed", "wire"), ("unplayed", "wire")]


def test_side_requests_may_come_in_another_order(stage: Stage) -> None:
    stage.record(TALK, "tests.broken_clients:TwoRequests")
    text = stage.cassette().read_text()
    stage.cassette().write_text(
        text.replace("sent: 1\n", "sent: 9\n").replace("sent: 2\n", "sent: 1\n").replace("sent: 9\n", "sent: 2\n")
    )

    assert stage.play(TALK, "tests.broken_clients:TwoRequests").verdict.passed


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def user(words: str) -> dict[str, Any]:
    return {"role": "user", "content": [text(words)]}


def interaction(messages: list[dict[str, Any]], body: list[bytes]) -> Interaction:
    data = msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": messages})
    request = Request(method="POST", url="https://api.anthropic.com/v1/messages", headers=(), body=data)
    one = Interaction(number=1, lane="main", turn=1, request=request, status=200, first_byte=0.0, ended="complete")
    one.headers = (("content-type", "text/event-stream"),)
    one.chunks = [Chunk(float(n), data) for n, data in enumerate(body)]
    return one


CUT = """
    scenario: cut
    steps:
      - user: Tell me a long story about a lighthouse.
        %s
      - user: What is 1 + 1?
    """
INTERRUPTED = "interrupt: {after: %d}\n        expect: {ended: {one_of: [interrupted, complete, connection_lost]}}"


def test_an_interrupt_replays_to_its_cut(stage: Stage) -> None:
    text = CUT % (INTERRUPTED % 3)
    recorded = stage.record(text).transcript

    replayed = stage.play(text)

    assert replayed.verdict.passed
    assert replayed.transcript.turns()[0].text == recorded.turns()[0].text == "Once there was"


def test_an_interrupt_later_than_the_recorded_cut_ends_the_item_at_once(stage: Stage) -> None:
    stage.record(CUT % (INTERRUPTED % 3))

    with pytest.raises(RecordingEnds, match="the recording ends after event 3, due in this run: interrupt after 10"):
        stage.play(CUT % (INTERRUPTED % 10))


def test_a_run_without_the_recorded_interrupt_ends_the_item_at_once(stage: Stage) -> None:
    stage.record(CUT % (INTERRUPTED % 3))

    with pytest.raises(RecordingEnds, match="the recording ends after event 3, this run goes on"):
        stage.play(CUT % "")


EARLIER = user("Once, please."), {"role": "assistant", "content": [text("Once there")]}
CALL = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
CALLED = {"role": "assistant", "content": [CALL]}
STORY, NEXT = user("Tell me a story."), user("And now?")


def kept(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


@pytest.mark.parametrize(
    ("sent", "plays"),
    [
        ([*EARLIER, STORY, kept(text("Once there was")), NEXT], True),
        ([*EARLIER, STORY, kept(text("Once")), NEXT], True),
        ([*EARLIER, STORY, NEXT], True),
        ([*EARLIER, {**STORY, "content": [*STORY["content"], *NEXT["content"]]}], True),
        ([*EARLIER, STORY, kept(text("Once there was a")), NEXT], False),
        ([*EARLIER, STORY, kept(text("there")), NEXT], False),
        ([*EARLIER, STORY, kept(text("Once"), CALL), NEXT], False),
        ([EARLIER[0], STORY, kept(text("Once there was")), NEXT], False),
        ([EARLIER[0], kept(text("Once")), STORY, kept(text("Once there was")), NEXT], False),
        ([*EARLIER, CALLED, STORY, NEXT], False),
        ([*EARLIER, NEXT], False),
    ],
)
def test_only_the_answer_that_was_cut_may_be_kept_in_part(sent: list[dict[str, Any]], plays: bool) -> None:
    """Another message of the assistant that begins like it, or that has no text, is not its business."""
    cut = interaction([*EARLIER, STORY], chunks(Reply(id="m", model="m", text="Once there was"))[:-1])
    cut.ended = "closed_by_client"
    then = interaction(
        [*EARLIER, STORY, kept(text("Once there was")), NEXT], chunks(Reply(id="m", model="m", text="x"))
    )
    player = Player([cut, then], command="")

    async def ask() -> int:
        via = Via(clock=VirtualClock(), forward=nowhere)
        return (await player.answer(interaction(sent, []), None, via)).status

    assert anyio.run(ask) == (200 if plays else 418)


def test_no_cassette_and_a_real_upstream_is_an_error_with_the_command(stage: Stage) -> None:
    with pytest.raises(NoCassette, match=r"record it: convtest record scenarios/talk\.yaml::a-talk"):
        stage.prepare(TALK, upstream="https://api.anthropic.com")


def test_a_broken_cassette_is_an_error_and_stays_as_it_is(stage: Stage) -> None:
    stage.record(TALK)
    stage.cassette().write_bytes(stage.cassette().read_bytes()[:800])
    before = stage.cassette().read_bytes()

    for mode in (Mode(), Mode(record="once"), Mode(record="new_episodes")):
        with pytest.raises(UnreadableCassette, match="restore it from version control"):
            stage.play(TALK, mode=mode)
    assert stage.cassette().read_bytes() == before


async def nowhere(request: Request) -> Answer:
    raise AssertionError("nothing is sent on")


class _Noted(RealClock):
    """A clock that notes what it is asked to wait, and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []

    async def sleep(self, ms: float) -> None:
        self.asked.append(ms)
        await anyio.lowlevel.checkpoint()


def test_replay_asks_the_clock_for_exactly_the_recorded_sleeps() -> None:
    request = Request(method="POST", url="https://x.example", headers=(), body=b"{}")
    recorded = Interaction(
        number=1,
        lane="main",
        turn=1,
        request=request,
        status=200,
        first_byte=40.0,
        chunks=[Chunk(55.0, b"a"), Chunk(55.0, b"b"), Chunk(301.5, b"c")],
        ended="complete",
    )
    clock = _Noted()

    async def replay() -> list[bytes]:
        player = Player([recorded], command="")
        sent = Interaction(number=1, lane="main", turn=1, request=request)
        answer = await player.answer(sent, None, Via(clock=clock, forward=nowhere))
        return [data async for data in answer.chunks]

    assert anyio.run(replay) == [b"a", b"b", b"c"]
    assert clock.asked == [40.0, 15.0, 0.0, 246.5]


def test_speed_divides_the_recorded_pace() -> None:
    waited: list[float] = []

    async def sleep(clock: RealClock) -> None:
        await clock.sleep(100)

    with pytest.MonkeyPatch.context() as patch:

        async def noted(seconds: float) -> None:
            waited.append(seconds)

        patch.setattr("convtest.clock.anyio", SimpleNamespace(sleep=noted))
        anyio.run(sleep, RealClock(1))
        anyio.run(sleep, RealClock(4))

    assert waited == [0.1, 0.025]


def test_a_virtual_clock_waits_for_nothing_and_still_tells_the_time() -> None:
    clock = VirtualClock()

    anyio.run(clock.sleep, 60_000.0)

    assert clock.now() == 60_000


def test_a_recording_of_plain_vcrpy_answers_any_lane(stage: Stage) -> None:
    stage.record(TALK)
    lines = stage.cassette().read_text().splitlines(keepends=True)
    plain, skipping = [], False
    for line in lines:
        skipping = line == "    x-convtest:\n" or (skipping and line.startswith("      "))
        if not skipping:
            plain.append(line)
    stage.cassette().write_text("".join(plain))

    outcome = stage.play(TALK)

    assert "x-convtest" not in stage.cassette().read_text()
    assert outcome.verdict.passed


def test_replaying_never_writes(stage: Stage, tmp_path: Path) -> None:
    stage.record(TALK)
    before = {path: path.read_bytes() for path in (tmp_path / "cassettes").rglob("*") if path.is_file()}

    stage.play(TALK)
    stage.play(TALK, "tests.broken_clients:changes_a_word")

    assert {path: path.read_bytes() for path in (tmp_path / "cassettes").rglob("*") if path.is_file()} == before
