"""What was recorded is not lost: resumed, recorded over, on a full disk, beside another writer. Kills: test_kills."""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from convtest import temporary as temporary_module
from convtest.cassettes import store
from convtest.clients.messages.client import MessagesClient
from convtest.errors import RecordedElsewhere, UnwritableCassette
from convtest.play.mode import Mode
from convtest.play.perform import perform
from convtest.temporary import temporary
from tests.gateways import serving
from tests.models import Behaviour, model
from tests.playing import Stage
from tests.project import NAME, SECTION, Project
from tests.test_gateway import HELLO, asked

TURNS = 5
TALK = "scenario: long\nsteps: [" + ", ".join(f"{{user: Small talk {n}}}" for n in range(TURNS)) + "]\n"
RESUME = Mode(record="once", resume=True)


def break_off(stage: Stage, count: int) -> Path:
    """A recording of so many turns that was not finished."""
    stage.record(TALK)
    path = stage.cassette()
    store.save(store.partial_of(path), store.load(path, shown="c")[:count])
    path.unlink()
    return store.partial_of(path)


def keys(path: Path) -> list[str]:
    return [one.canonical.key for one in store.load(path, shown="c")]


def words(path: Path) -> list[str]:
    return [one.canonical.texts()[-1] for one in store.load(path, shown="c")]


# resumed


def test_a_resumed_recording_that_breaks_off_early_shortens_nothing(stage: Stage) -> None:
    partial = break_off(stage, 4)
    before = partial.read_bytes()

    stage.play(TALK, "tests.test_nothing_lost:GivesUp", RESUME)

    assert partial.read_bytes() == before


def test_a_resumed_recording_that_goes_another_way_loses_nothing_of_the_first(stage: Stage) -> None:
    partial = break_off(stage, 4)
    held = keys(partial)

    stage.play(TALK, "tests.test_nothing_lost:TalksOnThenGivesUp", RESUME)

    kept = store.load(partial, shown="c")
    assert set(held) < {one.canonical.key for one in kept}
    assert [one.number for one in kept] == list(range(1, len(kept) + 1))
    assert "And by the way: Small talk 1" in [one.canonical.texts()[-1] for one in kept]
    assert stage.play(TALK, mode=RESUME).verdict.passed
    assert len(store.load(stage.cassette(), shown="c")) == TURNS


def test_what_a_resumed_recording_did_not_ask_for_again_is_kept_aside(stage: Stage) -> None:
    partial = break_off(stage, 4)
    held = keys(partial)

    played = stage.play(TALK, "tests.test_nothing_lost:TalksOn", RESUME)

    assert played.verdict.passed
    assert played.aside == "cassettes/talk/long.yaml.partial-1"
    assert not partial.exists()
    assert set(held) <= set(keys(stage.root / played.aside))


def test_a_resumed_recording_that_is_whole_leaves_only_the_cassette(stage: Stage) -> None:
    partial = break_off(stage, 4)

    played = stage.play(TALK, mode=RESUME)

    assert [one.origin for one in played.transcript.interactions] == ["replayed"] * 4 + ["simulated"]
    assert [path.name for path in partial.parent.iterdir()] == ["long.yaml"]
    assert played.aside == ""


@pytest.mark.parametrize("record", ["once", "all", "new_episodes"])
def test_a_recording_that_broke_off_is_kept_aside_where_it_is_not_gone_on_with(stage: Stage, record: Any) -> None:
    partial = break_off(stage, 4)
    before = partial.read_bytes()
    (partial.parent / "long.yaml.partial-1").write_text("another")

    played = stage.play(TALK, mode=Mode(record=record))

    assert played.aside == "cassettes/talk/long.yaml.partial-2"
    assert (stage.root / played.aside).read_bytes() == before
    assert len(keys(stage.cassette())) == TURNS
    assert not partial.exists()


def test_a_run_that_records_nothing_touches_no_recording_that_broke_off(stage: Stage) -> None:
    partial = break_off(stage, 4)
    before = partial.read_bytes()

    stage.play(TALK, "tests.test_nothing_lost:GivesUp", Mode(record="once"))

    assert partial.read_bytes() == before
    assert [path.name for path in partial.parent.iterdir()] == [partial.name]


