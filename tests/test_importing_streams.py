"""Every recording in ../shared/streams: imported and green when it is replayed, or left out with an honest reason."""

import csv
from pathlib import Path

import pytest

from convtest.importing.reading.content import NotImportable
from tests.importing import FORGETFUL, Bench

STREAMS = Path(__file__).parent.parent.parent / "shared" / "streams"
needs_streams = pytest.mark.skipif(
    not STREAMS.is_dir(), reason="the folder of recorded streams (shared/streams) is not here"
)
NO_KIND = "no kind of client speaks the Responses API"
REASONS = {
    "ai____fixtures____anthropic-compaction.1.chunks.txt": "the events of one stream",
    "ai____fixtures____openai-error.1.chunks.txt": "the events of one stream",
    "openinference__test_instrumentor__test_client_real_agent_span.yaml": "no format that is known",
    "dd-trace-py__cassettes__anthropic_completion_error.yaml": "the user says nothing in it that can be read",
}
"""What is not imported: what the error says."""
SCRIPTED = {
    "chatlas__test_chat__test_deepcopy_chat.yaml": NO_KIND,
    "chatlas__test_chat_dangling_tools__TestDanglingToolRequests."
    "test_can_resume_chat_after_dangling_tool_requests.yaml": NO_KIND,
    "llm-anthropic__test_anthropic__test_tools.yaml": "answered the same arguments in two ways",
    "pydantic-ai__test_anthropic__test_anthropic_compaction_round_trip.yaml": "more than words",
}
"""What becomes a scenario with scripts: why its recording makes no cassette."""
GREEN = 16
"""Files whose every conversation is replayed from what was recorded."""


def listed() -> list[str]:
    if not STREAMS.is_dir():
        return []
    with (STREAMS / "INDEX.csv").open(encoding="utf-8") as file:
        return [row["file"] for row in csv.DictReader(file)]


def refusal(bench: Bench, name: str) -> str:
    try:
        bench.takes(STREAMS / name)
    except NotImportable as error:
        return str(error)
    return ""


@needs_streams
@pytest.mark.parametrize("name", listed())
def test_a_recording_is_imported_and_green_or_says_why_not(tmp_path: Path, name: str) -> None:
    bench = Bench(tmp_path)
    if name in REASONS:
        assert REASONS[name] in refusal(bench, name)
        assert not bench.config.scenarios[0].exists()
        return
    made = bench.takes(STREAMS / name)

    assert {one.state for one in made.outcomes} == {"simulates" if name in SCRIPTED else "replays"}
    assert all(SCRIPTED.get(name, "") in one.why for one in made.outcomes)
    outcomes = list(bench.plays())
    assert len(outcomes) == len(made.outcomes)
    for played in outcomes:
        assert played.verdict.passed, played.verdict
        assert played.transcript.source == ("simulated" if name in SCRIPTED else "replayed")
    for number, broken in enumerate(bench.plays(kind="python", target=FORGETFUL)):
        remembers = any(len(one.canonical.messages) > 1 for one in outcomes[number].transcript.interactions)
        assert broken.verdict.passed is not remembers, broken.verdict


@needs_streams
def test_enough_of_them_are_green() -> None:
    assert len(listed()) == 24
    assert {*REASONS, *SCRIPTED} <= set(listed())
    assert len(set(listed()) - {*REASONS, *SCRIPTED}) >= GREEN
