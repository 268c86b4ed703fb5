"""Clients in other processes: what they are told, what they may not do, how they end, and what they leave behind."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import anyio
import psutil
import pytest

from convtest.clients import family
from convtest.clients.port import Opening
from convtest.clients.prices import usd
from convtest.clients.process import Program
from convtest.config import Config, Profile
from convtest.errors import ClientError, ConfigError, NetworkBlocked, SpendingLimit
from convtest.events import Event, TurnEnd
from convtest.gateway.addresses import Outlet
from convtest.play.mode import Mode
from convtest.play.perform import Played, perform
from convtest.play.prepare import prepare
from convtest.reporting.failure import failure_text
from convtest.reporting.snapshot import snapshot_text
from convtest.scenario.loader import load
from convtest.structs import replace
from convtest.wire.spending import Purse
from tests.models import Behaviour, model
from tests.playing import GOOD, MODEL, Stage, checks_of, finding_of

MEMORY = """
    scenario: memory
    timeout: 20s
    facts:
      who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
    tools:
      look_up: {input: {what: string}, answers: [{when: {what: it}, return: found in the attic}]}
    steps:
      - tell: who
      - user: Look it up.
        simulate: [{calls: [{look_up: {what: it}}]}, {text: Here it is.}]
        expect: {calls: [{look_up: {what: it}}], sent: {contains: found in the attic}}
      - user: Tell me a long story about a lighthouse.
        interrupt: {after: 4}
        expect: {ended: interrupted}
      - ask: who
      - save: main
      - resume: main
        expect: {session: same, history: intact}
      - ask: who
      - fork: main
        as: other
      - session: other
        ask: who
      - clear: main
      - ask: who
        expect: {not: {knows: who}}
      - restore: main
        as: third
      - session: third
        ask: who
    """


def own(target: str = GOOD, **more: Any) -> Profile:
    return Profile(
        name="assistant", kind="python", target=target, own_process=True, upstream="simulator", options=MODEL, **more
    )


def command(*words: str, **more: Any) -> Profile:
    return Profile(name="assistant", kind="command", command=words, upstream="simulator", options=MODEL, **more)


def program(folder: Path, body: str) -> Profile:
    """A program of a few lines of Python; `say` and `hear` are there."""
    path = folder / "program.py"
    path.write_text(PROTOCOL + dedent(body))
    return command(sys.executable, str(path))


PROTOCOL = """
import json, os, subprocess, sys, time, urllib.request

def say(**message):
    print(json.dumps(message), flush=True)

def hear():
    line = sys.stdin.readline()
    return json.loads(line) if line else sys.exit()

"""


def config_of(stage: Stage, profile: Profile, **more: Any) -> Config:
    return replace(stage.config(), clients={"assistant": profile}, **more)


def play(stage: Stage, text: str, profile: Profile, mode: Mode | None = None, **more: Any) -> Played:
    (scenario,) = stage.scenarios(text)
    stage.runs += 1
    folder = stage.root / f"run-{stage.runs}"
    folder.mkdir()
    return perform(prepare(config_of(stage, profile, **more), scenario, mode or Mode()), folder)


def report(played: Played) -> str:
    return failure_text(played.result())


def test_a_client_in_its_own_process_has_the_same_conversation(stage: Stage) -> None:
    inside = stage.play(MEMORY)
    simulated = play(stage, MEMORY, own())
    recorded = play(stage, MEMORY, own(), Mode(record="all"))
    replayed = play(stage, MEMORY, own())

    for one in (inside, simulated, recorded, replayed):
        assert one.verdict.passed, report(one)
        assert snapshot_text(one.result()).splitlines()[2:] == snapshot_text(inside.result()).splitlines()[2:]
    assert replayed.transcript.source == "replayed"


def test_one_that_forgets_is_caught(stage: Stage) -> None:
    play(stage, MEMORY, own(), Mode(record="all"))

    outcome = play(stage, MEMORY, own("tests.broken_clients:forgetful"))

    assert ("history", "wire") in checks_of(outcome)


TWO = """
    scenario: two
    timeout: 20s
    facts:
      who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
    steps:
      - tell: who
      - user: Tell me a long story about a lighthouse.
        disturb: {do: kill, %s}
        expect: {ended: connection_lost}
      - resume: main
      - ask: who
    """


@pytest.mark.parametrize("point", ["after: 0", "after: 1", "after: 7"])
def test_it_is_disconnected_also_while_its_turn_is_waited_for(stage: Stage, point: str) -> None:
    """Before its first event the turn's reader waits for the program, and so does whoever disconnects it."""
    text = (TWO % point).replace("do: kill", "do: disconnect")

    outcome = play(stage, text, own())

    assert outcome.verdict.passed, report(outcome)
    assert outcome.transcript.leftovers == []


