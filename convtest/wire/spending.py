"""A limit on what recording may cost: checked before each request that goes to a real model."""

from collections.abc import Callable
from dataclasses import dataclass

from convtest.errors import SpendingLimit
from convtest.events import Usage
from convtest.wire.interaction import Interaction
from convtest.wire.tap import Answer, OpenTurn, Source, Via, WireFailure

Price = Callable[[str, Usage], float | None]
"""What tokens of a model cost in USD, None where that is not known."""


@dataclass(slots=True)
class Purse:
    """What a run may spend in all, in USD, and what it has spent."""

    limit: float
    price: Price
    spent: float = 0.0
    uncounted: str = ""
    """A model that has answered without a word of what it used."""


class Spending:
    """Asks the upstream as long as the purse allows it."""

    def __init__(self, source: Source, purse: Purse) -> None:
        self._source = source
        self._purse = purse
        self._sent: list[Interaction] = []

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        self.settle()
        model = str(interaction.canonical.fields.get("model", ""))
        if self._purse.price(model, Usage()) is None:
            what = f"no price is known for {model!r}, so no limit in USD can be kept: add it to [tool.convtest.prices]"
            self._stop(interaction, what)
        if self._purse.uncounted:
            what = (
                f"the answers of {self._purse.uncounted!r} report no usage, so no limit in USD can be kept: ask for it "
                "with stream_options = {include_usage = true}, or record without the limit"
            )
            self._stop(interaction, what)
        if self._purse.spent >= self._purse.limit:
            self._stop(interaction, f"{_usd(self._purse.spent)} USD spent, the limit is {_usd(self._purse.limit)}")
        self._sent.append(interaction)
        return await self._source.answer(interaction, turn, via)

    def settle(self) -> None:
        """Count what has been answered since; also to be called when nothing more will be asked."""
        ended = [one for one in self._sent if one.ended is not None]
        self._sent = [one for one in self._sent if one.ended is None]
        for one in ended:
            used = one.usage()
            model = str(one.canonical.fields.get("model", ""))
            if used is None:
                self._purse.uncounted = model
            self._purse.spent += self._purse.price(model, used or Usage()) or 0.0

    def _stop(self, interaction: Interaction, what: str) -> None:
        interaction.trouble = SpendingLimit(what)
        raise WireFailure("no_response", what)


def _usd(amount: float) -> str:
    """As many digits as it takes to tell a fraction of a cent from nothing."""
    return f"{amount:.8f}".rstrip("0").rstrip(".")
