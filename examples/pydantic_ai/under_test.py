"""What convtest is told: how the agent is made."""

from agent import build
from anthropic import AsyncAnthropic
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

from convtest import Opening


def agent(opening: Opening) -> Agent:
    model = AsyncAnthropic(base_url=opening.base_url, api_key=opening.api_key, max_retries=0)
    return build(AnthropicModel(opening.options["model"], provider=AnthropicProvider(anthropic_client=model)))
