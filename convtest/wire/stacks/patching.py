"""vcrpy's patches with ours behind its stubs, in every stack that is installed: vcrpy has imported them all."""

import contextlib
import sys
from collections.abc import Iterator

from convtest.wire.stacks import blocking
from convtest.wire.stacks.routes import RouteOf


@contextlib.contextmanager
def patched(route_of: RouteOf) -> Iterator[None]:
    """Within it each request is asked for its route."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(blocking.patched(route_of))
        if "aiohttp.client" in sys.modules:
            from convtest.wire.stacks import aio

            stack.enter_context(aio.patched(route_of))
        yield
