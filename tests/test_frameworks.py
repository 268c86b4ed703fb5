"""Agents on a framework: the examples hold, what is broken in them is found, and turns end in convtest's words."""

import shutil
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
    "langgraph": {"window": "history", "no_system": "sent"},
    "openai_agents": {"window": "history", "no_system": "sent"},
    "pydantic_ai": {"window": "history", "no_system": "sent"},
}


def copied(name: str, tmp_path: Path) -> Project:
    shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    section = (tmp_path / name / "pyproject.toml").read_text()
    project = Project(tmp_path / name)
    project.write("pyproject.toml", section)
    project.environment = {}
    return project


@pytest.mark.parametrize("name", BUGS)
def test_an_example_replays(name: str, tmp_path: Path) -> None:
    replayed = copied(name, tmp_path).pytest("scenarios", "-m", "not sweep", "--convtest-strict")

    assert {**replayed.counts(), "deselected": 0} == {"passed": 3, "deselected": 0}, replayed.out


@pytest.mark.slow
@pytest.mark.parametrize("name", BUGS)
def test_what_breaks_an_example_is_found(name: str, tmp_path: Path) -> None:
    project = copied(name, tmp_path)
    for bug, check in BUGS[name].items():
        project.environment = {"BUG": bug}
        broken = project.pytest("scenarios", "-m", "not sweep", "--convtest-live")
        assert broken.counts().get("failed", 0) >= 1, (bug, broken.out)
        assert f"  {check}" in broken.out, (bug, broken.out)


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
