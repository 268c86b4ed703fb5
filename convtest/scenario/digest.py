"""A digest of what a scenario asks to be sent: tells `the scenario changed` from `the client changed`."""

import hashlib
from typing import Any

import msgspec

from convtest.scenario.model import Act, Scenario, StandIn, Step, Turn


def digest(scenario: Scenario) -> str:
    """Twelve hex digits; equal as long as prompts, options, tools, files and the order of steps are.

    What a scenario does not use leaves no trace in it, so that a new key in the language changes no digest.
    """
    asked = {
        "options": scenario.options,
        "files": scenario.files,
        "sessions": {name: [spec.client, spec.options, *spec.history] for name, spec in scenario.sessions.items()},
        "tools": [_tool(tool) for tool in scenario.tools],
        "steps": [_asked(step) for step in scenario.steps],
    }
    encoded = msgspec.json.encode(asked, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:12]


def _group(step: Step) -> list[int]:
    return list(step.group or ())


def _tool(tool: StandIn) -> list[Any]:
    return [tool.name, tool.description, tool.input, [[a.when, a.value, a.error] for a in tool.answers]]


def _asked(step: Step) -> list[Any]:
    match step:
        case Turn():
            asked = ["user", step.session, step.prompt, [str(one) for one in step.disturbances], *_group(step)]
            return [*asked, *([str(step.during)] if step.during else []), *([step.within] if step.within else [])]
        case Act():
            return [step.kind, step.target, step.new, step.session_id, step.at, step.options]
