"""Nothing that an item does goes on without bound: time, bytes and rows each have a limit, and a word for it."""

import signal
import sys
import time
from pathlib import Path

import pytest

from convtest.errors import ConfigError, OutOfTime
from convtest.limits import Limits, limits_of, within
from tests.models import Behaviour, model
from tests.project import NAME, SECTION, Project

SLOW_REPLY = """
    scenario: slow to judge
    timeout: 1s
    steps:
      - user: Hello
        simulate: {text: %s}
        expect: %s
"""
BACKTRACKS = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def limited(project: Project, **limits: float) -> Project:
    table = "".join(f"{key} = {value}\n" for key, value in limits.items())
    project.write("pyproject.toml", f"{SECTION}\n[tool.convtest.limits]\n{table}")
    return project


def ends_within(seconds: float, project: Project, *args: str) -> str:
    started = time.monotonic()
    result = project.pytest(*args)
    assert time.monotonic() - started < seconds
    assert result.code == 1, result.text
    assert "Traceback" not in result.text
    return result.text


def test_a_pattern_that_backtracks_without_end_is_ended(project: Project) -> None:
    project.write("scenarios/slow.yaml", SLOW_REPLY % (BACKTRACKS, "{matches: '^(a|aa)+$'}"))
    text = ends_within(30, project)
    assert "scenarios/slow.yaml:7: matching the pattern '^(a|aa)+$' against a reply of 58 characters took more" in text
    assert "rewrite it" in text


def test_a_pattern_of_a_json_schema_is_ended(project: Project) -> None:
    pytest.importorskip("jsonschema")
    schema = "{json_schema: {type: object, properties: {a: {pattern: '^(a|aa)+$'}}}}"
    project.write("scenarios/slow.yaml", SLOW_REPLY % (f"""'{{"a": "{BACKTRACKS}"}}'""", schema))
    text = ends_within(30, project)
    assert "scenarios/slow.yaml:2: slow to judge: judging took more than 1 s" in text
    assert "raise timeout: in the scenario" in text


def test_a_check_of_ones_own_that_hangs_is_ended_where_it_stands(project: Project) -> None:
    project.write(
        "mine.py",
        "import time\n\ndef slow(turn):\n    try:\n        time.sleep(1000)\n    except Exception:\n        pass\n",
    )
    project.write("scenarios/slow.yaml", SLOW_REPLY % ("Hi", "{check: 'mine:slow'}"))
    text = ends_within(30, project)
    assert "judging took more than 1 s, at mine.py:5, in slow" in text


def test_what_is_quick_enough_is_left_alone(project: Project) -> None:
    project.write("scenarios/quick.yaml", SLOW_REPLY % (BACKTRACKS, "{matches: '^a+b$'}"))
    assert project.pytest().code == 0


def test_rows_that_are_too_many_are_refused_before_they_are_made(project: Project) -> None:
    values = ", ".join(map(str, range(200)))
    project.write("scenarios/many.yaml", f"scenario: many\nparams: {{a: [{values}], b: [{values}], c: [{values}]}}\n"
                  "steps: [{user: 'Hello ${a} ${b} ${c}'}]\n")  # fmt: skip
    result = project.pytest()
    assert (
        "scenarios/many.yaml:2:9: params make 8,000,000 rows, more than the 20,000 that a scenario may" in result.text
    )


def test_words_of_a_simulated_answer_have_a_limit(project: Project) -> None:
    project.write("scenarios/w.yaml", "scenario: w\nsteps:\n  - user: Go on\n    simulate: {words: 50000000}\n")
    assert "scenarios/w.yaml:4:5: simulate: words is 0 to 50,000, and not 50,000,000" in project.pytest().text


def test_collecting_a_file_has_a_time_limit(project: Project) -> None:
    limited(project, collecting=0.05)
    rows = "".join(f"  - {{a: {n}}}\n" for n in range(5000))
    project.write("scenarios/slow.yaml", f"scenario: slow\nparams:\n{rows}steps: [{{user: 'Hello ${{a}}'}}]\n")
    project.write("scenarios/quick.yaml", NAME)
    for result in (project.pytest(), project.convtest("check")):
        assert "scenarios/slow.yaml: reading it took more than 0.05 s" in result.text
        assert "raise collecting, [tool.convtest.limits]" in result.text
        assert "Traceback" not in result.text


