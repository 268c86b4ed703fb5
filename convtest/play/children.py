"""What processes that a client starts find around them, and which of them stayed behind."""

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from convtest.clients.family import MARK, SESSION, family, forget, kill, named

if TYPE_CHECKING:
    from convtest.gateway.application import Gateway

_SECRET = re.compile(r"SECRET|TOKEN|PASSW|CREDENTIAL|API_?KEY|(_|^)(KEY|PAT|AUTH)S?$", re.IGNORECASE)
_PRIVATE = frozenset({"HOME", "USERPROFILE", "CLAUDE_CONFIG_DIR", "ANTHROPIC_AUTH_TOKEN"})
_OFFLINE_HOSTS = ("127.0.0.1", "localhost", "::1")


def environment(
    gateway: "Gateway",
    session: str,
    *,
    home: Path,
    offline: bool,
    allow_hosts: tuple[str, ...] = (),
    own: Mapping[str, str],
    keys: Collection[str] = (),
) -> dict[str, str]:
    """Ours but for what is named like a secret, the variables in `keys`, and others that hold their values; with the
    gateway for a model, the run's token for a key, a private home and, unless the item is live, a proxy that refuses
    everything but `allow_hosts`. `own` is what the profile adds."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    secret = {os.environ[name] for name in keys if os.environ.get(name)}
    kept = {
        name: value
        for name, value in os.environ.items()
        if not _SECRET.search(name) and name not in _PRIVATE and name not in keys and value not in secret
    }
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
        "TMPDIR": str(temporary),
        "CLAUDE_CONFIG_DIR": str(home / ".claude"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        MARK: gateway.token,
    }
    return {**kept, **made, **_proxies(gateway.url if offline else "", allow_hosts), **own}


def _proxies(url: str, allow_hosts: tuple[str, ...]) -> dict[str, str]:
    """The gateway is reached directly also where a live item goes out through a proxy of its own."""
    theirs = list(allow_hosts) if url else [os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""]
    refusing = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), url) if url else {}
    refusing["NO_PROXY"] = ",".join(host for host in (*_OFFLINE_HOSTS, *theirs) if host)
    return {spelled: value for name, value in refusing.items() for spelled in (name, name.lower())}


def end_leftovers(token: str) -> list[str]:
    """What is still running of an item's processes, as `pid 12: node agent.js`; it is ended here."""
    found = family(token)
    names = [named(process) for process in found]
    kill(found)
    forget(token)
    return [name for name in names if name]
