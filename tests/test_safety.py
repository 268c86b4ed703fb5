"""Recording is safe: killed at any moment, by two at once, in parallel, nested, with secrets everywhere."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.parse import unquote

import anyio
import httpx
import httpx2
import msgspec
import pytest

from convtest.cassettes import store
from convtest.cassettes.bodies import rewritten
from convtest.cassettes.naming import Names
from convtest.cassettes.scrubbing import Scrubber
from convtest.cassettes.secrets import secret_values
from convtest.cassettes.store import Cassette
from convtest.clients.prices import usd
from convtest.errors import ConversationFailed, RecordedElsewhere, SpendingLimit, TooLarge, UnreadableCassette
from convtest.play.mode import Mode, Rules
from convtest.play.perform import perform
from convtest.play.recording import recording
from convtest.wire import lanes
from convtest.wire.interaction import Chunk
from convtest.wire.spending import Purse
from tests.models import Behaviour, model
from tests.playing import Stage
from tests.project import NAME, SECTION, Project

REPOSITORY = Path(__file__).parent.parent
TURNS = 10
KILLS = 50
TALK = "scenario: long\nsteps: [" + ", ".join(f"{{user: Small talk {n}}}" for n in range(TURNS)) + "]\n"

KILLER = """
    import os, random, signal, sys, time, traceback
    from pathlib import Path
    from convtest.cassettes import store
    from convtest.play.keeping import Keeping
    from convtest.play.mode import Mode
    from tests.playing import Stage
    from tests.test_safety import KILLS, TALK, TURNS

    root, done = Path(sys.argv[1]), Path(sys.argv[1]) / "done"
    keep = Keeping.turn

    def kept(keeping, transcript):
        keep(keeping, transcript)
        with done.open("a") as log:
            log.write("x")

    def child(mode):
        pid = os.fork()
        if pid:
            return pid
        code = 2
        try:
            Keeping.turn = kept
            code = not Stage(root, runs=os.getpid()).play(TALK, mode=mode).verdict.passed
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    random.seed(7)
    killed = 0
    for trial in range(KILLS):
        for path in (root / "cassettes").rglob("*.yaml*"):
            path.unlink()
        done.write_text("")
        pid = child(Mode(record="once", speed=8))
        deadline = time.monotonic() + 20
        while len(done.read_text()) < trial % TURNS:
            assert time.monotonic() < deadline, (trial, done.read_text())
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.02))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        path = root / "cassettes/talk/long.yaml"
        complete = len(done.read_text())
        found = path if path.exists() else store.partial_of(path)
        interactions = store.load(found, shown="c") if found.exists() else []
        whole = sum(one.ended == "complete" for one in interactions)
        assert whole >= complete >= trial % TURNS, (trial, whole, complete)
        killed += complete < TURNS
        before = [(one.canonical.key, one.chunks, one.ended) for one in interactions if one.ended == "complete"]
        pid = child(Mode(record="once", resume=True))
        assert os.waitpid(pid, 0)[1] == 0, trial
        after = [(one.canonical.key, one.chunks, one.ended) for one in store.load(path, shown="c")]
        assert len(after) == TURNS, trial
        assert after[: len(before)] == before, trial
        assert not store.partial_of(path).exists()
    print("killed", killed)
