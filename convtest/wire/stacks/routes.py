"""Whose a request is, as the stacks ask for it."""

from collections.abc import Callable
from typing import Protocol

from convtest.wire.tap import Tap


class Route(Protocol):
    """Whose a request is."""

    @property
    def tap(self) -> Tap | None: ...
    @property
    def lane(self) -> str | None: ...


RouteOf = Callable[[str], Route | None]
"""By the URL, in the context of the call; None for what goes its own way."""
