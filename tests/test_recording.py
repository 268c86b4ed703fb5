"""Recording: chunk by chunk as the client reads, whole cassettes or none, what each mode writes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import pytest

from convtest.cassettes import store
from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from convtest.clock import VirtualClock
from convtest.events import TextDelta
from convtest.play.mode import Mode
from convtest.play.perform import perform
from convtest.play.prepare import prepare
from convtest.simulator.rendering import Reply, chunks
from convtest.simulator.source import Simulator
from convtest.wire.interaction import Chunk
from convtest.wire.messages_api import PUBLIC_URL
from convtest.wire.tap import Tap
from convtest.wire.transports import binding
from tests.playing import GOOD, Stage, checks_of

TALK = """
    scenario: a talk
    steps:
      - user: My name is Ada.
      - user: What is my name?
        expect: {contains: %s}
    """


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_client_gets_its_first_event_before_the_third_chunk_is_asked_for(tmp_path: Path, backend: str) -> None:
    clock = VirtualClock()
    simulator = Simulator()
    tap = Tap(simulator, clock)
    client = MessagesClient(
        Opening(
            session="main",
            options={"model": "claude-haiku-4-5"},
            base_url=PUBLIC_URL,
            api_key="x",
            transport=binding("httpx").async_transport(tap, "main"),
            workspace=tmp_path,
            store=tmp_path / "store",
        )
    )

    async def first_event() -> int:
        await client.connect()
        await client.query("Tell me a story about a lighthouse.")
        asked = 0
        async for event in client.receive_response():
            if isinstance(event, TextDelta) and not asked:
                asked = simulator.asked
        await client.disconnect()
        return asked

    assert anyio.run(first_event, backend=backend) == 2
    assert len(tap.interactions[0].chunks) > 15


def test_each_chunk_keeps_its_boundary_and_time(stage: Stage) -> None:
    recorded = stage.record(TALK % "Ada").transcript.interactions

    loaded = store.load(stage.cassette(), shown="c")

    assert [[c.data for c in one.chunks] for one in loaded] == [[c.data for c in one.chunks] for one in recorded]
    assert [c.ms for c in loaded[0].chunks] == [60, 70, 80, 90, 100, 110, 120]
    assert loaded[0].first_byte == 50
    assert loaded[0].lane == "main"
    assert [one.turn for one in loaded] == [1, 2]


def test_an_interrupted_stream_is_saved_as_such(stage: Stage) -> None:
    stage.record(
        """
        scenario: cut
        steps:
          - user: Tell me a long story about a lighthouse.
            interrupt: {after: 3}
            expect: {ended: interrupted}
          - user: What is 1 + 1?
        """
    )

    cut, whole = store.load(stage.cassette(), shown="c")

    assert (cut.ended, len(cut.chunks), cut.yielded) == ("closed_by_client", 4, ["text"] * 3)
    assert whole.ended == "complete"


def test_a_request_cut_before_its_first_byte_is_saved_without_a_response(stage: Stage) -> None:
    stage.record(
        """
        scenario: cut
        steps:
          - user: Count to ten.
            interrupt: {after: 0}
            expect: {ended: interrupted}
          - user: What is 1 + 1?
        """
    )

    cut, _ = store.load(stage.cassette(), shown="c")

    assert (cut.status, cut.ended, cut.first_byte) == (599, "closed_by_client", None)


def test_a_failed_expectation_keeps_the_recording_if_there_was_none(stage: Stage) -> None:
    outcome = stage.play(TALK % "Grace", mode=Mode(record="once"))

    assert checks_of(outcome) == [("contains", "reply")]
    assert outcome.written == stage.cassette()


def test_a_failed_expectation_never_replaces_a_good_cassette(stage: Stage) -> None:
    stage.record(TALK % "Ada")
    before = stage.cassette().read_bytes()

    outcome = stage.play(TALK % "Grace", mode=Mode(record="all"))

    assert outcome.written is not None
    assert outcome.written.name == "a-talk.yaml.new"
    assert stage.cassette().read_bytes() == before


def test_a_play_that_broke_off_writes_nothing(stage: Stage) -> None:
    stage.play(TALK % "Ada", "tests.broken_clients:Crashes", Mode(record="all"))

    assert not [path for path in (stage.root / "cassettes").rglob("*") if path.is_file()]


def test_once_replays_what_is_there(stage: Stage) -> None:
    stage.record(TALK % "Ada")
    before = stage.cassette().stat().st_mtime_ns

    outcome = stage.play(TALK % "Ada", mode=Mode(record="once"))

    assert outcome.transcript.source == "replayed"
    assert stage.cassette().stat().st_mtime_ns == before


def test_once_does_not_record_what_is_unknown(stage: Stage) -> None:
    stage.record(TALK % "Ada")

    outcome = stage.play(TALK % "Ada", "tests.broken_clients:forgetful", Mode(record="once"))

    assert ("miss", "wire") in checks_of(outcome)


def test_new_episodes_replays_the_longest_prefix_and_records_the_rest(stage: Stage) -> None:
    stage.record(TALK % "Ada")
    first, second = store.load(stage.cassette(), shown="c")
    longer = (TALK % "Ada").replace("What is my name?", "What is 2 + 3?").replace("Ada}", '"5"}')
    longer += "  - user: And what is my name?\n"

    outcome = stage.play(longer, mode=Mode(record="new_episodes"))

    origins = [one.origin for one in outcome.transcript.interactions]
    assert origins == ["replayed", "simulated", "simulated"]
    kept, *new = store.load(stage.cassette(), shown="c")
    assert kept.chunks == first.chunks
    assert second.canonical.key not in [one.canonical.key for one in new]
    assert stage.play(longer).verdict.passed


def test_new_episodes_leaves_a_complete_cassette_alone(stage: Stage) -> None:
    stage.record(TALK % "Ada")
    before = stage.cassette().stat().st_mtime_ns

    assert stage.play(TALK % "Ada", mode=Mode(record="new_episodes")).written is None
    assert stage.cassette().stat().st_mtime_ns == before


def test_live_reads_and_writes_no_cassette(stage: Stage) -> None:
    stage.record(TALK % "Ada")
    stage.cassette().write_text("broken")

    outcome = stage.play(TALK % "Ada", mode=Mode(live=True))

    assert outcome.verdict.passed
    assert outcome.transcript.source == "simulated"
    assert stage.cassette().read_text() == "broken"


class _Model(BaseHTTPRequestHandler):
    """A model behind a real socket: a few chunks, slowly, and a note of clients that went away."""

    protocol_version = "HTTP/1.1"
    gone: threading.Event

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        usage = {"input_tokens": 3, "output_tokens": 5}
        try:
            for data in chunks(Reply(id="msg_1", model="m", text="one two three four five six", usage=usage)):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()
                time.sleep(0.02)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.gone.set()

    def log_message(self, *_: object) -> None:
        return None


@contextmanager
def model() -> Iterator[tuple[str, threading.Event]]:
    _Model.gone = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", _Model.gone
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_real_upstream_is_recorded_as_it_streams_and_replayed_without_it(stage: Stage, backend: str) -> None:
    text = """
        scenario: a real upstream
        steps:
          - user: Count.
            expect: {equals: one two three four five six}
        """
    with model() as (url, _):
        (scenario,) = stage.scenarios(text)
        config = stage.config(GOOD, upstream=url)
        outcome = perform(prepare(config, scenario, Mode(record="once", backend=backend)), stage.root / "run")
        assert outcome.verdict.passed, outcome.verdict

    (one,) = store.load(stage.cassette(), shown="c")
    assert len(one.chunks) == 8
    assert one.chunks[-1].ms - one.chunks[0].ms > 80
    replayed = perform(prepare(config, scenario, Mode(backend=backend)), stage.root / "again")
    assert replayed.transcript.source == "replayed"
    assert replayed.verdict.passed


def test_an_interrupt_reaches_a_real_upstream(stage: Stage) -> None:
    text = """
        scenario: a real upstream
        steps:
          - user: Count.
            interrupt: {after: 2}
            expect: {ended: interrupted, equals: one two}
        """
    with model() as (url, gone):
        (scenario,) = stage.scenarios(text)
        config = stage.config(GOOD, upstream=url)
        outcome = perform(prepare(config, scenario, Mode(record="once")), stage.root / "run")
        assert gone.wait(5)

    assert outcome.verdict.passed, outcome.verdict
    (one,) = store.load(stage.cassette(), shown="c")
    assert one.ended == "closed_by_client"
    assert perform(prepare(config, scenario, Mode()), stage.root / "again").verdict.passed


NOBODY = """
    scenario: nobody there
    steps:
      - user: Count.
        %s
    """


def test_an_upstream_that_is_not_there_is_recorded_where_that_is_expected(stage: Stage) -> None:
    text = NOBODY % "expect: {ended: refused}"

    recorded = stage.play(text, mode=Mode(record="once"), upstream="http://127.0.0.1:9")
    replayed = stage.play(text, upstream="http://127.0.0.1:9")

    assert recorded.verdict.passed, recorded.verdict
    assert recorded.written == stage.cassette()
    assert replayed.verdict.passed, replayed.verdict
    assert replayed.transcript.source == "replayed"


def test_a_recording_that_nobody_answered_is_not_kept_where_an_answer_was_expected(stage: Stage) -> None:
    outcome = stage.play(NOBODY % "id: count", mode=Mode(record="once"), upstream="http://127.0.0.1:9")

    assert checks_of(outcome) == [("ended", None)]
    assert outcome.written is None
    assert not [path for path in (stage.root / "cassettes").rglob("*") if path.is_file()]


def test_refusals_that_are_expected_are_recorded(stage: Stage) -> None:
    text = NOBODY % "fault: {status: 400}\n        expect: {ended: error}"

    recorded = stage.play(text, mode=Mode(record="once"))

    assert recorded.written == stage.cassette()
    assert stage.play(text).verdict.passed


def test_a_resumed_recording_keeps_the_times_of_its_first_part(stage: Stage) -> None:
    stage.record(TALK % "Ada")
    first = store.load(stage.cassette(), shown="c")[0]
    times = [chunk.ms + 700 for chunk in first.chunks]
    first.chunks = [Chunk(ms, chunk.data) for ms, chunk in zip(times, first.chunks, strict=True)]
    store.save(store.partial_of(stage.cassette()), [first])
    stage.cassette().unlink()

    stage.play(TALK % "Ada", mode=Mode(record="once", resume=True))

    kept = store.load(stage.cassette(), shown="c")
    assert [chunk.ms for chunk in kept[0].chunks] == times
    assert len(kept) == 2
