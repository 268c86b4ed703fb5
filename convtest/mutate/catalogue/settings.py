"""What a client does to the settings that go with a prompt: system, tools, model, sampling, limits."""

from convtest.mutate import moments
from convtest.mutate.moments import first, later
from convtest.mutate.mutator import Body, Known, Sends, When, always, sending
from convtest.mutate.requests import (
    changed,
    halved,
    setting,
    text,
    tools,
    without,
)

STRAY = {"name": "send_money", "description": "Send money.", "input_schema": {"type": "object", "properties": {}}}
LOSES: tuple[tuple[str, str, str, When], ...] = (
    ("system", "in later turns", "the system prompt goes with the first turn alone", later),
    ("system", "after a resume", "the system prompt is not stored with the session", moments.resumed),
    ("system", "from the start", "the system prompt is under a key that the API does not know", always),
    ("tools", "in later turns", "tools go with the first turn alone", later),
    ("tools", "in the tool loop", "the request with the results is built elsewhere", moments.in_the_tool_loop),
    ("tools", "from the start", "tools are registered after the client was made", always),
    ("temperature", "in later turns", "the option is used up by the first request", later),
    ("temperature", "after a resume", "options are not stored with the session", moments.resumed),
    ("max_tokens", "in later turns", "the limit is used up by the first request", later),
)


def _lost() -> list[tuple[str, str, When, Sends]]:
    names = {
        "system": "the system prompt",
        "tools": "its tools",
        "temperature": "its temperature",
        "max_tokens": "its limit",
    }
    return [(f"loses {names[key]} {at}", bug, when, without(key)) for key, at, bug, when in LOSES]


def _system_as_message(body: Body, known: Known) -> Body:
    if not body.get("system"):
        return body
    rest = {key: value for key, value in body.items() if key != "system"}
    return {**rest, "messages": [text("user", str(body["system"])), *body["messages"]]}


SETTINGS = sending(
    "settings",
    *_lost(),
    (
        "changes the system prompt in later turns",
        "a template is filled anew",
        later,
        changed("system", "{} Be kind.".format),
    ),
    (
        "changes the system prompt after a resume",
        "the default of a newer version",
        moments.resumed,
        setting("system", "You are a helpful assistant."),
    ),
    (
        "adds a system prompt in later turns",
        "a default comes in where none was set",
        later,
        lambda body, known: {"system": "You are a helpful assistant.", **body},
    ),
    ("halves the system prompt", "a column of the database is too short", always, changed("system", halved)),
    (
        "sends the system prompt as a message",
        "an API without system prompts is asked the same way",
        always,
        _system_as_message,
    ),
    ("asks another model in later turns", "a fallback that stays", later, setting("model", "claude-opus-4-5")),
    (
        "asks another model after a resume",
        "the default of the day of the resume",
        moments.resumed,
        setting("model", "claude-opus-4-5"),
    ),
    (
        "asks another model after a failed turn",
        "a fallback that nobody was told of",
        moments.after_failure,
        setting("model", "claude-opus-4-5"),
    ),
    (
        "asks another model in the tool loop",
        "a cheaper model for the results",
        moments.in_the_tool_loop,
        setting("model", "claude-opus-4-5"),
    ),
    (
        "asks another model from the start",
        "the option is under another name",
        always,
        setting("model", "claude-opus-4-5"),
    ),
    ("changes its temperature in later turns", "a retry's temperature stays", later, setting("temperature", 0.99)),
    (
        "changes its temperature from the start",
        "the option is not passed on",
        always,
        changed("temperature", lambda given: 1.0),
    ),
    ("adds top_p in later turns", "an experiment is switched on in mid-session", later, setting("top_p", 0.1)),
    ("changes its limit in later turns", "the rest of a budget is its limit", later, setting("max_tokens", 77)),
    ("shrinks its limit from the start", "an option of another kind", always, setting("max_tokens", 9)),
    ("adds stop sequences in later turns", "a template's stops", later, setting("stop_sequences", ["Ghent"])),
    (
        "renames a tool in later turns",
        "a prefix for each server, made anew",
        later,
        tools(lambda tool: {**tool, "name": "x_" + tool["name"]}),
    ),
    (
        "renames its tools from the start",
        "a prefix that the dispatcher does not know",
        always,
        tools(lambda tool: {**tool, "name": "x_" + tool["name"]}),
    ),
    (
        "changes a tool's schema in later turns",
        "schemas are made strict on the way",
        later,
        tools(lambda tool: {**tool, "input_schema": {"type": "object", "properties": {}}}),
    ),
    (
        "changes a tool's schema from the start",
        "arguments are lost in translation",
        always,
        tools(lambda tool: {**tool, "input_schema": {"type": "object", "properties": {}}}),
    ),
    (
        "loses a tool's description in later turns",
        "descriptions are cut to save tokens",
        later,
        tools(lambda tool: {**tool, "description": "…"}),
    ),
    (
        "offers another tool in later turns",
        "a plug-in is loaded in mid-session",
        later,
        lambda body, known: {**body, "tools": [*body.get("tools", []), STRAY]},
    ),
    (
        "forbids its tools in later turns",
        "tool_choice of another request stays",
        later,
        lambda body, known: {**body, "tool_choice": {"type": "none"}} if "tools" in body else body,
    ),
    (
        "asks to think in later turns",
        "an option of another session",
        later,
        setting("thinking", {"type": "enabled", "budget_tokens": 1024}),
    ),
    (
        "changes its system prompt in the first turn alone",
        "it is fetched while the first request goes out",
        first,
        setting("system", "Loading…"),
    ),
)