@pytest.mark.parametrize("point", ["after: 0", "after: 1", "after: 7", "at: first_event"])
@pytest.mark.parametrize("mode", [Mode(), Mode(record="all")], ids=["simulated", "recorded"])
def test_a_kill_is_a_sigkill_and_resume_a_restart(stage: Stage, point: str, mode: Mode) -> None:
    text = TWO % point

    outcome = play(stage, text, own(), mode)
    outcome = play(stage, text, own()) if mode.record == "all" else outcome

    assert outcome.verdict.passed, report(outcome)
    end = outcome.transcript.turns()[1].end
    assert end is not None
    assert "the program ended with signal 9" in end.message


@pytest.mark.parametrize("do", ["reset", "close", "error_event", "malformed"])
def test_faults_at_the_gateway_reach_another_process(stage: Stage, do: str) -> None:
    ended = "connection_lost" if do in {"reset", "close"} else "{one_of: [overloaded, error]}"
    text = (TWO % "after: 4").replace("disturb: {do: kill", f"fault: {{do: {do}").replace("connection_lost", ended, 1)

    recorded = play(stage, text, own(), Mode(record="all"))
    replayed = play(stage, text, own())

    for one in (recorded, replayed):
        assert one.verdict.passed, report(one)
    assert recorded.transcript.turns()[1].text == replayed.transcript.turns()[1].text == "Once there"


def test_a_stall_lasts_until_the_client_gives_up(stage: Stage) -> None:
    profile = replace(own(), options={**MODEL, "read_timeout": 0.3})
    text = (TWO % "after: 2").replace("disturb: {do: kill", "fault: {do: stall").replace("connection_lost", "timeout")

    recorded = play(stage, text, profile, Mode(record="all"))
    replayed = play(stage, text, profile)

    for one in (recorded, replayed):
        assert one.verdict.passed, report(one)


def test_a_status_at_the_gateway_is_retried_by_another_process(stage: Stage) -> None:
    text = (TWO % "x").replace("disturb: {do: kill, x}", "fault: {status: 529, retry_after: 0.05s}")
    text = text.replace("{ended: connection_lost}", "{retries: {count: 1}}")

    outcome = play(stage, text, replace(own(), options={**MODEL, "max_retries": 2}))

    assert outcome.verdict.passed, report(outcome)


