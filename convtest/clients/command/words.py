"""What of the protocol is not said as it is: ends of turns, and options."""

from collections.abc import Mapping
from typing import Any

import msgspec

from convtest.clients.process import ProgramError
from convtest.events import TurnEnd


def turn_end(message: Mapping[str, Any]) -> TurnEnd:
    """Raises ProgramError where it is none."""
    fields = {key: value for key, value in message.items() if key not in {"type", "session_id"}}
    try:
        return msgspec.convert(fields, TurnEnd)
    except msgspec.ValidationError as error:
        raise ProgramError(f"turn_end: {error}") from None


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has them."""
    return msgspec.json.decode(msgspec.json.encode(dict(options)))  # type: ignore[no-any-return]
