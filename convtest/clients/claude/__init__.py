"""The real Claude Agent SDK and its CLI, behind the gateway."""
