"""`convtest probe`: says in words what clients do, tells them apart, writes their policy down."""

import json
import tomllib
from typing import Any

import pytest

from convtest.cli.probe import with_tables
from tests.project import SECTION, Project

CLIENTS = (
    SECTION.partition("[tool.pytest")[0]
    + """\
[tool.convtest.clients.forgets]   # drops what was interrupted
kind = "python"
target = "clients:Forgets"
model = "claude-haiku-4-5"
upstream = "https://api.anthropic.com"

[tool.convtest.clients.open]
kind = "python"
target = "clients:Open"
model = "claude-haiku-4-5"
upstream = "simulator"
policy = {partial_text = "dropped"}

[tool.convtest.clients.loud]
kind = "python"
target = "clients:Loud"
model = "claude-haiku-4-5"
upstream = "simulator"

[tool.convtest.clients.own]
kind = "python"
target = "clients:Own"
model = "claude-haiku-4-5"
upstream = "simulator"
python_tools = ["clients:get_weather"]

[tool.convtest.clients.claude]
kind = "claude_agent_sdk"
model = "claude-haiku-4-5"
upstream = "simulator"

[tool.convtest.clients.blind]
kind = "messages"
wire = "none"
upstream = "simulator"
"""
)
BROKEN = """\
from dataclasses import replace

from convtest import TextDelta
from convtest.clients.messages.client import MessagesClient


class Forgets(MessagesClient):
    async def query(self, text):
        if self._interrupted and self._turns:
            del self._messages[self._turns.pop():]
        await super().query(text)


class Loud(MessagesClient):
    async def receive_response(self):
        async for event in super().receive_response():
            yield replace(event, text=event.text.upper()) if isinstance(event, TextDelta) else event


def get_weather(city: str) -> str:
    return "18 degrees"


class Own(MessagesClient):
    def __init__(self, opening):
        super().__init__(replace(opening, tools=()))

    async def receive_response(self):
        async for event in super().receive_response():
            if getattr(event, "ended", "") == "overloaded":
                raise LookupError("nobody is in")
            if getattr(event, "name", "") != "look_up":  # it knows no such tool
                yield event


class Open(MessagesClient):
    def _answer_open(self, calls, why):
        pass
"""


@pytest.fixture
def clients(project: Project) -> Project:
    project.write("pyproject.toml", CLIENTS)
    project.write("clients.py", BROKEN)
    return project


def policies(project: Project) -> dict[str, Any]:
    found = tomllib.loads(project.read("pyproject.toml"))["tool"]["convtest"]["clients"]
    return {name: table.get("policy") for name, table in found.items()}


def test_clients_are_told_apart_in_words(clients: Project) -> None:
    done = clients.convtest("probe", "assistant", "claude", "forgets", "open", "--dry-run")

    assert done.code == 0, done.text
    apart = done.out[done.out.index("where they differ:") :]
    topics = {block.splitlines()[0].strip(): block for block in apart.split("\n  ") if block}
    assert "interrupted in mid-text" in topics
    lines = [" ".join(line.split()) for line in apart.splitlines()]
    assert "forgets the turn ends interrupted, the prompt is gone from the history" in lines
    assert "assistant the turn ends interrupted, the prompt stays, with just the text that was yielded" in lines
    assert "open the tool use stays in the history; the next turn ends error (bad_request)" in lines
    assert "claude the prompt stays, without the text that was yielded" in lines
    waited = [line for line in lines if line.startswith("claude tried again after 3.")]
    assert [line.partition("s, ")[2] for line in waited] == ["retry-after obeyed; the turn ends complete"]
    assert "assistant not tried again; the turn ends rate_limited" in lines
    assert policies(clients)["assistant"] is None


def test_the_policy_is_written_into_the_clients_table_and_nothing_else_changes(clients: Project) -> None:
    before = clients.read("pyproject.toml")

    first = clients.convtest("probe", "assistant", "forgets", "open")
    again = clients.convtest("probe", "assistant", "forgets", "open")

    assert (first.code, again.code) == (0, 0)
    assert policies(clients) == {
        "assistant": {
            "interrupted_prompt": "kept",
            "early_interrupt": "kept",
            "settings": "fixed",
            "thinking": "kept",
            "white_space": "kept",
            "said": "exact",
            "partial_text": "yielded",
            "killed_prompt": "kept",
            "killed_text": "yielded",
            "killed_tool_use": "kept",
            "cleared_id": "new",
            "cleared": "gone",
        },
        "forgets": {
            "interrupted_prompt": "dropped",
            "early_interrupt": "either",
            "settings": "fixed",
            "thinking": "kept",
            "white_space": "kept",
            "said": "exact",
            "killed_prompt": "kept",
            "killed_text": "yielded",
            "killed_tool_use": "kept",
            "cleared_id": "new",
            "cleared": "gone",
        },
        "open": {
            "interrupted_prompt": "kept",
            "early_interrupt": "kept",
            "settings": "fixed",
            "thinking": "kept",
            "white_space": "kept",
            "said": "exact",
            "partial_text": "yielded",
            "killed_prompt": "kept",
            "killed_text": "yielded",
            "killed_tool_use": "kept",
            "cleared_id": "new",
            "cleared": "gone",
        },
        "loud": None,
        "claude": None,
        "blind": None,
        "own": None,
    }
    measured = ("policy", "sends", "opening")
    kept = [line for line in clients.read("pyproject.toml").splitlines() if not line.startswith(measured)]
    assert clients.read("pyproject.toml").count("\nopening = 0\n") == 3
    assert kept == [line for line in before.splitlines() if not line.startswith(measured)]
    assert "declared so far: partial_text = dropped; measured: yielded" in first.out
    assert "written to pyproject.toml" in first.out
    assert "as it stands in pyproject.toml" in again.out


