"""What stands on disk of a recording that is not finished: it only grows."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from convtest.cassettes.naming import Names
from convtest.cassettes.store import Cassette
from convtest.play.sources import as_recorded
from convtest.wire.interaction import Interaction


class Partial:
    """The broken-off recording beside a cassette, to be written by its only writer.

    `before`: what it holds, where this run goes on with it. What another run left there is kept aside, once something
    is to be written.
    """

    def __init__(self, cassette: Cassette, before: Sequence[Interaction] | None = None) -> None:
        self._file = cassette.partial
        self._before = before
        self._mine = before is not None
        self.aside = ""
        """Where the turns of another run stand now, as it is shown."""

    def save(self, interactions: Iterable[Interaction], names: Callable[[Sequence[Interaction]], Names]) -> None:
        """Put on disk what has been answered, with all that stood there and has not been played yet. Raises
        UnwritableCassette; what stood there stays."""
        whole = [one for one in as_recorded(interactions) if one.ended is not None]
        if self._before and all(one.recorded is not None for one in whole):
            return  # all of it stands there
        if not self._mine and self._file.is_there:
            self.aside = self._file.put_aside()
        self._mine = True
        everything = [*whole, *self.unplayed(whole)]
        self._file.save(everything, names(everything))

    def remove(self) -> None:
        """All that it holds stands in the cassette now."""
        if self._mine:
            self._file.remove()

    def unplayed(self, interactions: Sequence[Interaction]) -> list[Interaction]:
        """What stood there before and was not asked for again, numbered after these."""
        played = {id(one.recorded) for one in interactions if one.recorded is not None}
        left = [one for one in self._before or () if id(one) not in played]
        numbers = itertools.count(max((one.number for one in interactions), default=0) + 1)
        return [replace(one, number=number, digest="") for one, number in zip(left, numbers, strict=False)]

    def finish(self, interactions: Sequence[Interaction]) -> None:
        """The item is over, and these are kept or not worth it: remove it, but keep aside what was not asked for."""
        left = any(one.chunks or one.ended != "closed_by_client" for one in self.unplayed(interactions))
        if left and self._file.is_there:
            self.aside = self._file.put_aside()
        else:
            self.remove()
