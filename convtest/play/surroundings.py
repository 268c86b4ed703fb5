"""What the sessions of one item find around them: who they are, the way to their models, and a folder."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from convtest.play.apps import Applications
from convtest.play.cast import Cast
from convtest.structs import Struct, field
from convtest.wire.tap import Tap

if TYPE_CHECKING:
    from convtest.gateway.application import Gateway

Environment = Callable[[str, Mapping[str, str]], Mapping[str, str]]
"""By session and what its profile adds: the complete environment of its processes."""


class Surroundings(Struct, frozen=True, kw_only=True):
    """One item's; `gateway` is there where a client asks its model from another process."""

    cast: Cast
    tap: Tap
    folder: Path
    gateway: "Gateway | None" = None
    apps: Applications = field(default_factory=Applications)
    environment: Environment = lambda session, own: dict(own)

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def store(self) -> Path:
        """Where sessions outlive their clients."""
        return self.folder / "sessions"
