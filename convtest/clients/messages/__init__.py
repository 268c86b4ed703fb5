"""Our own clients of the Anthropic Messages API and of the OpenAI-compatible API, over httpx."""

from typing import Any


def __getattr__(name: str) -> Any:
    """Adapters that were written before `convtest` had these names import them from here."""
    if name == "MessagesClient":
        from convtest.clients.messages.client import MessagesClient

        return MessagesClient
    if name == "ChatCompletionsClient":
        from convtest.clients.messages.chat_completions import ChatCompletionsClient

        return ChatCompletionsClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
