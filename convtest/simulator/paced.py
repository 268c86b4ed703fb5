"""Simulated answers as they are asked for."""

from collections.abc import Callable, Sequence

from convtest.clock import Clock

_EACH_MS = 10.0


class Paced:
    """Chunks as they are asked for; the clock passes before each one. `asked` hears of each, `whole` of the last."""

    def __init__(
        self, data: Sequence[bytes], clock: Clock, asked: Callable[[], None], whole: Callable[[], None] = lambda: None
    ) -> None:
        self._clock = clock
        self._data = list(reversed(data))
        self._asked = asked
        self._whole = whole

    def __aiter__(self) -> "Paced":
        return self

    async def __anext__(self) -> bytes:
        await self._clock.sleep(_EACH_MS)
        if not self._data:
            raise StopAsyncIteration
        data = self._data.pop()
        self._asked()
        if not self._data:
            self._whole()
        return data
