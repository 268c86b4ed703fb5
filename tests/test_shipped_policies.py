"""The policies that are shipped are what a fresh probe measures."""

import os
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from convtest.clients.registry import make
from convtest.config import Config, load_config
from convtest.play.apps import Application, Started
from convtest.play.perform import ready
from convtest.plugin.gateway import GatewayAddress
from convtest.probe import plays
from convtest.probe.probing import probe

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
    # Its system prompt holds the day, a kill may come before or after the text was written down, and whether thinking
    # of earlier turns is kept is measured over one turn only; of white space the CLI promises nothing.
    "claude": {"settings": "vary", "killed_text": "prefix", "thinking": "either", "white_space": "any"},
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

    shipped = asdict(made.policy({}))
    assert {name: shipped[name] for name in measured} == {**measured, **LOOSER[client]}


def test_the_policy_of_the_example_is_what_the_probe_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ROOT / "examples" / "assistant"
    monkeypatch.syspath_prepend(str(folder))
    project = load_config(folder)
    assert project is not None
    tables = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["convtest"]["clients"]

    assert dict(probe(project, "assistant").policy) == tables["assistant"]["policy"]


@pytest.fixture
def chatbot(tmp_path: Path) -> Iterator[tuple[str, GatewayAddress]]:
    """The address of the example's app, whose model is at the gateway's."""
    gateway = GatewayAddress()
    started = Started([sys.executable, "app.py"], {**os.environ, **gateway.environment}, EXAMPLES / "chatbot")
    app = Application(started, name="app", log=tmp_path / "app.log", health="", timeout=60)
    try:
        app.start()
        yield f"{app.url}/chat", gateway
    finally:
        app.end()
        gateway.close()


def test_the_policy_of_the_chatbot_is_what_the_probe_measures(
    monkeypatch: pytest.MonkeyPatch, chatbot: tuple[str, GatewayAddress]
) -> None:
    url, gateway = chatbot
    # The app knows one address: what the command `probe` plays has one of its own each time.
    monkeypatch.setattr(plays, "ready", lambda config, scenario, mode: ready(config, scenario, mode, gateway.door))
    project = load_config(EXAMPLES / "chatbot")
    assert project is not None
    profile = project.profile("chatbot")
    placed = replace(project, clients={"chatbot": replace(profile, options={**profile.options, "url": url})})
    table = tomllib.loads((EXAMPLES / "chatbot" / "pyproject.toml").read_text())["tool"]["convtest"]["clients"]

    assert dict(probe(placed, "chatbot").policy) == table["chatbot"]["policy"]
