"""Options of a scenario as ClaudeAgentOptions, and the environment in which the CLI says the same on every machine."""

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from convtest.clients.claude.events import STAND_INS
from convtest.clients.port import Opening, Tool
from convtest.clients.tools import import_target, python_tool
from convtest.errors import ClientError

PASSED_ON = frozenset(
    {
        "model", "fallback_model", "max_turns", "max_budget_usd", "allowed_tools", "disallowed_tools",
        "permission_mode", "tools", "setting_sources", "thinking", "max_thinking_tokens", "effort", "add_dirs",
        "agents", "betas",
        "output_format", "settings", "cli_path", "max_buffer_size", "load_timeout_ms", "extra_args",
    }
)  # fmt: skip
"""Fields of ClaudeAgentOptions that take what YAML can say."""
OPTIONS = PASSED_ON | {
    "system", "mcp_servers", "hooks", "can_use_tool", "python_tools", "env", "mode", "time_limit",
    "session_id", "settle", "partial_messages", "strict_mcp_config",
}  # fmt: skip

_SWITCHES = ("partial_messages", "setting_sources", "tools", "strict_mcp_config")
"""Options that may be `false`: an older CLI does not know the flag."""

STABLE = {
    "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",  # else the first system block holds the CLI's version and a hash
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",  # else titles, a greeting, and five connections elsewhere
    "DISABLE_AUTOUPDATER": "1",
}
SIMPLE = {"CLAUDE_CODE_SIMPLE": "1"}
"""No reminders of date, folder, operating system and the like; but no hooks, and of the CLI's own tools only these."""
SIMPLE_TOOLS = frozenset({"Bash", "Read", "Edit"})


def stable_environment(opening: Opening) -> dict[str, str]:
    """What the CLI is to find. The SDK lays it over this process's own, so what is not meant for it is blanked."""
    options = opening.options
    blank = {name: "" for name in os.environ if name not in opening.environment and name != "PATH"}
    tools = options.get("tools") or []
    more = options.get("hooks") or options.get("setting_sources") or options.get("agents")
    plain = not more and isinstance(tools, list) and SIMPLE_TOOLS.issuperset(tools)
    simple = SIMPLE if plain else {}
    return {**blank, **opening.environment, **STABLE, **simple, **dict(options.get("env") or {})}


def sdk_fields(opening: Opening, options: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of ClaudeAgentOptions. Raises ClientError for a target that cannot be imported."""
    given = {key: value for key, value in options.items() if key in PASSED_ON}
    off = {name for name in _SWITCHES if options.get(name) is False}
    tools = [
        *opening.tools,
        *(python_tool(target, client=opening.client) for target in options.get("python_tools", ())),
    ]
    servers = {name: _server(name, value, opening) for name, value in (options.get("mcp_servers") or {}).items()}
    if tools:
        servers[STAND_INS] = _stand_ins(tools, opening.client)
    allowed = [*given.pop("allowed_tools", ()), *(f"mcp__{STAND_INS}__{tool.name}" for tool in tools)]
    fields: dict[str, Any] = {
        "tools": [],
        "setting_sources": [],
        **given,
        "allowed_tools": allowed,
        "system_prompt": options.get("system", ""),
        "mcp_servers": servers,
        "strict_mcp_config": "strict_mcp_config" not in off,
        "include_partial_messages": "partial_messages" not in off,
        "cwd": str(opening.workspace),
        "env": stable_environment(opening),
    }
    fields |= dict.fromkeys(off & {"tools", "setting_sources"})  # None: the flag is left out
    if options.get("hooks"):
        fields["hooks"] = _hooks(options["hooks"], opening)
    if options.get("can_use_tool"):
        fields["can_use_tool"] = import_target(options["can_use_tool"], client=opening.client)
    return {**fields, **_session(opening, options)}


def _session(opening: Opening, options: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if opening.resume is not None:
        found["resume"] = opening.resume
    if opening.fork:
        found["fork_session"] = True
    if opening.continue_:
        found["continue_conversation"] = True
    if options.get("session_id"):
        found["session_id"] = options["session_id"]
    return found


def _server(name: str, value: Any, opening: Opening) -> Any:
    """A configuration as it stands, or what `module:attr` returns."""
    return import_target(value, client=opening.client)() if isinstance(value, str) else value


def _hooks(hooks: Mapping[str, Any], opening: Opening) -> dict[str, Any]:
    from claude_agent_sdk import HookMatcher

    return {
        event: [HookMatcher(hooks=[import_target(target, client=opening.client) for target in targets])]
        for event, targets in hooks.items()
    }


def _stand_ins(tools: list[Tool], client: str) -> Any:
    from claude_agent_sdk import SdkMcpTool, create_sdk_mcp_server
    from claude_agent_sdk import __version__ as own_version

    def made(tool: Tool) -> Any:
        async def handler(given: Mapping[str, Any]) -> dict[str, Any]:
            text, is_error = await tool.call(given)
            return {"content": [{"type": "text", "text": text}], "is_error": is_error}

        return SdkMcpTool(tool.name, tool.description or tool.name, dict(tool.input_schema), handler)

    try:
        return create_sdk_mcp_server(STAND_INS, "1.0.0", [made(tool) for tool in tools])
    except (AttributeError, TypeError, ImportError) as error:
        # It is written for another version of the package mcp, and says so nowhere.
        message = f"claude-agent-sdk {own_version} cannot serve tools with mcp {version('mcp')}: {error}"
        raise ClientError(message, client=client, help="SDKs up to 0.2.139 want: pip install 'mcp<2'") from None


def config_folder(opening: Opening) -> Path:
    return Path(opening.environment.get("CLAUDE_CONFIG_DIR", opening.store / "claude"))
