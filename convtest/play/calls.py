"""One call that a session's task makes for the runner, and what became of it."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from convtest.clients.port import SessionError
from convtest.clock import Clock, is_leaving_out, left_out
from convtest.errors import ClientError, ConvtestError, raised_at
from convtest.transcript import Refusal, StepRecord

STRAY = (
    "its task was cancelled, and not by convtest: the client left a cancel scope open, or something behind that cancels"
)
_A_WHILE = 1.0
"""Seconds in which what is waited for is looked at again."""
SCOPE_DISORDER = "the client left a task group or cancel scope open, or closed it twice"


def is_scope_disorder(error: BaseException) -> bool:
    """What anyio says of the first scope that is closed after one that was left open."""
    return isinstance(error, RuntimeError) and "scope" in str(error)


class _Stray(Exception):
    """A cancellation that nobody of ours asked for."""


class Call:
    """The outcome of one call made in the session's task."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.value: Any = None
        self._error: BaseException | None = None

    async def make(self, call: Callable[[], Awaitable[Any]]) -> None:
        try:
            self.value = await call()
        except (Exception, BaseExceptionGroup, SystemExit) as error:
            self._error = error
        except anyio.get_cancelled_exc_class():
            self.lose(STRAY)  # it counts where no time limit was the reason
            raise
        finally:
            self.done.set()

    def lose(self, reason: str) -> None:
        """It is not made, or not to its end."""
        if not self.done.is_set():
            self._error = _Stray(reason)
            self.done.set()

    async def in_time(self, clock: Clock, timeout: float) -> float:
        """Wait for it; the seconds that were waited for leave to ask a model, which do not count."""
        first = left_out(clock)
        while timeout > 0:
            before = left_out(clock)
            with anyio.move_on_after(timeout):
                await self.done.wait()
            if self.done.is_set():
                break
            timeout = max(left_out(clock) - before, _A_WHILE if is_leaving_out(clock) else 0.0)
        return left_out(clock) - first

    def describe(self, record: StepRecord) -> None:
        match _single(self._error):
            case None:
                pass
            case ClientError() as error:
                error.args = (f"{error.head}, session {record.session!r}{error.advice}",)
                raise error
            case ConvtestError() as error:
                raise error
            case SessionError() as error:
                record.error = Refusal(code=error.code, message=str(error))
            case _Stray() as error:
                record.crash = str(error)
            case RuntimeError() as error if is_scope_disorder(error):
                record.crash = SCOPE_DISORDER
            case error:
                record.crash = _where(error)


def _single(error: BaseException | None) -> BaseException | None:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _where(error: BaseException) -> str:
    place = raised_at(error)
    return f"{type(error).__name__}: {error}{f' — {place}' if place else ''}"
