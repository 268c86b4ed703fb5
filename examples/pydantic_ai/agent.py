"""A weather agent on Pydantic AI. Nothing in it knows of convtest."""

import os

from pydantic_ai import Agent
from pydantic_ai.capabilities import ProcessHistory
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model

BUG = os.environ.get("BUG", "")  # so that the tests can show that what it breaks is caught


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"18 degrees in {city}"


def build(model: Model) -> Agent:
    instructions = None if BUG == "no_system" else "You are a terse weather assistant."
    capabilities = [ProcessHistory(window)] if BUG == "window" else []
    return Agent(model, instructions=instructions, tools=[get_weather], capabilities=capabilities)


def window(messages: list[ModelMessage]) -> list[ModelMessage]:
    return messages[-1:]