def running(words: str) -> list[int]:
    """Processes, zombies apart, with these words in their command line."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and words in " ".join(process.cmdline()):
                found.append(process.pid)
    return found


ONE = "scenario: one\ntimeout: 8s\nsteps: [{user: Hello., expect: {contains: hi}}]\n"
BARE = ONE.replace(", expect: {contains: hi}", "")


def test_what_a_program_is_given(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-the-real-key-of-somebody")
    monkeypatch.setenv("AWS_SECRET", "another-real-secret-value")
    profile = program(
        stage.root,
        """
        asked = hear()
        say(type="connected", session_id="s1")
        hear()
        shown = {k: v for k, v in os.environ.items()}
        say(type="text", text=json.dumps({"env": shown, "asked": asked, "cwd": os.getcwd(),
                                         "folders": [os.path.isdir(asked[one]) for one in ("store", "workspace")]}))
        say(type="turn_end")
        hear(); say(type="disconnected")
        """,
    )

    outcome = play(stage, ONE.replace("contains: hi", "contains: env"), replace(profile, env={"MINE": "yes"}))
    said = json.loads(outcome.transcript.turns()[0].text)
    found: Mapping[str, str] = said["env"]

    assert outcome.verdict.passed, report(outcome)
    assert "sk-proj-the-real-key-of-somebody" not in found.values()
    assert "AWS_SECRET" not in found
    assert found["MINE"] == "yes"
    assert found["ANTHROPIC_BASE_URL"].endswith("/s/one/main")
    assert found["OPENAI_BASE_URL"] == f"{found['ANTHROPIC_BASE_URL']}/v1"
    assert found["ANTHROPIC_API_KEY"] == found["OPENAI_API_KEY"] != ""
    assert found["HOME"] == str(stage.root / "run-1" / "home")
    assert '"/ITEM/home"' in outcome.result().steps[0].text  # which is where the item plays, in whatever is shown of it
    assert found["HTTPS_PROXY"] == found["http_proxy"] == found["ANTHROPIC_BASE_URL"].removesuffix("/s/one/main")
    assert said["cwd"] == str(stage.root)
    assert said["folders"] == [True, True]
    assert said["asked"]["options"] == {"model": "claude-haiku-4-5"}
    assert outcome.transcript.turns()[0].session_id == "s1"


def test_a_program_cannot_leave_this_machine(stage: Stage) -> None:
    profile = program(
        stage.root,
        """
        hear(); say(type="connected"); hear()
        try:
            urllib.request.urlopen("https://telemetry.example.com/ping", timeout=5)
        except OSError as error:
            say(type="text", text=f"hi {error}")
        say(type="turn_end"); hear()
        """,
    )

    with pytest.raises(NetworkBlocked, match=r"scenarios/talk.yaml::one tried to reach 'telemetry.example.com'"):
        play(stage, ONE, profile)
    assert play(stage, ONE, profile, allow_hosts=("telemetry.example.com",)).transcript.turns()


BROKEN: dict[str, tuple[str, str, str]] = {
    "no JSON": ("hear(); print('hello', flush=True); hear()", "client", "is no JSON object with a type: 'hello'"),
    "dies at start": (
        "print('no key', file=sys.stderr); sys.exit(3)",
        "client",
        "ended with exit code 3; its last words: no key",
    ),
    "dies in a trace, as Node's are": (
        "print('Error [GONE]: no package zod', *['    at resolve'] * 9, sep='\\n', file=sys.stderr)\nsys.exit(1)",
        "client",
        "its last words: Error [GONE]: no package zod | … |     at resolve",
    ),
    "dies in mid-turn": (
        "hear(); say(type='connected'); hear(); say(type='text', text='hi'); sys.exit(4)",
        "ended",
        "connection_lost: the program ended with exit code 4",
    ),
    "unknown message": (
        "hear(); say(type='connected'); hear(); say(type='txt', text='hi'); hear()",
        "client",
        "what the protocol does not know here: {'type': 'txt', 'text': 'hi'}",
    ),
    "an unknown end": (
        "hear(); say(type='connected'); hear(); say(type='turn_end', ended='done'); hear()",
        "client",
        "turn_end: Invalid enum value 'done' - at `$.ended`",
    ),
    "wrong turn end": (
        "hear(); say(type='connected'); hear(); say(type='turn_end', usage=3); hear()",
        "client",
        "turn_end: Expected `object`, got `int` - at `$.usage`",
    ),
    "hangs": (
        "hear(); say(type='connected'); hear(); say(type='text', text='hm'); time.sleep(60)",
        "timeout",
        "text 'hm'",
    ),
    "never connects": ("time.sleep(60)", "timeout", "connecting"),
}


@pytest.mark.parametrize(("body", "check", "says"), BROKEN.values(), ids=list(BROKEN))
def test_a_program_that_breaks_the_protocol_is_named(stage: Stage, body: str, check: str, says: str) -> None:
    text = ONE.replace("8s", "2s" if check == "timeout" else "30s")

    outcome = play(stage, text, program(stage.root, body))

    assert says in finding_of(outcome, check).seen
    assert running(str(stage.root)) == []


def test_a_program_that_is_not_there_is_an_error_of_the_set_up(stage: Stage) -> None:
    with pytest.raises(ClientError, match="cannot start 'no-such-program': No such file"):
        play(stage, ONE, command("no-such-program"))


def test_what_a_client_leaves_running_is_named_and_ended(stage: Stage) -> None:
    leaves = """
        hear(); say(type="connected"); hear()
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        say(type="text", text=f"hi {child.pid}"); say(type="turn_end"); hear(); say(type="disconnected")
        """
    stays = """
        hear(); say(type="connected"); hear()
        say(type="text", text=f"hi {os.getpid()}"); say(type="turn_end"); hear(); say(type="disconnected")
        time.sleep(600)
        """
    for body, named in ((leaves, "time.sleep(600)"), (stays, "program.py")):
        outcome = play(stage, ONE, program(stage.root, body))
        pid = int(outcome.transcript.turns()[0].text.removeprefix("hi "))

        seen = finding_of(outcome, "no_leftovers").seen
        assert f"pid {pid}: " in seen
        assert named in seen
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_process_is_named_by_both_ends_of_its_line() -> None:
    """The interpreter's folder may be longer than all that is shown."""
    line = [f"{'/a/long/path' * 12}/python3", "-c", "print(flush=True); input()", "x" * 200, "the-last-word"]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, executable=sys.executable, stdin=pipe, stdout=pipe) as started:
        assert started.stdout is not None
        started.stdout.readline()
        try:
            shown = family.named(psutil.Process(started.pid))
        finally:
            started.kill()

    assert shown.startswith(f"pid {started.pid}: python3 -c print(flush=True); input()")
    assert shown.endswith("the-last-word")
    assert len(shown) < 150


