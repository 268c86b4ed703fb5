"""Agents on a framework: the examples hold, what is broken in them is found, and turns end in convtest's words."""

import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

from convtest import Event, Opening, SessionError, TextDelta, TurnEnd
from convtest.adapters import Adapter
from convtest.adapters.endings import ended_by
from tests.playing import Stage, checks_of, finding_of
from tests.project import Project

EXAMPLES = Path(__file__).parent.parent / "examples"
BUGS = {
    "langgraph": {"window": "history", "no_system": "sent", "mixed": "isolation", "half": "tool_pairs"},
    "openai_agents": {"window": "history", "no_system": "sent", "mixed": "isolation", "half": "history"},
    "pydantic_ai": {"window": "history", "no_system": "sent", "mixed": "isolation", "half": "history"},
    "ai_sdk": {"window": "history", "no_system": "sent", "mixed": "isolation", "half": "ended"},
}
"""What its variable BUG breaks of each example, and a check that finds it."""
STOPPED = {"langgraph": "interrupt and tool_result", "ai_sdk": "interrupt and tool_use"}
"""The points of a sweep at which half a tool call is left; the other examples lose it in the turn after a whole one."""


@pytest.fixture(scope="module")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `examples` beside `clients`, as in the repository, with that of the AI SDK, installed."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not here: the example on the AI SDK cannot be installed")
    folder = tmp_path_factory.mktemp("repository")
    ignored = shutil.ignore_patterns("node_modules", "__pycache__")
    shutil.copytree(EXAMPLES.parent / "clients", folder / "clients", ignore=ignored)
    shutil.copytree(EXAMPLES / "ai_sdk", folder / "examples" / "ai_sdk", ignore=ignored)
    command = ["npm", "ci", "--silent", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder / "examples" / "ai_sdk", check=True, timeout=300)
    return folder / "examples"


