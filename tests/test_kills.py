"""Killed while it records, resumes, records anew and serves: nothing is lost, nothing is left, nothing more is asked.

`scripts/kills` does the same by the hundred.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from convtest.clients.guard import MARK as GUARDED
from convtest.clients.guard import end
from tests.killing import GONE, HOWS, How, Trials, fake_model, marked
from tests.models import Behaviour, model
from tests.project import SECTION, WITHOUT, Project

KILLS = 3


@pytest.mark.parametrize("how", HOWS)
def test_killed_at_any_moment(tmp_path: Path, how: How) -> None:
    with fake_model() as upstream:
        account = Trials(how, tmp_path, upstream, seed=3).run(KILLS)

    assert account.kills == KILLS
    assert account.bad == 0, account.problems


@pytest.mark.parametrize("how", HOWS)
def test_two_writers_and_a_full_disk(tmp_path: Path, how: How) -> None:
    with fake_model() as upstream:
        trials = Trials(how, tmp_path, upstream, seed=3)

        assert trials.two_writers() == ""
        assert trials.full_disk() == ""


STUBBORN = """
import os, signal, subprocess, sys
from convtest.clients.messages.client import MessagesClient

class Client(MessagesClient):
    async def connect(self):
        await super().connect()
        code = "import time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
        subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_what_a_client_started_ends_with_the_command(project: Project, how: signal.Signals) -> None:
    """A program in a session of its own, deaf to SIGTERM, started by a client: found by the mark that it inherits."""
    mark = f"stubborn-{os.getpid()}-{how}"
    with model(Behaviour(pause=0.3)) as (url, does):
        target = 'kind = "python"\ntarget = "stubborn:Client"'
        section = SECTION.replace('"simulator"', f'"{url}"').replace('kind = "messages"', target)
        project.write("pyproject.toml", section)
        project.write("stubborn.py", STUBBORN)
        project.write(
            "scenarios/a.yaml",
            "scenario: a\nsteps: [{user: One}, {user: Two}, {user: Three}, {user: Four}, {user: Five}, {user: Six}]\n",
        )
        child = subprocess.Popen(
            [sys.executable, "-c", "from convtest.cli import main; main()", "record"],
            cwd=project.root,
            env={**os.environ, "CONVTEST_TRIAL": mark, "PYTEST_ADDOPTS": WITHOUT},
            preexec_fn=lambda: signal.signal(how, signal.SIG_DFL) if how != signal.SIGKILL else None,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while len(does.requests) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert any("time.sleep(300)" in " ".join(one.cmdline()) for one in marked(mark))
        child.send_signal(how)
        said = child.communicate(timeout=60)[1]
        asked = len(does.requests)
        deadline = time.monotonic() + GONE
        while marked(mark) and time.monotonic() < deadline:
            time.sleep(0.05)
        left = [one.cmdline() for one in marked(mark)]
        time.sleep(1)

        assert child.returncode == (-how if how == signal.SIGKILL else 128 + how)
        assert not left
        assert len(does.requests) == asked
        assert ("go on: convtest record --resume" in said) == (how != signal.SIGKILL)
        assert (project.root / "cassettes/a/a.yaml.partial").exists()


def test_a_recording_under_nohup_outlives_its_terminal(project: Project) -> None:
    with model(Behaviour(pause=0.1)) as (url, does):
        project.write("pyproject.toml", SECTION.replace('"simulator"', f'"{url}"'))
        project.write("scenarios/a.yaml", "scenario: a\nsteps: [{user: One}, {user: Two}, {user: Three}]\n")
        with subprocess.Popen(
            [sys.executable, "-c", "from convtest.cli import main; main()", "record", "--no-replay"],
            cwd=project.root,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
            stdout=subprocess.DEVNULL,
        ) as child:
            deadline = time.monotonic() + 60
            while len(does.requests) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            child.send_signal(signal.SIGHUP)

            assert child.wait(60) == 0
        assert (project.root / "cassettes/a/a.yaml").exists()


def test_only_what_carries_the_mark_is_ended() -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with (
        subprocess.Popen(sleep, env={**os.environ, GUARDED: "one"}, start_new_session=True) as mine,
        subprocess.Popen(sleep, env={**os.environ, GUARDED: "other"}, start_new_session=True) as other,
    ):
        while any(psutil.Process(one.pid).exe() != os.path.realpath(sys.executable) for one in (mine, other)):
            time.sleep(0.01)
        end([], "one")

        assert mine.wait(10) == -signal.SIGKILL
        assert other.poll() is None
        other.kill()
