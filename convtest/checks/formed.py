"""An answer in a form: a tool that a client offers for its answer alone, whose input it tells as text."""

from collections.abc import Mapping
from typing import Any

import msgspec

from convtest.checks.habits import fits
from convtest.transcript import TurnRecord
from convtest.wire.messages_api import text_of_content


def formed(record: TurnRecord) -> Mapping[str, Any] | None:
    """The tool use that the turn tells as text: the client shows it as no tool use, and its input is what the text says
    when it is read as JSON. By the letter where the policy says `exact`, else defaults may be filled in. Text beside it
    is lost only where the policy permits that."""
    told, main = _object(record.text), record.main()
    beside = any(text_of_content(one.reply().get("content")).strip() for one in main)
    if told is None or not main or (beside and record.policy.said in {"exact", "words"}):
        return None
    shown = {call.id for call in record.calls}
    for use in main[-1].reply().get("content") or []:
        given = use.get("input")
        if use.get("type") != "tool_use" or use.get("id") in shown or not isinstance(given, dict) or not given:
            continue
        if told == given or (record.policy.said != "exact" and fits(given, told)):
            return dict(use)
    return None


def _object(text: str) -> dict[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) else None
