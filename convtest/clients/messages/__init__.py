"""Our own clients of the Anthropic Messages API and of the OpenAI-compatible API, over httpx."""
