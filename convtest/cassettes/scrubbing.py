"""What never reaches a file: headers that carry keys, accounts or cookies."""

from collections.abc import Iterable

PLACEHOLDER = "SCRUBBED"
SECRET_HEADERS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "cookie",
        "set-cookie",
        "anthropic-organization-id",
        "openai-organization",
        "openai-project",
        "request-id",
        "x-request-id",
        "cf-ray",
    }
)
_TRANSPORT_HEADERS = frozenset({"content-length", "content-encoding", "transfer-encoding", "connection", "host"})


def scrubbed_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Headers in both directions, secrets replaced; those of the transfer itself are left out, the body is plain."""
    return [
        (name, PLACEHOLDER if name.lower() in SECRET_HEADERS else value)
        for name, value in headers
        if name.lower() not in _TRANSPORT_HEADERS
    ]
