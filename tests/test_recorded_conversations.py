"""Honest conversations that others recorded, sent again as they were: the default invariants blame none of them, and
see what is broken in copies of them.

They are those of ../shared/streams, and of every folder that CONVTEST_RECORDINGS names: `scripts/recordings` fetches
some.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from convtest.config import Config, Profile
from convtest.play.mode import Mode
from convtest.play.perform import Played, perform
from convtest.play.prepare import prepare
from convtest.scenario.loader import load
from tests.recorded import (
    Conversation,
    Exchange,
    Resender,
    Turn,
    conversations,
    exchanges,
    items,
    scenario_of,
    write_cassette,
)
from tests.recorded_edits import EDITS, edited

STREAMS = Path(__file__).parent.parent.parent / "shared" / "streams"
FOLDERS = [STREAMS, *map(Path, filter(None, os.environ.get("CONVTEST_RECORDINGS", "").split(os.pathsep)))]


def recordings() -> dict[str, Path]:
    """By a short name: the distribution's, where it is of one, and the file's."""
    found = [path for folder in FOLDERS if folder.is_dir() for path in sorted(folder.rglob("*"))]
    of_cassettes = [path for path in found if path.parent == STREAMS or "cassettes" in path.parts]
    return {_name(path): path for path in of_cassettes if path.name.endswith((".yaml", ".yaml.gz", ".txt"))}


def _name(path: Path) -> str:
    stem = path.name.removesuffix(".gz").removesuffix(".yaml").removesuffix(".txt")
    above = [part for part in path.parts if part.startswith("langchain_")]
    return f"{above[0].partition('-')[0]}/{stem}" if above else stem


RECORDINGS = recordings()
NO_REQUESTS = {
    "openinference__test_instrumentor__test_client_real_agent_span": "what a program said on its pipes: no HTTP in it",
    "ai____fixtures____anthropic-compaction.1.chunks": "a stream whose request was not recorded",
    "ai____fixtures____openai-error.1.chunks": "a stream whose request was not recorded",
    "langchain_openai/test_langchain_openai_embeddings_equivalent_to_raw": "embeddings",
    "langchain_openai/test_langchain_openai_embeddings_equivalent_to_raw_async": "embeddings",
}
"""Recordings in which no model is asked for an answer."""

RED = {
    "dd-trace-py__cassettes__anthropic_completion_error": (
        {"prompts_once"},
        "its one message is a bare string where the API takes objects, and got 400: no prompt stands in it",
    ),
    "pydantic-ai__test_anthropic__test_anthropic_compaction_round_trip": (
        {"prompts_once"},
        "its client did send the prompt twice, in two blocks of one message: the verdict is right",
    ),
    "langchain_openai/test_file_search": (
        {"settings"},
        "its author takes the tool away for the second turn, which a scenario says with a set: step",
    ),
}
"""By recording: the checks that fail, and why they are right to, or why nobody can do better."""


def play(folder: Path, scenario: dict[str, Any], made: Sequence[Conversation]) -> Played:
    Resender.scripts = {one.name: one.turns for one in made}
    write_cassette(Path(scenario["cassette"]), _in_order(made))
    target = "tests.recorded:Resender"
    profile = Profile(name="assistant", kind="python", target=target, upstream="simulator")
    config = Config(
        root=folder,
        scenarios=(folder,),
        cassettes=folder / "cassettes",
        client="assistant",
        clients={"assistant": profile},
    )
    (folder / "recorded.yaml").write_text(json.dumps(scenario))
    path = folder / "recorded.yaml"
    (loaded,) = load(path, shown="recorded.yaml", default_client="assistant", clients=("assistant",))
    run = folder / "run"
    run.mkdir()
    return perform(prepare(config, loaded, Mode()), run)


def _in_order(made: Sequence[Conversation]) -> list[Exchange]:
    return [one for conversation in made for turn in conversation.turns for one in turn.rounds]


def test_there_is_something_to_play() -> None:
    if not STREAMS.is_dir():
        pytest.skip("the folder of recorded streams (shared/streams) is not here")
    asked = {name: exchanges(path) for name, path in RECORDINGS.items() if name not in NO_REQUESTS}

    assert len([name for name in RECORDINGS if "/" not in name]) >= 22
    assert all(asked.values()), [name for name, found in asked.items() if not found]
    assert sum(len(conversations(found)) for found in asked.values()) >= 22


def test_the_other_folders_are_there() -> None:
    if len(FOLDERS) == 1:
        pytest.skip("CONVTEST_RECORDINGS names no folder with further recordings: scripts/recordings fetches some")

    assert all(folder.is_dir() and any(folder.rglob("*.yaml*")) for folder in FOLDERS[1:])


@pytest.mark.parametrize("name", RECORDINGS)
def test_an_honest_conversation_is_not_blamed(tmp_path: Path, name: str) -> None:
    if name in NO_REQUESTS:
        pytest.skip(NO_REQUESTS[name])
    made = conversations(exchanges(RECORDINGS[name]))

    outcome = play(tmp_path, scenario_of(name, tmp_path / "recorded-by-others.yaml", made), made)

    expected, _ = RED.get(name, (set(), ""))
    assert {finding.check for finding in outcome.verdict.findings} == expected, outcome.verdict
    assert not outcome.transcript.not_run
    assert outcome.transcript.source == "replayed"
    assert len(outcome.transcript.interactions) == len(_in_order(made))
    assert not [one for one in outcome.verdict.not_seen if "cannot be told" not in one.why], outcome.verdict.not_seen


def test_nothing_is_excused_that_is_not_there() -> None:
    if not STREAMS.is_dir() or len(FOLDERS) == 1:
        pytest.skip("not all recordings are here")

    assert {*RED, *NO_REQUESTS, *(recording for recording, _ in SURVIVES)} <= set(RECORDINGS)


NO_WORDS = "the model said nothing that could be read: what a client puts in the place of that is its own"
ADDED = "the server keeps the history: what a client adds to a prompt of its own cannot be told from a frame"
DANGLING = (
    "chatlas__test_chat_dangling_tools__TestDanglingToolRequests.test_can_resume_chat_after_dangling_tool_requests"
)
SURVIVES: dict[tuple[str, str], str] = {
    ("chatlas__test_provider_anthropic__test_anthropic_empty_response", "the last answer is dropped"): NO_WORDS,
    ("chatlas__test_provider_anthropic__test_anthropic_empty_response", "a stranger's message is put in"): NO_WORDS,
    ("chatlas__test_provider_anthropic__test_anthropic_empty_response", "the answer is altered"): NO_WORDS,
    ("chatlas__test_provider_anthropic__test_anthropic_empty_response", "half of the answer is lost"): NO_WORDS,
    (
        "chatlas__test_chat_dangling_tools__TestDanglingToolRequests.test_can_resume_chat_after_dangling_tool_requests",
        "a tool result is replaced",
    ): "its client names results otherwise than the model named the uses: what the tool answered is not shown",
    ("langchain_openai/test_mcp_builtin", "a stranger's message is put in"): ADDED,
    ("langchain_openai/test_mcp_builtin", "a stranger's conversation stands before it"): ADDED,
    ("langchain_openai/test_web_search", "a stranger's message is put in"): ADDED,
    ("langchain_openai/test_web_search", "a stranger's conversation stands before it"): ADDED,
}
"""By recording and edit: why nobody can see it."""


def broken(found: Sequence[Conversation]) -> Iterator[tuple[str, Conversation]]:
    """Each edit of each request that goes on with another one, as a conversation of its own."""
    for conversation in found:
        rounds = [one for turn in conversation.turns for one in turn.rounds]
        if any(one.status >= 400 for one in rounds):
            continue
        for before, one in pairwise(rounds):
            known = 0 if one.sent.get("previous_response_id") else len(items(before.sent))
            for title, edit in EDITS.items():
                if (body := edited(one, known, edit)) is not None:
                    yield title, _with(conversation, one, replace(one, edited=body))


def _with(conversation: Conversation, one: Exchange, other: Exchange) -> Conversation:
    turns = [Turn(turn.prompt, [other if each is one else each for each in turn.rounds]) for turn in conversation.turns]
    return Conversation(conversation.name, conversation.before, turns)


@pytest.mark.parametrize("name", RECORDINGS)
def test_what_is_broken_in_a_copy_of_it_is_seen(tmp_path: Path, name: str) -> None:
    """The copy is recorded as it is: nothing misses, and only the invariants can tell."""
    if name in NO_REQUESTS:
        pytest.skip(NO_REQUESTS[name])
    unseen = set()
    for number, (title, one) in enumerate(broken(conversations(exchanges(RECORDINGS[name])))):
        folder = tmp_path / str(number)
        folder.mkdir()
        outcome = play(folder, scenario_of(name, folder / "recorded-by-others.yaml", [one]), [one])
        assert not [finding for finding in outcome.verdict.findings if finding.check in {"miss", "unplayed"}]
        unseen |= {title} if outcome.verdict.passed else set()

    assert unseen == {title for recording, title in SURVIVES if recording == name}
