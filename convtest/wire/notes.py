"""What is noted of bodies: in plain, whatever they were encoded in, and no more of them than their limit."""

from dataclasses import replace

from convtest.errors import MissingDecoder
from convtest.limits import Limits
from convtest.wire.encoding import Decoding, TooMuch, Undecodable, claimed, decoded_body, shape_of
from convtest.wire.interaction import Chunk, Interaction


class Notes:
    """Notes the chunks of an answer in its interaction, decoded; what the client gets is none of its business."""

    def __init__(self, interaction: Interaction, limits: Limits) -> None:
        self._interaction = interaction
        self._limits = limits
        self._decoding: Decoding | None = None
        try:
            self._decoding = Decoding(claimed(interaction.headers), limits.body)
        except MissingDecoder as error:
            interaction.trouble = error

    def note(self, ms: float, data: bytes) -> str:
        """Why the answer cannot go on; empty where it can."""
        if self._decoding is None:
            return ""
        try:
            plain = self._decoding.feed(data)
        except Undecodable:
            # The client cannot read on either: for it, too, the answer broke off here.
            self._interaction.ended, self._decoding = "truncated", None
            return ""
        except TooMuch:
            return self._interaction.outgrows(self._limits, self._limits.body + 1, "answer to request")
        if plain:
            self._interaction.chunks.append(Chunk(ms, plain))
        return ""


def unpacked(interaction: Interaction, limits: Limits) -> str:
    """Puts the request's body in plain, as it is compared and kept; what goes over the wire stays beside it.

    Gives why it cannot be sent. What is not what it says is left as it is: the server will say so.
    """
    request = interaction.request
    if why := interaction.outgrows(limits, len(request.body), "request"):
        return why
    names = claimed(request.headers)
    if not names and not shape_of(request.body):
        return ""
    try:
        plain = decoded_body(request.body, names, by_shape=True, limit=limits.body)
    except Undecodable:
        return ""
    except TooMuch:
        return interaction.outgrows(limits, limits.body + 1, "request")
    except MissingDecoder as error:
        interaction.trouble = error
        return str(error)
    if plain is not request.body:
        interaction.request = replace(request, body=plain, encoded=request.body)
    return ""
