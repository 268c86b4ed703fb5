"""`langgraph`, `openai_agents`, `pydantic_ai`: kinds that need no more than the function that returns the agent."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from convtest.clients.port import Factory, Kind
from convtest.clients.tools import import_target
from convtest.config import Profile
from convtest.errors import ClientError
from convtest.wire import messages_api, openai_apis


def _factory(adapter: str) -> Callable[[Profile, Path], Factory]:
    """`adapter` is imported when a session is opened: its framework may be missing."""

    def factory_of(profile: Profile, root: Path) -> Factory:
        if profile.target is None:
            help = 'name the function that returns the agent: target = "module:attr"'
            raise ClientError("target is missing", client=profile.name, help=help)
        make = import_target(profile.target, client=profile.name)

        def opened(opening: Any) -> Any:
            return partial(import_target(adapter, client=profile.name), make=make)(opening)

        return opened

    return factory_of


KINDS = (
    Kind(
        name="langgraph",
        factory_of=_factory("convtest.adapters.langgraph:LangGraph"),
        options=None,
        base_url=messages_api.PUBLIC_URL,
        either=True,
        # It reads ahead of whoever reads its events: only the gateway keeps in step with what has been yielded.
        gateway=True,
        needs="langgraph",
        extra="langgraph",
    ),
    Kind(
        name="openai_agents",
        factory_of=_factory("convtest.adapters.openai_agents:OpenAIAgents"),
        options=None,
        base_url=openai_apis.PUBLIC_URL,
        base_path="/v1",
        api_key_env="OPENAI_API_KEY",
        needs="agents",
        extra="openai-agents",
    ),
    Kind(
        name="pydantic_ai",
        factory_of=_factory("convtest.adapters.pydantic_ai:PydanticAI"),
        options=None,
        base_url=messages_api.PUBLIC_URL,
        either=True,
        needs="pydantic_ai",
        extra="pydantic-ai",
    ),
)