def test_what_another_process_recorded_meanwhile_is_not_recorded_over(stage: Stage) -> None:
    late = stage.prepare(TALK, mode=Mode(record="once"))
    stage.record(TALK)
    before = stage.cassette().read_bytes()

    with pytest.raises(RecordedElsewhere, match="has recorded this cassette meanwhile"):
        perform(late, stage.root / "late")

    assert stage.cassette().read_bytes() == before


class TalksOn(MessagesClient):
    """Has another prompt in its second turn."""

    async def query(self, text: str) -> None:
        await super().query(f"And by the way: {text}" if text.endswith("1") else text)


class GivesUp(MessagesClient):
    async def query(self, text: str) -> None:
        raise RuntimeError("it gives up")


class TalksOnThenGivesUp(TalksOn):
    async def query(self, text: str) -> None:
        if text.endswith("2"):
            raise RuntimeError("it gives up")
        await super().query(text)


# served


def test_a_served_recording_that_broke_off_is_named_and_kept(tmp_path: Path) -> None:
    with serving(tmp_path, "--record", "c.yaml", "--speed", "1000") as found:
        asked(found)
        found.stop(signal.SIGKILL)
    partial = tmp_path / "c.yaml.partial"
    before = partial.read_bytes()

    with serving(tmp_path, "--record", "c.yaml", "--speed", "1000") as found:
        empty = found.stop()
    untouched = partial.read_bytes()
    with serving(tmp_path, "--record", "c.yaml", "--speed", "1000") as found:
        asked(found, HELLO.replace(b"15", b"16"))
        code, out, err = found.stop()

    assert empty[0] == code == 0
    assert untouched == before
    assert "a recording broke off: c.yaml.partial" in err
    assert "go on with it: convtest serve --resume" in err
    assert "kept aside as c.yaml.partial-1" in out
    assert (tmp_path / "c.yaml.partial-1").read_bytes() == before
    assert words(tmp_path / "c.yaml") == ["What is 16 * 7?"]


def test_a_served_recording_is_gone_on_with(tmp_path: Path) -> None:
    other = HELLO.replace(b"15", b"16")
    behaviour = Behaviour()
    with model(behaviour) as (url, _):
        options = ("--record", "c.yaml", "--upstream", url)
        with serving(tmp_path, *options) as found:
            for body in (HELLO, other):
                asked(found, body)
            found.stop(signal.SIGKILL)
        with serving(tmp_path, *options, "--resume") as found:
            answered = asked(found)
            asked(found, HELLO.replace(b"15", b"17"))
            code, out, _ = found.stop()

    assert code == 0
    assert b"forty-two" in answered
    assert len(behaviour.requests) == 3, "what was recorded was not asked for again"
    assert words(tmp_path / "c.yaml") == ["What is 15 * 7?", "What is 17 * 7?", "What is 16 * 7?"]
    assert "2 requests, recorded in c.yaml" in out
    assert not (tmp_path / "c.yaml.partial").exists()


def test_what_a_client_has_read_to_its_end_is_on_disk(tmp_path: Path) -> None:
    with serving(tmp_path, "--record", "c.yaml", "--speed", "1000") as found:
        for number in range(8):
            asked(found, HELLO.replace(b"15", b"%d" % number))
            assert len(keys(tmp_path / "c.yaml.partial")) == number + 1


def test_two_that_serve_one_recording_are_one(tmp_path: Path) -> None:
    with serving(tmp_path, "--record", "c.yaml", "--speed", "1000") as found:
        asked(found)
        second = Project(tmp_path).convtest("serve", "--record", "c.yaml")
        asked(found)
        code, _, _ = found.stop()

    assert second.code == 2
    assert "another process is recording this cassette — c.yaml" in second.err
    assert code == 0
    assert len(keys(tmp_path / "c.yaml")) == 2


def test_an_answer_that_is_cut_by_the_end_of_the_server_is_no_traceback(tmp_path: Path) -> None:
    with model(Behaviour(pause=0.5)) as (url, does), serving(tmp_path, "--upstream", url) as found:
        thread = threading.Thread(target=asked, args=(found, HELLO.replace(b"{", b'{"stream": true, ', 1)))
        thread.start()
        while not does.requests:
            time.sleep(0.01)
        time.sleep(0.3)
        code, _, err = found.stop()
        thread.join()

    assert (code, err) == (0, "")


