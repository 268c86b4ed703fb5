"""Keeps an answer in step with a client in another process, so that points in a turn are exact there too."""

import re

import anyio
import anyio.lowlevel

from convtest.wire.counting import EVENT_END
from convtest.wire.tap import OpenTurn

REACTION = 0.6
"""Seconds that a client in another process has to yield what it was sent, while a disturbance waits for an event."""
PATIENCE = 5.0
"""Seconds of such waiting in one answer: a client that yields everything at its end would take minutes."""
PARTING = 2.0
"""Seconds that a client has to close its connection after it was interrupted, before the answer goes on."""

_WORDS = re.compile(rb'"(text|thinking)_delta"|"content": ?"[^"]')


class Gate:
    """Keeps an answer from running ahead of a client elsewhere while its turn waits for a point to disturb it."""

    def __init__(self, turn: OpenTurn) -> None:
        self._turn = turn
        self._patience = PATIENCE
        self._in_tool = False

    async def before_the_head(self) -> None:
        if self._turn.disturbed():
            await self._part()

    async def after(self, data: bytes) -> None:
        """Wait for what the client makes of these bytes; and for its parting, once it has been disturbed."""
        if self._patience > 0 and self._waits() and self._makes_yield(data):
            started, seen = anyio.current_time(), len(self._turn.yielded)
            progress = self._turn.progress = self._turn.progress or anyio.Event()
            with anyio.move_on_after(REACTION):
                await progress.wait()
                # One chunk may make it yield several events: it is through once a checkpoint brings no more.
                while self._waits() and seen != len(self._turn.yielded):
                    seen = len(self._turn.yielded)
                    await anyio.lowlevel.checkpoint()
            self._patience -= anyio.current_time() - started
        if self._turn.disturbed():
            await self._part()

    def _makes_yield(self, data: bytes) -> bool:
        """Whether a session has something to yield for these bytes: words, or a tool use that is whole."""
        made = False
        for event in EVENT_END.split(data):
            opens = b"content_block_start" in event and b'"tool_use"' in event
            self._in_tool = self._in_tool or opens or b'"tool_calls"' in event
            closes = b"content_block_stop" in event or b'"tool_calls"' in event
            made = made or bool(_WORDS.search(event)) or (self._in_tool and closes)
            self._in_tool = self._in_tool and not closes
        return made

    def _waits(self) -> bool:
        return self._turn.due() or awaits_events(self._turn)

    async def _part(self) -> None:
        # Once a turn is enough: answers after it find nobody who still has to leave.
        if self._turn.parted:
            return
        self._turn.parted = True
        with anyio.move_on_after(PARTING):
            await anyio.sleep_forever()


def awaits_events(turn: OpenTurn) -> bool:
    """A fault on the wire waits for what the client yields."""
    return any(fault.at is not None for fault in turn.faults)
