"""The real model as a source."""

from dataclasses import replace

from convtest.wire.headers import without_undecodable
from convtest.wire.interaction import Interaction
from convtest.wire.tap import Answer, OpenTurn, Via


class Upstream:
    """Whatever the request's own transport reaches."""

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        interaction.origin = "live"
        request = interaction.request
        return await via.forward(replace(request, headers=without_undecodable(request.headers)))
