"""HAR files: what a browser or a proxy saw.

Source: http://www.softwareishard.com/blog/har-12-spec/.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from convtest.cassettes.format import from_plain
from convtest.cassettes.forms import NotACassette
from convtest.cassettes.naming import Names
from convtest.importing.conversation import Found
from convtest.importing.reading.content import Content, NotImportable
from convtest.importing.reading.exchanges import scrubbed, sort_out
from convtest.importing.reading.threads import conversations_of


def recognises(content: Content) -> bool:
    """An object with a log that has entries."""
    log = content.data.get("log") if isinstance(content.data, dict) else None
    return isinstance(log, dict) and isinstance(log.get("entries"), list)


def read(content: Content, file: str, names: Names) -> Found:
    """Its conversations. Raises NotImportable."""
    entries = content.data["log"]["entries"]
    plain, left_out = [], []
    for number, entry in enumerate(entries, 1):
        try:
            plain.append(_plain(entry))
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
            left_out.append(f"entry {number} is not as HAR has them: {type(error).__name__}: {error}")
            plain.append(_NOTHING)
    try:
        interactions = from_plain({"interactions": plain, "version": 1})
    except NotACassette as error:
        raise NotImportable(file, f"a HAR file that cannot be read: {error}") from None
    exchanges, more = sort_out(scrubbed(interactions, names), "entry")
    unread = {line.split(" is ")[0] for line in left_out}
    conversations, beside = conversations_of(exchanges, "entry")
    lines = [line for line in more if line.split(":")[0] not in unread]
    return Found(
        format=f"a HAR file, {len(entries)} requests",
        conversations=conversations,
        left_out=[*left_out, *lines, *beside],
    )


_UNANSWERED = 599
_NOTHING = {
    "request": {"method": "", "uri": "", "body": "", "headers": {}},
    "response": {"status": {"code": _UNANSWERED, "message": ""}, "headers": {}, "body": {"string": ""}},
}
"""In the place of what could not be read, so that the others keep their numbers."""


def _plain(entry: Mapping[str, Any]) -> dict[str, Any]:
    """In the words of vcrpy."""
    request, response = entry["request"], entry["response"]
    if not 100 <= int(response["status"]) <= _UNANSWERED:
        raise ValueError(f"its status is {int(response['status'])}: it was not answered")
    posted = request.get("postData") or {}
    body, headers = _body(response.get("content") or {}), _headers(response)
    # The body in a HAR file is plain, whatever the headers say of its transfer.
    headers.pop("content-encoding", None)
    return {
        "request": {
            "method": str(request["method"]),
            "uri": str(request["url"]),
            "body": str(posted.get("text") or ""),
            "headers": _headers(request),
        },
        "response": {
            "status": {"code": int(response["status"]), "message": str(response.get("statusText") or "")},
            "headers": headers,
            "body": {"string": body},
        },
    }


def _headers(holder: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in holder.get("headers") or []:
        name = str(one["name"]).lower()
        if not name.startswith(":"):  # HTTP/2's own
            found.setdefault(name, []).append(str(one["value"]))
    return found


def _body(content: Mapping[str, Any]) -> str | bytes:
    text = str(content.get("text") or "")
    return base64.b64decode(text) if content.get("encoding") == "base64" else text
