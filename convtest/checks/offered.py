"""Stand-ins as they are offered to the model: with all their parameters."""

from collections.abc import Iterator, Mapping
from typing import Any

from convtest.checks.histories import Seen
from convtest.scenario.model import StandIn

Lacking = tuple[str, list[str], list[str]]
"""(the tool, its parameters, those that are offered)"""


def lacking(seen: Seen, stand_ins: tuple[StandIn, ...]) -> Iterator[Lacking]:
    """Stand-ins of this request whose schema has no word of some of their parameters: the model cannot give them. What
    is offered without any schema is searched for, or loaded, when it is wanted."""
    for tool in seen.sent.fields.get("tools") or []:
        fields = tool.get("function", tool) if isinstance(tool, dict) else {}
        schema = fields.get("input_schema", fields.get("parameters")) if isinstance(fields, dict) else None
        if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
            continue
        name = str(fields.get("name")).rpartition("__")[2]
        for one in stand_ins:
            if one.name == name and str(fields.get("description") or "").strip() == one.description.strip():
                wanted, offered = _parameters(one.input), list(schema["properties"])
                if not set(map(_folded, wanted)) <= set(map(_folded, offered)):
                    yield name, wanted, offered


def _parameters(given: Mapping[str, Any]) -> list[str]:
    properties = given.get("properties")
    return list(properties if given.get("type") == "object" and isinstance(properties, Mapping) else given)


def _folded(name: str) -> str:
    """Clients write `city_name` as `cityName`."""
    return name.replace("_", "").replace("-", "").lower()
