"""The policies that are shipped are what a fresh probe measures."""

import json
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from convtest.clients.registry import make
from convtest.config import Config, load_config
from convtest.probe.probing import probe
from convtest.structs import to_builtins
from tests.project import Project

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
KINDS = """
[tool.convtest]
client = "messages"

[tool.convtest.clients.messages]
kind = "messages"
model = "claude-haiku-4-5"
upstream = "simulator"

[tool.convtest.clients.chat]
kind = "chat_completions"
model = "claude-haiku-4-5"
upstream = "simulator"

[tool.convtest.clients.claude]
kind = "claude_agent_sdk"
model = "claude-haiku-4-5"
upstream = "simulator"
"""
LOOSER: dict[str, dict[str, str]] = {
    "messages": {},
    "chat": {},
    # Its system prompt holds the day, a kill may come before or after the text was written down, an interrupt before or
    # after the CLI took up the prompt, and whether thinking of earlier turns is kept is measured over one turn only; of
    # white space the CLI promises nothing.
    "claude": {
        "settings": "vary",
        "killed_text": "prefix",
        "early_interrupt": "missed",
        "thinking": "either",
        "white_space": "any",
    },
}


def config(folder: Path) -> Config:
    (folder / "pyproject.toml").write_text(KINDS)
    found = load_config(folder)
    assert found is not None
    return found


@pytest.mark.parametrize("client", LOOSER)
def test_the_policy_of_a_kind_is_what_the_probe_measures(tmp_path: Path, client: str) -> None:
    if client == "claude":
        pytest.importorskip("claude_agent_sdk")
    project = config(tmp_path)
    made = make(project, client)

    measured: dict[str, Any] = dict(probe(project, client).policy)

    shipped = to_builtins(made.policy({}))
    assert {name: shipped[name] for name in measured} == {**measured, **LOOSER[client]}


def test_the_policy_of_the_example_is_what_the_probe_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ROOT / "examples" / "assistant"
    monkeypatch.syspath_prepend(str(folder))
    project = load_config(folder)
    assert project is not None
    tables = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["convtest"]["clients"]

    assert dict(probe(project, "assistant").policy) == tables["assistant"]["policy"]


def test_the_policy_of_the_chatbot_is_what_the_probe_measures_once_it_has_started_it(tmp_path: Path) -> None:
    """By the command itself: the app needs its model's address when it starts, which otherwise a fixture says."""
    shutil.copytree(EXAMPLES / "chatbot", tmp_path / "chatbot")
    project = Project(tmp_path / "chatbot")
    shutil.copy(EXAMPLES / "chatbot" / "pyproject.toml", project.root)
    table = tomllib.loads(project.read("pyproject.toml"))["tool"]["convtest"]["clients"]["chatbot"]

    without = project.convtest("probe", "chatbot")
    app = f"{sys.executable} app.py"
    measured = project.convtest("probe", "chatbot", "--app", app, "--path", "/chat", "--json")

    assert without.code == 2
    assert "convtest probe chatbot --app 'COMMAND' --path /PATH" in without.err
    assert measured.code == 0, measured.text
    found = json.loads(measured.out)["chatbot"]
    assert found["policy"] == table["policy"]
    assert set(found["ways"].values()) == {"sweep a turn that has it call one of its own tools (at: tool_use)"}