def test_a_request_and_an_answer_have_a_size(project: Project) -> None:
    limited(project, body=20_000)
    project.write("scenarios/w.yaml", "scenario: w\nsteps:\n  - user: Go on\n    simulate: {words: 5000}\n")
    text = ends_within(30, project)
    assert "the answer to request 1, POST https://api.anthropic.com/v1/messages, has more than 20,000 bytes" in text
    assert "raise the limit: body, [tool.convtest.limits]" in text
    project.write("scenarios/w.yaml", f"scenario: w\nsteps:\n  - user: {'Go on. ' * 4000}\n")
    assert (
        "the request 1, POST https://api.anthropic.com/v1/messages, has more than 20,000 bytes" in project.pytest().text
    )


def test_a_cassette_has_a_size(project: Project) -> None:
    limited(project, cassette=1000)
    project.write("scenarios/w.yaml", NAME)
    project.write("cassettes/w/remembers-the-name.yaml", "interactions: []\n" + "#" * 2000 + "\nversion: 1\n")
    assert "the cassette cassettes/w/remembers-the-name.yaml has more than 1,000 bytes" in project.pytest().text


TALKER = """
    import json, sys
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "connect":
            print(json.dumps({"type": "connected", "session_id": "s"}), flush=True)
        elif message["type"] == "query":
            %s
"""


def talker(project: Project, body: str) -> None:
    project.write("talker.py", TALKER % body)
    command = '[tool.convtest.clients.talker]\nkind = "command"\nwire = "none"\nupstream = "simulator"\n'
    command += f'command = [{sys.executable!r}, "talker.py"]\n'
    project.write(
        "pyproject.toml",
        f"{project.read('pyproject.toml')}\n{command}".replace('client = "assistant"', 'client = "talker"'),
    )
    project.write("scenarios/t.yaml", "scenario: t\ntimeout: 20s\nsteps:\n  - user: Hello\n")


def test_a_line_of_a_program_has_a_size(project: Project) -> None:
    talker(limited(project, line=100_000), "print('x' * 10_000_000, flush=True)")
    assert (
        "more than 100,000 bytes without a line's end; if that is meant, raise the limit: line" in project.pytest().text
    )


def test_what_a_program_says_on_stderr_is_kept_up_to_a_size_and_its_last_words_always(project: Project) -> None:
    body = """
            sys.stderr.write("noise " * 1_000_000 + chr(10) + "the last of it" + chr(10))
            sys.exit(3)
    """
    talker(limited(project, stderr=10_000), body)
    text = project.pytest("--basetemp=kept").text
    assert "ended with exit code 3; its last words:" in text
    assert "the last of it" in text


def test_wrong_limits_are_named() -> None:
    assert limits_of({}) == Limits()
    assert limits_of({"body": 5, "collecting": 0.5}) == Limits(body=5, collecting=0.5)
    for wrong, message in [
        ({"boddy": 5}, "did you mean 'body'?"),
        ({"body": "5 MB"}, "a whole number of bytes, more than 0, and not '5 MB'"),
        ({"body": True}, "and not True"),
        ({"line": 0}, "more than 0, and not 0"),
        ({"collecting": -1}, "a number of seconds"),
        ([], "limits is a table"),
    ]:
        with pytest.raises(ConfigError) as caught:
            limits_of(wrong)
        assert message in str(caught.value)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no such alarms here")
def test_an_alarm_that_was_set_before_still_comes() -> None:
    rung: list[str] = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append("theirs"))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(OutOfTime), within(0.1, "it", "help"):
            time.sleep(5)
        assert not rung
        time.sleep(0.4)
        assert rung == ["theirs"]
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with within(5, "it", "help"):
            time.sleep(0.3)
        assert rung[1:] == ["theirs"]
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_application_that_answers_without_end_is_ended(project: Project) -> None:
    with model(Behaviour(edit=lambda body: body + b" " * 200_000)) as (upstream, _):
        limited(project, body=50_000)
        profile = '[tool.convtest.clients.app]\nkind = "sse"\nwire = "none"\nupstream = "simulator"\n'
        profile += f'url = "{upstream}/v1/messages"\n'
        project.write(
            "pyproject.toml",
            f"{project.read('pyproject.toml')}\n{profile}".replace('client = "assistant"', 'client = "app"'),
        )
        project.write("scenarios/t.yaml", "scenario: t\ntimeout: 20s\nsteps:\n  - user: Hello\n")
        text = ends_within(40, project)
    assert "the application's answer has more than 50,000 bytes" in text


def test_a_pattern_of_scrub_that_backtracks_without_end_is_ended(project: Project) -> None:
    project.write("pyproject.toml", f"{SECTION}".replace("client =", "scrub = ['^(a|aa)+$']\nclient =", 1))
    project.write("scenarios/slow.yaml", f"scenario: slow\nsteps: [{{user: {BACKTRACKS}}}]\n")
    text = ends_within(60, project, "--convtest-record=all")
    assert "scrub: '^(a|aa)+$' took more than 5 s for a text of 58 characters" in text
