"""convtest: test that conversations hold together. What users may import stands here, and is loaded when it is used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convtest.clients.messages.chat_completions import ChatCompletionsClient
    from convtest.clients.messages.client import MessagesClient
    from convtest.clients.port import Opening, SessionClient, SessionError, Tool
    from convtest.clock import Clock
    from convtest.errors import ConversationFailed, ConvtestError
    from convtest.events import Event, TextDelta, Thinking, ToolResult, ToolUse, TurnEnd, Usage
    from convtest.gateway.standing import GatewayAddress
    from convtest.play.recording import Recording
    from convtest.probe.conformance import CaseResult, assert_conforms, check_client
    from convtest.results.lines import read_results
    from convtest.results.model import Result
    from convtest.transcript import ActRecord, StepRecord, Transcript, TurnRecord
    from convtest.version import VERSION as __version__

_WHERE = {
    # the port: what a session client is given and gives
    "Opening": "clients.port",
    "SessionClient": "clients.port",
    "SessionError": "clients.port",
    "Tool": "clients.port",
    "Clock": "clock",
    # events: what it yields
    "Event": "events",
    "TextDelta": "events",
    "Thinking": "events",
    "ToolUse": "events",
    "ToolResult": "events",
    "TurnEnd": "events",
    "Usage": "events",
    # clients to build upon
    "MessagesClient": "clients.messages.client",
    "ChatCompletionsClient": "clients.messages.chat_completions",
    # the transcript: what a check of one's own is handed
    "Transcript": "transcript",
    "StepRecord": "transcript",
    "TurnRecord": "transcript",
    "ActRecord": "transcript",
    # the conformance suite
    "check_client": "probe.conformance",
    "assert_conforms": "probe.conformance",
    "CaseResult": "probe.conformance",
    # what the fixtures convtest_gateway and convtest_cassette give
    "GatewayAddress": "gateway.standing",
    "Recording": "play.recording",
    # results, as --convtest-results writes them
    "Result": "results.model",
    "read_results": "results.lines",
    # exceptions
    "ConvtestError": "errors",
    "ConversationFailed": "errors",
}

__all__ = [  # noqa: RUF022  in the order of the table
    "Opening",
    "SessionClient",
    "SessionError",
    "Tool",
    "Clock",
    "Event",
    "TextDelta",
    "Thinking",
    "ToolUse",
    "ToolResult",
    "TurnEnd",
    "Usage",
    "MessagesClient",
    "ChatCompletionsClient",
    "Transcript",
    "StepRecord",
    "TurnRecord",
    "ActRecord",
    "check_client",
    "assert_conforms",
    "CaseResult",
    "GatewayAddress",
    "Recording",
    "Result",
    "read_results",
    "ConvtestError",
    "ConversationFailed",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("convtest.version").VERSION
    if name not in _WHERE:
        raise AttributeError(f"module 'convtest' has no attribute {name!r}")
    return getattr(import_module(f"convtest.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
