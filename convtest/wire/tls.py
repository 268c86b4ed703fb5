"""One TLS context for all clients of httpx that ask for none of their own: making one takes some 20 ms, SDKs make one
for each of their clients, and what is replayed connects nowhere."""

import os
from functools import cache, wraps
from types import ModuleType
from typing import Any

_READ = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
"""Variables that a new context goes by."""


def shares(module: ModuleType, original: Any) -> Any:
    """`__init__` of a transport of `httpx` or `httpx2` whose context is shared where verify and cert are the defaults.

    It stays usable: those that connect do so with it. Clients of another protocol have another, as each connection sets
    what is offered in it.
    """

    @wraps(original)
    def made(transport: Any, verify: Any = True, cert: Any = None, *more: Any, **named: Any) -> None:
        if verify is True and cert is None and not more:
            wanted = tuple(os.environ.get(name, "") for name in _READ)
            verify = _context(module, named.get("trust_env", True), named.get("http2", False), wanted)
        original(transport, verify, cert, *more, **named)

    return made


@cache
def _context(module: ModuleType, trust_env: bool, http2: bool, wanted: tuple[str, ...]) -> Any:
    return module.create_ssl_context(trust_env=trust_env)