# where nothing can be written


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Larger ones cannot be written: what a full disk is to a program, but for the number of the error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("mode", [Mode(record="once"), Mode(record="all"), RESUME], ids=["once", "all", "resume"])
def test_on_a_full_disk_earlier_turns_are_kept(stage: Stage, mode: Mode) -> None:
    stage.record(TALK)
    path, size = stage.cassette(), stage.cassette().stat().st_size
    partial = break_off(stage, 2)
    held = [] if not mode.resume else keys(partial)
    if not mode.resume:
        partial.unlink()
    if mode.record == "all":
        stage.record(TALK)
    before = path.read_bytes() if path.exists() else b""

    with files_of_at_most(size * 7 // 10), pytest.raises(UnwritableCassette, match="make room") as raised:
        stage.play(TALK, mode=mode)

    assert "cannot write the recording — cassettes/talk/long.yaml.partial: File too large" in str(raised.value)
    kept = keys(partial)
    assert len(kept) >= 3
    assert kept[: len(held)] == held
    assert (path.read_bytes() if path.exists() else b"") == before
    assert not list(path.parent.glob("*.tmp"))
    assert stage.play(TALK, mode=RESUME if mode.record == "once" else Mode(record="all", resume=True)).verdict.passed


def test_on_a_full_disk_pytest_shows_one_error(project: Project) -> None:
    project.write("scenarios/long.yaml", TALK)
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))"
    code = f"import resource, sys, pytest; {limit}; sys.exit(pytest.main())"
    command = [sys.executable, "-c", code, "-q", "--convtest-record=once"]

    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1, done.stdout
    assert done.stdout.count("cannot write the recording — cassettes/long/long.yaml.partial") <= 2, "and in the summary"
    assert "Traceback" not in done.stdout + done.stderr
    assert "1 error" in done.stdout
    assert keys(project.root / "cassettes/long/long.yaml.partial")


@pytest.mark.parametrize("what", ["long.yaml", "long.yaml.partial", "long.yaml.lock"])
def test_a_folder_in_the_way_is_an_error_before_anything_is_asked(stage: Stage, what: str) -> None:
    (stage.root / "cassettes/talk" / what).mkdir(parents=True)

    with pytest.raises(UnwritableCassette, match="remove the folder that stands there"):
        stage.play(TALK, mode=Mode(record="all"))

    assert [path.name for path in (stage.root / "cassettes/talk").iterdir()] == [what]


def as_anybody() -> None:
    """Permissions hold for root too, once it has lost the right to override them (capabilities(7))."""
    if os.geteuid() == 0:
        pr_capbset_drop, cap_dac_override = 24, 1
        assert ctypes.CDLL(None).prctl(pr_capbset_drop, cap_dac_override, 0, 0, 0) == 0


def test_a_folder_that_cannot_be_written_is_an_error_before_anything_is_asked(project: Project) -> None:
    project.write("scenarios/long.yaml", TALK)
    project.write("cassettes/long/other.yaml", "kept\n")
    folder = project.root / "cassettes/long"
    folder.chmod(0o555)
    command = [sys.executable, "-m", "pytest", "-q", "--convtest-record=once"]
    try:
        done = subprocess.run(
            command, cwd=project.root, capture_output=True, text=True, timeout=60, check=False, preexec_fn=as_anybody
        )
    finally:
        folder.chmod(0o755)

    assert "cannot write the recording — cassettes/long/long.yaml: Permission denied" in done.stdout, done.stderr
    assert "make its folder one that can be written" in done.stdout
    assert "1 error" in done.stdout
    assert [path.name for path in folder.iterdir()] == ["other.yaml"]


# temporary files


def test_what_a_killed_writer_left_is_swept_up_by_the_next(stage: Stage) -> None:
    folder = stage.root / "cassettes/talk"
    folder.mkdir(parents=True)
    ours = ["long.yaml.77.tmp", "long.yaml.partial.77.tmp", "long.yaml.new.77.tmp", "long.yaml.lock"]
    theirs = ["long.yaml.tmp", "long.yaml.x.tmp", "longer.yaml.77.tmp", "notes.txt"]
    for name in (*ours, *theirs):
        (folder / name).write_text("x")

    stage.record(TALK)

    assert sorted(path.name for path in folder.iterdir()) == sorted(["long.yaml", *theirs])