def test_a_refused_session_leaves_nothing(stage: Stage) -> None:
    step = "{resume: lost, session_id: nobody, expect: {error: session_not_found}}"
    text = f"scenario: lost\ntimeout: 10s\nsteps: [{step}]\n"

    assert play(stage, text, own()).verdict.passed


def test_own_process_needs_a_python_client(tmp_path: Path) -> None:
    from convtest.config import load_config

    section = '[tool.convtest.clients.a]\nkind = "messages"\nprocess = "own"\n'
    (tmp_path / "pyproject.toml").write_text(section)

    with pytest.raises(ConfigError, match='process = "own" is for clients of kind python'):
        load_config(tmp_path)


def test_two_items_at_once_do_not_harm_each_other(stage: Stage) -> None:
    found: dict[int, Played] = {}
    (scenario,) = stage.scenarios(MEMORY)

    def one(number: int) -> None:
        folder = stage.root / f"at-once-{number}"
        folder.mkdir()
        found[number] = perform(prepare(config_of(stage, own()), scenario, Mode()), folder)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [report(one) for one in found.values() if not one.verdict.passed] == []


TELLS = """
    asked = hear(); say(type="connected"); hear()
    say(type="text", text="hi " + json.dumps(dict(os.environ))); say(type="turn_end"); hear(); say(type="disconnected")
    """


def test_no_real_key_reaches_a_child_whatever_it_is_called(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "MODEL_KEY": "the-real-key-of-the-profile",
        "COPY_OF_IT": "the-real-key-of-the-profile",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI-aws",
        "GITHUB_PAT": "ghp-not-for-children",
        "OPENAI_KEY": "sk-short-form",
    }
    monkeypatch.delenv("PYTHONPATH", raising=False)
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)

    outcome = play(stage, ONE, program(stage.root, TELLS))
    custom = play(stage, ONE, replace(program(stage.root, TELLS), api_key_env="MODEL_KEY"))

    said = outcome.transcript.turns()[0].text
    assert [name for name in ("AWS_SECRET_ACCESS_KEY", "GITHUB_PAT", "OPENAI_KEY") if name in said] == []
    assert not [value for value in secrets.values() if value in custom.transcript.turns()[0].text]
    # Nothing but the guard of its sockets: where this process finds its modules is no matter of a program's.
    assert Path(json.loads(said.removeprefix("hi "))["PYTHONPATH"]).name == "python_child"


