"""The JSON Schema of the scenario language, for editors (JSON Schema draft 2020-12)."""

from typing import Any

import msgspec

from convtest.scenario.grammar import NOT_YET, STEP_KEYS, ScenarioShape
from convtest.scenario.meanings import MEANINGS

ID = "https://convtest.invalid/scenario.schema.json"


def schema() -> dict[str, Any]:
    """The schema of one document of a scenario file; every key of the language is in it."""
    made = msgspec.json.schema(ScenarioShape)
    defs = {name: _without_null(definition) for name, definition in made["$defs"].items()}
    for name, meanings in MEANINGS.items():
        for key, meaning in meanings.items():
            described = defs[name]["properties"][key]
            form = described.get("description", "")  # of a type's own, such as a duration
            described["description"] = f"{meaning} {form[0].upper()}{form[1:]}." if form else meaning
    for shape, keys in NOT_YET.items():
        for key in keys:
            defs[shape.__name__]["properties"][key]["description"] = "Not supported yet."
    step = defs["StepShape"]
    step["oneOf"] = [{"required": [key]} for key in STEP_KEYS]
    scenario = defs.pop("ScenarioShape")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        **scenario,
        "title": "convtest scenario",
        "anyOf": [{"required": ["steps"]}, {"required": ["retention"]}],
        "$defs": defs,
    }


def _without_null(definition: dict[str, Any]) -> dict[str, Any]:
    """Optional keys are absent, never null, in a scenario: take null and its default out."""
    cleaned = dict(definition)
    cleaned["properties"] = {name: _one_property(value) for name, value in definition.get("properties", {}).items()}
    return cleaned


def _of_scalars(choice: dict[str, Any]) -> dict[str, Any]:
    """A list of texts may hold other scalars too: `disturb: [interrupt, 529]`."""
    texts = choice.get("items") == {"type": "string"}
    return {**choice, "items": {"type": ["string", "number", "boolean"]}} if texts else choice


def _one_property(value: dict[str, Any]) -> dict[str, Any]:
    kept = {key: part for key, part in value.items() if not (key == "default" and part is None)}
    if "anyOf" in kept:
        choices = [choice for choice in kept.pop("anyOf") if choice != {"type": "null"}]
        if any(choice.get("type") == "string" for choice in choices):
            # Where text is meant the loader takes any scalar as it is written: `contains: 18`.
            choices = [_of_scalars(choice) for choice in choices if choice.get("type") not in {"number", "integer"}]
            choices.append({"type": ["number", "boolean"]})
        kept |= choices[0] if len(choices) == 1 else {"anyOf": choices}
    elif kept.get("type") == "string":
        kept["type"] = ["string", "number", "boolean"]
    return kept
