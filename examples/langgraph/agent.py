"""A weather agent on LangGraph, by LangChain's create_agent. Nothing in it knows of convtest."""

import os
from collections.abc import Sequence
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import before_model
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, RemoveMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.message import REMOVE_ALL_MESSAGES

BUG = os.environ.get("BUG", "")  # so that the tests can show that what it breaks is caught
THREADS = InMemorySaver()  # in production a PostgresSaver
EVERYBODY: list[Any] = []


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"18 degrees in {city}"


@before_model
def answer_open_calls(state: Any, runtime: Any) -> dict[str, Any] | None:
    """A turn that was stopped may leave calls without a result, which no model takes."""
    messages: list[Any] = []
    answered = {one.tool_call_id for one in state["messages"] if isinstance(one, ToolMessage)}
    for message in state["messages"]:
        messages.append(message)
        if isinstance(message, AIMessage):
            messages += [
                ToolMessage("The user stopped this.", tool_call_id=call["id"], status="error")
                for call in message.tool_calls
                if call["id"] not in answered
            ]
    if len(messages) == len(state["messages"]):
        return None
    return {"messages": [RemoveMessage(REMOVE_ALL_MESSAGES), *messages]}


@before_model
def window(state: Any, runtime: Any) -> dict[str, Any]:
    return {"messages": [RemoveMessage(REMOVE_ALL_MESSAGES), *state["messages"][-2:]]}


@before_model
def mixed(state: Any, runtime: Any) -> dict[str, Any]:
    EVERYBODY.extend(one for one in state["messages"] if one not in EVERYBODY)
    return {"messages": [RemoveMessage(REMOVE_ALL_MESSAGES), *EVERYBODY]}


def build(model: ChatAnthropic, tools: Sequence[Any]) -> Any:
    middleware = {"window": [window], "mixed": [mixed], "half": []}.get(BUG, [answer_open_calls])
    system = None if BUG == "no_system" else "You are a terse weather assistant."
    return create_agent(model, list(tools), system_prompt=system, middleware=middleware, checkpointer=THREADS)
