"""Programs that write their sessions down late: a kill waits until they say that it is done."""

import sys
from typing import Any

import pytest

from convtest.config import Profile
from convtest.play.mode import Mode
from convtest.play.perform import Played
from convtest.structs import replace
from tests.playing import Stage, checks_of, finding_of

AGENT = """
import json, os, sys, threading, time, urllib.request
from pathlib import Path

said, history, lock, path = sys.stdin, [], threading.Lock(), None


def say(**message):
    with lock:
        print(json.dumps(message), flush=True)


def write():
    path.write_text(json.dumps(history))


def turn(text):
    history.append({"role": "user", "content": text})
    late = threading.Timer(5, write)
    late.daemon = True
    late.start()
    body = {"model": "claude-haiku-4-5", "max_tokens": 500, "messages": history}
    headers = {"x-api-key": os.environ["ANTHROPIC_API_KEY"], "content-type": "application/json"}
    url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as response:
        answer = "".join(block["text"] for block in json.load(response)["content"])
    for word in answer.split(" "):
        say(type="text", text=word + " ")
        time.sleep(0.01)
    history.append({"role": "assistant", "content": answer})
    write()
    say(type="turn_end")


for line in sys.stdin:
    message = json.loads(line)
    match message["type"]:
        case "connect":
            path = Path(message["store"], "session.json")
            path.parent.mkdir(parents=True, exist_ok=True)
            history = json.loads(path.read_text()) if message["resume"] and path.exists() else []
            say(type="connected", session_id="one", capabilities=CAPABILITIES)
        case "query":
            threading.Thread(target=turn, args=(message["text"],), daemon=True).start()
        case "settle":
            write()
            say(type="settled")
        case "disconnect":
            say(type="disconnected")
            break
"""
TEXT = """
scenario: killed
timeout: 20s
steps:
  - user: My name is Ada.
    simulate: {text: WORDS}
    disturb: {do: kill, after: %s}
    expect: {ended: connection_lost}
  - resume: main
  - user: What is my name?
    expect: {contains: Ada}
""".replace("WORDS", "Hello and well met. " * 500)  # it is not over before the kill, however busy the machine


def play(
    stage: Stage, text: str, capabilities: str = '["settle"]', mode: Mode | None = None, **options: object
) -> Played:
    program = stage.root / "agent.py"
    program.write_text(AGENT.replace("CAPABILITIES", capabilities), encoding="utf-8")
    policy = {"killed_prompt": "kept", "said": "words"}
    profile = Profile(
        name="assistant", kind="command", command=(sys.executable, str(program)), upstream="simulator",
        options=options, policy=policy,
    )  # fmt: skip
    config = replace(stage.config(), clients={"assistant": profile})
    return stage.play_with(config, text, mode)


@pytest.mark.parametrize("after", [0, 2])
def test_a_kill_waits_until_the_program_has_written_its_session(stage: Stage, after: int) -> None:
    """Also while its first line is waited for, and with lines that come while it writes."""
    recorded = play(stage, TEXT % after, mode=Mode(record="once"))

    assert checks_of(recorded) == []
    assert checks_of(play(stage, TEXT % after)) == []


@pytest.mark.parametrize(("capabilities", "options"), [("[]", {}), ('["settle"]', {"settle": 0})], ids=["none", "zero"])
def test_without_it_what_a_kill_loses_is_luck(stage: Stage, capabilities: str, options: dict[str, Any]) -> None:
    found = finding_of(play(stage, TEXT % 2, capabilities, **options), "contains")

    assert found.step == 3


def test_a_program_that_never_says_it_is_killed_all_the_same(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "AGENT", AGENT.replace('say(type="settled")', "pass"))

    assert checks_of(play(stage, TEXT % 2, settle=0.2)) == []
