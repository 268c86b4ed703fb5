"""Which requests a profile declares to be side requests, or the conversation: by what they ask with."""

from collections.abc import Iterable
from typing import Any

from convtest.policy import Signature
from convtest.wire.blocks import collapsed
from convtest.wire.canonical import Canonical
from convtest.wire.interaction import Interaction

_FORMATS = ("response_format", "output_config", "output_format", "text")
"""Where the APIs have the form of the answer."""
_SHOWN = 80
"""Characters of a system prompt that are enough to know it by."""


def formats_of(sent: Canonical) -> dict[str, Any]:
    """What a request says about the form of its answer, by field."""
    return {key: sent.fields[key] for key in _FORMATS if sent.fields.get(key)}


def has(signature: Signature, sent: Canonical) -> bool:
    """Whether the request asks with all that the signature names."""
    return (
        (not signature.system or collapsed(signature.system) in collapsed(sent.system))
        and (not signature.model or sent.fields.get("model") == signature.model)
        and (not signature.response_format or signature.response_format in _format_names(sent))
        and (signature.tools is None or sorted(signature.tools) == sorted(_tool_names(sent)))
    )


def is_declared_side(signatures: Iterable[Signature], one: Interaction) -> bool:
    """Whether the profile says that this request is none of the conversation."""
    return any(has(signature, one.canonical) for signature in signatures)


def telling_apart(main: Iterable[Canonical], side: Iterable[Canonical]) -> Signature | None:
    """What all of the one ask with and none of the other does; None where nothing tells them apart."""
    ours, others = list(main), list(side)
    if not ours or not others:
        return None
    first = ours[0]
    formats = _format_names(first)
    candidates = [
        Signature(system=collapsed(first.system)[:_SHOWN].strip()) if first.system else None,
        Signature(response_format=formats[0]),
        Signature(model=str(first.fields["model"])) if first.fields.get("model") else None,
        Signature(tools=tuple(_tool_names(first))),
    ]
    fitting = (
        one
        for one in candidates
        if one is not None and all(has(one, sent) for sent in ours) and not any(has(one, sent) for sent in others)
    )
    return next(fitting, None)


def _format_names(sent: Canonical) -> list[str]:
    """The kinds of form (`json_schema`, `json_object`, `text`), and the names of schemas."""
    found: list[str] = []
    for form in formats_of(sent).values():
        inner = form.get("format", form) if isinstance(form, dict) else {}
        schema = inner.get("json_schema") if isinstance(inner, dict) else None
        names = [inner.get("type"), inner.get("name"), schema.get("name") if isinstance(schema, dict) else None]
        found += [str(name) for name in names if name]
    return found or ["text"]


def _tool_names(sent: Canonical) -> list[str]:
    known = [one for one in sent.fields.get("tools") or [] if isinstance(one, dict)]
    return [str(one.get("name") or (one.get("function") or {}).get("name", "")) for one in known]
