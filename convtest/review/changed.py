"""A file that changed: what stood in it, and what stands in it now."""

import hashlib
from typing import Literal

from convtest.structs import Struct

Kind = Literal["cassette", "snapshot"]
State = Literal["changed", "new", "removed", "renamed"]


class Changed(Struct, frozen=True, kw_only=True):
    """A cassette or a snapshot on both sides; None where it is not there."""

    id: str
    """Its path as messages give it."""
    kind: Kind
    old: bytes | None
    new: bytes | None
    was: str = ""
    """Its path before it was renamed."""
    item: str = ""
    """Whose it is, where that is known: a pytest id."""

    @property
    def state(self) -> State:
        if self.old is None:
            return "new"
        if self.new is None:
            return "removed"
        return "renamed" if self.was and self.old == self.new else "changed"


def digest(data: bytes | None) -> str | None:
    """Tells whether a file is still what it was."""
    return None if data is None else hashlib.sha256(data).hexdigest()[:32]