def asking(url: str, body: str = "{}", headers: str = "{}") -> str:
    """Python that asks the model and says what it answered."""
    return f"""
    def ask(words):
        body = {{"model": "m", "max_tokens": 99, "messages": [{{"role": "user", "content": words}}], **{body}}}
        headers = {{"x-api-key": os.environ["ANTHROPIC_API_KEY"], **{headers}}}
        address = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages{url}"
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        return json.load(urllib.request.urlopen(request))["content"][0]["text"]

    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "connect":
            say(type="connected")
        if message["type"] == "query":
            say(type="text", text=ask(message["text"]))
            say(type="turn_end")
            AFTER
        if message["type"] == "disconnect":
            say(type="disconnected")
            break
    """


def test_the_runs_token_is_in_no_cassette_wherever_a_client_puts_it(stage: Stage) -> None:
    key = 'os.environ["ANTHROPIC_API_KEY"]'
    body = asking("", f'{{"metadata": {{"trace": {key}}}}}', f'{{"x-mine": {key}}}').replace("AFTER", "pass")

    recorded = play(stage, BARE, program(stage.root, body), Mode(record="all"))
    replayed = play(stage, BARE, program(stage.root, body))

    assert recorded.verdict.passed, report(recorded)
    assert replayed.verdict.passed, report(replayed)
    assert "SCRUBBED_RUN_TOKEN" in stage.cassette().read_text()
    assert not re.search(r"convtest-[0-9a-f]{32}", stage.cassette().read_text())


def test_a_request_outside_of_any_turn_is_a_named_miss(stage: Stage) -> None:
    quiet, late = (asking("").replace("AFTER", after) for after in ("pass", 'time.sleep(0.3); ask("a title, please")'))
    play(stage, ONE, program(stage.root, quiet), Mode(record="all"))

    outcome = play(stage, ONE, program(stage.root, late))

    assert "outside of any turn" in finding_of(outcome, "miss").message


@pytest.mark.parametrize("environment", ["None", "{}"], ids=["inherited", "emptied"])
def test_a_child_of_the_programs_own_group_is_a_leftover_too(stage: Stage, environment: str) -> None:
    body = """
    hear(); say(type="connected"); hear()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(601)"], env=ENVIRONMENT,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    say(type="text", text="hi"); say(type="turn_end"); hear(); say(type="disconnected")
    """

    outcome = play(stage, ONE, program(stage.root, body.replace("ENVIRONMENT", environment)))

    assert "time.sleep(601)" in finding_of(outcome, "no_leftovers").seen
    assert running("time.sleep(601)") == []


LATE = {
    "text": """say(type="turn_end"); say(type="text", text="late words")""",
    "a second end": """say(type="turn_end"); say(type="turn_end")""",
}


@pytest.mark.parametrize("end", LATE.values(), ids=list(LATE))
def test_what_a_program_says_after_its_turn_is_seen(stage: Stage, end: str) -> None:
    body = f"""
    hear(); say(type="connected")
    while hear()["type"] == "query":
        say(type="text", text="hi")
        {end}
    say(type="disconnected")
    """
    text = ONE.replace("]", ", {user: And now?}, {user: Once more.}]")

    outcome = play(stage, text, program(stage.root, body))

    found = [one.check for one in outcome.verdict.findings]
    assert "one_end" in found or "went on after its turn had ended" in finding_of(outcome, "client").seen


def test_a_limit_that_is_reached_in_the_last_step_is_an_error_and_nothing_is_kept(stage: Stage) -> None:
    purse = Purse(0.0, usd)

    with pytest.raises(SpendingLimit):
        play(stage, ONE.replace("contains: hi", "ended: connection_lost"), own(), Mode(record="all", purse=purse))

    assert not list((stage.root / "cassettes").rglob("*.yaml"))


