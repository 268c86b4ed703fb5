"""What convtest is told: how the agent is made."""

from agent import build
from agents import Agent, RunConfig

from convtest import Opening


def agent(opening: Opening) -> tuple[Agent, RunConfig]:
    return build(opening.options["model"])
