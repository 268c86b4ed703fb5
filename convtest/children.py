"""What processes that a client starts find around them, and which of them stayed behind."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from convtest.clients.family import MARK, SESSION, family, kill, named
from convtest.wire.gateway import Gateway

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
        SESSION: session,
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
    found = family(token)
    names = [named(process) for process in found]
    kill(found)
    return [name for name in names if name]