@pytest.mark.parametrize("gateway", [True, False])
def test_a_fork_asks_the_upstream_of_its_own_client(stage: Stage, gateway: bool) -> None:
    text = """
    scenario: two upstreams
    sessions: {alice: {}, bob: {client: two}}
    steps:
      - {session: alice, user: I am Alice.}
      - {session: bob, user: I am Bob.}
      - {fork: bob, as: carol}
      - {session: carol, user: I am Carol.}
    """
    with model(Behaviour(pause=0)) as (one, first), model(Behaviour(pause=0)) as (two, second):
        clients = {
            name: Profile(name=name, kind="messages", upstream=url, gateway=gateway, options=MODEL)
            for name, url in (("assistant", one), ("two", two))
        }
        config = replace(stage.config(), clients=clients)
        path = stage.root / "scenarios" / "two.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text))
        (scenario,) = load(path, shown="two.yaml", default_client="assistant", clients=tuple(clients))
        (stage.root / "run").mkdir()
        outcome = perform(prepare(config, scenario, Mode(live=True)), stage.root / "run")

    assert outcome.verdict.passed, report(outcome)
    assert (len(first.requests), len(second.requests)) == (1, 2)


@pytest.mark.parametrize("at", ["first_event", "text"])
def test_a_fault_at_a_point_comes_in_another_process_too(stage: Stage, at: str) -> None:
    text = f"""
    scenario: faulty
    timeout: 20s
    steps:
      - user: What is 1 + 1?
        fault: {{do: reset, at: {at}}}
        expect: {{ended: connection_lost}}
      - user: What is 1 + 2?
    """

    for _ in range(3):
        outcome = play(stage, text, own())
        assert outcome.verdict.passed, report(outcome)


def test_a_fault_counts_the_events_of_an_upstream_that_packs_its_answers(stage: Stage) -> None:
    text = """
    scenario: packed
    steps:
      - user: Hello.
        fault: {do: reset, after: 4}
        expect: {ended: connection_lost}
    """
    with model(Behaviour(encoding="gzip")) as (url, _):
        profile = Profile(name="assistant", kind="messages", upstream=url, options=MODEL)
        outcome = play(stage, text, profile, Mode(live=True))

    assert outcome.verdict.passed, report(outcome)
    assert outcome.transcript.turns()[0].text == "The answer"


DEAD = """
    scenario: dead
    timeout: 20s
    steps:
      - user: I am Ada.
      %s
      - resume: main
      - user: What is 1 + 1?
    """
DEATHS = {
    "a turn after a kill": "- kill: main\n      - user: Lost words.\n        expect: {error: not_connected}",
    "a kill before the request": "- user: Lost words.\n        disturb: {do: kill, at: before_request}\n"
    "        expect: {ended: connection_lost}",
    "a disconnect in mid-turn": "- user: Tell me a story.\n        disturb: {do: disconnect, after: 3}\n"
    "        expect: {ended: connection_lost}",
    "an interrupt before the request": "- user: Lost words.\n        interrupt: {at: before_request}\n"
    "        expect: {ended: interrupted}",
}


