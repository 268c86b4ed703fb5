"""Faults on the wire: a source that answers with failures where the turn's disturbances say so."""

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from convtest.scenario.model import Disturbance
from convtest.wire.counting import EVENT_END, ends_answer, is_event
from convtest.wire.interaction import Interaction
from convtest.wire.tap import Answer, OpenTurn, Source, Via, Whole, WireFailure

_ERRORS: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
MALFORMED = b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": \n\n'


class Faulty:
    """Stands before another source and breaks what it answers; where no fault is due it is not there."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._given: dict[tuple[int, int], int] = {}

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        if turn is None or not turn.faults:
            return await self._source.answer(interaction, turn, via)
        for fault in turn.faults:
            if fault.do == "status" and turn.answered >= (fault.after or 0):
                return self._refused(fault, interaction, turn, via)
        # Events can be told apart only in bytes that are not packed; and a body that is cut has no length.
        plain = tuple((n, v) for n, v in interaction.request.headers if n.lower() != "accept-encoding")
        headers = (*plain, ("accept-encoding", "identity"))
        interaction.request = replace(interaction.request, headers=headers)
        answer = await self._source.answer(interaction, turn, via)
        turn.answered += 1
        if answer.status == 200:
            answer.headers = tuple((n, v) for n, v in answer.headers if n.lower() != "content-length")
            answer.chunks = _Broken(answer.chunks, interaction, turn, via)
        return answer

    def _refused(self, fault: Disturbance, interaction: Interaction, turn: OpenTurn, via: Via) -> Answer:
        interaction.origin = "simulated"
        # Those that are done leave the list, so that its length tells which one this is.
        which = turn.number, len(turn.faults)
        given = self._given[which] = self._given.get(which, 0) + 1
        turn.met.append(fault)
        if given >= fault.times:
            turn.faults.remove(fault)
        kind = _ERRORS.get(fault.status, "api_error")
        body = {"type": "error", "error": {"type": kind, "message": f"{kind}, as the scenario asks"}}
        headers = [("content-type", "application/json")]
        if fault.retry_after is not None:
            headers.append(("retry-after", f"{fault.retry_after:g}"))
        chunks = Whole(msgspec.json.encode(body), via.clock)
        return Answer(status=fault.status, reason="Fault", headers=tuple(headers), chunks=chunks)


class _Broken:
    """Passes chunks on, cut at the event where the fault is due, and then does what the fault says."""

    def __init__(self, chunks: Any, interaction: Interaction, turn: OpenTurn, via: Via) -> None:
        self._chunks = chunks
        self._interaction = interaction
        self._turn = turn
        self._via = via
        self._delivered = turn.delivered
        self._rest: list[bytes] = []
        self._ended = False
        self._whole = False

    def __aiter__(self) -> "_Broken":
        return self

    async def __anext__(self) -> bytes:
        if self._ended:
            raise StopAsyncIteration
        due = next((fault for fault in self._turn.faults if fault.do != "status" and self._is_due(fault)), None)
        if due is not None:
            self._turn.faults.remove(due)
            self._turn.met.append(due)
            await self._via.clock.checkpoint()
            return await BREAKS[due.do](self)
        return self._up_to_the_fault(b"".join(self._rest) or await anext(self._chunks))

    def end(self) -> None:
        """Nothing more comes."""
        self._ended = True

    def _is_due(self, fault: Disturbance) -> bool:
        if fault.after is not None:
            # What is due after the last event of an answer meets the next one: this one has nothing left to break.
            return self._delivered >= fault.after and not self._whole
        if fault.at == "before_request":
            return True
        kinds = self._turn.yielded
        return bool(kinds) if fault.at == "first_event" else fault.at in kinds

    def _up_to_the_fault(self, data: bytes) -> bytes:
        """As many whole events as may pass before the next fault; the rest waits."""
        due = (one.after for one in self._turn.faults if one.after is not None and one.do != "status")
        limit = min(due, default=None)
        pieces = [piece for piece in EVENT_END.split(data) if piece]
        passed: list[bytes] = []
        while pieces and (limit is None or self._delivered < limit):
            passed.append(pieces.pop(0))
            self._delivered += is_event(passed[-1])
            if ends_answer(passed[-1]):
                # Only answers that came whole count for those after it: one that is asked again begins anew.
                self._turn.delivered, self._whole = self._delivered, True
        self._rest = pieces
        return b"".join(passed)

    async def stall(self) -> bytes:
        if self._turn.due():
            await self._via.clock.forever()
        if math.isinf(self._via.read_timeout):
            # The client has a time limit of its own, in another process: this is how it will end.
            self._interaction.ended = "timeout"
            await self._via.clock.forever()
        await self._via.clock.sleep(self._via.read_timeout * 1000)
        raise WireFailure("timeout", f"nothing came for {self._via.read_timeout:g} s")


async def _reset(answer: _Broken) -> bytes:
    raise WireFailure("reset", "connection reset, as the scenario asks")


async def _close(answer: _Broken) -> bytes:
    raise WireFailure("truncated", "connection closed in mid-stream, as the scenario asks")


async def _eof(answer: _Broken) -> bytes:
    answer.end()
    raise StopAsyncIteration


async def _malformed(answer: _Broken) -> bytes:
    return MALFORMED


async def _error_event(answer: _Broken) -> bytes:
    answer.end()
    error = {"type": "overloaded_error", "message": "overloaded, as the scenario asks"}
    return b"event: error\ndata: " + msgspec.json.encode({"type": "error", "error": error}) + b"\n\n"


BREAKS: Mapping[str, Callable[[_Broken], Awaitable[bytes]]] = {
    "reset": _reset,
    "close": _close,
    "eof": _eof,
    "stall": _Broken.stall,
    "malformed": _malformed,
    "error_event": _error_event,
}
"""By disturbance: what comes in place of the rest of an answer. A `status` comes in place of the whole of it."""
