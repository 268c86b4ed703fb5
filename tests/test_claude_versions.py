"""Which versions of the Claude Agent SDK and of its CLI are taken, and what the others are told."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import claude_agent_sdk
import mcp.server
import pytest

from convtest.clients.claude import sdk
from convtest.clients.claude.events import Turn
from convtest.clients.claude.sdk import installed, options_of, unknown_flag
from convtest.config import Profile
from convtest.errors import ClientError
from convtest.structs import replace
from tests.playing import Stage, checks_of
from tests.test_claude import BUNDLED, STORY, claude, play, report

WANTED = "pip install 'claude-agent-sdk>=0.2.160,<0.3'"
CHANGED: dict[str, tuple[Callable[[ModuleType], None], str, str]] = {
    "too old": (
        lambda module: setattr(module, "__version__", "0.1.58"),
        "claude-agent-sdk 0.1.58 is too old: 0.1.81 is the oldest that is taken",
        "upgrade it",
    ),
    "too new": (
        lambda module: setattr(module, "__version__", "0.3.0"),
        "claude-agent-sdk 0.3.0 is too new: only those below 0.3 were tried",
        "downgrade it",
    ),
    "without a name": (
        lambda module: delattr(module, "fork_session"),
        f"claude-agent-sdk {claude_agent_sdk.__version__} has no fork_session",
        "install one that has it",
    ),
}


@pytest.mark.parametrize(("change", "says", "advice"), CHANGED.values(), ids=list(CHANGED))
def test_a_version_that_does_not_work_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[ModuleType], None], says: str, advice: str
) -> None:
    changed = ModuleType("claude_agent_sdk")
    changed.__dict__.update(claude_agent_sdk.__dict__)
    change(changed)
    monkeypatch.setitem(sys.modules, "claude_agent_sdk", changed)

    with pytest.raises(ClientError) as error:
        installed("main")

    assert str(error.value) == f"{says} — client 'main'\n    {advice}: {WANTED}"


def test_a_version_that_was_not_seen_to_hold_is_taken_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = ModuleType("claude_agent_sdk")
    changed.__dict__.update(claude_agent_sdk.__dict__, __version__="0.2.139")
    monkeypatch.setitem(sys.modules, "claude_agent_sdk", changed)

    with pytest.warns(sdk.ClaudeVersionWarning, match=r"0\.2\.139 is not tested.*>=0\.2\.160,<0\.3'"):
        assert installed("main") is changed

    changed.__dict__["__version__"] = "0.2.160"
    assert installed("main") is changed


def test_what_is_not_installed_and_what_is_broken_are_two_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "claude_agent_sdk", None)  # as Python itself says that it cannot be imported
    with pytest.raises(ClientError, match=r"cannot be imported: .*\n.*force-reinstall"):
        monkeypatch.setattr(sdk, "find_spec", lambda name: object()) or installed("main")

    monkeypatch.setattr(sdk, "find_spec", lambda name: None)
    with pytest.raises(ClientError, match=r"claude-agent-sdk is not installed.*\n    install it: pip install"):
        installed("main")


def test_the_installed_one_is_taken() -> None:
    assert installed("main") is claude_agent_sdk


def test_an_option_that_the_version_does_not_have_is_named_and_ours_is_left_out() -> None:
    old: Any = SimpleNamespace(
        __version__="0.1.81", ClaudeAgentOptions=SimpleNamespace(__dataclass_fields__={"model": 0})
    )

    assert options_of(old, {"model": "m", "strict_mcp_config": True}, "main") == {"model": "m"}
    with pytest.raises(ClientError, match=r"claude-agent-sdk 0\.1\.81 takes no effort"):
        options_of(old, {"model": "m", "effort": "low"}, "main")


def test_another_mcp_than_the_sdk_is_written_for_is_named(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*given: object) -> None:
        raise AttributeError("'Server' object has no attribute 'list_tools'")

    monkeypatch.setattr(claude_agent_sdk, "create_sdk_mcp_server", cannot)

    with pytest.raises(ClientError, match=r"cannot serve tools with mcp \d.*list_tools.*\n.*pip install 'mcp<2'"):
        play(stage, "- ask: who\n")
    assert mcp.server is not None


FLAGS = {
    "--include-partial-messages": "partial_messages = false in the profile",
    "--setting-sources": "setting_sources = false in the profile",
    "--tools": "tools = false in the profile",
    "--strict-mcp-config": "strict_mcp_config = false in the profile",
    "--effort": "leave the option out that asks for it",
}


@pytest.mark.parametrize(("flag", "advice"), FLAGS.items())
def test_a_flag_that_the_cli_does_not_know_is_named(flag: str, advice: str) -> None:
    found = unknown_flag(f"error: unknown option '{flag}'\n(Did you mean something else?)")

    assert found is not None
    assert f"does not know {flag}" in found[0]
    assert advice in found[1]
    assert unknown_flag("No conversation found") is None


def older_cli(stage: Stage) -> str:
    """The bundled one behind a program that refuses two flags, as older ones do."""
    old = stage.root / "claude"
    old.write_text(
        f"""#!/bin/sh
        for one in "$@"; do case $one in --include-partial-messages|--setting-sources*)
            echo "error: unknown option '${{one%%=*}}'" >&2; exit 1;; esac; done
        exec {BUNDLED / "claude"} "$@"
        """
    )
    old.chmod(0o755)
    return str(old)


@pytest.mark.parametrize("mode", ["client", "query"])
def test_an_older_cli_is_told_apart_from_one_that_dies(stage: Stage, mode: str) -> None:
    with pytest.raises(ClientError, match=r"does not know --[a-z-]+: it is older than the SDK.*\n    leave it out: "):
        play(stage, "- ask: who\n", claude(cli_path=older_cli(stage), mode=mode))


def test_flags_are_left_out_where_the_profile_says_so(stage: Stage) -> None:
    """Without partial messages the text comes whole, and a turn can still be interrupted."""
    profile = claude(cli_path=older_cli(stage), partial_messages=False, setting_sources=False)

    played = play(
        stage,
        f"- ask: who\n{STORY}\n  interrupt: {{after: 0}}\n  expect: {{ended: interrupted}}\n- ask: who\n",
        profile,
    )

    assert report(played) == ""
    assert checks_of(played) == []


def result(**fields: Any) -> Any:
    """As the lowest version has it: without a terminal reason, and without the prompt that it belongs to."""
    plain = {"subtype": "success", "is_error": False, "stop_reason": "end_turn", "usage": {}, "result": "x"}
    rest = {"errors": None, "total_cost_usd": 0.5, "num_turns": 1, "permission_denials": None}
    return SimpleNamespace(**{**plain, **rest, **fields})


CUT = {"subtype": "error_during_execution", "is_error": True}


@pytest.mark.parametrize(
    ("fields", "interrupted", "ended"),
    [
        ({}, False, "complete"),
        ({}, True, "complete"),
        ({"subtype": "error_during_execution", "is_error": True, "stop_reason": None}, True, "interrupted"),
        ({"subtype": "error_during_execution", "is_error": True, "stop_reason": None}, False, "error"),
        (
            {"subtype": "error_during_execution", "is_error": True, "terminal_reason": "api_error"},
            True,
            "connection_lost",
        ),
        ({"is_error": True, "api_error_status": 529}, True, "overloaded"),
    ],
)
def test_an_interrupt_is_told_by_the_subtype_where_nothing_else_tells_it(
    fields: dict[str, Any], interrupted: bool, ended: str
) -> None:
    assert Turn().end(result(**fields), 0.0, interrupted=interrupted).ended == ended


def test_the_range_is_the_one_that_the_extra_installs() -> None:
    text = Path(__file__).parent.parent.joinpath("pyproject.toml").read_text(encoding="utf-8")

    assert f'"claude-agent-sdk>={sdk.LOWEST},<{sdk.BELOW}"' in text


def test_an_error_names_the_profile_and_the_session_each_by_its_word(stage: Stage) -> None:
    profile = Profile(name="agent", kind="claude_agent_sdk", upstream="simulator", options={"mode": "both"})
    config = replace(stage.config(), clients={"agent": profile}, client="agent")
    text = """
        scenario: two words
        client: agent
        sessions: {alice: {}}
        steps:
          - user: Hello.
        """

    with pytest.raises(ClientError, match=r"mode is client or query, not 'both' — client 'agent', session 'alice'"):
        stage.play_with(config, text)
