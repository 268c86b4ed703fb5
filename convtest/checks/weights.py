"""What a prompt weighs, and in what."""

from convtest.structs import Struct
from convtest.wire.blocks import encoded
from convtest.wire.canonical import Canonical
from convtest.wire.interaction import Interaction
from convtest.wire.messages import size_of


class Mass(Struct, frozen=True):
    """How much a prompt weighs, and in what."""

    value: float
    unit: str


def mass_of(one: Interaction) -> Mass:
    """Prompt tokens as reported, live and simulated; on replay the size of the canonical request."""
    usage = one.reply().get("usage") or {}
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    tokens = sum(usage.get(name) or 0 for name in names)
    if one.origin == "replayed" or not tokens:
        return Mass(float(size_of(one.canonical.messages)), "bytes of messages")
    return Mass(float(tokens), "prompt tokens")


def settings_of(sent: Canonical) -> str:
    return encoded({key: value for key, value in sent.settings().items() if key != "stream"})
