"""A limit on what recording may cost: checked before each request that goes to a real model."""

import math
import os
from collections.abc import Callable
from pathlib import Path

from convtest.errors import SpendingLimit
from convtest.events import Usage
from convtest.structs import Struct
from convtest.wire.interaction import Interaction
from convtest.wire.tap import Answer, OpenTurn, Source, Via, WireFailure

Price = Callable[[str, Usage], float | None]
"""What tokens of a model cost in USD, None where that is not known."""


class Ledger(Struct, frozen=True):
    """A file with a line for what each request cost, in USD: of all processes, and of those that were killed."""

    path: Path

    def add(self, usd: float) -> None:
        """On disk at once; lines of several processes do not mix."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, f"{usd!r}\n".encode())
        finally:
            os.close(handle)

    def total(self) -> float:
        if not self.path.is_file():
            return 0.0
        *lines, _ = self.path.read_text(encoding="ascii").split("\n")
        return math.fsum(map(float, lines))


class Purse(Struct):
    """What a run may spend in all, in USD (None: it is only counted), and what it has spent."""

    limit: float | None
    price: Price
    ledger: Ledger | None = None
    """Where others spend from the same purse."""
    uncounted: str = ""
    """A model that has answered without a word of what it used."""
    _spent: float = 0.0

    @property
    def spent(self) -> float:
        return self._spent if self.ledger is None else self.ledger.total()

    def spend(self, usd: float) -> None:
        self._spent += usd
        if self.ledger is not None and usd:
            self.ledger.add(usd)


class Spending:
    """Asks the upstream as long as the purse allows it."""

    def __init__(self, source: Source, purse: Purse) -> None:
        self._source = source
        self._purse = purse
        self._sent: list[Interaction] = []

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        self.settle()
        if self._purse.limit is not None:
            self._check(interaction, self._purse.limit)
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
            self._purse.spend(self._purse.price(model, used or Usage()) or 0.0)

    def _check(self, interaction: Interaction, limit: float) -> None:
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
        if self._purse.spent >= limit:
            self._stop(interaction, f"{_usd(self._purse.spent)} USD spent, the limit is {_usd(limit)}")

    def _stop(self, interaction: Interaction, what: str) -> None:
        interaction.trouble = SpendingLimit(what)
        raise WireFailure("no_response", what)


def _usd(amount: float) -> str:
    """As many digits as it takes to tell a fraction of a cent from nothing."""
    return f"{amount:.8f}".rstrip("0").rstrip(".")
