"""Streams parse the same however they are cut; real ones of the Messages API to complete replies."""

import csv
import gzip
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from convtest.events import Event, ToolUse, text_of
from convtest.wire.messages_api import MessageStream
from convtest.wire.replies import reply_of
from convtest.wire.sse import ServerEvent, SSEParser, parse

STREAMS = Path(__file__).parent.parent.parent / "shared" / "streams"


def test_fields_comments_and_line_ends() -> None:
    data = b": hello\r\nevent: a\rdata: one\ndata:two\nid: 7\nretry: 9\n\ndata:  two spaces\n\nevent: no data\n\n"

    assert parse([data]) == [ServerEvent("a", "one\ntwo"), ServerEvent("message", " two spaces")]


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse([b"\xef", b"\xbb", b"\xbfdata: x\n\n"]) == [ServerEvent("message", "x")]


def test_an_event_without_its_blank_line_is_dropped() -> None:
    assert parse([b"data: x\n\ndata: y\n"]) == [ServerEvent("message", "x")]


LINES = st.sampled_from(["data: a", "data:", "data: é😀", "event: x", ": c", "", "", "id: 1", "nonsense", "data"])


@given(
    st.lists(LINES, max_size=12),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(min_value=0, max_value=200), max_size=8),
)
def test_law_the_cut_into_chunks_changes_nothing(lines: list[str], end: str, cuts: list[int]) -> None:
    data = "".join(line + end for line in lines).encode()
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    chunks = [data[a:b] for a, b in itertools.pairwise(edges)]

    assert parse(chunks) == parse([data]) == parse([data[i : i + 1] for i in range(len(data))])


def recorded_streams() -> list[tuple[str, bytes]]:
    if not STREAMS.is_dir():
        return []
    with (STREAMS / "INDEX.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["provider"] == "anthropic"]
    return [one for row in rows for one in _READERS[row["format"]](STREAMS / row["file"])]


def _streams(path: Path) -> Iterator[tuple[str, bytes]]:
    for index, one in enumerate(yaml.safe_load(path.read_text())["interactions"]):
        headers = str(one["response"]["headers"])
        if "event-stream" in headers:
            body: Any = one["response"]["body"]["string"]
            data = body if isinstance(body, bytes) else body.encode()
            yield f"{path.stem}-{index}", gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """A file with one event's data to a line, as the stream that it was."""
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    yield path.stem, b"".join(f"event: {json.loads(line)['type']}\ndata: {line}\n\n".encode() for line in lines)


_READERS = {"vcrpy": _streams, "jsonl-events": _lines}
RECORDED = recorded_streams()
needs_streams = pytest.mark.skipif(not RECORDED, reason="the folder of recorded streams (shared/streams) is not here")


def played(chunks: list[bytes]) -> tuple[MessageStream, list[Event]]:
    parser, stream = SSEParser(), MessageStream()
    events = [event for chunk in chunks for server in parser.feed(chunk) for event in stream.feed(server)]
    return stream, events


@needs_streams
@pytest.mark.parametrize("data", [data for _, data in RECORDED], ids=[name for name, _ in RECORDED])
@pytest.mark.parametrize("size", [1, 7, 1000, 10**9])
def test_a_recorded_stream_is_a_complete_reply_whatever_the_chunking(data: bytes, size: int) -> None:
    stream, events = played([data[i : i + size] for i in range(0, len(data), size)])

    assert stream.complete
    assert stream.error is None
    assert stream.message == reply_of(data, is_stream=True)
    assert stream.message["stop_reason"] in {"end_turn", "tool_use", "max_tokens"}
    blocks = stream.message["content"]
    assert text_of(events) == "".join(block["text"] for block in blocks if block["type"] == "text")
    calls = [event for event in events if isinstance(event, ToolUse)]
    assert [call.input for call in calls] == [block["input"] for block in blocks if block["type"] == "tool_use"]


@needs_streams
def test_there_are_enough_recorded_streams() -> None:
    assert len(RECORDED) >= 20
