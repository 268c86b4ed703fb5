"""What processes that a client starts find around them, and which of them stayed behind."""

import contextlib
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from convtest.wire.gateway import Gateway

MARK = "CONVTEST_RUN"
"""Stands in the environment of everything that an item starts, however far down: so it is found again."""
_SECRET = re.compile(r"(API_?KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|PRIVATE_?KEY)S?$", re.IGNORECASE)
_PRIVATE = frozenset({"HOME", "USERPROFILE", "CLAUDE_CONFIG_DIR", "ANTHROPIC_AUTH_TOKEN"})
_OFFLINE_HOSTS = ("127.0.0.1", "localhost", "::1")


def environment(
    gateway: Gateway,
    session: str,
    *,
    home: Path,
    offline: bool,
    allow_hosts: tuple[str, ...] = (),
    own: Mapping[str, str],
) -> dict[str, str]:
    """Ours but for secrets; with the gateway for a model, the run's token for a key, a private home and, unless the
    item is live, a proxy that refuses everything but `allow_hosts`. `own` is what the profile adds."""
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not _SECRET.search(name) and name not in _PRIVATE}
    address = gateway.address(session)
    made = {
        "ANTHROPIC_BASE_URL": address,
        "ANTHROPIC_API_KEY": gateway.token,
        "OPENAI_BASE_URL": f"{address}/v1",
        "OPENAI_API_KEY": gateway.token,
        "CONVTEST_BASE_URL": address,
        "CONVTEST_API_KEY": gateway.token,
        "CONVTEST_SESSION": session,
        "HOME": str(home),
        "USERPROFILE": str(home),
        "CLAUDE_CONFIG_DIR": str(home / ".claude"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        MARK: gateway.token,
    }
    return {**kept, **made, **(_proxies(gateway.url, allow_hosts) if offline else {}), **own}


def _proxies(url: str, allow_hosts: tuple[str, ...]) -> dict[str, str]:
    apart = ",".join((*_OFFLINE_HOSTS, *allow_hosts))
    refusing = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), url) | {"NO_PROXY": apart}
    return {spelled: value for name, value in refusing.items() for spelled in (name, name.lower())}


def end_leftovers(token: str) -> list[str]:
    """What is still running of an item's processes, as `pid 12: node agent.js`; it is ended here."""
    found = [process for process in psutil.process_iter() if _belongs(process, token)]
    named = [_named(process) for process in found]
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(found, timeout=3)
    return [name for name in named if name]


def _belongs(process: psutil.Process, token: str) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get(MARK) == token
    except (psutil.Error, OSError):
        return False


def _named(process: psutil.Process) -> str:
    try:
        return f"pid {process.pid}: {' '.join(process.cmdline())[:120]}" if process.is_running() else ""
    except psutil.Error:
        return ""