"""


def test_killed_at_any_moment_no_complete_turn_is_lost_and_resume_finishes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", dedent(KILLER), str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[-1]) > KILLS * 3 // 4, "too few were killed while recording"


def test_of_two_recorders_one_is_refused_and_nothing_is_lost(stage: Stage) -> None:
    prepared = stage.prepare(TALK, mode=Mode(record="once"))

    with (
        store.only_writer(prepared.cassette.path, shown="c"),
        pytest.raises(RecordedElsewhere, match="another process is recording"),
    ):
        perform(prepared, stage.root / "run")

    assert perform(prepared, stage.root / "again").verdict.passed
    assert not list(prepared.cassette.path.parent.glob("*.lock"))


def test_two_processes_on_one_file(project: Project) -> None:
    project.write("scenarios/long.yaml", TALK)
    cassette = project.root / "cassettes/long/long.yaml"

    def child(speed: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "pytest", "-q", "--convtest-record=all", f"--convtest-speed={speed}"]
        environment = {**os.environ, "NO_COLOR": "1"}
        return subprocess.Popen(command, cwd=project.root, env=environment, stdout=subprocess.PIPE, text=True)

    first = child("0.5")
    while not store.partial_of(cassette).exists():
        assert first.poll() is None
        time.sleep(0.02)
    first.send_signal(signal.SIGSTOP)  # however long the second takes to start, it meets a recording in progress
    try:
        second = child("4")
        refused = second.communicate(timeout=60)[0]
    finally:
        first.send_signal(signal.SIGCONT)
    kept = first.communicate(timeout=60)[0]

    assert second.returncode == 1
    assert "another process is recording" in refused
    assert first.returncode == 0, kept
    assert len(store.load(cassette, shown="c")) == TURNS


def test_the_next_run_names_a_recording_that_broke_off(project: Project) -> None:
    project.write("pyproject.toml", SECTION)
    project.write("scenarios/name.yaml", NAME)
    project.convtest("record")
    cassette = project.root / "cassettes/name/remembers-the-name.yaml"
    cassette.rename(cassette.with_name(cassette.name + ".partial"))
    project.write("pyproject.toml", SECTION.replace('upstream = "simulator"', 'upstream = "https://api.anthropic.com"'))

    out = project.pytest().out

    assert "a recording broke off at cassettes/name/remembers-the-name.yaml.partial" in out
    assert "go on with it: convtest record --resume scenarios/name.yaml::remembers-the-name" in out
    project.write("pyproject.toml", SECTION)
    assert project.convtest("record", "--resume").code == 0
    assert project.convtest("record").out.endswith("1 kept\n")


def test_recording_stops_before_it_costs_more(stage: Stage) -> None:
    purse = Purse(0.0002, usd)

    with pytest.raises(SpendingLimit, match=r"USD spent, the limit is 0\.0002"):
        stage.play(TALK, mode=Mode(record="all", purse=purse))

    kept = store.load(next((stage.root / "cassettes").rglob("*.partial")), shown="c")
    assert 0 < sum(one.ended == "complete" for one in kept) == len(kept) < TURNS
    assert purse.spent < 0.0004

    resumed = stage.play(TALK, mode=Mode(record="once", resume=True))

    assert resumed.verdict.passed
    assert len(store.load(next((stage.root / "cassettes").rglob("*.yaml")), shown="c")) == TURNS


def test_the_last_answer_of_an_item_is_paid_for_too(stage: Stage) -> None:
    """Else each item of a run would have its last request for nothing."""
    purse = Purse(1, usd)

    outcome = stage.play("scenario: one\nsteps: [{user: Hello.}]\n", mode=Mode(record="all", purse=purse))

    assert purse.spent == outcome.transcript.usd()
    assert purse.spent > 0


def test_an_ordinary_recording_keeps_to_the_limit_and_to_the_prices_of_the_project(tmp_path: Path) -> None:
    prices = {"m": {"input": 100.0, "output": 100.0}}
    purse = Purse(0.002, lambda model, used: usd(model, used, prices))
    with model() as (url, _):

        def call(purse: Purse) -> None:
            mode = Mode(record="all", purse=purse)
            with recording(Cassette(tmp_path / "c.yaml", "c", "r"), mode, Rules(), node="t"):
                for _ in range(5):
                    with contextlib.suppress(httpx.TransportError):
                        say(url, "hello")

        with pytest.raises(SpendingLimit, match="no price is known for 'm'"):
            call(Purse(0.002, usd))
        with pytest.raises(SpendingLimit, match=r"0\.0026 USD spent, the limit is 0\.002"):
            call(purse)
    assert purse.spent == pytest.approx(0.0026)
    assert not (tmp_path / "c.yaml").exists()


def test_an_ordinary_recording_knows_volatile_fields(tmp_path: Path) -> None:
    path, volatile = tmp_path / "c.yaml", frozenset({"trace"})

    def call(url: str, trace: str, mode: Mode, volatile: frozenset[str]) -> None:
        body = {"model": "m", "max_tokens": 9, "trace": trace, "messages": [{"role": "user", "content": "hello"}]}
        with recording(Cassette(path, "c", "r"), mode, Rules(volatile=volatile), node="t"), httpx.Client() as client:
            client.post(f"{url}/v1/messages", json=body)

    with model() as (url, _):
        call(url, "first", Mode(record="all"), volatile)

    call(url, "second", Mode(), volatile)
    with pytest.raises(ConversationFailed, match="no recorded interaction answers request 1"):
        call(url, "second", Mode(), frozenset())


def test_an_ordinary_recording_has_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"

    with store.only_writer(path, shown="c"), pytest.raises(RecordedElsewhere):
        record(path, lambda: None)


def test_a_failing_ordinary_test_leaves_its_cassette(project: Project) -> None:
    project.write("pyproject.toml", SECTION)
    with model() as (url, _):
        test = f"""
            import httpx

            def test_chat(convtest_cassette):
                body = {{"model": "m", "max_tokens": 9, "messages": [{{"role": "user", "content": "Hi"}}]}}
                said = httpx.post("{url}/v1/messages", json=body).json()
                assert "forty-two" in said["content"][0]["text"]
            """
        project.write("tests/test_chat.py", test)
        assert project.pytest("--convtest-record=once", "tests").counts() == {"passed": 1}
        before = project.read("cassettes/tests/test_chat/test_chat.yaml")
        project.write("tests/test_chat.py", test.replace("forty-two", "forty-three").replace('"Hi"', '"Ho"'))
        failed = project.pytest("--convtest-record=all", "tests")

    assert failed.counts() == {"failed": 1}
    assert "forty-three" in failed.out
    assert project.read("cassettes/tests/test_chat/test_chat.yaml") == before


def test_that_an_ordinary_test_sends_nothing_is_recorded_too(project: Project) -> None:
    project.write("pyproject.toml", SECTION)
    quiet = """
        import httpx
        import pytest

        def test_quiet(convtest_cassette):
            pass

        def test_skipped(convtest_cassette):
            pytest.skip("not today")
        """
    project.write("tests/test_quiet.py", quiet)
    cassettes = project.root / "cassettes/tests/test_quiet"

    recorded, replayed = project.pytest("--convtest-record=all", "tests"), project.pytest("tests", "-k", "quiet")
    project.write("tests/test_quiet.py", quiet.replace("pass", 'httpx.get("https://api.anthropic.com/v1/models")'))
    talks = project.pytest("tests", "-k", "test_quiet and not skipped")

    assert recorded.counts() == {"passed": 1, "skipped": 1}
    assert [path.name for path in cassettes.iterdir()] == ["test_quiet.yaml"]
    assert replayed.counts()["passed"] == 1
    assert talks.counts()["failed"] == 1
    assert "nothing is recorded" in talks.out


def test_a_limit_needs_a_price(stage: Stage) -> None:
    text = TALK.replace("steps:", "options: {model: mystery}\nsteps:")

    with pytest.raises(SpendingLimit, match="no price is known for 'mystery'"):
        stage.play(text, mode=Mode(record="all", purse=Purse(1, usd)))


def say(url: str, words: str, module: Any = httpx) -> str:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": words}]}
    with module.Client() as client:
        return str(client.post(f"{url}/v1/messages", json=body).json()["content"][0]["text"])


async def say_async(url: str, words: str) -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": words}]}
    async with httpx.AsyncClient() as client:
        for _ in range(3):
            await client.post(f"{url}/v1/messages", json=body)


def words_in(path: Path) -> list[str]:
    return [text for one in store.load(path, shown="c") for text in one.canonical.texts()]


def record(path: Path, call: Callable[[], Any]) -> None:
    with recording(Cassette(path, "c", "r"), Mode(record="all"), Rules(), node="t"):
        call()


def methods() -> list[Any]:
    """What the one patch may replace."""
    return [
        method
        for module in (httpx, httpx2)
        for method in (module.HTTPTransport.handle_request, module.AsyncHTTPTransport.handle_async_request)
    ]


@pytest.mark.parametrize("round", range(50))
def test_parallel_and_nested_recordings_keep_apart(tmp_path: Path, round: int) -> None:
    originals = methods()
    with model(Behaviour(pause=0)) as (url, _):

        async def one(name: str) -> None:
            with recording(Cassette(tmp_path / f"{name}.yaml", "c", "r"), Mode(record="all"), Rules(), node="t"):
                await say_async(url, name)

        async def tasks() -> None:
            async with anyio.create_task_group() as group:
                for name in ("task-a", "task-b"):
                    group.start_soon(one, name)

        def thread(name: str) -> None:
            module = httpx2 if name == "thread-b" else httpx
            record(tmp_path / f"{name}.yaml", lambda: [say(url, name, module) for _ in range(3)])

        threads = [threading.Thread(target=thread, args=(name,)) for name in ("thread-a", "thread-b")]
        for started in threads:
            started.start()
        anyio.run(tasks)
        with recording(Cassette(tmp_path / "outer.yaml", "c", "r"), Mode(record="all"), Rules(), node="t"):
            say(url, "outer")
            record(tmp_path / "inner.yaml", lambda: say(url, "inner"))
            say(url, "outer")
        for started in threads:
            started.join()

    sent = {"task-a": 3, "task-b": 3, "thread-a": 3, "thread-b": 3, "outer": 2, "inner": 1}
    for name, count in sent.items():
        assert words_in(tmp_path / f"{name}.yaml") == [name] * count
    assert not lanes.patched()
    assert methods() == originals


OWN = "correct-horse-battery-staple-9"
SECRETS = {
    "key from the environment": "zq-" + "A1b2C3d4" * 4,
    "anthropic key": "sk-ant-api03-" + "Ab1_" * 10,
    "openai key": "sk-proj-" + "Zx9-" * 10,
    "aws": "AKIA" + "ABCD1234EFGH5678",
    "github": "ghp_" + "a1B2c3D4e5" * 4,
    "jwt": "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4",
    "organisation": "org-" + "Abcd1234Efgh5678Ijkl",
    "project": "proj_" + "Abcd1234Efgh5678Ijkl",
    "home": "/home/ada.lovelace",
    "own pattern": OWN,
}
PLACES = ["request", "url", "answer"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("secret", SECRETS.values(), ids=list(SECRETS))
def test_planted_secrets_are_in_no_artefact(
    tmp_path: Path, secret: str, place: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOME_API_KEY", SECRETS["key from the environment"])
    scrubber = Scrubber(secret_values(["SOME_API_KEY"])[0], [r"correct-horse-[a-z]+-[a-z]+-\d"])
    path = tmp_path / "c.yaml"
    in_answer = Behaviour(edit=lambda data: data.replace(b"forty", msgspec.json.encode(f" {secret} ")[1:-1]))

    def call(url: str) -> bytes:
        words = f"I know {secret} by heart" if place == "request" else "hello"
        body = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": words}]}
        query = {"k": secret} if place == "url" else {}
        headers = {"x-api-key": secret, "x-trace": secret, "cookie": f"s={secret}"}
        with (
            httpx.Client() as client,
            client.stream("POST", f"{url}/v1/messages", params=query, json=body, headers=headers) as response,
        ):
            return b"".join(response.iter_bytes())

    with (
        model(in_answer if place == "answer" else Behaviour(extra_headers={"x-echo": secret})) as (url, _),
        recording(Cassette(path, "c", "r"), Mode(record="all"), Rules(scrubber=scrubber), node="t"),
    ):
        first = call(url)

    with recording(Cassette(path, "c", "r"), Mode(), Rules(scrubber=scrubber), node="t") as made:
        again = call(url)

    printed = capfd.readouterr()
    everything = unquote(path.read_text() + repr(made.interactions[0].canonical) + printed.out + printed.err)
    assert secret not in everything
    assert secret.encode() not in again
    assert (secret.encode() in first) == (place == "answer")
    assert len(made.interactions[0].chunks) == 7


@pytest.mark.parametrize("secret", SECRETS.values(), ids=list(SECRETS))
@pytest.mark.parametrize("cuts", [[1], [4, 9], list(range(1, 12))])
def test_secrets_cut_by_chunks_and_spread_over_events_are_found(secret: str, cuts: list[int]) -> None:
    scrubber = Scrubber({"SOME_API_KEY": SECRETS["key from the environment"]}, [r"correct-horse-[a-z]+-[a-z]+-\d"])
    raw = f"data: x {secret} y\n\n".encode()
    edges = [0, *(cut + 8 for cut in cuts), len(raw)]
    cut_up = [Chunk(float(a), raw[a:b]) for a, b in itertools.pairwise(edges)]
    pieces = [secret[a:b] for a, b in zip([0, *cuts], [*cuts, len(secret)], strict=True)]
    events = [
        Chunk(float(n), b"data: " + msgspec.json.encode({"type": "d", "index": 0, "delta": {"text": piece}}) + b"\n\n")
        for n, piece in enumerate(["say ", *pieces, " now"])
    ]

    names = Names(scrubber)

    plain = b"".join(chunk.data for chunk in rewritten(cut_up, scrubber, names.name)).decode()
    spread = rewritten(events, scrubber, names.name)

    assert secret not in plain
    assert plain.startswith("data: x ")
    said = "".join(msgspec.json.decode(chunk.data[6:])["delta"]["text"] for chunk in spread)
    assert secret not in said
    assert said.startswith("say ")
    assert said.endswith(" now")
    assert len(spread) == len(events)
    assert rewritten(spread, scrubber, names.name) == spread


def test_short_or_plain_values_are_left_alone_and_named() -> None:
    environ = {"OPENAI_API_KEY": "test", "MY_TOKEN": "hello", "OTHER_SECRET": "Zx81-Qq77-Pp66", "PATH": "/usr/bin:/bin"}

    values, plain = secret_values(["OPENAI_API_KEY"], environ)

    assert values == {"OTHER_SECRET": "Zx81-Qq77-Pp66"}
    assert plain == ["OPENAI_API_KEY"]
    assert Scrubber(values).text("this is a test") == "this is a test"


def test_check_finds_secrets_stale_and_orphaned_cassettes(project: Project) -> None:
    project.write("scenarios/name.yaml", NAME + "snapshot: true\n")
    project.convtest("record")
    project.pytest("--snapshot-update")
    assert project.convtest("check").code == 0
    cassette = "cassettes/name/remembers-the-name.yaml"
    project.write("cassettes/name/old-name.yaml", project.read(cassette))
    project.write("scenarios/name.yaml", NAME.replace("My name is Ada.", "My name is Ada, hello.") + "snapshot: true\n")

    warned = project.convtest("check")
    project.write(cassette, project.read(cassette).replace("Nice", SECRETS["anthropic key"], 1))
    leaked = project.convtest("check")

    assert "cassettes/name/old-name.yaml: no scenario plays this cassette" in warned.err
    assert f"{cassette}: the scenario changed since it was recorded" in warned.err
    assert warned.code == 0
    assert leaked.code == 2
    assert f"error: {cassette}:" in leaked.err
    assert "a secret stands here" in leaked.err
    assert SECRETS["anthropic key"] not in leaked.err


PLANTED = """
import os
import re

