"""A weather agent on the OpenAI Agents SDK. Nothing in it knows of convtest."""

import os
from typing import Any

from agents import Agent, RunConfig, SessionSettings, function_tool

BUG = os.environ.get("BUG", "")  # so that the tests can show that what it breaks is caught


EVERYBODY: list[Any] = []


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"18 degrees in {city}"


def build(model: str) -> tuple[Agent, RunConfig]:
    instructions = None if BUG == "no_system" else "You are a terse weather assistant."
    agent = Agent(name="weather", instructions=instructions, model=model, tools=[get_weather])
    return agent, RunConfig(
        session_settings=SessionSettings(limit=2 if BUG == "window" else None),
        session_input_callback={"mixed": mixed, "half": half}.get(BUG),
    )


def mixed(history: list[Any], new: list[Any]) -> list[Any]:
    EVERYBODY.extend(new)
    return list(EVERYBODY)


def half(history: list[Any], new: list[Any]) -> list[Any]:
    return [one for one in history if one.get("type") != "function_call_output"] + new
