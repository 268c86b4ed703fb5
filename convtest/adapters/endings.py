"""How a turn ended, by the exception that it raised: of the models' packages, their transports, the frameworks.

None of these packages is imported: an exception is known by the names of its classes and the package that they are of.
"""

from collections.abc import Iterator, Mapping

from convtest.clients.messages.turns import ended_by_status
from convtest.errors import unwrapped
from convtest.events import Ended, TurnEnd

_TRANSPORTS = frozenset({"httpx", "httpx2", "httpcore", "httpcore2"})
_PACKAGES = frozenset({"anthropic", "openai", "agents", "pydantic_ai", "langgraph", "langchain_core", *_TRANSPORTS})
_NAMED: Mapping[str, Ended] = {
    "ConnectError": "refused",
    "ConnectTimeout": "refused",
    "TimeoutException": "timeout",
    "APITimeoutError": "timeout",
    "TransportError": "connection_lost",
    "APIConnectionError": "connection_lost",
    "MaxTurnsExceeded": "max_turns",
    "GraphRecursionError": "max_turns",
    "UsageLimitExceeded": "max_turns",
    "ModelRefusalError": "refusal",
    "ContentFilterError": "refusal",
}
"""By class, the nearest first; what else these packages raise is an error of the turn."""
_OF_OURS = frozenset({"UserError", "UserWarning"})
"""The application uses its framework wrongly: a bug, and no end of a turn."""


def ended_by(error: BaseException) -> TurnEnd | None:
    """The end of the turn, or None for an exception that is none of these packages'."""
    chain = list(_chain(unwrapped(error)))
    if not chain or any(type(one).__name__ in _OF_OURS for one in chain):
        return None
    for one in chain:
        status = getattr(one, "status_code", None) or getattr(getattr(one, "response", None), "status_code", None)
        if isinstance(status, int) and status >= 400:
            return ended_by_status(status, str(one))
    # A package's own error says less than that of its transport, from which it was raised.
    for one in reversed(chain):
        for name in _names(one):
            if name in _NAMED:
                return TurnEnd(ended=_NAMED[name], message=str(error))
    overloaded = any("overloaded" in str(one).lower() for one in chain)
    return TurnEnd(ended="overloaded" if overloaded else "error", message=f"{type(error).__name__}: {error}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and those that it was raised from, as far as they are known."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if any(True for _ in _names(error)) or isinstance(error, ValueError):
            # What came was no JSON, or not of the shape that the API has.
            yield error
        error = error.__cause__ or error.__context__


def _names(error: BaseException) -> Iterator[str]:
    return (kind.__name__ for kind in type(error).__mro__ if kind.__module__.partition(".")[0] in _PACKAGES)
