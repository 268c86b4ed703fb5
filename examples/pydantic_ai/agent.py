"""A weather agent on Pydantic AI. Nothing in it knows of convtest."""

import os

from pydantic_ai import Agent
from pydantic_ai.capabilities import ProcessHistory
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model

BUG = os.environ.get("BUG", "")  # so that the tests can show that what it breaks is caught

EVERYBODY: list[ModelMessage] = []


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"18 degrees in {city}"


def build(model: Model) -> Agent:
    instructions = None if BUG == "no_system" else "You are a terse weather assistant."
    process = {"window": window, "mixed": mixed, "half": half}.get(BUG)
    capabilities = [ProcessHistory(process)] if process else []
    return Agent(model, instructions=instructions, tools=[get_weather], capabilities=capabilities)


def window(messages: list[ModelMessage]) -> list[ModelMessage]:
    return messages[-1:]


def mixed(messages: list[ModelMessage]) -> list[ModelMessage]:
    EVERYBODY.extend(one for one in messages if one not in EVERYBODY)
    return list(EVERYBODY)


def half(messages: list[ModelMessage]) -> list[ModelMessage]:
    """Of turns that are over the tools' results are left out."""
    over = [any(part.part_kind == "user-prompt" for part in one.parts) for one in messages]
    last = len(over) - over[::-1].index(True)
    return [one for i, one in enumerate(messages) if i >= last or all(p.part_kind != "tool-return" for p in one.parts)]