def test_a_recording_run_sweeps_up_for_cassettes_that_it_does_not_record(project: Project) -> None:
    project.write("pyproject.toml", SECTION)
    project.write("scenarios/name.yaml", NAME)
    for name in ("a.yaml.lock", "a.yaml.partial.7.tmp", "b.yaml.9.tmp", "a.yaml.partial", "c.txt.9.tmp"):
        project.write(f"cassettes/gone/{name}", "x")

    with store.only_writer(project.root / "cassettes/gone/b.yaml", shown="b"):
        project.pytest("--convtest-record=once")
        busy = sorted(path.name for path in (project.root / "cassettes/gone").iterdir())
    project.pytest("--convtest-record=once")

    left = sorted(path.name for path in (project.root / "cassettes/gone").iterdir())
    assert busy == ["a.yaml.partial", "b.yaml.lock", "c.txt.9.tmp"], "the only writer of b has swept"
    assert left == ["a.yaml.partial", "c.txt.9.tmp"]


def test_folders_of_runs_that_were_killed_are_swept_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = "from convtest.temporary import temporary; c = temporary('x'); print(c.__enter__(), flush=True); input()"
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with contextlib.ExitStack() as stack:
        children = [
            stack.enter_context(
                subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(2)
        ]
        killed, living = (Path(child.stdout.readline().strip()).parent for child in children if child.stdout)
        young = tmp_path / "convtest-young"
        young.mkdir()
        (young / "in-use").touch()
        for folder in (killed, living):
            os.utime(folder / "in-use", (1, 1))
        children[0].kill()
        children[0].wait()

        temporary_module.sweep_once.cache_clear()
        with temporary("y") as mine:
            there = {path.name for path in tmp_path.iterdir()}
        children[1].communicate("\n", timeout=20)

    assert there == {living.name, young.name, mine.parent.name}
    assert not mine.exists()


def test_init_lists_what_recordings_leave(project: Project) -> None:
    project.write(".gitignore", "mine/\n*.yaml.lock")

    project.convtest("init")
    first = project.read(".gitignore")
    project.convtest("init")

    assert first.startswith("mine/\n*.yaml.lock\n\n# convtest: ")
    assert first.count("*.yaml.lock") == 1
    assert project.read(".gitignore") == first
    git = ["git", "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "-q"], cwd=project.root, check=True)
    more = [".partial", ".partial-2", ".lock", ".partial.12.tmp", ".12.tmp", ".new"]
    names = [f"a.yaml{one}" for one in more]
    ignored = subprocess.run(
        ["git", "check-ignore", *names, "a.yaml"], cwd=project.root, capture_output=True, text=True, check=False
    ).stdout
    assert ignored.split() == names


# replayed before it is called recorded

RANDOM = """
import os
from convtest.clients.messages.client import MessagesClient

class Client(MessagesClient):
    async def query(self, text):
        await super().query(f"{text} {os.urandom(4).hex()}")
"""


def test_record_says_at_once_what_does_not_replay(project: Project) -> None:
    target = 'kind = "python"\ntarget = "random_client:Client"'
    project.write("pyproject.toml", SECTION.replace('kind = "messages"', target))
    project.write("random_client.py", RANDOM)
    project.write("scenarios/long.yaml", "scenario: long\nsteps: [{user: Small talk}]\n")

    done = project.convtest("record")
    trusting = project.convtest("record", "--mode", "all", "--no-replay")

    assert done.code == 1, done.text
    assert "no replay scenarios/long.yaml::long" in done.out
    assert "recorded  " not in done.out
    assert "the client does not send the same twice; declare what changes as volatile" in done.out
    assert done.out.endswith("1 no replay\n")
    assert (trusting.code, trusting.out.splitlines()[-1]) == (0, "1 recorded")


def test_record_writes_the_snapshots_and_plain_pytest_is_green(project: Project) -> None:
    project.write("pyproject.toml", SECTION)
    rows = "params: {name: [Ada, Grace]}\n"
    text = "scenario: who\nsnapshot: true\n" + rows + "steps:\n  - user: My name is ${name}.\n  - user: And mine?\n"
    swept = "---\nscenario: swept\nsweep: {turn: t, disturb: [reset], at: every change, then: [{user: x}]}\n"
    project.write("scenarios/a.yaml", text + swept + "steps: [{user: Small talk, id: t}]\n")
    project.write("scenarios/b.yaml", "scenario: other\nsnapshot: true\nsteps: [{user: Small talk}]\n")

    first = project.convtest("record")
    before = {name: data for name, data in project.files().items() if "__snapshots__" in name}
    project.write("scenarios/a.yaml", (text + swept + "steps: [{user: Small talk, id: t}]\n").replace("mine", "yours"))
    again = project.convtest("record", "--mode", "all", "scenarios/a.yaml::who[Ada]")
    plain = project.pytest("-q", "-k", "other or Ada or swept")

    assert first.code == again.code == 0, first.text + again.text
    assert first.out.count("snapshot  scenarios/__snapshots__/") == len(before) == 3
    assert again.out.count("snapshot  ") == 1
    assert again.out.endswith("\n1 recorded\n")
    assert first.out.endswith("\n4 recorded\n")
    assert plain.code == 0, plain.out
    changed = [name for name, data in before.items() if project.files()[name] != data]
    assert [Path(name).name for name in changed] == ["who[Ada].txt"]


def test_a_replay_sends_nothing_to_the_model(project: Project) -> None:
    with model() as (url, does):
        project.write("pyproject.toml", SECTION.replace('"simulator"', f'"{url}"'))
        project.write("scenarios/long.yaml", TALK)

        done = project.convtest("record")

        assert done.code == 0, done.text
        assert len(does.requests) == TURNS


# a recording that broke off is named, and a person may choose


def test_record_names_what_broke_off_and_keeps_it_aside(project: Project) -> None:
    stage = Stage(project.root)
    partial = break_off(stage, 3)
    before = partial.read_bytes()
    project.write("pyproject.toml", SECTION)

    done = project.convtest("record", "scenarios/talk.yaml::long")

    assert done.code == 0, done.text
    assert "a recording broke off: cassettes/talk/long.yaml.partial" in done.err
    assert "convtest record --resume" in done.err
    assert "aside     cassettes/talk/long.yaml.partial-1" in done.out
    assert (partial.parent / "long.yaml.partial-1").read_bytes() == before
    assert project.convtest("record").err == "", "what is kept aside is not asked for again"


@pytest.mark.parametrize(("answer", "asked_for"), [("resume", 2), ("anew", 5), ("stop", 0)])
def test_a_person_at_a_terminal_chooses(project: Project, answer: str, asked_for: int) -> None:
    import pty

    with model() as (url, does):
        stage = Stage(project.root)
        project.write("pyproject.toml", SECTION.replace('"simulator"', f'"{url}"'))
        project.write("scenarios/talk.yaml", TALK)
        project.convtest("record", "--no-replay")
        path = stage.cassette()
        store.save(store.partial_of(path), store.load(path, shown="c")[:3])
        path.unlink()
        does.requests.clear()
        main, terminal = pty.openpty()
        command = [sys.executable, "-c", "from convtest.cli import main; main()", "record", "--no-replay"]
        child = subprocess.Popen(command, cwd=project.root, stdin=terminal, stdout=terminal, stderr=terminal)
        os.write(main, f"{answer}\n".encode())
        code = child.wait(60)
        os.close(terminal)
        os.close(main)

        assert code == (2 if answer == "stop" else 0)
        assert len(does.requests) == asked_for
        aside = list(path.parent.glob("*.partial-1"))
        assert bool(aside) == (answer == "anew")
        assert store.partial_of(path).exists() == (answer == "stop")


def printed(code: str, temporary: Path) -> list[str]:
    """What a process of its own prints, whose temporary files stand there."""
    command, environment = [sys.executable, "-c", code], {**os.environ, "TMPDIR": str(temporary)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


def test_rooms_of_a_process_are_gone_with_it(tmp_path: Path) -> None:
    code = (
        "from convtest.temporary import room\n"
        "with room() as one, room() as other:\n"
        "    one.mkdir(); (one / 'a').write_text('x'); print(one.parent == other.parent, other.exists())\n"
        "print(one.exists(), other.exists(), one.parent.exists())"
    )

    assert printed(code, tmp_path) == ["True False", "False False True"]
    assert list(tmp_path.iterdir()) == []


def test_a_child_that_was_forked_has_rooms_of_its_own_and_leaves_those_of_its_parent(tmp_path: Path) -> None:
    code = (
        "import os\n"
        "from convtest.temporary import close_rooms, room\n"
        "with room() as mine:\n"
        "    mine.mkdir()\n"
        "    if os.fork() == 0:\n"
        "        with room() as its: print(its.parent != mine.parent, flush=True)\n"
        "        close_rooms(); os._exit(0)\n"
        "    os.wait(); print(mine.is_dir())"
    )

    assert printed(code, tmp_path) == ["True", "True"]
    assert list(tmp_path.iterdir()) == []