def test_a_program_that_takes_its_time_to_die_is_asked_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    killpg = os.killpg

    def late(*given: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            killpg(*given)

    monkeypatch.setattr(os, "killpg", lambda *given: threading.Timer(0.7, late, given).start())

    outcome = play(stage, DEAD % DEATHS["a turn after a kill"], own())

    assert outcome.verdict.passed, report(outcome)


@pytest.mark.parametrize("step", DEATHS.values(), ids=list(DEATHS))
def test_what_never_reached_the_model_may_be_lost(stage: Stage, step: str) -> None:
    # Whether a program that is killed has still taken the prompt is luck: a recording of one would not be of the other.
    lucky = "kill, at: before_request" in step
    for mode in (Mode(), Mode()) if lucky else (Mode(), Mode(record="all"), Mode(), Mode()):
        outcome = play(stage, DEAD % step, own(), mode)
        assert outcome.verdict.passed, report(outcome)


def test_an_exception_of_a_hosted_client_is_told_at_once_with_its_place(stage: Stage) -> None:
    started = time.monotonic()

    outcome = play(stage, ONE, own("tests.broken_clients:Crashes"))

    assert "ZeroDivisionError: a bug in the client — broken_clients.py" in finding_of(outcome, "client").seen
    assert time.monotonic() - started < 6


def test_a_client_that_reads_on_after_an_interrupt_costs_one_parting(stage: Stage) -> None:
    text = """
    scenario: reads on
    timeout: 20s
    steps:
      - user: Tell me a long story about a lighthouse.
        interrupt: {after: 3}
        expect: {ended: interrupted}
    """
    started = time.monotonic()

    outcome = play(stage, text, own("tests.broken_clients:ReadsOn"))

    assert checks_of(outcome) == [("said", None)], report(outcome)
    assert "the interrupt was ignored" in report(outcome)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://api.anthropic.com", "/v1/messages", "https://api.anthropic.com/v1/messages"),
        ("https://api.openai.com/v1", "/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://host/v1beta/openai", "/v1/chat/completions", "https://host/v1beta/openai/chat/completions"),
        ("https://host/proxy", "/v1/messages", "https://host/proxy/v1/messages"),
        ("http://127.0.0.1:8000", "/v1/chat/completions", "http://127.0.0.1:8000/v1/chat/completions"),
    ],
)
def test_the_upstreams_address(base: str, path: str, url: str) -> None:
    assert Outlet(base_url=base).url(path, "") == url
    assert Outlet(base_url=base).url(path, "beta=true") == f"{url}?beta=true"


def test_a_live_child_reaches_the_gateway_past_a_proxy(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    body = asking("").replace("AFTER", "pass")
    with model() as (url, _):
        outcome = play(stage, BARE, replace(program(stage.root, body), upstream=url), Mode(live=True))

    assert outcome.verdict.passed, report(outcome)


def test_a_killed_program_runs_no_more_before_its_exit_code_is_taken(tmp_path: Path) -> None:
    async def killed() -> bool:
        program = Program([sys.executable, "-c", "input()"], cwd=tmp_path, environment={}, log=tmp_path / "log")
        await program.start(client="c")
        assert program.running
        program.kill()
        running = program.running
        await program.end()
        return running

    assert not anyio.run(killed)


def _asleep(environment: dict[str, str]) -> int:
    return os.posix_spawnp("sleep", ["sleep", "60"], environment)


def _ended(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


class Hangs:
    """Starts a process when it connects, and never answers; `ends` says whether its disconnect ends the process."""

    session_id = None
    ends = True

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    async def connect(self) -> None:
        # Without an object of Python's: one that is left behind would be a warning of some later test.
        self._pid = _asleep(dict(self._opening.environment))

    async def query(self, text: str) -> None: ...

    async def receive_response(self) -> AsyncIterator[Event]:
        await anyio.sleep(60)
        yield TurnEnd()

    async def interrupt(self) -> None: ...

    async def disconnect(self) -> None:
        if self.ends:
            _ended(self._pid)


class HangsAndLeaves(Hangs):
    """Ends nothing."""

    ends = False


@pytest.mark.parametrize(("client", "checks"), [(Hangs, {"timeout"}), (HangsAndLeaves, {"timeout", "no_leftovers"})])
def test_a_client_that_ran_out_of_time_is_disconnected_before_anything_is_its_leftover(
    stage: Stage, client: type[Hangs], checks: set[str]
) -> None:
    profile = Profile(
        name="assistant", kind="python", target=f"tests.test_processes:{client.__name__}", upstream="simulator",
        gateway=True, options=MODEL,
    )  # fmt: skip

    outcome = play(stage, "scenario: hangs\ntimeout: 1s\nsteps: [{user: Hello.}]", profile)

    assert {check for check, _ in checks_of(outcome)} == checks
