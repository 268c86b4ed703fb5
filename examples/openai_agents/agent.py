"""A weather agent on the OpenAI Agents SDK. Nothing in it knows of convtest."""

import os

from agents import Agent, RunConfig, SessionSettings, function_tool

BUG = os.environ.get("BUG", "")  # so that the tests can show that what it breaks is caught


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"18 degrees in {city}"


def build(model: str) -> tuple[Agent, RunConfig]:
    instructions = None if BUG == "no_system" else "You are a terse weather assistant."
    agent = Agent(name="weather", instructions=instructions, model=model, tools=[get_weather])
    return agent, RunConfig(session_settings=SessionSettings(limit=2 if BUG == "window" else None))
