"""The APIs that the simulator speaks: each refuses what it would refuse, reads a request into the shape of the Messages
API, and renders the reply."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from convtest.simulator import (
    chat_rendering,
    chat_validation,
    rendering,
    responses_rendering,
    responses_validation,
    validation,
)
from convtest.simulator.rendering import Reply
from convtest.simulator.responses import Responses
from convtest.structs import Struct
from convtest.wire.messages_api import PATH, text_of_content
from convtest.wire.openai_apis import CHAT_PATH, chat_request
from convtest.wire.responses_api import RESPONSES_PATH


class Api(Struct, frozen=True, kw_only=True):
    """`problem` says what is malformed in a request; `read` gives a well-formed one as the Messages API would have it,
    `chunks`, `body` and `refusal` an answer as this API sends it."""

    path: str
    problem: Callable[[dict[str, Any]], str | None]
    read: Callable[[dict[str, Any]], dict[str, Any]]
    chunks: Callable[[Reply, Mapping[str, Any]], list[bytes]]
    body: Callable[[Reply, Mapping[str, Any]], bytes]
    refusal: Callable[[str], bytes]
    means: Callable[[Any], str | None] = validation.problem_of
    """What is wrong with a request that was read."""
    keep: Callable[[Reply, Mapping[str, Any]], None] = lambda reply, asked: None
    """Hears of each answer that has been sent whole."""


def _from_chat(body: dict[str, Any]) -> dict[str, Any]:
    messages = chat_request(body)["messages"]
    system = [text_of_content(m["content"]) for m in messages if m["role"] in {"system", "developer"}]
    said = [
        {**message, "role": "user" if message["role"] == "tool" else message["role"]}
        for message in messages
        if message["role"] not in {"system", "developer"}
    ]
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or 4096
    return {**body, "max_tokens": limit, "system": "\n".join(system), "messages": said}


APIS = (
    Api(
        path=PATH,
        problem=validation.shape_problem,
        read=lambda body: body,
        chunks=lambda reply, asked: rendering.chunks(reply),
        body=lambda reply, asked: rendering.body(reply),
        refusal=lambda message: rendering.error_body("invalid_request_error", message),
    ),
    Api(
        path=CHAT_PATH,
        problem=chat_validation.shape_problem,
        read=_from_chat,
        chunks=chat_rendering.chunks,
        body=lambda reply, asked: chat_rendering.body(reply),
        refusal=chat_rendering.refusal,
    ),
)
COUNT_PATH = "/v1/messages/count_tokens"
MODELS_PATH = "/v1/models"
MODELS = ("claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-5")


def api_at(path: str, kept: Responses | None = None) -> Api | None:
    """The API whose requests go to this path; `kept`: what the Responses API keeps."""
    if path.endswith(RESPONSES_PATH):
        kept = kept or Responses()
        return Api(
            path=RESPONSES_PATH,
            problem=kept.problem,
            read=kept.read,
            chunks=responses_rendering.chunks,
            body=responses_rendering.body,
            refusal=responses_validation.refusal,
            means=lambda body: None,
            keep=kept.keep,
        )
    return next((api for api in APIS if path.endswith(api.path)), None)


def models(path: str) -> bytes | None:
    """The list of models, or one of them; it answers for any name, as the simulator does."""
    if path.endswith(MODELS_PATH):
        listed = [_model(name) for name in MODELS]
        more = {"has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
        return msgspec.json.encode({"object": "list", "data": listed, **more})
    before, _, name = path.rpartition("/")
    return msgspec.json.encode(_model(name)) if before.endswith(MODELS_PATH) else None


def _model(name: str) -> dict[str, Any]:
    """One entry with the keys of both APIs."""
    day = "2026-01-01T00:00:00Z"
    kind = {"type": "model", "object": "model"}
    return {"id": name, **kind, "display_name": name, "created_at": day, "created": 1767225600, "owned_by": "convtest"}