def test_a_machine_reads_it_too_and_nothing_is_written(clients: Project) -> None:
    done = clients.convtest("probe", "open", "--json")

    found = json.loads(done.out)["open"]
    assert found["policy"]["partial_text"] == "yielded"
    assert found["seen"]["forked"] == "the original is untouched"
    assert policies(clients)["open"] == {"partial_text": "dropped"}


def test_a_client_that_plays_no_plain_turn_is_an_error_that_names_its_exception(clients: Project) -> None:
    clients.write("clients.py", BROKEN + "\n    async def query(self, text):\n        raise RuntimeError('boom')\n")
    before = clients.read("pyproject.toml")

    done = clients.convtest("probe", "open")

    assert done.code == 2
    assert "it does not play a plain turn ('My name is Ada.')" in done.err
    assert "RuntimeError: boom — clients.py:41, in query" in done.err
    assert clients.read("pyproject.toml") == before


def test_what_is_forgotten_anyway_is_no_policy(clients: Project) -> None:
    forgetful = (
        "\n    async def query(self, text):\n        self._messages.clear()\n        await super().query(text)\n"
    )
    clients.write("clients.py", BROKEN + forgetful)
    before = clients.read("pyproject.toml")

    done = clients.convtest("probe", "open")

    assert done.code == 2
    assert "it forgets a turn that nothing disturbed: 'My name is Ada.' is not in its next request" in done.err
    assert clients.read("pyproject.toml") == before


def test_defects_are_told_from_choices_and_choices_from_what_they_permit(clients: Project) -> None:
    out = clients.convtest("probe", "open", "forgets", "loud", "--dry-run").out

    assert "\n! interrupted at a tool use " in out
    assert "! no choice but a defect" in out
    assert "interrupted_prompt = dropped permits that the prompt of an interrupted turn is lost" in out
    assert out.count("said = transformed permits that words of the model's answers are lost") == 1


def test_what_could_not_be_played_is_told_with_the_way_to_have_it_played(clients: Project) -> None:
    found = json.loads(clients.convtest("probe", "own", "--json").out)["own"]
    told = clients.convtest("probe", "own", "--dry-run").out

    seen, ways = found["seen"], found["ways"]
    assert seen["killed at a tool use"].endswith("it does not offer the scenario's, only its own (get_weather)")
    assert set(ways) == {
        "interrupted at a tool use", "killed at a tool use", "two answers of 529 (overloaded)",
        "an error event in mid-stream",
    }  # fmt: skip
    assert ways["killed at a tool use"].startswith("offer the tools of opening.tools to the model")
    assert "in an exception: LookupError: nobody is in" in seen["two answers of 529 (overloaded)"]
    assert "map it, in ended(error)" in ways["two answers of 529 (overloaded)"]
    assert "to have it played (interrupted at a tool use, killed at a tool use):" in told


def test_who_cannot_be_measured_is_named(clients: Project) -> None:
    unknown, blind = clients.convtest("probe", "claud"), clients.convtest("probe", "blind")

    assert (unknown.code, blind.code) == (2, 2)
    assert "did you mean 'claude'?" in unknown.err
    assert "what it sends cannot be seen" in blind.err


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '[tool.convtest.clients.a]\nkind = "messages"\n\n[tool.other]\nx = 1\n',
            '[tool.convtest.clients.a]\nkind = "messages"\npolicy = {cleared = "gone"}\n\n[tool.other]\nx = 1\n',
        ),
        (
            '[tool.convtest.clients."a"]  # ours\npolicy = {cleared = "back"}\nkind = "messages"',
            '[tool.convtest.clients."a"]  # ours\nkind = "messages"\npolicy = {cleared = "gone"}\n',
        ),
        ('[tool.convtest]\nclients = {a = {kind = "messages"}}\n', None),
        ('[tool.convtest.clients.a]\nkind = "x"\n[tool.convtest.clients.a.policy]\ncleared = "back"\n', None),
    ],
)
def test_toml_is_changed_in_its_place_or_not_at_all(before: str, after: str | None) -> None:
    assert with_tables(before, "a", {"policy": {"cleared": "gone"}}) == after
