"""What convtest is told: how the agent is made."""

from typing import Any

from agent import build, get_weather
from langchain_anthropic import ChatAnthropic

from convtest import Opening
from convtest.adapters.langgraph import tools


def agent(opening: Opening) -> Any:
    model = ChatAnthropic(
        model_name=opening.options["model"], base_url=opening.base_url, api_key=opening.api_key, max_retries=0
    )
    return build(model, tools(opening, get_weather))
