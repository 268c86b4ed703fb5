"""Tools that clients have of their own, as far as their profiles say."""

from collections.abc import Iterator, Mapping
from typing import Any

from convtest.config import Config
from convtest.scenario.model import Scenario, Turn


def unknown_calls(config: Config, scenario: Scenario) -> Iterator[str]:
    """A line for each call of a script that is of no stand-in, and of no tool that the client's profile names."""
    stand_ins = {tool.name for tool in scenario.tools}
    for step in scenario.steps:
        if not isinstance(step, Turn) or not step.simulate:
            continue
        spec = scenario.sessions.get(step.session)
        name = spec.client if spec is not None else scenario.client
        profile = config.profile(name)
        options = {**profile.options, **scenario.options, **(spec.options if spec else {}), **step.options}
        known = stand_ins | _own(options, profile.sends)
        for call in (call for script in step.simulate for calls in script.calls or [] for call in calls):
            if call not in known:
                help = f'if it is the application\'s own: tools = ["{call}"] in the profile {name!r}'
                yield f"{step.place.line_only}: simulate calls {call!r}, which is not under tools: ({help})"


def _own(options: Mapping[str, Any], sends: Mapping[str, Any]) -> set[str]:
    """As `tools` and `python_tools` name them, and as `convtest probe` saw them in requests."""
    named, functions, seen = options.get("tools"), options.get("python_tools"), sends.get("tools")
    return {
        *(str(one) for one in (named if isinstance(named, list | tuple) else ())),
        *(str(one).rpartition(":")[2] for one in (functions if isinstance(functions, list | tuple) else ())),
        *(name for one in (seen if isinstance(seen, Mapping) else ()) for name in (one, one.rpartition("__")[2])),
    }