from convtest.clients.messages.client import MessagesClient


class Client(MessagesClient):
    async def query(self, text):
        number = re.search("[0-9]+", text)[0]
        await super().query(f"{text} {os.environ[f'PLANTED_{number}']}")
"""
"""Says what stands in no scenario."""


@pytest.mark.parametrize("outcome", ["passed", "failed"])
@pytest.mark.parametrize("place", ["answer", "prompt"])
def test_snapshots_reports_logs_and_the_terminal_show_no_secret(
    project: Project, monkeypatch: pytest.MonkeyPatch, place: str, outcome: str
) -> None:
    monkeypatch.setenv("SOME_API_KEY", SECRETS["key from the environment"])
    own = """scrub = ['correct-horse-[a-z]+-[a-z]+-\\d']\n\n[tool.convtest.clients.assistant]"""
    project.write("pyproject.toml", SECTION.replace("\n[tool.convtest.clients.assistant]", own))
    project.write("planted.py", PLANTED)
    target = 'kind = "python"\ntarget = "planted:Client"'
    project.write("pyproject.toml", project.read("pyproject.toml").replace('kind = "messages"', target))
    project.environment["PYTHONPATH"] = str(project.root)
    for number, secret in enumerate(SECRETS.values()):
        project.environment[f"PLANTED_{number}"] = secret
        scripted = '\n                simulate: {text: "well, nothing it is"}' if place == "prompt" else ""
        lacks = "rain" if outcome == "passed" else "well" if place == "prompt" else "number"
        project.write(
            f"scenarios/secret-{number}.yaml",
            f"""
            scenario: secrets
            snapshot: true
            steps:
              - user: I am number {number},{scripted}
                expect: {{lacks: {lacks}}}
            """,
        )

    done = project.pytest(
        "-rA",
        "-vv",
        "--junitxml=out.xml",
        "--log-level=DEBUG",
        "--log-file=out.log",
        "--convtest-record=once",
    )
    project.pytest("--snapshot-update")

    assert done.counts() == {outcome: len(SECRETS)}
    files = {name: data for name, data in project.files().items() if not name.startswith("scenarios/secret-")}
    snapshots = sum("__snapshots__" in name for name in files)
    assert snapshots == (len(SECRETS) if outcome == "passed" else 0)
    assert sum(name.startswith("cassettes/") and name.endswith(".yaml") for name in files) == len(SECRETS)
    assert "out.xml" in files
    for name, secret in SECRETS.items():
        assert secret not in done.text, name
        assert not [file for file, data in files.items() if secret.encode() in data], name


HOSTILE = {
    "object tags": b"interactions: !!python/object/apply:os.system [ls]\nversion: 1\n",
    "an alias bomb": b"a: &a [x, x]\nb: &b [*a, *a]\ninteractions: [*b]\nversion: 1\n",
    "deep nesting": b"[" * 100_000,
    "not a mapping": b"- 1\n",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_cassette_is_one_clear_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "c.yaml").write_bytes(data)

    with pytest.raises(UnreadableCassette, match=r"unreadable cassette — c\.yaml"):
        store.load(tmp_path / "c.yaml", shown="c.yaml")


def test_a_gigabyte_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "c.yaml").open("wb") as file:
        file.truncate(1_000_000_000)

    with pytest.raises(TooLarge, match=r"the cassette c\.yaml has more than 536,870,912 bytes"):
        store.load(tmp_path / "c.yaml", shown="c.yaml")


def test_lengths_that_do_not_add_up_fall_back_to_events_and_it_is_said(stage: Stage) -> None:
    text = "scenario: sum\nsteps: [{user: What is 15 * 7?}]\n"
    stage.record(text)
    stage.cassette().write_text(stage.cassette().read_text().replace('"text":" result"', '"text":" outcome"'))

    outcome = stage.play(text)

    assert outcome.transcript.turns()[0].text == "The outcome is 105."
    assert len(outcome.transcript.interactions[0].chunks) == 9
    assert store.load(stage.cassette(), shown="c")[0].edited


def test_a_body_that_is_no_utf_8_is_kept(tmp_path: Path) -> None:
    with model(Behaviour(edit=lambda data: data.replace(b"forty", b"f\xffrty"))) as (url, _):

        def call() -> bytes:
            body = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "x"}]}
            with httpx.Client() as client, client.stream("POST", f"{url}/v1/messages", json=body) as response:
                return b"".join(response.iter_bytes())

        with recording(Cassette(tmp_path / "c.yaml", "c", "r"), Mode(record="all"), Rules(), node="t"):
            first = call()

    with recording(Cassette(tmp_path / "c.yaml", "c", "r"), Mode(), Rules(), node="t"):
        assert call() == first
    assert b"f\xffrty" in first
    assert "!!binary" in (tmp_path / "c.yaml").read_text()


ABOUT_A_HOME = """
    scenario: a path
    sessions:
      main:
        history:
          - user: I keep notes in /home/ada.lovelace/notes.
          - assistant: Good to know, /home/ada.lovelace/notes it is.
    facts:
      where:
        tell: My project is in /home/ada.lovelace/engine.
        ask: Where is my project?
        answer: /home/ada.lovelace/engine
    steps:
      - tell: where
        simulate: {text: "So /home/ada.lovelace/engine is the place."}
        expect: {contains: /home/ada.lovelace/engine, sent: {contains: /home/ada.lovelace/notes}}
      - ask: where
        expect: {knows: where, history: {contains: /home/ada.lovelace/engine is the place}}
    """


@pytest.mark.parametrize(
    "client", ["convtest.clients.messages.client:MessagesClient", "tests.broken_clients:forgetful"]
)
def test_words_that_are_scrubbed_are_compared_as_such(stage: Stage, client: str) -> None:
    """Recorded and replayed alike: whoever tells a home folder is not told that it was forgotten, nor the reverse. It
    stands in the scenario, and so in the recording."""
    good = client.startswith("convtest")

    recorded = stage.play(ABOUT_A_HOME, client, Mode(record="all"))
    replayed = stage.play(ABOUT_A_HOME, client)

    assert recorded.verdict.passed == good, recorded.verdict
    assert replayed.verdict.passed == good, replayed.verdict
    assert "ada.lovelace" in stage.cassette().read_text()
