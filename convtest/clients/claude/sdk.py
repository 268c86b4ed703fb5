"""The installed Claude Agent SDK: whether its version is one that this client reads, and what it takes.

It is imported where a session is opened, and nowhere else: the extra may be missing.
"""

import re
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from convtest.errors import ClientError

LOWEST = "0.2.160"
"""The oldest with which scenarios and sweeps were seen to hold."""
OLDEST = "0.1.81"
"""The oldest that is taken, with a warning below LOWEST: some points of the sweeps are red, by faults of its own."""
BELOW = "0.3"
"""The first that nobody has tried."""
_NEEDED = (
    "ClaudeAgentOptions", "ClaudeSDKClient", "CLINotFoundError", "HookMatcher", "SdkMcpTool", "create_sdk_mcp_server",
    "delete_session", "fork_session", "get_session_messages", "query",
)  # fmt: skip


class ClaudeVersionWarning(UserWarning):
    """An SDK that works, and with which not everything was seen to hold."""


def installed(client: str) -> Any:
    """The SDK's module. Raises ClientError where it is not installed, too old, too new, or broken."""
    if find_spec("claude_agent_sdk") is None:
        raise ClientError(
            "claude-agent-sdk is not installed", client=client, help="install it: pip install 'convtest[claude]'"
        )
    try:
        import claude_agent_sdk as sdk
    except ImportError as error:
        help = "install it anew: pip install --force-reinstall 'convtest[claude]'"
        raise ClientError(f"claude-agent-sdk cannot be imported: {error}", client=client, help=help) from None
    version = str(getattr(sdk, "__version__", "0"))
    wanted = f"'claude-agent-sdk>={LOWEST},<{BELOW}'"
    if (numbers := _numbers(version)) < _numbers(OLDEST):
        message, help = f"claude-agent-sdk {version} is too old: {OLDEST} is the oldest that is taken", "upgrade it"
    elif numbers >= _numbers(BELOW):
        message, help = (
            f"claude-agent-sdk {version} is too new: only those below {BELOW} were tried",
            "downgrade it",
        )
    elif missing := [name for name in _NEEDED if not hasattr(sdk, name)]:
        message, help = f"claude-agent-sdk {version} has no {missing[0]}", "install one that has it"
    else:
        if numbers < _numbers(LOWEST):
            said = f"claude-agent-sdk {version} is not tested: its own faults show in sweeps; pip install {wanted}"
            warnings.warn(said, ClaudeVersionWarning, stacklevel=2)
        return sdk
    raise ClientError(message, client=client, help=f"{help}: pip install {wanted}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def options_of(sdk: Any, fields: Mapping[str, Any], client: str) -> dict[str, Any]:
    """The fields that this version takes. Ours are left out where it does not know them; any other raises
    ClientError."""
    known = set(sdk.ClaudeAgentOptions.__dataclass_fields__)
    for name in fields:
        if name not in known and name != "strict_mcp_config":
            message = f"claude-agent-sdk {sdk.__version__} takes no {name}"
            raise ClientError(message, client=client, help="leave it out, or install a newer one")
    return {name: value for name, value in fields.items() if name in known}


SWITCHES = {
    "--include-partial-messages": "partial_messages",
    "--setting-sources": "setting_sources",
    "--tools": "tools",
    "--strict-mcp-config": "strict_mcp_config",
}
"""Flags that we have the CLI started with unless the option is `false`."""
_UNKNOWN = re.compile(r"unknown option '?(--[\w-]+)")


def unknown_flag(said: str) -> tuple[str, str] | None:
    """What a CLI that does not know one of its flags is told about: the problem, and what to do."""
    found = _UNKNOWN.search(said)
    if found is None:
        return None
    option = SWITCHES.get(found[1])
    help = f"leave it out: {option} = false in the profile" if option else "leave the option out that asks for it"
    return f"the Claude Code CLI does not know {found[1]}: it is older than the SDK", help
