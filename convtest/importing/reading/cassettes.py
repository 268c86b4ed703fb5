"""Cassettes of vcrpy, pytest-recording and Ruby's VCR: requests and answers as they went over the wire."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from convtest.cassettes.format import from_plain
from convtest.cassettes.forms import NotACassette, interactions_of
from convtest.cassettes.naming import Names
from convtest.importing.conversation import Found
from convtest.importing.reading.content import Content, NotImportable
from convtest.importing.reading.exchanges import scrubbed, sort_out
from convtest.importing.reading.threads import conversations_of

_RUBY = "http_interactions"


def recognises(content: Content) -> bool:
    """An object with a list of interactions, in any form of vcrpy's or in Ruby's."""
    data = content.data
    try:
        return isinstance(data, dict) and (isinstance(data.get(_RUBY), list) or interactions_of(data) is not None)
    except NotACassette:
        return True  # what is wrong with it is said when it is read


def read(content: Content, file: str, names: Names) -> Found:
    """Its conversations. Raises NotImportable."""
    ruby = isinstance(content.data.get(_RUBY), list)
    plain = _of_ruby(content.data, file) if ruby else content.data
    try:
        interactions = from_plain(plain)
    except NotACassette as error:
        raise NotImportable(file, f"a cassette that cannot be read: {error}") from None
    exchanges, left_out = sort_out(scrubbed(interactions, names), "request")
    conversations, more = conversations_of(exchanges, "request")
    return Found(
        format=f"a cassette of {'Ruby VCR' if ruby else 'vcrpy'}, {len(interactions)} requests",
        conversations=conversations,
        left_out=[*left_out, *more],
    )


def _of_ruby(data: Mapping[str, Any], file: str) -> dict[str, Any]:
    """In the words of vcrpy."""
    made = []
    for number, one in enumerate(data[_RUBY], 1):
        try:
            request, response = one["request"], one["response"]
            status = response["status"]
            made.append(
                {
                    "request": {
                        "method": str(request["method"]).upper(),
                        "uri": str(request["uri"]),
                        "body": _body(request.get("body")),
                        "headers": request.get("headers"),
                    },
                    "response": {
                        "status": {"code": status["code"], "message": status.get("message")},
                        "headers": response.get("headers"),
                        "body": {"string": _body(response.get("body"))},
                    },
                }
            )
        except (KeyError, TypeError, AttributeError) as error:
            problem = f"interaction {number} is not as Ruby's VCR writes them: {type(error).__name__}: {error}"
            raise NotImportable(file, problem) from None
    return {"interactions": made, "version": 1}


def _body(body: Any) -> Any:
    """A text, or `{encoding, string}`, or `{encoding, base64_string}`."""
    if not isinstance(body, dict):
        return body
    if isinstance(encoded := body.get("base64_string"), bytes):
        return encoded  # the YAML tag !binary has decoded it
    return _decoded(encoded) if isinstance(encoded, str) else body.get("string")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return text.encode()
