"""Answers in the form that a request asks for: JSON of its schema, or the call of the tool that it forces.

Titles, classifications and guards ask in such a form. What is scripted for the turn is not meant for them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from convtest.scenario.grammar import SimulateShape
from convtest.structs import Struct

_DEEPEST = 20
"""Schemas that refer to themselves end here."""
_GOOD = re.compile(r"safe|ok|allow|valid|pass|relevant|appropriate|accept|approv|success|on_topic", re.IGNORECASE)
_BAD = re.compile(r"un(safe|allowed)|in(valid|appropriate)|dis|not|off_topic|irrelevant", re.IGNORECASE)
_LAYOUTS = {
    "date": "2026-01-01",
    "time": "12:00:00Z",
    "date-time": "2026-01-01T12:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "127.0.0.1",
}


class Wanted(Struct, frozen=True):
    """The form of an answer: a schema, and the tool that is to be called with it (empty for text)."""

    schema: Mapping[str, Any]
    tool: str = ""


def wanted_of(request: Mapping[str, Any], *, brings_results: bool) -> Wanted | None:
    """The form that a request asks for, in either API's words; None for one that leaves it open. A request that
    brings results and demands just any tool is left to end its loop."""
    choice = request.get("tool_choice")
    tools = {_name(tool): _input(tool) for tool in request.get("tools") or []}
    named, any_tool = _forced(choice)
    if any_tool and tools and not brings_results:
        named = next(iter(tools))
    if named in tools:
        return Wanted(tools[named], named)
    schema = _schema(request)
    return Wanted(schema) if schema is not None else None


def _forced(choice: Any) -> tuple[str, bool]:
    """(the tool that is named, whether any will do)."""
    if choice == "required":
        return "", True
    if not isinstance(choice, Mapping):
        return "", False
    function = choice.get("function")
    named = function.get("name") if isinstance(function, Mapping) else choice.get("name")
    return (str(named), False) if named else ("", choice.get("type") == "any")


def _schema(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    config = request.get("output_config")
    forms = (request.get("response_format"), request.get("output_format"))
    for form in (*forms, config.get("format") if isinstance(config, Mapping) else None):
        if isinstance(form, Mapping) and form.get("type") in {"json_schema", "json_object"}:
            named = form.get("json_schema")
            schema = named.get("schema") if isinstance(named, Mapping) else form.get("schema")
            return schema if isinstance(schema, Mapping) else {"properties": {"answer": {"type": "string"}}}
    return None


def _name(tool: Mapping[str, Any]) -> str:
    return str(tool.get("name") or (tool.get("function") or {}).get("name", ""))


def _input(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    found = tool.get("input_schema") or (tool.get("function") or {}).get("parameters") or {}
    return found if isinstance(found, Mapping) else {}


def fits(scripted: SimulateShape, wanted: Wanted) -> bool:
    """Whether a script is meant for a request of this form: it calls the tool, or says something of the schema (or
    what was to be JSON and is none)."""
    if scripted.stop_reason == "refusal":
        return True
    if wanted.tool:
        return any(
            name == wanted.tool or wanted.tool.endswith(f"__{name}") for call in scripted.calls or [] for name in call
        )
    text = (scripted.text or "").strip()
    if text[:1] not in {"{", "["}:
        return False
    try:
        said = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return True
    known = wanted.schema.get("properties")
    return not isinstance(said, dict) or not known or bool(said.keys() & known.keys())


def instance(schema: Mapping[str, Any], text: str) -> Any:
    """A value that the schema accepts; where it leaves a text open, that is `text`. Patterns are not looked at."""
    return _value(schema, text, schema, "", 0)


def _value(schema: Any, text: str, root: Mapping[str, Any], key: str, depth: int) -> Any:
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type") or ("array" if "items" in schema else "object" if "properties" in schema else "string")
    if isinstance(kind, Sequence) and not isinstance(kind, str):
        kind = next((one for one in kind if one != "null"), "null")
    match kind:
        case "object":
            return _object(schema, text, root, depth)
        case "array":
            count = schema.get("minItems", 1 if depth < _DEEPEST // 2 else 0)
            return [_value(schema.get("items") or {}, text, root, key, depth + 1) for _ in range(count)]
        case "boolean":
            return bool(_GOOD.search(key)) and not _BAD.search(key)
        case "integer" | "number":
            return _number(schema, whole=kind == "integer")
        case "null":
            return None
        case _:
            return _text(schema, text)


def _object(schema: Mapping[str, Any], text: str, root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    known, required = schema.get("properties") or {}, schema.get("required") or []
    names = [name for name in known if name in required or depth < _DEEPEST // 2]
    names += [name for name in required if name not in known]
    if depth >= _DEEPEST:
        return {}
    return {name: _value(known.get(name, {}), text, root, name, depth + 1) for name in names}


def _resolved(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """With references followed, parts of `allOf` joined, and the first choice taken that is not null."""
    for _ in range(_DEEPEST):
        if not isinstance(schema, Mapping):
            return {}
        rest = {name: value for name, value in schema.items() if name not in {"$ref", "allOf", "anyOf", "oneOf"}}
        if "$ref" in schema:
            schema = {**rest, **_at(str(schema["$ref"]), root)}
        elif schema.get("allOf"):
            parts = [_resolved(part, root) for part in schema["allOf"]]
            schema = rest
            for part in parts:
                properties = {**(schema.get("properties") or {}), **(part.get("properties") or {})}
                required = [*(schema.get("required") or []), *(part.get("required") or [])]
                schema = {**schema, **part, "properties": properties, "required": required}
        elif choices := schema.get("anyOf") or schema.get("oneOf"):
            taken = next((one for one in choices if isinstance(one, Mapping) and one.get("type") != "null"), choices[0])
            schema = {**rest, **taken} if isinstance(taken, Mapping) else rest
        else:
            return schema
    return {}


def _at(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for step in reference.removeprefix("#").split("/")[1:]:
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _number(schema: Mapping[str, Any], *, whole: bool) -> float:
    """Zero, or what lies nearest to it within the limits."""
    step = 1 if whole else 0
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    low = schema.get("minimum") if above is None else above + step
    high = schema.get("maximum") if below is None else below - step
    if not whole and (above is not None or below is not None):
        return _between(low, high)
    found = min(max(0, low if low is not None else 0), high if high is not None else float("inf"))
    multiple = schema.get("multipleOf")
    found = -(-found // multiple) * multiple if multiple else found
    return int(found) if whole else found


def _between(low: float | None, high: float | None) -> float:
    if low is None or high is None:
        return high - 1 if low is None and high is not None else (low or 0) + 1
    return (low + high) / 2


def _text(schema: Mapping[str, Any], text: str) -> str:
    layout = _LAYOUTS.get(str(schema.get("format")))
    if layout is not None:
        return layout
    least = schema.get("minLength", 0)
    made = f"{text}{'.' * max(0, least - len(text))}"
    return made[: schema.get("maxLength")]
