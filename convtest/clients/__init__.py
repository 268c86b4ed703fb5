"""Session clients: the port, what all kinds share, and the kinds."""

import sys


def _import_httpx() -> None:
    """httpx alone. Its command line brings click and rich where they are installed: seventy modules, a tenth of what a
    run with one item imports."""
    if "httpx" not in sys.modules:
        sys.modules["httpx._main"] = None  # type: ignore[assignment]
        try:
            import httpx  # noqa: F401
        finally:
            del sys.modules["httpx._main"]


_import_httpx()
