"""A recording made anew changes in nothing but what changed: reviews are small, and replay judges as it would have."""

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtest.cassettes import store
from convtest.cassettes.format import from_plain, to_text
from convtest.cassettes.naming import Names
from convtest.cassettes.player import Player
from convtest.cassettes.reading import read
from convtest.cassettes.scrubbing import NOTHING_KNOWN, Scrubber
from convtest.cassettes.steady import steadied
from convtest.cassettes.store import Cassette
from convtest.clock import VirtualClock
from convtest.play.mode import Mode, Rules
from convtest.play.recording import recording
from convtest.wire.interaction import Chunk, Interaction, Request
from convtest.wire.tap import Answer, Via
from tests.models import model

URL = "https://api.anthropic.com/v1/messages"
STREAM = (("content-type", "text/event-stream"), ("request-id", "any"))


@dataclass(frozen=True)
class Turn:
    """What is asked in a lane and what is answered; with `calls`, a tool is used first."""

    lane: str
    asks: str
    answers: str
    calls: bool = False


def stream(run: str, number: int, text: str, *, calls: bool) -> bytes:
    block: dict[str, Any] = {"type": "text", "text": ""}
    if calls:
        block = {"type": "tool_use", "id": f"toolu_{run}_{number}", "name": "look", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": "{}"} if calls else {"type": "text_delta", "text": text}
    events = [
        {"type": "message_start", "message": {"id": f"msg_{run}_{number}", "role": "assistant", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use" if calls else "end_turn"}},
        {"type": "message_stop"},
    ]
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


class Client:
    """Keeps a history for each lane, and sends back what it was answered: ids of tool uses too."""

    def __init__(self) -> None:
        self.histories: dict[str, list[dict[str, Any]]] = {}

    def ask(self, lane: str, text: str) -> bytes:
        return self._body(lane, {"role": "user", "content": text})

    def bring(self, lane: str, reply: dict[str, Any]) -> bytes:
        self.histories[lane].append({"role": "assistant", "content": reply["content"]})
        results = [{"type": "tool_result", "tool_use_id": use["id"], "content": "ok"} for use in reply["content"]]
        return self._body(lane, {"role": "user", "content": results})

    def heard(self, lane: str, reply: dict[str, Any]) -> str:
        self.histories[lane].append({"role": "assistant", "content": reply["content"]})
        return "".join(block["text"] for block in reply["content"])

    def _body(self, lane: str, message: dict[str, Any]) -> bytes:
        history = self.histories.setdefault(lane, [])
        history.append(message)
        return json.dumps({"model": "m", "messages": history}).encode()


def interaction(number: int, lane: str, body: bytes, **more: Any) -> Interaction:
    request = Request(method="POST", url=URL, headers=(("x-request-id", "q"),), body=body)
    return Interaction(number=number, lane=lane, turn=1, request=request, **more)


def recorded(turns: Sequence[Turn], run: str, digest: str = "scenario") -> str:
    """The text of a cassette; its ids and times are those of this run."""
    client, made = Client(), list[Interaction]()

    def answer(turn: Turn, body: bytes, *, calls: bool) -> dict[str, Any]:
        number = len(made) + 1
        data = stream(run, number, turn.answers, calls=calls)
        ms = float(len(run) * 10 + number)
        halves = [Chunk(ms, data[:50]), Chunk(ms + 7, data[50:])]
        headers = (*STREAM, ("date", f"day {run}"))
        common = {"status": 200, "headers": headers, "first_byte": ms, "ended": "complete", "chunks": halves}
        made.append(interaction(number, turn.lane, body, **common))
        return made[-1].reply()

    for turn in turns:
        body = client.ask(turn.lane, turn.asks)
        if turn.calls:
            body = client.bring(turn.lane, answer(turn, body, calls=True))
        client.heard(turn.lane, answer(turn, body, calls=False))
    made[0].digest = digest
    return to_text(made)


def names() -> Names:
    return Names(NOTHING_KNOWN)


def changed_lines(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]


TALK = [
    Turn("ada", "Hello", "Hi"),
    Turn("bob", "Good day", "Good day to you"),
    Turn("ada", "What is it?", "A cat", calls=True),
    Turn("bob", "And you?", "Well"),
    Turn("ada", "Thanks", "Welcome"),
]


def edited(turns: Sequence[Turn], at: int, answers: str) -> list[Turn]:
    return [Turn(t.lane, t.asks, answers, t.calls) if n == at else t for n, t in enumerate(turns)]


def test_a_recording_in_which_only_times_and_ids_are_new_stays_byte_for_byte() -> None:
    old, new = recorded(TALK, "one"), recorded(TALK, "another")

    assert old != new
    assert steadied(old, new, names()) == old


def test_the_order_of_lanes_that_ran_at_once_stays() -> None:
    old = recorded(TALK, "one")
    new = recorded([TALK[1], TALK[0], TALK[3], TALK[2], TALK[4]], "another")

    assert steadied(old, new, names()) == old


def test_an_answer_that_changed_is_the_only_thing_that_does() -> None:
    old = recorded(TALK, "one")
    steady = steadied(old, recorded(edited(TALK, 4, "You are welcome"), "another"), names())

    lines = changed_lines(old, steady)
    assert any("You are welcome" in line for line in lines)
    blocks = [text.split("\n- ") for text in (old, steady)]
    differing = [a != b for a, b in zip(*blocks, strict=True)]
    # ada's tool was used under a new id, which her last request names.
    assert differing == [False, False, False, True, True, False, True]


def test_without_ids_in_the_history_only_the_changed_answer_is_new() -> None:
    talk = [turn for turn in TALK if not turn.calls]
    old = recorded(talk, "one")
    steady = steadied(old, recorded(edited(talk, 3, "You are welcome"), "another"), names())

    blocks = [text.split("\n- ") for text in (old, steady)]
    assert [a != b for a, b in zip(*blocks, strict=True)] == [False, False, False, False, True]
    assert steady.count("sent:") == 4


def test_a_scenario_that_asks_for_the_same_in_other_words_changes_one_line() -> None:
    old = recorded(TALK, "one")
    steady = steadied(old, recorded(TALK, "another", "other"), names())

    assert changed_lines(old, steady) == ["-      digest: scenario", "+      digest: other"]


def test_a_turn_that_was_added_or_taken_away_leaves_the_others_as_they_were() -> None:
    talk = [turn for turn in TALK if not turn.calls]
    old = recorded(talk[:2], "one")

    longer = steadied(old, recorded(talk, "another"), names())
    assert longer.startswith(old[: old.rindex("version")])
    assert steadied(longer, recorded(talk[:2], "third"), names()) == old


def test_what_may_not_be_stored_by_now_goes() -> None:
    old = recorded([Turn("ada", "I live in Ghent-9000-Belgium", "Nice")], "one")
    knows = Names(Scrubber({"TOWN": "Ghent-9000-Belgium"}))
    new = old.replace("Ghent-9000-Belgium", "SCRUBBED_TOWN-1")

    assert steadied(old, new, knows) == new


@pytest.mark.parametrize("old", ["", "a: [", "interactions: []\nversion: 1\n", "interactions:\n- 5\nversion: 1\n"])
def test_what_is_no_recording_of_ours_is_replaced(old: str) -> None:
    new = recorded(TALK, "one")

    assert steadied(old, new, names()) == new


TURNS = st.lists(
    st.builds(
        Turn,
        lane=st.sampled_from(["ada", "bob"]),
        asks=st.sampled_from(["Hello", "What is it?", "sent: 5", "x-convtest:"]),
        answers=st.sampled_from(["Hi", "A cat", "- request:\n    x-convtest:\n      sent: 9\n", "version: 1\n"]),
        calls=st.booleans(),
    ),
    min_size=1,
    max_size=6,
)
EDITS = st.dictionaries(st.integers(0, 5), st.sampled_from(["Hi", "Other", "A cat"]), max_size=3)


@settings(max_examples=120, deadline=None)
@given(TURNS, EDITS, st.randoms(use_true_random=False), st.integers(0, 2))
def test_law_what_stays_replays_as_the_new_recording_does(
    turns: list[Turn], edits: dict[int, str], random: Any, more: int
) -> None:
    now = list(turns)
    for at, answers in edits.items():
        now = edited(now, at, answers)
    now = [*interleaved(now, random), *turns[:more]]
    old, new = recorded(turns, "one"), recorded(now, "another")

    steady = steadied(old, new, names())

    assert replayed(steady, now) == replayed(new, now)
    assert None not in replayed(steady, now)
    assert steadied(steady, new, names()) == steady
    if now == turns:
        assert steady == old


def interleaved(turns: Sequence[Turn], random: Any) -> list[Turn]:
    """In another order of the lanes, each in its own order."""
    lanes = {lane: [turn for turn in turns if turn.lane == lane] for lane in ("ada", "bob")}
    found = []
    while any(lanes.values()):
        lane = random.choice([lane for lane, left in lanes.items() if left])
        found.append(lanes[lane].pop(0))
    return found


def replayed(text: str, turns: Sequence[Turn]) -> list[str | None]:
    """What a client hears from the recording; None where it misses."""
    player, client, clock = Player(from_plain(read(text.encode())), command=""), Client(), VirtualClock()

    async def forward(request: Request) -> Answer:
        raise AssertionError

    async def run() -> list[str | None]:
        heard: list[str | None] = []
        for turn in turns:
            body = client.ask(turn.lane, turn.asks)
            reply = await asked(turn.lane, body)
            if turn.calls and reply is not None:
                reply = await asked(turn.lane, client.bring(turn.lane, reply))
            if reply is None:
                return [*heard, None]
            heard.append(client.heard(turn.lane, reply))
        return heard

    async def asked(lane: str, body: bytes) -> dict[str, Any] | None:
        one = interaction(1, lane, body)
        answer = await player.answer(one, None, Via(clock=clock, forward=forward))
        one.headers = answer.headers
        one.chunks = [Chunk(0.0, data) async for data in answer.chunks]
        return None if one.missed else one.reply()

    return anyio.run(run)


def test_recording_again_changes_only_what_the_server_changed(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"

    def record(url: str) -> bytes:
        with recording(Cassette(path, "c.yaml", "record"), Mode(record="all"), Rules(), node="test"):
            for text in ("Hello", "And now?"):
                body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": text}]}
                httpx.post(f"{url}/v1/messages", json=body).read()
        return path.read_bytes()

    with model() as (url, does):
        first = record(url)
        state = path.stat().st_mtime_ns
        does.pause = 0.02
        second = record(url)
        assert path.stat().st_mtime_ns == state
        does.edit = lambda data: data.replace(b"forty", b"fifty") if does.requests[-1].find(b"now") > 0 else data
        third = record(url)

    assert first == second != third
    lines = changed_lines(first.decode(), third.decode())
    assert any("fifty" in line for line in lines)
    assert not any("Hello" in line or "sent" in line for line in lines)
    assert len(store.load(path, shown="c.yaml")) == 2