def copied(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Project:
    if name == "ai_sdk":
        folder = request.getfixturevalue("npm")
    else:
        folder = tmp_path
        shutil.copytree(EXAMPLES / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    section = (folder / name / "pyproject.toml").read_text()
    project = Project(folder / name)
    project.write("pyproject.toml", section)
    project.environment = {}
    return project


@pytest.mark.parametrize("name", BUGS)
def test_an_example_replays(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    replayed = copied(name, tmp_path, request).pytest("scenarios", "-m", "not sweep", "--convtest-strict")

    assert {**replayed.counts(), "deselected": 0} == {"passed": 3, "deselected": 0}, replayed.out


@pytest.mark.slow
@pytest.mark.parametrize("name", BUGS)
def test_what_breaks_an_example_is_found(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    project = copied(name, tmp_path, request)
    for bug, check in BUGS[name].items():
        project.environment = {"BUG": bug}
        which = ["-m", "not sweep", "--convtest-live"]
        if bug == "half" and name in STOPPED:
            which = ["-m", "sweep", "-k", STOPPED[name]]
        broken = project.pytest("scenarios", *which)
        assert broken.counts().get("failed", 0) >= 1, (bug, broken.out)
        assert f"  {check}" in broken.out, (bug, broken.out)


@pytest.mark.slow
@pytest.mark.parametrize("name", BUGS)
def test_an_example_may_be_cut_anywhere(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    # A process of Node's for each session: a point where something else begins stands for those like it.
    fewer = ("--at", "every change") if name == "ai_sdk" else ()
    swept = copied(name, tmp_path, request).convtest("sweep", *fewer)

    assert swept.code == 0, swept.text
    held, of = re.findall(r"(\d+) of (\d+) points hold", swept.out)[0]
    assert held == of
    assert int(of) > (20 if fewer else 50)


def test_the_program_for_the_ai_sdk_in_the_docs_is_one(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    project = copied("ai_sdk", tmp_path, request)
    kept = project.read("under_test.mjs")
    page = (EXAMPLES.parent / "docs" / "command.md").read_text()
    (shown,) = re.findall(r"^```js file=under_test.mjs\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    try:
        project.write("under_test.mjs", shown)
        replayed = project.pytest("scenarios", "-m", "not sweep", "-k", "apart or cut-anywhere", "--convtest-strict")
    finally:
        project.write("under_test.mjs", kept)

    assert replayed.counts()["passed"] == 2, replayed.out


def test_without_its_packages_the_example_on_the_ai_sdk_says_how_to_install_them(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("node_modules")
    shutil.copytree(EXAMPLES / "ai_sdk", tmp_path / "ai_sdk", ignore=ignored)

    assert "the AI SDK is not here: run npm install in" in Project(tmp_path / "ai_sdk").pytest("scenarios").text


def status(code: int, body: Any = None) -> openai.APIStatusError:
    request = httpx2.Request("POST", "https://api.openai.com/v1/responses")
    return openai.APIStatusError(f"HTTP {code}", response=httpx2.Response(code, request=request), body=body)


def raised_from(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


REQUEST = httpx2.Request("POST", "https://api.openai.com/v1/responses")
ENDS: dict[str, tuple[Exception, str, str | None]] = {
    "429": (status(429), "rate_limited", None),
    "529": (status(529), "overloaded", None),
    "401": (status(401), "error", "not_authenticated"),
    "400": (status(400), "error", "bad_request"),
    "httpx's status": (
        httpx.HTTPStatusError("x", request=httpx.Request("GET", "http://x"), response=httpx.Response(404)), "error",
        "model_not_found",
    ),
    "a time-out": (openai.APITimeoutError(REQUEST), "timeout", None),
    "a time-out of httpx": (httpx.ReadTimeout("x"), "timeout", None),
    "a reset": (httpx2.ReadError("x"), "connection_lost", None),
    "a package's word for a refused connection": (
        raised_from(anthropic.APIConnectionError(request=REQUEST), httpx2.ConnectError("x")), "refused", None,
    ),
    "a package's word for a lost one": (
        raised_from(anthropic.APIConnectionError(request=REQUEST), httpx2.ReadError("x")), "connection_lost", None,
    ),
    "an error event": (openai.APIError("Overloaded", REQUEST, body=None), "overloaded", None),
    "no JSON": (ValueError("Expecting value"), "error", None),
    "in a group": (ExceptionGroup("tasks", [httpx2.ReadError("x")]), "connection_lost", None),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_exceptions_of_the_packages_are_ends_of_turns(name: str) -> None:
    error, ended, code = ENDS[name]
    end = ended_by(error)

    assert end is not None
    assert (end.ended, end.error) == (ended, code)


@pytest.mark.parametrize("error", [KeyError("x"), AttributeError("x"), TypeError("x")])
def test_a_bug_of_the_application_is_no_end_of_a_turn(error: Exception) -> None:
    assert ended_by(error) is None


class Echo(Adapter):
    """`bug`: raises (an exception that nobody maps), own (one that it maps itself)."""

    def ended(self, error: Exception) -> TurnEnd | None:
        return TurnEnd(ended="refusal") if "no" in error.args else super().ended(error)

    async def open(self, id: str) -> None:
        self.said = [id]

    async def say(self, text: str) -> AsyncIterator[Event]:
        for word in text.split():
            yield TextDelta(text=f"{word} ")
        if self.opening.options.get("bug") == "raises":
            raise LookupError("the shelf is empty")
        if self.opening.options.get("bug") == "own":
            raise LookupError("no")


class ForkedEcho(Echo):
    async def copy(self, old: str, new: str) -> None:
        assert old != new


STEPS = """
    scenario: adapter
    steps:
      - {user: one two three, interrupt: {after: 2}, expect: {ended: interrupted}}
      - {user: four, expect: {contains: four}}
      - {resume: main, expect: {session: same}}
      - {user: five}
      - {fork: main, as: other%s}
    """


@pytest.mark.parametrize(("adapter", "more"), [("Echo", ", expect: {error: bad_request}"), ("ForkedEcho", "")])
def test_an_adapter_resumes_forks_and_is_interrupted(stage: Stage, adapter: str, more: str) -> None:
    played = stage.play(STEPS % more, f"tests.test_frameworks:{adapter}", wire="none")

    assert checks_of(played) == []
    assert played.transcript.turns()[0].text == "one two "


@pytest.mark.parametrize(("bug", "check"), [("raises", "client"), ("own", "ended")])
def test_what_an_adapter_raises_is_an_end_or_is_explained(stage: Stage, bug: str, check: str) -> None:
    stage.options = {"bug": bug}
    played = stage.play("scenario: x\nsteps: [{user: Hi.}]\n", "tests.test_frameworks:Echo", wire="none")

    seen = finding_of(played, check).seen
    assert ("map it in ended(error) of the adapter" in seen) if bug == "raises" else ("refusal" in seen)


def test_an_unknown_session_is_refused(stage: Stage) -> None:
    opening: Any = type("O", (), {"resume": "nobody", "store": stage.root, "fork": False, "continue_": False})()

    async def connect() -> None:
        await Echo(opening).connect()

    import asyncio

    with pytest.raises(SessionError, match="no session with the id nobody"):
        asyncio.run(connect())
    assert Opening is not None
