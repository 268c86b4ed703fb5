"""Files that are no cassette of vcrpy's: which format they have, and what reads it."""

from collections.abc import Callable, Mapping
from typing import Any

IMPORT = "convtest import reads it"
RECORD = "record it again with convtest, or bring it in as a HAR file or a cassette of vcrpy"


def foreign(data: Any) -> str | None:
    """What the data is that is no cassette; None where it may be one, or nobody knows."""
    if not isinstance(data, Mapping | list):
        return None
    return next((f"it is {name}: {reads}" for is_one, name, reads in _FORMATS if is_one(data)), None)


def _ruby(data: Any) -> bool:
    return _has(data, "http_interactions") and "betamax" not in str(data.get("recorded_with", "")).lower()


def _betamax(data: Any) -> bool:
    return _has(data, "http_interactions") and not _ruby(data)


def _har(data: Any) -> bool:
    return _has(data, "log") and _has(data["log"], "entries")


def _wiremock(data: Any) -> bool:
    return _has(data, "mappings") or (_has(data, "request", "response") and "interactions" not in data)


def _nock(data: Any) -> bool:
    return _is_list_with(data, "scope", "method", "path")


def _go(data: Any) -> bool:
    """go-vcr has the same keys at the top, and others below."""
    first = _first(data.get("interactions")) if isinstance(data, Mapping) else None
    response = first.get("response") if isinstance(first, Mapping) else None
    return _has(response, "code") and _has(first.get("request"), "url")  # type: ignore[union-attr]


def _old(data: Any) -> bool:
    return _is_list_with(data, "request", "response")


def _httpx(data: Any) -> bool:
    return _is_list_with(data, "url", "status_code") or _is_list_with(data, "url", "json")


def _responses(data: Any) -> bool:
    return _has(data, "responses") and isinstance(_first(data["responses"]), Mapping) and "requests" not in data


def _messages(data: Any) -> bool:
    """Alone, in a list, or one of several lines of JSON."""
    given = data.get("messages") if isinstance(data, Mapping) else data
    return "interactions" not in data and (_is_list_with(given, "role", "content") or _has(data, "role", "content"))


def _of_an_sdk(data: Any) -> bool:
    return _has(data, "messages") and _has(_first(data["messages"]), "type")


def _session(data: Any) -> bool:
    return _has(data, "sessionId", "type") or _has(data, "sessionId", "message")


def _events(data: Any) -> bool:
    kind = data.get("type") if isinstance(data, Mapping) else None
    return isinstance(kind, str) and kind.startswith(("message_", "content_block_", "response."))


def _scenario(data: Any) -> bool:
    return _has(data, "scenario")


def _spans(data: Any) -> bool:
    return _has(data, "resourceSpans") or _is_list_with(data, "trace_id", "span_id")


_FORMATS: tuple[tuple[Callable[[Any], bool], str, str], ...] = (
    (_ruby, "a cassette of Ruby's VCR (http_interactions)", IMPORT),
    (_betamax, "a cassette of betamax (http_interactions)", RECORD),
    (_har, "a HAR file", IMPORT),
    (_go, "a cassette of go-vcr", RECORD),
    (_scenario, "a scenario, not what was recorded of it", "convtest check reads it"),
    (_old, "a cassette of vcrpy before 1.0", "python -m vcr.migration FILE makes a newer one of it"),
    (_nock, "a recording of nock", RECORD),
    (_httpx, "a list of responses for pytest-httpx or another mock", RECORD),
    (_spans, "a list of OpenTelemetry spans", IMPORT),
    (_messages, "a list of messages, without requests and answers", IMPORT),
    (_session, "a session file of Claude Code", IMPORT),
    (_events, "the events of one answer, without its request", RECORD),
    (_of_an_sdk, "what a Claude Agent SDK and its CLI said to each other, without requests of a model", RECORD),
    (_wiremock, "a stub mapping of WireMock", RECORD),
    (_responses, "a list of answers of the package responses", RECORD),
)


def _has(data: Any, *keys: str) -> bool:
    return isinstance(data, Mapping) and all(key in data for key in keys)


def _first(data: Any) -> Any:
    return data[0] if isinstance(data, list) and data else None


def _is_list_with(data: Any, *keys: str) -> bool:
    return _has(_first(data), *keys)
